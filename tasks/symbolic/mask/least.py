"""How few tokens slots of given units take together: what the mask knows about units to come.

Units are kept as one number each, a projection on weights that no small exponents cancel (square
roots of primes are independent over the rationals), so they add and scale like the exponents.
A bundle is a multiset of coefficients; bundle 0 is the empty one, the last any that is not listed.

Letters in shapes: V units of short expressions, W of these and their inverses, K bundles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Floats
from tasks.symbolic.language.strips import Ints

CLOSE = 1e-7  # projections that differ by less are one unit
COEFFICIENTS = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 4.0, -4.0, 0.25, -0.25)  # that a bundle may hold
EMPTY = 0
_MOST = 300  # units that are told apart
_SLOTS, _POWERS = 4, 2  # in a bundle, and how many of them with other coefficients than 1, -1


@dataclass(frozen=True)
class Least:
    """Tokens that bundles take at least."""

    unit: Tensor  # [W], ascending
    tokens: Tensor  # [K, W] that slots take whose units, times coefficients, add up to the unit
    unlisted: Tensor  # [K] the same for any other unit
    slots: Tensor  # [K] how many slots a bundle has, at least: what it takes for unknown units
    coefficients: Tensor  # [C]
    more: Tensor  # [K, C + 1] the bundle with one more coefficient; the last for any other

    def of(self, bundle: Tensor, demand: Tensor) -> Tensor:
        """Return [...] the tokens that bundles take to give what is demanded; inf is unknown."""
        at = torch.searchsorted(self.unit, (demand - CLOSE).nan_to_num(0.0, 0.0, 0.0).contiguous())
        at = at.clamp(max=len(self.unit) - 1)
        here = (self.unit[at] - demand).abs() < CLOSE
        found = torch.where(here, self.tokens[bundle, at], self.unlisted[bundle])
        return torch.where(demand.isfinite().logical_not(), self.slots[bundle], found)

    def one(self, demand: Tensor) -> Tensor:
        """Return [...] the least number of tokens of an expression of these units."""
        return self.of(self.more[EMPTY, 0].expand(demand.shape), demand)

    def joined(self, bundle: Tensor, coefficient: Tensor) -> Tensor:
        """Return [...] the bundles with one more slot of that coefficient."""
        same = coefficient.unsqueeze(-1) == self.coefficients
        place = torch.where(same.any(-1), same.to(torch.uint8).argmax(-1), len(COEFFICIENTS))
        return self.more[bundle, place]


def projected(exponents: Floats) -> Floats:
    """Return [...] one number for each unit [..., U]."""
    primes: list[int] = []
    n = 2
    while len(primes) < exponents.shape[-1]:
        if all(n % p for p in primes):
            primes.append(n)
        n += 1
    out: Floats = exponents @ np.sqrt(np.array(primes, dtype=np.float64))
    return out


def least(leaves: Floats, products: set[float], powers: list[float], plain: int, longest: int,
          loose: bool) -> Least:  # fmt: skip
    """Return what expressions of at most `longest` tokens take.

    `leaves` are the units of single tokens, `products` the signs of the products there are,
    `plain` the fewest operands of operators without units (0: there is none). `loose` says that
    a single token may have any unit.
    """
    unit, size, beyond = _reached(leaves, products, powers, plain, 1 if loose else longest)
    size, beyond = (np.ones_like(size), 1.0) if loose else (size, beyond)
    every = np.sort(np.concatenate([unit, -unit, np.zeros(1)]))
    every = every[np.diff(every, prepend=-np.inf) > CLOSE]
    place = {}
    for k in COEFFICIENTS:  # where what is left lies when a slot takes a unit
        rest = every[:, None] - k * unit[None]
        at = np.searchsorted(every, rest - CLOSE).clip(max=len(every) - 1)
        place[k] = np.where(np.abs(every[at] - rest) < CLOSE, at, len(every))
    kinds = len(COEFFICIENTS)
    every_bundle = (combinations_with_replacement(range(kinds), n) for n in range(_SLOTS + 1))
    bundles = [b for some in every_bundle for b in some if sum(c > 1 for c in b) <= _POWERS]
    known = {bundle: i for i, bundle in enumerate(bundles)}
    tokens = np.full((len(bundles) + 1, len(every)), 1.0)
    unlisted = np.ones(len(bundles) + 1)
    tokens[0], unlisted[0] = np.where(np.abs(every) < CLOSE, 0.0, np.inf), np.inf
    for i, bundle in enumerate(bundles[1:], 1):
        n, powers_ = len(bundle), sum(abs(np.log2(abs(COEFFICIENTS[c]))) for c in bundle)
        unlisted[i] = max(n, beyond - (n - 1) - powers_)
        before = known[bundle[:-1]]
        rest = np.append(tokens[before], unlisted[before])
        taken = (size + rest[place[COEFFICIENTS[bundle[-1]]]]).min(1)
        tokens[i] = np.minimum(taken, beyond + n - 1)
    slots = np.array([*(len(bundle) for bundle in bundles), 1.0])
    more = np.full((len(bundles) + 1, kinds + 1), len(bundles))
    for bundle, i in known.items():
        for c in range(kinds):
            more[i, c] = known.get(tuple(sorted((*bundle, c))), len(bundles))
    return Least(
        *(
            torch.from_numpy(part)
            for part in (every, tokens, unlisted, slots, np.array(COEFFICIENTS), more)
        )
    )


def _reached(leaves: Floats, products: set[float], powers: list[float], plain: int, longest: int
             ) -> tuple[Floats, Ints, float]:  # fmt: skip
    """Return [V] units, [V] the least tokens of each, and what all others take at least."""
    by: dict[float, tuple[float, int]] = {}

    def add(values: Floats, size: int) -> None:
        for value in values.tolist():
            by.setdefault(round(value, 6) + 0.0, (value, size))

    add(leaves, 1)
    done = 1
    for size in range(2, longest + 1):
        units, sizes = (np.array(part) for part in zip(*by.values(), strict=True))
        before = dict(by)
        for power in powers:
            add(units[sizes == size - 1] * power, size)
        nothing = sizes[np.abs(units) < CLOSE]
        if plain and len(nothing) and nothing.min() * plain + 1 <= size:
            add(np.zeros(1), size)
        for sign in products:
            for left in range(1, size - 1):
                a, b = units[sizes == left], units[sizes == size - 1 - left]
                add(np.unique(np.round((a[:, None] + sign * b).ravel(), 9)), size)
        if len(by) > _MOST:
            by = before
            break
        done = size
    units, sizes = (np.array(part) for part in zip(*by.values(), strict=True))
    return units, sizes, float(done + 1)
