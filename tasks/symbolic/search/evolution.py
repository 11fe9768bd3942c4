"""Search in the loop: generations of expressions bred, judged and selected in arrays.

Every call is a search of its own, from the best designs so far or from scratch (a restart); all
that is remembered between calls is how often nothing closed a context exactly. Genetic operators
as in NGGP (Mundhenk et al. 2021), and children made to measure
(`tasks.symbolic.search.semantic`). What it scores is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from designer.protocols import Floats, Purse
from tasks.symbolic.fit.outer import Points
from tasks.symbolic.judging import points_of
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.units import unit_tables
from tasks.symbolic.search import variation as v
from tasks.symbolic.search.bank import Bank, stock
from tasks.symbolic.search.crowd import EXACT, Crowd, nobody, ranked, remembered, survivors
from tasks.symbolic.search.laws import bends
from tasks.symbolic.search.meeting import Ways
from tasks.symbolic.search.offspring import Offspring
from tasks.symbolic.search.pairs import sketched
from tasks.symbolic.search.products import Products, gathered
from tasks.symbolic.search.scoring import Scoring
from tasks.symbolic.search.semantic import Aim
from tasks.symbolic.search.sums import Sums
from tasks.symbolic.tables.table import Table

_JOINED = 24  # data points on which two blocks are joined
_MISSES = 400  # contexts that nothing closes before they are tried half as often
_SELDOM = 4  # generations between tries at the most


@dataclass(frozen=True)
class Evolution:
    """Breeds `population` expressions for `generations`; returns the best of all it saw.

    The shares of the operators need not add up to 1. With `purse` its evaluations are paid for.
    """

    environment: Expressions
    table: Table
    scale: bool = False  # closed-form factor and constant around an expression
    offset: bool = False
    population: int = 1000
    generations: int = 15
    restarts: float = 0.5  # share of calls that begin from scratch
    measure: float = 0.15  # children made to measure
    crossover: float = 0.35
    subtree: float = 0.15  # a block replaces a subtree
    point: float = 0.1  # one token becomes another of its arity
    hoist: float = 0.05  # a subtree takes the place of one that holds it
    insertion: float = 0.1  # a new operator on top of a subtree
    tournament: int = 4
    blocks: int = 10_000  # small expressions that are ready to be built in
    points: int = 64  # at most so many data points are looked at to choose a block
    rows: int = 256  # and so many to score an expression, drawn anew for every call
    pairs: int = 50_000  # small expressions of which two may close a context exactly; 0: none
    contexts: int = 8  # contexts tried so in a generation
    sums: bool = True  # whether sums of blocks with coefficients may, where constants are written
    ratios: bool = True  # whether quotients of polynomials may
    products: bool = True  # whether a search tries products of powers below all short chains
    settle: int = 4000  # expressions tried for a simpler form once the law is exact
    purse: Purse | None = None
    rejudged: bool = True  # what is returned is paid for again; a call leaves that much
    guesses: tuple[Expression, ...] = ()  # formulas to start from, handed over at every call
    missed: dict[str, int] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __call__(
        self, parents: Sequence[Expression], count: int, rng: np.random.Generator, /
    ) -> list[Expression]:
        """Return at most `count` of the best expressions found."""
        found = _Call(self, parents, rng, count).best(max(0, count - len(self.guesses)))
        return [*self.guesses, *found][:count]

    def state(self) -> dict[str, Any]:
        """Return what is remembered between calls."""
        return dict(self.missed)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to exactly what `state` returned."""
        self.missed.clear()
        self.missed.update({name: int(count) for name, count in state.items()})

    @property
    def every(self) -> int:
        """How many generations lie between two tries to close contexts exactly.

        On noisy data nothing is exact: what misses again and again is tried less often.
        """
        return min(_SELDOM, 1 + self.missed.get("contexts", 0) // _MISSES)

    @cached_property
    def alphabet(self) -> v.Alphabet:
        """The library as arrays."""
        return v.alphabet(self.environment.library, self.constants)

    @property
    def constants(self) -> bool:
        """Whether constants are written freely, and fitted."""
        return self.environment.library.constant and self.environment.max_constants > 0

    @cached_property
    def aim(self) -> Aim:
        """The blocks, and what they are matched against."""
        x, y = self.table.x, self.table.y
        if len(y) > self.points:
            rows = np.random.default_rng(0).choice(len(y), size=self.points, replace=False)
            x, y = x[rows], y[rows]
        units, library = self.environment.units, self.environment.library
        table = None if units is None else unit_tables(units, library, torch.device("cpu"))
        return Aim(self.bank_of(x), x, y, table)

    @property
    def _open(self) -> Expressions:
        """The environment without its form, which parts of an expression need not have."""
        return replace(self.environment, form=None)

    def bank_of(self, x: Floats) -> Bank:
        """Return the blocks on some points."""
        return stock(self._open, x, self.blocks)

    @cached_property
    def ways(self) -> Ways | None:
        """What may close a context exactly: the blocks, and how they are joined."""
        if not self.contexts or not (self.pairs or self.ratios):
            return None
        if not self.pairs:
            return Ways(None, None, self.ratios, self.written, self.scale)
        few = min(_JOINED, len(self.aim.y))
        points = np.arange(few) * len(self.aim.y) // few
        bank = stock(self._open, self.aim.x[points], self.pairs, tried=4 * self.pairs)
        waves = {"sin", "cos"} <= set(self.environment.library.operator_ids)
        summed = Sums(bank, points, waves) if self.sums and self.constants else None
        pairs = sketched(bank, points)
        return Ways(pairs, summed, self.ratios, self.written, self.scale)

    @cached_property
    def powers(self) -> Products | None:
        """What may close short chains by powers of the variables; None where nothing may."""
        pairs = None if self.ways is None or not self.products else self.ways.pairs
        if pairs is None:
            return None
        known = bends(self.environment.library) if self.constants else ()
        return gathered(pairs.bank, pairs.points, self.aim.x[pairs.points], known)

    @property
    def written(self) -> bool:
        """Whether an expression may hold numbers at all."""
        return self.constants or self.environment.coefficients > 0

    @cached_property
    def data(self) -> Points:
        """The table as tensors."""
        return points_of(self.table, groups=True)

    def drawn(self, rng: np.random.Generator) -> Points:
        """Return the rows that a call looks at: all, or `rows` of them."""
        count = len(self.table.y)
        if count <= self.rows or self.table.groups is not None:
            return self.data
        rows = np.sort(rng.choice(count, size=self.rows, replace=False))
        part = self.table.rows(rows)
        return points_of(part) if part.varies else self.data


class _Call:
    """One search."""

    def __init__(
        self, made: Evolution, parents: Sequence[Expression], rng: np.random.Generator, count: int
    ) -> None:
        self.made, self.rng = made, rng
        self.scoring = Scoring(made, made.drawn(rng), count)
        self.price = float(rng.choice([0.02, 0.05, 0.1, 0.2, 0.4]))  # of a token, in log error
        self.offspring = Offspring(made, self.price, rng)
        self.hall = nobody(made.environment.max_length)
        self._search(self.scoring.judged(self.offspring.seeds(parents)))

    def best(self, count: int) -> list[Expression]:
        """Return the best of each length, then the best by price, as designs."""
        return self.scoring.designs(ranked(self.hall, self.price, count))

    def _search(self, crowd: Crowd) -> None:
        made, judged = self.made, self.scoring.judged
        self._remember(crowd)
        for generation in range(made.generations):
            if len(crowd) < 2 or self.scoring.spent or self.hall.exact:
                break
            children = judged(self.offspring.children(crowd))
            self._remember(children)
            if self.hall.exact:
                break
            if generation % made.every == 0:
                children = children.plus(judged(self.offspring.met(crowd, generation == 0)))
                self._remember(children)
            crowd = survivors(crowd.plus(children), self.price, made.population, self.rng)
        if self.hall.exact:
            self._settle()

    def _settle(self) -> None:
        """Look for a simpler form of a law that is exact already."""
        tried = 0
        while tried < self.made.settle and not self.scoring.spent:
            exact = self.hall.take(self.hall.nmse <= EXACT)
            rows = self.offspring.simpler(exact)
            shorter = rows.lengths < int(exact.rows.lengths.min())
            self._remember(self.scoring.judged(rows.take(shorter)))
            tried += len(rows)

    def _remember(self, crowd: Crowd) -> None:
        self.hall = remembered(self.hall, crowd, self.price, self.made.population)
