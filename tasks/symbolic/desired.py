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

from designer.protocols import Floats
from tasks.symbolic.bank import Bank
from tasks.symbolic.strips import Ints

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
_KNOWN_SHARE = 0.75  # of the points at which a wanted value must exist


@dataclass(frozen=True)
class Wanted:
    """What N subtrees should be, and the weight of a miss at each point (0 where unknown)."""

    values: Floats  # [N, P]
    slope: Floats  # [N, P]

    def through(self, name: str, second: bool, rows: Ints, other: Floats) -> None:
        """Invert one operator for some of the rows, in place; `other` is its other operand."""
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
        loss, factor, shift = _losses(values, weight, bank.values, mode)
    block = _picked(loss, bank, rng)
    row = np.arange(len(block))
    return Match(np.where(usable, block, -1), factor[row, block], shift[row, block])


def _losses(d: Floats, w: Floats, g: Floats, mode: str) -> tuple[Floats, Floats, Floats]:
    """Return the share of the wanted variation that is missed, factor and shift, each [N, M]."""
    wd, squares = w * d, g * g
    power, cross, own = (wd * d).sum(1, keepdims=True), wd @ g.T, w @ squares.T
    one = np.ones((1, 1))
    if mode == "plain":
        loss = power - 2 * cross + own
        shape = np.broadcast_to(one, loss.shape)
        return _relative(loss, power), shape, shape * 0
    if mode == "scale":
        factor = cross / own
        return _relative(power - factor * cross, power), factor, np.zeros_like(factor)
    mean, mine = wd.sum(1, keepdims=True), w @ g.T
    spread, together = own - mine**2, cross - mean * mine
    flat = spread <= 1e-12 * own
    factor = np.where(flat, 0.0, together / np.where(flat, 1.0, spread))
    variance = power - mean**2
    return _relative(variance - factor * together, variance), factor, mean - factor * mine


def _relative(loss: Floats, power: Floats) -> Floats:
    """Return loss / power, rounding noise as 0 and what is no number as infinity."""
    share = loss / np.where(power > 0, power, 1.0)
    return np.where(np.isfinite(share), np.maximum(share, 0.0), np.inf)


def _picked(loss: Floats, bank: Bank, rng: np.random.Generator) -> Ints:
    """Return [N] the smallest block that hits, or the nearest of a randomly chosen size."""
    spans = [(a, b) for a, b in zip(bank.starts[:-1], bank.starts[1:], strict=True) if b > a]
    nearest = np.stack([loss[:, a:b].argmin(1) + a for a, b in spans], axis=1)
    row = np.arange(len(loss))
    missed = loss[row[:, None], nearest]
    # differences of squares: a hit shows as rounding noise
    hit = missed <= 1e-13
    size = np.where(hit.any(1), hit.argmax(1), rng.integers(len(spans), size=len(loss)))
    out: Ints = nearest[row, size]
    return out
