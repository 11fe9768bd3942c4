"""Sums of blocks, each with a coefficient of its own, that are exactly what is wanted.

w = a f + b g + d h + c for blocks f, g of M and a chosen h: in the complement of w, h and 1 the
directions of f and g are one, so all pairs of the M^2 are found by sorting one projection of M
directions. And w = A sin(u + p) + d h + c is linear in sin u and cos u: one pass over all u.

Letters in shapes: M blocks, P points.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from designer.protocols import Floats
from tasks.symbolic.language.strips import Ints
from tasks.symbolic.search.bank import Bank, prints

_EXACT = 1e-18  # mean squared miss against the variance of what is wanted
_APART = 1e-7  # share of a direction that must be left of it in a complement
_TOLERANCE = 1e-10  # of projections
_MOST = 64  # sums that are verified
_LARGEST = 1e150  # of what is wanted: larger values have no squares
_SMALL = 1e-10  # a coefficient this small, against the largest term, is none


@dataclass(frozen=True)
class Term:
    """coefficient * block, or coefficient * sin(block + phase)."""

    coefficient: float
    block: int
    phase: float | None = None


@dataclass(frozen=True)
class Sum:
    """Terms and a constant."""

    terms: tuple[Term, ...]
    shift: float


@dataclass(frozen=True)
class Family:
    """Blocks of one unit, one of each kind that differs by more than a factor (and a shift)."""

    block: Ints  # [M] which of the bank, the smallest first
    values: Floats  # [M, P]
    unit: Floats  # [M, P] their directions
    shifted: bool  # whether a constant may be added
    weight: Floats  # [P]


@dataclass(frozen=True)
class Sums:
    """The blocks by unit, made when first asked for."""

    bank: Bank
    points: Ints  # [P] which of the search's points these are
    waves: bool  # whether there are sines
    families: dict[tuple[float, ...], Family] = field(default_factory=dict)
    trigonometry: list[tuple[Floats, Floats, Ints]] = field(default_factory=list)

    def family(self, unit: Floats | None) -> Family:
        """Return the blocks that may be added up to that unit."""
        key = () if unit is None else tuple(np.round(unit, 4).tolist())
        if key not in self.families:
            every = np.arange(len(self.bank))
            if unit is not None and self.bank.units is not None:
                every = np.flatnonzero((np.abs(self.bank.units - unit) < 1e-3).all(1))
            self.families[key] = _family(self.bank, every, unit is None or not any(key))
        return self.families[key]

    def circles(self) -> tuple[Floats, Floats, Ints]:
        """Return the sine and the cosine of blocks [M, P] without unit, and which these are."""
        if not self.trigonometry:
            none = self.bank.units is None
            which = np.arange(len(self.bank)) if none else np.flatnonzero(_plain(self.bank))
            u = self.bank.values[which]
            self.trigonometry.append((_centred(np.sin(u)), _centred(np.cos(u)), which))
        return self.trigonometry[0]


def sums(wanted: Floats, among: Sums, unit: Floats | None, beside: int | None) -> list[Sum]:
    """Return sums that are `wanted` [P]: two terms, and a third of the block `beside`.

    `unit` [U] is what unit they must have, None where there are none. `beside` counts within the
    family of that unit.
    """
    family = among.family(unit)
    if not (np.abs(wanted) < _LARGEST).all() or not len(family.block):
        return []
    goal = _centred(wanted) if family.shifted else wanted
    size = float(np.sqrt((goal**2).sum()))
    if size <= 1e-9 * float(np.abs(wanted).max()):
        return []
    first = [] if beside is None else [family.unit[beside]]
    h = np.array(first).reshape(len(first), len(goal))
    left = goal - h.T @ (h @ goal)
    rest = float(np.sqrt((left**2).sum()))
    if rest <= 1e-9 * size:
        return []
    own = [] if beside is None else [int(family.block[beside])]
    found: list[Sum] = []
    for chosen in _lines(left / rest, h, family):
        made = _solved(wanted, [*(int(family.block[i]) for i in chosen), *own], among.bank, family)
        found += [] if made is None else [made]
    if among.waves and family.shifted and not found:
        found += _sines(wanted, left, h, own, among)
    return found


def _lines(goal: Floats, h: Floats, family: Family) -> list[list[int]]:
    """Return ones and twos of the family in whose span, with h, the goal [P] may lie."""
    basis = np.concatenate([h, goal[None]])
    inner = family.unit @ np.concatenate([basis, family.weight[None]]).T
    along, across = inner[:, :-1], inner[:, -1]
    share = 1.0 - (along**2).sum(1)
    one = [[int(i)] for i in np.flatnonzero(share < 1e-10)[:_MOST] if abs(along[i, -1]) > 1e-3]
    usable = np.flatnonzero(share > _APART)
    place = np.abs(across - along @ (basis @ family.weight))[usable] / np.sqrt(share[usable])
    order = np.argsort(place, kind="stable")
    sure = _TOLERANCE + 1e-15 / share[usable][order]  # what is left of few digits is less sure
    near = np.flatnonzero(np.diff(place[order]) <= sure[:-1] + sure[1:])
    i, j = usable[order[near]], usable[order[near + 1]]
    if len(h) and len(i):  # blocks that depend on each other and on h alone say nothing of the goal
        a, b = (family.unit[n] - (family.unit[n] @ h.T) @ h for n in (i, j))
        cosine = (a * b).sum(1) ** 2 / ((a * a).sum(1) * (b * b).sum(1))
        apart = np.flatnonzero(cosine < 1.0 - 1e-8)
        i, j = i[apart], j[apart]
    return one + [[int(a), int(b)] for a, b in zip(i[:_MOST], j[:_MOST], strict=True)]


def _sines(wanted: Floats, left: Floats, h: Floats, own: list[int], among: Sums) -> list[Sum]:
    """Return A sin(u + p) + d h + c for all blocks u."""
    sine, cosine, which = among.circles()
    s, c = sine @ h.T, cosine @ h.T
    ss = (sine**2).sum(1) - (s**2).sum(1)
    cc = (cosine**2).sum(1) - (c**2).sum(1)
    sc = (sine * cosine).sum(1) - (s * c).sum(1)
    ws, wc = sine @ left, cosine @ left
    determinant = ss * cc - sc * sc
    with np.errstate(all="ignore"):
        explained = (ws**2 * cc - 2 * ws * wc * sc + wc**2 * ss) / determinant
    good = (determinant > 1e-6 * ss * cc) & (explained > (1 - 1e-8) * float(left @ left))
    out = []
    for i in np.flatnonzero(good)[:_MOST].tolist():
        block, terms = int(which[i]), among.bank.values[own]
        u = among.bank.values[block]
        columns = np.column_stack([np.sin(u), np.cos(u), *terms, np.ones_like(u)])
        found, miss = _least(columns, wanted, centred=True)
        if miss <= _EXACT:
            wave = Term(float(np.hypot(*found[:2])), block, float(np.arctan2(found[1], found[0])))
            rest = [Term(float(d), b) for d, b in zip(found[2:-1], own, strict=True)]
            out.append(Sum((wave, *rest), float(found[-1])))
    return out


def _solved(wanted: Floats, blocks: list[int], bank: Bank, family: Family) -> Sum | None:
    """Return the sum of these blocks that is `wanted`, None where none is."""
    ones = [np.ones_like(wanted)] if family.shifted else []
    columns = np.column_stack([*bank.values[blocks], *ones])
    found, miss = _least(columns, wanted, family.shifted)
    if not miss <= _EXACT:
        return None
    weight = np.abs(found) * np.sqrt((columns**2).mean(0))
    found[weight < _SMALL * weight.max()] = 0.0
    terms = zip(found[: len(blocks)].tolist(), blocks, strict=True)
    kept = tuple(Term(a, block) for a, block in terms if a)
    return Sum(kept, float(found[-1]) if family.shifted else 0.0) if kept else None


def _least(columns: Floats, wanted: Floats, centred: bool) -> tuple[Floats, float]:
    """Return least squares' coefficients, and the miss against the variance."""
    size = np.sqrt((columns**2).mean(0))
    if not (size > 0).all():
        return np.zeros(columns.shape[1]), np.inf
    found, *_ = np.linalg.lstsq(columns / size, wanted, rcond=1e-12)
    found = found / size
    spread = float((_centred(wanted) ** 2).mean() if centred else (wanted**2).mean())
    return found, float(((columns @ found - wanted) ** 2).mean()) / spread


def _family(bank: Bank, which: Ints, shifted: bool) -> Family:
    weight: Floats = np.random.default_rng(13).normal(size=(bank.values.shape[1],))
    values = bank.values[which]
    moved = _centred(values) if shifted else values
    size = np.sqrt((moved**2).sum(1))
    kept = np.flatnonzero(size > 1e-6 * np.sqrt((values**2).sum(1)))
    unit = moved[kept] / size[kept, None]
    _, first = np.unique(prints(unit * np.sign(unit @ weight)[:, None], 9), return_index=True)
    kept, unit = kept[np.sort(first)], unit[np.sort(first)]
    return Family(which[kept], values[kept], unit, shifted, weight)


def _plain(bank: Bank) -> NDArray[np.bool_]:
    assert bank.units is not None
    return np.asarray((np.abs(bank.units) < 1e-3).all(axis=1))


def _centred(values: Floats) -> Floats:
    out: Floats = values - values.mean(-1, keepdims=True)
    return out
