"""What a subtree would have to be for its expression to hit the target, and the block nearest it.

Walking from the root to a chosen node, each operator on the way is inverted given its other
operand (Pawlak, Wieloch and Krawiec 2015, "Semantic backpropagation for designing search
operators in genetic programming"). Beside the wanted values comes how strongly the result
depends on them, so that misses are weighed by what they do to the error.

Letters in shapes: N rows, P points, M blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from designer.protocols import Floats
from tasks.symbolic.language.strips import Ints
from tasks.symbolic.mask.units import POWERS, PRODUCT, SAME
from tasks.symbolic.search.bank import Bank

Inverse = Callable[[bool, Floats, Floats], tuple[Floats, Floats]]

# (is the second operand wanted?, desired value, other operand) -> wanted, d value / d wanted
INVERSES: Mapping[str, Inverse] = {
    "add": lambda second, d, s: (d - s, np.ones_like(d)),
    "sub": lambda second, d, s: (s - d if second else d + s, np.ones_like(d)),
    "mul": lambda second, d, s: (d / s, s),
    "div": lambda second, d, s: (s / d, d * d / s) if second else (d * s, 1 / s),
    "pow": lambda second, d, s: (
        (np.log(d) / np.log(s), d * np.log(s)) if second else (d ** (1 / s), s * d ** (1 - 1 / s))
    ),
    "exp": lambda second, d, s: (np.log(d), d),
    "log": lambda second, d, s: (np.exp(d), np.exp(-d)),
    "sqrt": lambda second, d, s: (d * d, 0.5 / d),
    "square": lambda second, d, s: (np.sqrt(d), 2 * np.sqrt(d)),
    "cube": lambda second, d, s: (np.cbrt(d), 3 * np.cbrt(d) ** 2),
    "neg": lambda second, d, s: (-d, np.ones_like(d)),
    "inv": lambda second, d, s: (1 / d, d * d),
    "sin": lambda second, d, s: (np.arcsin(d), np.sqrt(1 - d * d)),
    "cos": lambda second, d, s: (np.arccos(d), np.sqrt(1 - d * d)),
    "tan": lambda second, d, s: (np.arctan(d), 1 + d * d),
    "tanh": lambda second, d, s: (np.arctanh(d), 1 - d * d),
    "asin": lambda second, d, s: (np.sin(d), 1 / np.cos(d)),
    "acos": lambda second, d, s: (np.cos(d), 1 / np.sin(d)),
    "atan": lambda second, d, s: (np.tan(d), np.cos(d) ** 2),
    "sinh": lambda second, d, s: (np.arcsinh(d), np.sqrt(1 + d * d)),
    "cosh": lambda second, d, s: (np.arccosh(d), np.sqrt(d * d - 1)),
}
_CHUNK = 16  # rows at once: what is written then still lies in the cache when it is read
_KNOWN_SHARE = 0.75  # of the points at which a wanted value must exist


@dataclass(frozen=True)
class Wanted:
    """What N subtrees should be, and the weight of a miss at each point (0 where unknown)."""

    values: Floats  # [N, P]
    slope: Floats  # [N, P]
    units: Floats | None = None  # [N, U] what unit they should have

    def through(
        self, name: str, second: bool, rows: Ints, other: Floats, unit: Floats | None = None
    ) -> None:
        """Invert one operator for some of the rows, in place.

        `other` is the value of its other operand, `unit` [n, U] the unit of that.
        """
        if self.units is not None and unit is not None:
            self.units[rows] = _unit_through(name, second, self.units[rows], unit)
        inverse = INVERSES.get(name)
        if inverse is None:
            self.values[rows] = np.nan
            return
        with np.errstate(all="ignore"):
            values, slope = inverse(second, self.values[rows], other)
        self.values[rows], self.slope[rows] = values, self.slope[rows] * slope


@dataclass(frozen=True)
class Match:
    """The block for each row, and the numbers with which it comes nearest."""

    block: Ints  # [N], -1 where nothing can be wanted
    factor: Floats  # [N]
    shift: Floats  # [N]


def match(wanted: Wanted, bank: Bank, mode: str, rng: np.random.Generator) -> Match:
    """Return a block near each wanted row: exactly it, or else the nearest of a random size.

    `mode` says what may be fitted around a block: "plain" nothing, "scale" a factor, "affine" a
    factor and a shift.
    """
    with np.errstate(all="ignore"):
        weight = wanted.slope**2
        known = np.isfinite(wanted.values) & np.isfinite(weight)
        weight = np.where(known, weight, 0.0)
        total = weight.sum(1, keepdims=True)
        weight = weight / np.where(total > 0, total, 1.0)
        usable = (known.mean(1) >= _KNOWN_SHARE) & (total[:, 0] > 0) & np.isfinite(total[:, 0])
        values = np.where(known, wanted.values, 0.0)
        any_unit = wanted.units is None or bank.units is None
        some = range(0, len(values) if any_unit else 0, _CHUNK)
        parts = [_nearest(values[i : i + _CHUNK], weight[i : i + _CHUNK], bank, mode, rng)
                 for i in some]  # fmt: skip
        block = np.concatenate(parts) if parts else np.full(len(values), -1)
        if wanted.units is not None and bank.units is not None:
            block = _of_unit(wanted.units, values, weight, bank, mode, rng, block)
        factor, shift = _around(values, weight, bank.values[block], mode)
    return Match(np.where(usable, block, -1), factor, shift)


def _unit_through(name: str, second: bool, unit: Floats, other: Floats) -> Floats:
    """Return the unit an operand must have for the operator's value to have `unit`."""
    if name in SAME:
        return unit
    if name in PRODUCT:
        if second:
            return unit - other if PRODUCT[name] > 0 else other - unit
        return unit - PRODUCT[name] * other
    return unit / POWERS[name] if name in POWERS else unit * 0.0


