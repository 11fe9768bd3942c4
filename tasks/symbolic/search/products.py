"""Products of a block or two and of powers of the variables that are exactly what is wanted.

w = c x1^p1 x2^p2 ... A^(+-1) B^(+-1): in the complement of 1 and of the variables' logarithms the
powers and the factor are not seen, so log |w| must be there what log |A| and log |B| add up to;
the pairs are found as in `tasks.symbolic.search.pairs`. Blocks A are those of a bank, and 1 more
or less than these. A may also hold one number, as exp(k u) - 1 does: then k is fitted.

Letters in shapes: M blocks, P points, V variables, n of 1 and the logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.language.strips import Ints
from tasks.symbolic.search.bank import Bank, prints

_SAME = 1e-9  # of logarithms: two that differ by less at every point are one
_TOLERANCE = 1e-10  # of projections
_MOST = 256  # pairs that are verified
_SPARE = 6  # points beyond the powers, at least
_LARGEST = 6  # power
PLAIN, MORE, LESS = 0, 1, 2  # a block; 1 + block; 1 - block
_INNER = 60  # blocks that a number may stand before, the smallest
_GRID, _WAVES = 40, 500  # numbers tried for it; in a sine, whose error has many valleys
_REFINED, _STEPS = 12, 12
BENDS: dict[str, Callable[[Floats], Floats]] = {
    "exp": np.exp,
    "exp-": np.expm1,
    "exp+": lambda u: np.exp(u) + 1,
    "1+": lambda u: 1 + u,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
}


@dataclass(frozen=True)
class Factor:
    """A block of the bank to the power 1 or -1, and what is done to it.

    `kind` is PLAIN, MORE or LESS; `bend` names what `number` times the block goes into.
    """

    block: int
    power: int
    kind: int = PLAIN
    bend: str = ""
    number: float = 1.0


@dataclass(frozen=True)
class Product:
    """scale * product of x^powers * the factors."""

    scale: float
    powers: tuple[float, ...]  # of every variable, whole or half
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True)
class Products:
    """The blocks that differ by more than powers, by a projection of their logarithms."""

    bank: Bank
    points: Ints  # [P] which of the search's points these are
    x: Floats  # [P, V]
    basis: Floats  # [P, n] orthonormal: 1 and the logarithms of the variables that have one
    used: Ints  # [n - 1] which variables these are
    factor: Ints  # [M, 2] block and kind; -1 for 1 itself
    left: Floats  # [M, P] logarithms in the complement
    value: Floats  # [M] their projection, ascending
    weight: Floats  # [P]
    bends: tuple[str, ...]

    @cached_property
    def inner(self) -> Ints:
        """The blocks that a number may stand before."""
        return _flat(self.bank)[:_INNER]

    @cached_property
    def grid(self) -> list[tuple[str, Floats, Floats, Floats]]:
        """For each bend the numbers [blocks, tried], the logarithms left [.., P], their squares."""
        u = self.bank.values[self.inner]
        monotonic = np.geomspace(0.03, 20.0, _GRID)
        monotonic, waves = np.concatenate([monotonic, -monotonic]), np.linspace(0.1, 20.0, _WAVES)
        out = []
        with np.errstate(all="ignore"):
            for bend in self.bends:
                tried = waves if bend in ("sin", "cos") else monotonic
                numbers = tried / np.abs(u).max(1, keepdims=True)
                made = np.log(np.abs(BENDS[bend](numbers[:, :, None] * u[:, None])))
                fine = np.asarray(np.isfinite(made).all(2))
                rest = _complement(np.where(fine[:, :, None], made, 0.0), self.basis)
                out.append((bend, numbers, rest, np.where(fine, (rest**2).sum(2), np.inf)))
        return out


def gathered(bank: Bank, points: Ints, x: Floats, bends: tuple[str, ...]) -> Products | None:
    """Return the blocks ready to be looked up; None where there are too few points [P, V]."""
    used = np.flatnonzero((x != 0).all(0))
    basis = np.linalg.qr(np.column_stack([np.ones(len(x)), np.log(np.abs(x[:, used]))]))[0]
    if len(x) < basis.shape[1] + _SPARE:
        return None
    every = np.arange(len(bank))
    flat, v = _flat(bank), bank.values
    values = np.concatenate([np.ones((1, len(x))), v, 1 + v[flat], 1 - v[flat]])
    kinds = np.repeat([PLAIN, PLAIN, MORE, LESS], [1, len(v), len(flat), len(flat)])
    factor = np.column_stack([np.concatenate([[-1], every, flat, flat]), kinds])
    size = np.abs(values)
    fine = np.flatnonzero(size.min(1) > 1e-9 * size.max(1))
    values, factor = values[fine], factor[fine]
    lengths = np.concatenate([bank.rows.lengths, [0]])[factor[:, 0]] + 2 * (factor[:, 1] > 0)
    order = np.argsort(lengths, kind="stable")
    factor = factor[order]
    left = _complement(np.log(np.abs(values[order])), basis)
    other = np.flatnonzero(np.abs(left).max(1) > 1e-7)
    _, first = np.unique(prints(left[other], 7), return_index=True)
    kept = np.concatenate([[0], other[np.sort(first)]])  # 0 is 1 itself
    weight = np.random.default_rng(17).normal(size=len(x))
    weight = _complement(weight[None], basis)[0]
    left, factor = left[kept], factor[kept]
    left[0] = 0.0
    value = left @ weight
    by = np.argsort(value, kind="stable")
    seen = left[by], value[by].copy(), weight
    return Products(bank, points, x, basis, used, factor[by], *seen, bends)


def products(wanted: Floats, among: Products, bent: bool) -> list[Product]:
    """Return products that are `wanted` [P]; with `bent` also those with a number within."""
    with np.errstate(all="ignore"):
        goal = np.log(np.abs(wanted))
    if not np.isfinite(goal).all() or np.ptp(wanted) == 0:
        return []
    left = _complement(goal[None], among.basis)[0]
    if np.abs(left).max() < _SAME:
        made = _powers(wanted, (), among)
        return [made] if made else []
    found = _pairs(wanted, left, among)
    return found or (_bent(wanted, left, among) if bent else [])


def _pairs(wanted: Floats, left: Floats, among: Products) -> list[Product]:
    from tasks.symbolic.search import joining

    tolerance = _TOLERANCE * (1.0 + float(np.abs(left).max()))
    place, out = float(left @ among.weight), []
    for join, goal, signs in (
        (joining.sums, place, (1, 1)),
        (joining.differences, place, (1, -1)),
        (joining.sums, -place, (-1, -1)),
    ):
        room = np.empty((_MOST, 2), dtype=np.int64)
        pairs = room[: join(among.value, goal, tolerance, room)]
        made = signs[0] * among.left[pairs[:, 0]] + signs[1] * among.left[pairs[:, 1]]
        for pair in pairs[np.abs(made - left).max(1) < _SAME]:
            which = zip(pair.tolist(), signs, strict=True)
            both = [(*among.factor[i].tolist(), sign) for i, sign in which]
            factors = tuple(Factor(b, sign, kind) for b, kind, sign in both if b >= 0)
            product = _powers(wanted, factors, among)
            out += [product] if product else []
    return out


def _bent(wanted: Floats, left: Floats, among: Products) -> list[Product]:
    """Return products with one factor that holds a number: the best of a grid, then fitted."""
    tried: list[tuple[float, int, str, int, float]] = []
    for bend, numbers, rest, own in among.grid:
        both = rest @ left
        for power in (1, -1):
            miss = own - 2 * power * both
            at = miss.argmin(1)
            for i, n in enumerate(at.tolist()):
                block = int(among.inner[i])
                tried.append((float(miss[i, n]), block, bend, power, float(numbers[i, n])))
    tried.sort()
    found = [_fitted(wanted, left, among, *each[1:]) for each in tried[:_REFINED]]
    return [each for each in found if each is not None]


def _fitted(
    wanted: Floats, left: Floats, among: Products, block: int, bend: str, power: int, number: float
) -> Product | None:
    """Return the product with the number that Gauss and Newton's steps come to, if it is exact."""
    u = among.bank.values[block]

    def miss(k: float) -> Floats:
        with np.errstate(all="ignore"):
            made = power * np.log(np.abs(BENDS[bend](k * u)))
        out: Floats = _complement(made[None], among.basis)[0] - left
        return out

    for _ in range(_STEPS):
        here, step = miss(number), 1e-6 * number
        if not np.isfinite(here).all():
            return None
        slope = (miss(number + step) - miss(number - step)) / (2 * step)
        steep = float(slope @ slope)
        if not steep > 0:
            return None
        number -= float(np.clip(slope @ here / steep, -0.5 * abs(number), 0.5 * abs(number)))
    if not np.abs(miss(number)).max() < _SAME:
        return None
    return _powers(wanted, (Factor(block, power, PLAIN, bend, number),), among)


