"""Which fold a short HP sequence takes, exactly: all folds on the square lattice, as contact maps.

Folds with the same contacts have the same energy for every sequence, so all that counts is which
maps there are and how many folds have each: 802,075 folds have 31,940 maps at 16 residues,
5,808,335 have 170,670 at 18. The table of a length is made once (1 s at 16, half a minute or
less at 18) and a sequence is then judged in a fraction of a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError
from tasks.folding.design import Fold
from tasks.folding.lattices import Ints

LONGEST_EXACT = 18  # residues, for which a contact map fits 64 bits
_FOLDS = 6_000_000  # more than there are at 18 residues


@dataclass(frozen=True, eq=False)
class Maps:
    """All M contact maps of a length, with how many folds have each."""

    length: int
    words: NDArray[np.uint64]  # [M], rising
    counts: Ints  # [M] folds, symmetric images counted once
    bit: Ints  # [L, L] a pair's place in the word, -1 where it cannot touch

    @property
    def folds(self) -> int:
        """The number of folds, symmetric images counted once."""
        return int(self.counts.sum())

    def word(self, fold: Fold) -> np.uint64:
        """Return the contact map of a fold, whatever its residues."""
        pairs = np.argwhere(np.triu(fold.touching, 2))
        return _word(self.bit[pairs[:, 0], pairs[:, 1]])

    def wanted(self, sequence: str) -> np.uint64:
        """Return the word of the pairs of a sequence that attract: both H."""
        places = np.flatnonzero(np.array(list(sequence)) == "H")
        bits = self.bit[np.ix_(places, places)]
        return _word(bits[bits >= 0])

    def twins(self, word: np.uint64) -> int:
        """Return how many folds have this map; 0 where it is none."""
        place = int(np.searchsorted(self.words, word))
        there = place < len(self.words) and self.words[place] == word
        return int(self.counts[place]) if there else 0


@dataclass(frozen=True)
class Rivals:
    """How a target fares against all other folds of the chain, for one sequence."""

    energy: float  # of the target
    rival: float  # the lowest energy of any other fold
    ways: int  # other folds that have it
    level: int  # other folds at least as low as the target

    @property
    def gap(self) -> float:
        """How far the target lies below every other fold; above 0: its only ground state."""
        return self.rival - self.energy


def maps_of(length: int) -> Maps:
    """Return the maps of a length; raises InputError where there are too many, or no numba."""
    if not 3 <= length <= LONGEST_EXACT:
        raise InputError(
            f"{length} residues: every fold can be looked at for 3 to {LONGEST_EXACT} residues"
        )
    if find_spec("numba") is None:
        raise InputError("looking at every fold needs numba; install it with: pip install numba")
    return _maps(length)


@lru_cache(maxsize=4)
def _maps(length: int) -> Maps:
    from tasks.folding import walks

    bit = _bits(length)
    side = 2 * length + 2
    deltas = np.array([1, -1, side, -side], dtype=np.int64)
    room = np.empty(_FOLDS if length > 16 else 1_000_000, dtype=np.uint64)
    nothing = np.zeros(length, dtype=np.int64)
    count = walks.all_words(length, bit, deltas, side, room, np.uint64(0), nothing)
    words, counts = np.unique(room[:count], return_counts=True)
    return Maps(length, words, counts.astype(np.int64), bit)


def _bits(length: int) -> Ints:
    bit = np.full((length, length), -1, dtype=np.int64)
    number = 0
    for apart in range(3, length, 2):
        for i in range(length - apart):
            bit[i, i + apart] = bit[i + apart, i] = number
            number += 1
    return bit


def _word(places: Ints) -> np.uint64:
    """Return the word with these bits set."""
    bits = np.left_shift(np.uint64(1), places.astype(np.uint64))
    return np.uint64(np.bitwise_or.reduce(bits.ravel(), initial=0))


def judged(maps: Maps, target: np.uint64, sequences: Sequence[str]) -> list[Rivals]:
    """Return how the target with this map fares for each sequence."""
    from tasks.folding import walks

    found, out = np.zeros(5, dtype=np.int64), []
    for sequence in sequences:
        walks.rivals(maps.words, maps.counts, target, maps.wanted(sequence), found)
        own, most, ways, level, _ = (int(value) for value in found)
        out.append(Rivals(-own, -most, ways, level))
    return out


def designed_by_all(length: int) -> dict[int, list[str]]:
    """Return for each map with a sequence whose only ground state it is, these sequences.

    Keys are places in `Maps.words`. Looks at all 2^L sequences.
    """
    from tasks.folding import walks

    maps = maps_of(length)
    sequences = ["".join(letters) for letters in product("HP", repeat=length)]
    wanted = np.array([maps.wanted(sequence) for sequence in sequences], dtype=np.uint64)
    places = np.zeros(len(sequences), dtype=np.int64)
    contacts = np.unpackbits(maps.words.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    order = np.argsort(-contacts.astype(np.int64), kind="stable")
    walks.designing(maps.words[order], maps.counts[order], contacts[order], wanted, places)
    found: dict[int, list[str]] = {}
    for place, sequence in zip(places.tolist(), sequences, strict=True):
        if place >= 0:
            found.setdefault(int(order[place]), []).append(sequence)
    return found


def fold_with(maps: Maps, word: Any) -> Fold:
    """Return the first fold, in the alphabet's order, with this map; raises InputError if none."""
    from tasks.folding import walks

    side = 2 * maps.length + 2
    letters = np.zeros(maps.length - 1, dtype=np.int64)
    deltas = np.array([1, -1, side, -side], dtype=np.int64)
    room = np.empty(0, dtype=np.uint64)
    if walks.all_words(maps.length, maps.bit, deltas, side, room, np.uint64(word), letters) != -1:
        raise InputError(f"no fold of {maps.length} residues has the contact map {int(word):x}")
    return Fold("H" * maps.length, "square", "".join("RLUD"[k] for k in letters))
