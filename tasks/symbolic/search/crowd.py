"""Scored expressions, and which of them go on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from designer.protocols import Floats
from tasks.symbolic.language.strips import Ints, Strips, stacked

EXACT = 1e-20  # an nmse this small is the rounding of the law itself
_TINY = 1e-26  # keeps logarithms finite


@dataclass(frozen=True)
class Crowd:
    """Scored expressions: N rows, no two with one key."""

    rows: Strips
    outer: Floats  # [N, 2] scale and offset
    nmse: Floats  # [N]
    keys: Ints  # [N]

    def __len__(self) -> int:
        return len(self.nmse)

    def take(self, which: Ints | NDArray[np.bool_]) -> Crowd:
        """Return some of them."""
        return Crowd(self.rows.take(which), self.outer[which], self.nmse[which], self.keys[which])

    def plus(self, more: Crowd) -> Crowd:
        """Return both, each key once."""
        both = Crowd(
            stacked([self.rows, more.rows]),
            np.concatenate([self.outer, more.outer]),
            np.concatenate([self.nmse, more.nmse]),
            np.concatenate([self.keys, more.keys]),
        )
        _, first = np.unique(both.keys, return_index=True)
        return both.take(np.sort(first))

    def fitness(self, price: float) -> Floats:
        """Return [N] the logarithm of the error and the price of the tokens; less is better."""
        return 0.5 * np.log(self.nmse + _TINY) + price * self.rows.lengths

    @property
    def exact(self) -> bool:
        """Whether one of them is the law, but for rounding."""
        return bool(len(self)) and float(self.nmse.min()) <= EXACT


def nobody(width: int) -> Crowd:
    """Return no expressions."""
    none = np.zeros(0, dtype=np.int64)
    rows = Strips(np.zeros((0, width), dtype=np.int64), np.zeros((0, width)))
    return Crowd(rows, np.zeros((0, 2)), np.zeros(0), none)


def winners(crowd: Crowd, price: float, count: int, entries: int, rng: np.random.Generator) -> Ints:
    """Return [count] the winners of tournaments of so many entries."""
    drawn = rng.integers(len(crowd), size=(count, entries))
    best: Ints = drawn[np.arange(count), crowd.fitness(price)[drawn].argmin(1)]
    return best


def survivors(crowd: Crowd, price: float, count: int, rng: np.random.Generator) -> Crowd:
    """Return `count` of them: the best tenth for sure, the others the likelier the better."""
    if len(crowd) <= count:
        return crowd
    fitness = crowd.fitness(price)
    noise = rng.gumbel(size=len(fitness))
    order = np.argsort(fitness, kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    # a soft cut: survival falls with the rank, but is never decided by it alone
    soft = noise - 6.0 * rank / len(order)
    soft[order[: count // 10]] = np.inf
    return crowd.take(np.sort(np.argsort(-soft, kind="stable")[:count]))


def remembered(hall: Crowd, crowd: Crowd, price: float, count: int) -> Crowd:
    """Return the best `count` of both, and the best of each length."""
    both = hall.plus(crowd)
    order = np.argsort(both.fitness(price), kind="stable")
    _, first = np.unique(both.rows.lengths[order], return_index=True)
    return both.take(np.union1d(order[:count], order[first]))


def ranked(crowd: Crowd, price: float, count: int) -> Crowd:
    """Return at most `count`, best first: the best of each length come before all others."""
    chosen = crowd.take(np.argsort(crowd.fitness(price), kind="stable"))
    lengths = chosen.rows.lengths
    first = [np.flatnonzero(lengths == n)[0] for n in np.unique(lengths)]
    rest = np.setdiff1d(np.arange(len(lengths)), first)
    picked = np.concatenate([np.array(first, dtype=np.int64), rest])[:count].astype(np.int64)
    return chosen.take(np.sort(picked))