def _powers(wanted: Floats, factors: tuple[Factor, ...], among: Products) -> Product | None:
    """Return the product with its powers and its scale; None where a power is not whole or half."""
    rest = wanted.copy()
    for factor in factors:
        rest = rest / values(factor, among.bank) ** factor.power
    x = among.x[:, among.used]
    columns = np.column_stack([np.ones(len(x)), np.log(np.abs(x))])
    found, *_ = np.linalg.lstsq(columns, np.log(np.abs(rest)), rcond=1e-10)
    near = np.round(2 * found[1:]) / 2
    if (np.abs(near - found[1:]) > 1e-6).any() or (np.abs(near) > _LARGEST).any():
        return None
    with np.errstate(all="ignore"):
        scale = rest / (x**near).prod(1)
    if not np.ptp(scale) <= _SAME * np.abs(scale).max():
        return None
    powers = np.zeros(among.x.shape[1])
    powers[among.used] = near
    return Product(float(scale.mean()), tuple(powers.tolist()), factors)


def values(factor: Factor, bank: Bank) -> Floats:
    """Return [P] what a factor is, before its power."""
    own: Floats = bank.values[factor.block]
    if factor.bend:
        own = BENDS[factor.bend](factor.number * own)
    made: Floats = own if factor.kind == PLAIN else 1 + own if factor.kind == MORE else 1 - own
    return made


def _flat(bank: Bank) -> Ints:
    """Return the blocks without unit: all where there are no units."""
    if bank.units is None:
        return np.arange(len(bank))
    return np.flatnonzero((np.abs(bank.units) < 1e-3).all(1))


def _complement(logs: Floats, basis: Floats) -> Floats:
    out: Floats = logs - (logs @ basis) @ basis.T
    return out
