"""Genetic operators on expressions: the search in the loop (NGGP: Mundhenk et al. 2021).

Children obey the environment's mask like everything else: what it would not write is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.symbolic.language.expression import Expression, ExpressionBatch
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import pack
from tasks.symbolic.language.variants import Row, ends
from tasks.symbolic.mask.environment import Expressions

ROUNDS = 4  # at most so many times as many children are tried as are wanted


@dataclass(frozen=True)
class Genetic:
    """Crossover and mutations, by their weights. Parents are chosen by tournament."""

    environment: Expressions
    crossover: float = 0.5
    subtree: float = 0.15  # a random subtree replaces one
    point: float = 0.15  # one token becomes another of its arity
    hoist: float = 0.05  # a subtree takes the place of one that holds it
    insertion: float = 0.15  # a new operator on top of a subtree
    tournament: int = 5

    def __call__(
        self, parents: Sequence[Expression], count: int, rng: np.random.Generator, /
    ) -> list[Expression]:
        """Return at most `count` children, distinct from each other and from their parents."""
        rows = [row for row in self.environment.encode(parents) if row is not None]
        out: list[Expression] = []
        seen = {parent.key for parent in parents}
        for _ in range(ROUNDS if rows else 0):
            if len(out) >= count:
                break
            tried = [self._child(rows, rng) for _ in range(count)]
            legal = self.environment.legal(tried)
            kept = [row for row, fine in zip(tried, legal, strict=True) if fine]
            for child in ExpressionBatch(pack(kept), self.environment.library) if kept else ():
                if child is not None and child.key not in seen:
                    seen.add(child.key)
                    out.append(child)
        return out[:count]

    def _child(self, rows: Sequence[Row], rng: np.random.Generator) -> Row:
        library = self.environment.library
        weights = np.array(
            [self.crossover, self.subtree, self.point, self.hoist, self.insertion], dtype=float
        )
        kind = int(rng.choice(5, p=weights / weights.sum()))
        row = self._chosen(rows, rng)
        if kind == 0:
            return crossover(row, self._chosen(rows, rng), library, rng)
        edits: tuple[Callable[[Row, Library, np.random.Generator], Row], ...]
        edits = (subtree, point, hoist, insertion)
        return edits[kind - 1](row, library, rng)

    def _chosen(self, rows: Sequence[Row], rng: np.random.Generator) -> Row:
        # parents come best first: the lowest of a few random ranks wins
        return rows[int(rng.integers(len(rows), size=self.tournament).min())]


def crossover(row: Row, other: Row, library: Library, rng: np.random.Generator) -> Row:
    """Return `row` with one of its subtrees replaced by a subtree of `other`."""
    at, taken = int(rng.integers(len(row))), int(rng.integers(len(other)))
    graft = other[taken : ends(other, library)[taken]]
    return row[:at] + graft + row[ends(row, library)[at] :]


def subtree(row: Row, library: Library, rng: np.random.Generator) -> Row:
    """Return `row` with one of its subtrees replaced by a small random one."""
    at = int(rng.integers(len(row)))
    return row[:at] + random_tree(library, rng, 3) + row[ends(row, library)[at] :]


def point(row: Row, library: Library, rng: np.random.Generator) -> Row:
    """Return `row` with one token replaced by another of as many operands."""
    at = int(rng.integers(len(row)))
    same = [t for t, arity in enumerate(library.arities) if arity == library.arities[row[at]]]
    return [*row[:at], same[int(rng.integers(len(same)))], *row[at + 1 :]]


def hoist(row: Row, library: Library, rng: np.random.Generator) -> Row:
    """Return `row` with a subtree replaced by one of the subtrees within it."""
    stops = ends(row, library)
    at = int(rng.integers(len(row)))
    inner = int(rng.integers(at, stops[at]))
    return row[:at] + row[inner : stops[inner]] + row[stops[at] :]


def insertion(row: Row, library: Library, rng: np.random.Generator) -> Row:
    """Return `row` with an operator put on top of a subtree, its other operand a random leaf."""
    if not library.operators:
        return list(row)
    at = int(rng.integers(len(row)))
    stop = ends(row, library)[at]
    operator = int(rng.integers(len(library.operators)))
    inner = [row[at:stop]]
    if library.arities[operator] == 2:
        inner.insert(int(rng.integers(2)), [_leaf(library, rng)])
    return [*row[:at], operator, *(t for part in inner for t in part), *row[stop:]]


def random_tree(library: Library, rng: np.random.Generator, depth: int) -> Row:
    """Return a random expression of at most `depth` levels of operators."""
    if depth == 0 or not library.operators or rng.random() < 0.3:
        return [_leaf(library, rng)]
    operator = int(rng.integers(len(library.operators)))
    arity = library.arities[operator]
    parts = [random_tree(library, rng, depth - 1) for _ in range(arity)]
    return [operator, *(t for part in parts for t in part)]


def _leaf(library: Library, rng: np.random.Generator) -> int:
    return int(rng.integers(library.first_variable, len(library)))