def _of_unit(
    units: Floats, d: Floats, w: Floats, bank: Bank, mode: str, rng: np.random.Generator, at: Ints
) -> Ints:
    """Return [N] as `at`, with the nearest block among those of the wanted unit, -1 for none."""
    assert bank.units is not None
    out = np.full(len(at), -1)
    for unit in np.unique(np.round(units, 4), axis=0):
        rows = np.flatnonzero((np.abs(units - unit) < 1e-3).all(1))
        some = np.flatnonzero((np.abs(bank.units - unit) < 1e-3).all(1))
        if len(some):
            starts = np.searchsorted(some, bank.starts)
            part = Bank(bank.rows.take(some), bank.values[some], starts)
            out[rows] = some[_nearest(d[rows], w[rows], part, mode, rng)]
    return out


def _nearest(d: Floats, w: Floats, bank: Bank, mode: str, rng: np.random.Generator) -> Ints:
    """Return [N] the smallest block that hits, or the nearest of a randomly chosen size."""
    spans = [(a, b) for a, b in zip(bank.starts[:-1], bank.starts[1:], strict=True) if b > a]
    # what a block leaves unexplained, less what is the same for all blocks, [N, M]; torch, since
    # its products keep to the threads they are given
    wd = w * d
    power = (wd * d).sum(1)
    missed = torch.mm(torch.from_numpy(wd), bank.columns)
    own = torch.mm(torch.from_numpy(w), bank.squares)
    if mode == "plain":
        missed = own.sub_(missed, alpha=2.0)
    else:
        if mode == "affine":
            mean = wd.sum(1, keepdims=True)
            mine = torch.mm(torch.from_numpy(w), bank.columns)
            missed.addcmul_(mine, torch.from_numpy(mean), value=-1.0)
            flat = own * 1e-12
            own.addcmul_(mine, mine, value=-1.0)
            own.masked_fill_(own <= flat, torch.inf)
            power -= mean[:, 0] ** 2
        missed = missed.square_().div_(own).neg_()
    missed.nan_to_num_(nan=torch.inf, neginf=torch.inf)
    nearest = np.stack([missed[:, a:b].argmin(1).numpy() + a for a, b in spans], axis=1)
    row = np.arange(len(missed))
    loss = missed.gather(1, torch.from_numpy(nearest)).numpy() + power[:, None]
    hit = loss <= 1e-13 * power[:, None]  # differences of squares: a hit shows as rounding noise
    size = np.where(hit.any(1), hit.argmax(1), rng.integers(len(spans), size=len(row)))
    out: Ints = nearest[row, size]
    return out


def _around(d: Floats, w: Floats, g: Floats, mode: str) -> tuple[Floats, Floats]:
    """Return the factor and the shift [N] that bring each row's block g [N, P] nearest."""
    one, none = np.ones(len(d)), np.zeros(len(d))
    if mode == "plain":
        return one, none
    mean = (w * d).sum(1) if mode == "affine" else none
    mine = (w * g).sum(1) if mode == "affine" else none
    together, own = (w * d * g).sum(1) - mean * mine, (w * g * g).sum(1) - mine**2
    factor = np.where(own > 0, together / np.where(own > 0, own, 1.0), 0.0)
    return factor, mean - factor * mine
