"""Lower bounds on contact energies, in closed form: a gap for every result, and proofs.

With h hydrophobic residues and b bonds between two of them, a fold has at most C(h) - b contacts,
where C(h) is the largest number of neighbouring pairs among h points of the lattice:

    square      2h - ceil(2 sqrt(h))         F. Harary and H. Harborth (1976)
    triangular  floor(3h - sqrt(12h - 3))    H. Harborth (1974)
    cubic       quasi-cubes                  L. Alonso and R. Cerf, Electron. J. Combin. 3 (1996)
    fcc         table up to 60, 100, 150, 200, from the H-core database of the CPSP-tools
                (M. Mann, S. Will, R. Backofen, BMC Bioinformatics 9:230, 2008); in between,
                6 more a point (the extreme point of any set has at most 6 neighbours) or the next
                entry, whichever is less

On the square and cubic lattices contacts join even to odd residues, so they are also at most
the free neighbours of either kind. For other matrices each contact is shared between its ends.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import isqrt
from pathlib import Path

import numpy as np

from tasks.folding.energy import Matrix, matrix_named
from tasks.folding.lattices import Lattice, lattice_named
from tasks.folding.sequence import hp_string

_FCC = [
    *(0, 0, 1, 3, 6, 8, 12, 15, 18, 21, 25, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72, 76),
    *(81, 85, 89, 93, 97, 102, 106, 111, 115, 119, 124, 128, 133, 138, 144, 148, 152, 156, 160),
    *(165, 169, 174, 178, 183, 187, 191, 196, 201, 207, 211, 215, 220, 225, 229, 233, 238, 243),
]
_FCC_BEYOND = {len(_FCC) - 1: _FCC[-1], 100: 436, 150: 685, 200: 942}


def bound(sequence: str, lattice: str, matrix: Matrix | Path | str = "hp") -> float:
    """Return an energy that no fold of the sequence goes below; 0 or negative.

    A fold that has it is optimal. For "hp" the better of the core and the parity bound, for
    others the better of the neighbours' and the whole chain's bound.
    """
    known = matrix_named(matrix) if not isinstance(matrix, Matrix) else matrix
    place = lattice_named(lattice)
    if known.name == "hp":
        return -float(_hp_contacts(hp_string(sequence), place))
    return _energy_bound(known.pairs(sequence), place)


def _hp_contacts(hp: str, lattice: Lattice) -> int:
    count = hp.count("H")
    bonded = sum(a == b == "H" for a, b in pairwise(hp))
    core = most_pairs(count, lattice.name) - bonded
    return max(0, min(core, _free_neighbours(hp, lattice)))


def _free_neighbours(hp: str, lattice: Lattice) -> int:
    """Return the most contacts that the H's have room for beside their bonds."""
    room = [lattice.size - 2 + (i in (0, len(hp) - 1)) for i in range(len(hp))]
    sticky = [r if letter == "H" else 0 for r, letter in zip(room, hp, strict=True)]
    if lattice.bipartite:
        return min(sum(sticky[::2]), sum(sticky[1::2]))
    return sum(sticky) // 2


def _energy_bound(pairs: np.ndarray, lattice: Lattice) -> float:
    """Return the better bound for any matrix; `pairs` [L, L] is `Matrix.pairs`."""
    length = len(pairs)
    room = np.full(length, lattice.size - 2)
    room[[0, -1]] += 1
    place = np.arange(length)
    apart = abs(place[:, None] - place[None, :]) > 1
    if lattice.bipartite:
        apart &= (place[:, None] - place[None, :]) % 2 == 1
    best = np.where(apart, np.minimum(pairs, 0), 0).min(axis=1)  # [L] the best partner's
    halves = best * room / 2
    contacts = most_pairs(length, lattice.name) - (length - 1)
    return float(max(halves.sum(), max(0, contacts) * best.min()))


def most_pairs(points: int, lattice: str) -> int:
    """Return the largest number of neighbouring pairs among so many points (FCC: a bound)."""
    return _MOST[lattice](points)


def _square(points: int) -> int:
    return 2 * points - ceil_root(4 * points)


def _triangular(points: int) -> int:
    return 3 * points - ceil_root(12 * points - 3) if points else 0


def ceil_root(value: int) -> int:
    """Return the square root rounded up, exactly."""
    root = isqrt(value)
    return root + (root * root < value)


def _cubic(points: int) -> int:
    """Pairs in the largest quasi-cube (sides a <= b <= c <= a + 1) plus a layer on one face."""
    a = b = c = 0
    while (a + 1) ** 3 <= points:
        a = b = c = a + 1
    if points == 0:
        return 0
    if a * b * (c + 1) <= points:
        c += 1
    if a * (b + 1) * c <= points and c > b:
        b += 1
    box = a * b * c
    inside = 3 * box - (a * b + b * c + a * c)
    layer = points - box
    return inside + (layer + _square(layer) if layer else 0)


def _fcc(points: int) -> int:
    if points < len(_FCC):
        return _FCC[points]
    below = max(size for size in _FCC_BEYOND if size <= points)
    above = [pairs for size, pairs in _FCC_BEYOND.items() if size >= points]
    return min([_FCC_BEYOND[below] + 6 * (points - below), *above])


_MOST: dict[str, Callable[[int], int]] = {
    "square": _square,
    "triangular": _triangular,
    "cubic": _cubic,
    "fcc": _fcc,
}
