"""Genetic operators on a whole generation at once: every row is cut and joined in arrays.

`at` [N] is where a row is edited, `stop` [N] where the subtree that begins there ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from designer.protocols import Floats
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.strips import (
    Ints,
    Segment,
    Strips,
    ends,
    joined,
    single,
    stacked,
    whole,
)
from tasks.symbolic.search.bank import Bank

Made = tuple[Strips, NDArray[np.bool_]]  # children, and which of them fit the width


@dataclass(frozen=True)
class Alphabet:
    """A library as arrays. The last entry of `arity` is the one that padding (-1) meets."""

    library: Library
    arity: Ints  # [A + 1]
    unary: Ints
    binary: Ints
    leaves: Ints


def alphabet(library: Library, constants: bool = True) -> Alphabet:
    """Return the arrays of a library; without `constants` none is written by mutations."""
    arity = np.array([*library.arities, 1])
    unary, binary, leaves = (np.flatnonzero(arity[:-1] == n) for n in (1, 2, 0))
    if not constants:
        leaves = leaves[leaves != library.constant_id]
    return Alphabet(library, arity, unary, binary, leaves)


def somewhere(rows: Strips, rng: np.random.Generator) -> Ints:
    """Return [N] a random position in each row."""
    at: Ints = (rng.random(len(rows)) * rows.lengths).astype(np.int64)
    return at


def crossover(rows: Strips, others: Strips, a: Alphabet, rng: np.random.Generator) -> Made:
    """Return the rows with a subtree replaced by one of `others`, row by row."""
    taken = somewhere(others, rng)
    return grafted(rows, (others, taken, ends(others, taken, a.arity)), a, rng)


def subtree(rows: Strips, bank: Bank, a: Alphabet, rng: np.random.Generator) -> Made:
    """Return the rows with a subtree replaced by a block, of any size alike."""
    return grafted(rows, whole(blocks(bank, len(rows), rng)), a, rng)


def grafted(rows: Strips, graft: Segment, a: Alphabet, rng: np.random.Generator) -> Made:
    """Return the rows with a random subtree replaced by the graft."""
    at = somewhere(rows, rng)
    return replaced(rows, at, ends(rows, at, a.arity), [graft])


def replaced(rows: Strips, at: Ints, stop: Ints, pieces: list[Segment]) -> Made:
    """Return the rows with tokens `at` to `stop` replaced by the pieces."""
    zero = np.zeros(len(rows), dtype=np.int64)
    width = rows.tokens.shape[1]
    return joined([(rows, zero, at), *pieces, (rows, stop, rows.lengths)], width)


def point(rows: Strips, a: Alphabet, rng: np.random.Generator) -> Made:
    """Return the rows with one token replaced by another of as many operands."""
    at = somewhere(rows, rng)
    row = np.arange(len(rows))
    tokens, numbers = rows.tokens.copy(), rows.numbers.copy()
    arity = a.arity[tokens[row, at]]
    for n, same in enumerate((a.leaves, a.unary, a.binary)):
        here = np.flatnonzero(arity == n)
        tokens[here, at[here]] = rng.choice(same, size=len(here)) if len(here) else 0
    numbers[row, at] = np.nan
    return Strips(tokens, numbers), np.ones(len(rows), dtype=bool)


def hoist(rows: Strips, a: Alphabet, rng: np.random.Generator) -> Made:
    """Return the rows with a subtree replaced by one of the subtrees within it."""
    at = somewhere(rows, rng)
    stop = ends(rows, at, a.arity)
    inner = at + (rng.random(len(rows)) * (stop - at)).astype(np.int64)
    return replaced(rows, at, stop, [(rows, inner, ends(rows, inner, a.arity))])


def insertion(rows: Strips, bank: Bank, a: Alphabet, rng: np.random.Generator) -> Made:
    """Return the rows with an operator put on top of a subtree, its other operand a block."""
    N = len(rows)
    at = somewhere(rows, rng)
    stop = ends(rows, at, a.arity)
    operator = rng.choice(np.concatenate([a.unary, a.binary]), size=N)
    two, left = a.arity[operator] == 2, rng.random(N) < 0.5
    other = blocks(bank, N, rng)
    zero = np.zeros(N, dtype=np.int64)
    before = (other, zero, np.where(two & left, other.lengths, 0))
    after = (other, zero, np.where(two & ~left, other.lengths, 0))
    return replaced(rows, at, stop, [single(operator), before, (rows, at, stop), after])


def blocks(bank: Bank, count: int, rng: np.random.Generator) -> Strips:
    """Return blocks of the bank: a size at random, then a block of that size."""
    spans = np.stack([bank.starts[:-1], bank.starts[1:]], axis=1)
    spans = spans[spans[:, 1] > spans[:, 0]]
    low, high = spans[rng.integers(len(spans), size=count)].T
    return bank.rows.take(low + (rng.random(count) * (high - low)).astype(np.int64))


def seedlings(
    bank: Bank, a: Alphabet, count: int, width: int, constant: int | None, rng: np.random.Generator
) -> Strips:
    """Return random expressions: a block, or two of them under an operator; some with constants.

    `constant` is the token that is put in the place of some leaves, None for none.
    """
    first, second = blocks(bank, count, rng), blocks(bank, count, rng)
    zero = np.zeros(count, dtype=np.int64)
    alone = rng.random(count) < 0.2
    head = single(rng.choice(a.binary, size=count) if len(a.binary) else zero)
    alone |= len(a.binary) == 0
    pieces = [
        (head[0], zero, np.where(alone, 0, 1)),
        whole(first),
        (second, zero, np.where(alone, 0, second.lengths)),
    ]
    rows, fits = joined(pieces, width)
    rows = rows.take(fits)
    if constant is not None:
        share = rng.choice([0.0, 0.15, 0.3], size=(len(rows), 1))
        leaf = (a.arity[rows.tokens] == 0) & (rng.random(rows.tokens.shape) < share)
        rows = Strips(np.where(leaf, constant, rows.tokens), rows.numbers)
    return rows


def balanced(
    bank: Bank, a: Alphabet, count: int, width: int, target: Floats, rng: np.random.Generator
) -> Strips:
    """Return blocks of the target's unit, and products and quotients of two that have it."""
    assert bank.units is not None
    ids, units = a.library.operator_ids, np.round(bank.units, 3)
    own = np.flatnonzero((np.abs(units - target) < 1e-2).all(1))
    alone = bank.rows.take(rng.permutation(own)[: count // 2])
    parts = [joined([whole(alone)], width)[0]]
    for name, sign in (("mul", 1.0), ("div", -1.0)):
        if name not in ids:
            continue
        first = rng.integers(len(bank), size=count)
        wanted = sign * (target - units[first])
        second = np.full(count, -1)
        for unit in np.unique(np.round(wanted, 2), axis=0):
            rows = np.flatnonzero((np.abs(wanted - unit) < 2e-2).all(1))
            some = np.flatnonzero((np.abs(units - unit) < 2e-2).all(1))
            second[rows] = rng.choice(some, size=len(rows)) if len(some) else -1
        kept = second >= 0
        i, j = bank.rows.take(first[kept]), bank.rows.take(second[kept])
        rows_, fits = joined([single(np.full(len(i), ids[name])), whole(i), whole(j)], width)
        parts.append(rows_.take(fits))
    return stacked(parts)


def gathered(made: list[Made]) -> Strips:
    """Return the children that fit."""
    return stacked([rows.take(fits) for rows, fits in made])
