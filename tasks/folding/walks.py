"""Compiled: every fold of a short chain on the square lattice as a 64-bit contact map.

Residues that can touch are an odd number of at least 3 apart; up to 18 residues there are at most
64 such pairs, so which of them touch is one word, and the HP energy of a sequence on a fold is
minus the number of bits common to the fold's word and the word of the sequence's H-H pairs.

Needs numba; loaded by `tasks.folding.maps`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.folding.dice import stored

Words = NDArray[np.uint64]
Array = NDArray[Any]
_ONE = np.uint64(1)
_M1, _M2 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_M4, _H01 = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
_S1, _S2, _S4, _S56 = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)


@stored
def ones(word: Any) -> int:
    """Return the number of bits set (H. Warren, Hacker's Delight, 5-1)."""
    word = word - ((word >> _S1) & _M1)
    word = (word & _M2) + ((word >> _S2) & _M2)
    word = (word + (word >> _S4)) & _M4
    return int((word * _H01) >> _S56)


@stored
def all_words(
    length: int, bit: Array, deltas: Array, side: int, words: Words, sought: Any, letters: Array
) -> int:
    """Write the word of every fold, one of each symmetric set; returns how many there are.

    bit [L, L] is the place of a pair in the word (-1: it cannot touch); only as many words are
    kept as there is room for. The first bond goes along deltas[0], the first turn along
    deltas[2]: so each set of 8 images comes once. Where there is no room at all, the search ends
    at the first fold whose word is `sought`: its letters are written, and -1 is returned.
    """
    grid = np.full(side * side, -1, dtype=np.int64)
    at = np.zeros(length, dtype=np.int64)
    tried = np.zeros(length + 1, dtype=np.int64)  # the next letter to try for each residue
    turned = np.zeros(length + 1, dtype=np.bool_)  # whether the walk has turned before it
    word = np.zeros(length + 1, dtype=np.uint64)
    at[0] = side * (side // 2) + side // 2
    at[1] = at[0] + deltas[0]
    grid[at[0]], grid[at[1]] = 0, 1
    count, k = 0, 2
    while k >= 2:
        if tried[k] == 4:
            tried[k] = 0
            k -= 1
            grid[at[k]] = -1
            continue
        letter = tried[k]
        tried[k] += 1
        if not turned[k] and letter == 3:
            continue
        point = at[k - 1] + deltas[letter]
        if grid[point] >= 0:
            continue
        own = word[k - 1]
        for delta in deltas:
            other = grid[point + delta]
            if other >= 0 and bit[other, k] >= 0:
                own |= _ONE << np.uint64(bit[other, k])
        if k == length - 1:
            if count < len(words):
                words[count] = own
            elif len(words) == 0 and own == sought:
                for q in range(2, k + 1):
                    letters[q - 1] = tried[q] - 1
                return -1
            count += 1
            continue
        at[k], word[k] = point, own
        grid[point] = k
        turned[k + 1] = turned[k] or letter >= 2
        k += 1
    return count


@stored
def rivals(words: Words, counts: Array, target: Any, wanted: Any, found: Array) -> None:
    """Compare a fold with all others for one sequence: `wanted` is the word of its H-H pairs.

    found gets: the target's contacts, the most contacts of any other fold, how many other folds
    have that many, how many have at least as many as the target, a word with the most.
    """
    own = ones(target & wanted)
    most, ways, level = -1, 0, 0
    best = np.uint64(0)
    for m in range(len(words)):
        contacts = ones(words[m] & wanted)
        ways_here = counts[m] - 1 if words[m] == target else counts[m]
        if ways_here == 0:
            continue
        if contacts > most:
            most, ways, best = contacts, 0, words[m]
        if contacts == most:
            ways += ways_here
        if contacts >= own:
            level += ways_here
    found[0], found[1], found[2], found[3] = own, most, ways, level
    found[4] = np.int64(best)


@stored
def ground(words: Words, counts: Array, sizes: Array, wanted: Any, found: Array) -> int:
    """Return the place of a map with the most contacts; found gets these and how many folds.

    `sizes` [M] are the maps' own numbers of contacts, falling: maps with too few are not looked at.
    """
    most, ways, place = -1, 0, 0
    for m in range(len(words)):
        if sizes[m] < most:
            break
        contacts = ones(words[m] & wanted)
        if contacts > most:
            most, ways, place = contacts, 0, m
        if contacts == most:
            ways += counts[m]
    found[0], found[1] = most, ways
    return place


@stored
def designing(words: Words, counts: Array, sizes: Array, wanted: Words, places: Array) -> None:
    """Write for each sequence the place of its only ground state's map, or -1."""
    found = np.zeros(2, dtype=np.int64)
    for row in range(len(wanted)):
        place = ground(words, counts, sizes, wanted[row], found)
        places[row] = place if found[1] == 1 else -1
