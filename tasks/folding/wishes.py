"""What a designed sequence must look like beside its fold: letters at places, shares of letters.

pattern      H??P*         a letter a residue; ? or . for any, one * for any number of any
composition  H=0.4..0.6    of all residues 40 to 60 % H; without a point, residues: H=7..9
             L=0.1,K=2..4  several letters, a share or a number exactly
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from designer.errors import InputError
from tasks.folding.lattices import Ints

_BOUND = re.compile(r"([A-Za-z])=(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?")
_ANY = -1


@dataclass(frozen=True)
class Wish:
    """Letters at places and numbers of letters; raises InputError where no sequence has them."""

    alphabet: str
    length: int
    pattern: str = ""
    composition: str = ""

    def __post_init__(self) -> None:
        places, (low, high) = self.places, self.bounds
        for k, letter in enumerate(self.alphabet):
            fixed = int((places == k).sum())
            if fixed > high[k]:
                raise InputError(
                    f"composition {self.composition!r}: at most {high[k]} residues {letter}, but "
                    f"the pattern has {fixed}"
                )
        if not low.sum() <= self.length <= high.sum():
            raise InputError(
                f"composition {self.composition!r} asks for {low.sum()} to {high.sum()} residues, "
                f"but the chain has {self.length}"
            )
        if not self.possible(np.zeros_like(low), 0):
            raise InputError(
                f"composition {self.composition!r} and pattern {self.pattern!r} contradict each "
                f"other for {self.length} residues"
            )

    @cached_property
    def places(self) -> Ints:
        """[L] which letter of the alphabet each residue must be, -1 for any."""
        text, stars = self.pattern.strip().upper(), self.pattern.count("*")
        for place, letter in enumerate(text, start=1):
            if letter not in self.alphabet + ".?*":
                raise InputError(
                    f"pattern {text!r}: letter {letter!r} at position {place}, expected one of "
                    f"{self.alphabet}, ? for any, or one * for the rest"
                )
        given = len(text) - stars
        if stars > 1 or given > self.length or (text and not stars and given < self.length):
            raise InputError(
                f"pattern {text!r} has {given} places and {stars} *, expected {self.length} "
                "places (a letter, or ? for any), or fewer with one *"
            )
        text = text.replace("*", "?" * (self.length - given)) or "?" * self.length
        return np.array([self.alphabet.find(c) for c in text], dtype=np.int64)

    @cached_property
    def bounds(self) -> tuple[Ints, Ints]:
        """[K] the fewest and the most residues of each letter."""
        low = np.zeros(len(self.alphabet), dtype=np.int64)
        high = np.full(len(self.alphabet), self.length, dtype=np.int64)
        said: set[int] = set()
        for part in filter(None, (text.strip() for text in self.composition.split(","))):
            found = _BOUND.fullmatch(part)
            if found is None or found[1].upper() not in self.alphabet:
                raise InputError(
                    f"composition: {part!r}, expected a letter of {self.alphabet} and its bounds, "
                    "as shares (H=0.4..0.6) or as residues (H=7..9)"
                )
            k, shares = self.alphabet.index(found[1].upper()), "." in part.replace("..", "")
            if k in said:
                raise InputError(
                    f"composition {self.composition!r} bounds {self.alphabet[k]} twice; give its "
                    "fewest and most together, as H=7..9"
                )
            said.add(k)
            ends = [float(number) for number in (found[2], found[3] or found[2])]
            if shares:
                ends = [self.length * ends[0] - 1e-9, self.length * ends[1] + 1e-9]
            low[k], high[k] = math.ceil(ends[0]), min(math.floor(ends[1]), self.length)
            if low[k] > high[k]:
                raise InputError(
                    f"composition: {part!r} leaves no number of residues between {low[k]} and "
                    f"{high[k]} of {self.length}"
                )
        return low, high

    @cached_property
    def later(self) -> Ints:
        """[L + 1, K] how many residues from each place on must be each letter by the pattern."""
        held = self.places[:, None] == np.arange(len(self.alphabet))
        counts = np.zeros((self.length + 1, len(self.alphabet)), dtype=np.int64)
        counts[:-1] = held[::-1].cumsum(axis=0)[::-1]
        return counts

    @cached_property
    def free(self) -> Ints:
        """[L + 1] how many residues from each place on may be any letter."""
        counts = np.zeros(self.length + 1, dtype=np.int64)
        counts[:-1] = (self.places == _ANY)[::-1].cumsum()[::-1]
        return counts

    def possible(self, counts: Ints, placed: int) -> bool:
        """Return whether `placed` residues with these counts [K] can be completed as wished.

        Places that may be any letter are all alike, so it is enough that the letters still
        needed fit into them, and that the letters still allowed fill them.
        """
        low, high = self.bounds
        held = counts + self.later[placed]
        need, room = np.maximum(low - held, 0), high - held
        free = int(self.free[placed])
        return bool((room >= 0).all() and need.sum() <= free <= room.sum())

    def __call__(self, sequence: str) -> bool:
        """Return whether a sequence is as wished."""
        low, high = self.bounds
        kinds = np.array([self.alphabet.find(c) for c in sequence])
        counts = np.bincount(kinds, minlength=len(self.alphabet))
        fits = (self.places == _ANY) | (self.places == kinds)
        return bool(fits.all() and (counts >= low).all() and (counts <= high).all())
