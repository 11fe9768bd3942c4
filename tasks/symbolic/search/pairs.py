"""Two blocks that together are exactly what is wanted: a meeting in the middle.

With M blocks there are M^2 sums, differences, products and quotients of two. A fixed random
projection s of the values is additive, s(A) + s(B) = s(A + B), and so is that of their logarithms
over products; so the pairs that fit are found by one walk over the sorted projections (the
two-pointer form of Horowitz and Sahni 1974), and then verified point by point.

Letters in shapes: M blocks, P points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.language.strips import Ints
from tasks.symbolic.search.bank import Bank

_MOST = 4096  # pairs that are verified
_EXACT = 1e-18  # mean squared miss, against what is wanted, of a pair that fits
_TOLERANCE = 1e-10  # of projections
JOINS = (("add", False, True), ("sub", False, False), ("mul", True, True), ("div", True, False))


@dataclass(frozen=True)
class Sketch:
    """Blocks in the order of their projection."""

    block: Ints  # [M]
    value: Floats  # [M], ascending
    weight: Floats  # [P] the projection


@dataclass(frozen=True)
class Pairs:
    """The blocks, projected by value and by logarithm.

    The projections do not see a constant: sums may differ from what is wanted by one, products
    by a factor.
    """

    bank: Bank
    points: Ints  # [P] which of the search's points these are
    plain: Sketch
    logs: Sketch


@dataclass(frozen=True)
class Pair:
    """Blocks `first` and `second` under an operator, then factor and shift."""

    operator: str
    first: int
    second: int
    factor: float
    shift: float


def sketched(bank: Bank, points: Ints) -> Pairs:
    """Return the projections of a bank on some points."""
    drawn: Floats = np.random.default_rng(11).normal(size=(bank.values.shape[1],))
    weight = drawn - drawn.mean()
    with np.errstate(all="ignore"):
        logs = np.log(np.abs(bank.values))
    usable = np.flatnonzero(np.isfinite(logs).all(1))
    every = np.arange(len(bank))
    plain, logarithmic = _sorted(every, bank.values, weight), _sorted(usable, logs[usable], weight)
    return Pairs(bank, points, plain, logarithmic)


def meeting(wanted: Floats, pairs: Pairs, operators: frozenset[str], most: int = 4) -> list[Pair]:
    """Return at most `most` pairs of blocks that give `wanted` [P] exactly, the shortest first.

    A constant is left open beside sums, a factor beside products.
    """
    from tasks.symbolic.search import joining

    out: list[tuple[int, Pair]] = []
    lengths = pairs.bank.rows.lengths
    for name, logarithmic, together in JOINS:
        if name not in operators:
            continue
        goal = wanted
        if logarithmic:
            with np.errstate(all="ignore"):
                goal = np.log(np.abs(wanted))
        if not np.isfinite(goal).all():
            continue
        sketch = pairs.logs if logarithmic else pairs.plain
        size = float(np.abs(goal - goal.mean()).max())
        tolerance = _TOLERANCE * (1.0 + size if logarithmic else size)
        if tolerance <= 0:
            continue
        room = np.empty((_MOST, 2), dtype=np.int64)
        join = joining.sums if together else joining.differences
        count = join(sketch.value, float(goal @ sketch.weight), tolerance, room)
        first, second = sketch.block[room[:count]].T
        for i, factor, shift in _verified(name, first, second, wanted, pairs):
            pair = Pair(name, int(first[i]), int(second[i]), factor, shift)
            out.append((int(lengths[first[i]] + lengths[second[i]]), pair))
    out.sort(key=lambda item: item[0])
    return [pair for _, pair in out[:most]]


def _sorted(block: Ints, values: Floats, weight: Floats) -> Sketch:
    projected = values @ weight
    order = np.argsort(projected, kind="stable")
    return Sketch(block[order], np.ascontiguousarray(projected[order]), weight)


def _verified(
    name: str, first: Ints, second: Ints, wanted: Floats, pairs: Pairs
) -> list[tuple[int, float, float]]:
    """Return which pairs fit at every point, with factor and shift."""
    a, b = pairs.bank.values[first], pairs.bank.values[second]
    with np.errstate(all="ignore"):
        made = {"add": a + b, "sub": a - b, "mul": a * b, "div": a / b}[name]
        factor, shift = np.ones(len(a)), np.zeros(len(a))
        if name in ("add", "sub"):
            shift = (wanted - made).mean(1)
        else:
            factor = (wanted * made).mean(1) / (made * made).mean(1)
        miss = wanted - factor[:, None] * made - shift[:, None]
        size = ((wanted - wanted.mean()) ** 2).mean() or (wanted**2).mean()
        fine = (miss**2).mean(1) <= _EXACT * size
    near = float(np.abs(wanted).max()) * 1e-9
    return [
        (int(i), 1.0 if abs(factor[i] - 1) < 1e-9 else float(factor[i]),
         0.0 if abs(shift[i]) < near else float(shift[i]))
        for i in np.flatnonzero(fine)
    ]  # fmt: skip
