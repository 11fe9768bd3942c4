"""The four lattices: neighbour vectors, letters, symmetries, and the walker's frame.

A bond is one letter. Points are integer triples; `basis` turns them into Cartesian ones.

    square      R +x   L -x   U +y   D -y
    cubic       R +x   L -x   U +y   D -y   F +z   B -z
    triangular  R (1,0)   L (-1,0)   U (0,1)   D (0,-1)   W (-1,1)   E (1,-1)
                in axial coordinates: +x points right, +y up and to the right at 60 degrees, so
                U is up-right, W up-left, D down-left and E down-right
    fcc         A (1,1,0)   B (-1,-1,0)   C (1,-1,0)   D (-1,1,0)
                E (1,0,1)   F (-1,0,-1)   G (1,0,-1)   H (-1,0,1)
                I (0,1,1)   J (0,-1,-1)   K (0,1,-1)   L (0,-1,1)

Letters stand in pairs of opposites: letter k ^ 1 goes back where letter k came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError, nearest

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Vector = tuple[int, int, int]
LONGEST = 1000  # residues; see `WORD`
WORD = 10  # bits a coordinate takes in a packed cell: x + 1024 y + 1024^2 z, see `pack`


@dataclass(frozen=True)
class Lattice:
    """A lattice by its Z neighbour vectors. Compared and hashed by its name."""

    name: str
    letters: str
    vectors: tuple[Vector, ...]
    basis: tuple[tuple[float, float, float], ...]  # rows: Cartesian images of the unit steps
    dimensions: int
    bipartite: bool  # True where neighbours of neighbours are never neighbours

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def size(self) -> int:
        """Z, the number of neighbours of a point."""
        return len(self.letters)

    @cached_property
    def steps(self) -> Ints:
        """[Z, 3] the neighbour vectors, in the order of the letters."""
        return np.array(self.vectors, dtype=np.int64)

    @cached_property
    def symmetries(self) -> Ints:
        """[G, 3, 3] the integer matrices that map the lattice's bonds onto themselves.

        The first is the identity. Square 8, triangular 12, cubic and FCC 48.
        """
        axes = self._axes()
        inverse = np.linalg.inv(self.steps[axes].T[: self.dimensions, : self.dimensions])
        found = [m for m in self._candidates(axes, inverse) if self._permutes(m)]
        found.sort(key=lambda m: (-int(np.trace(m)), m.tolist()))
        return np.array(found, dtype=np.int64)

    def _axes(self) -> list[int]:
        """Letters of linearly independent bonds, as many as there are dimensions."""
        chosen: list[int] = []
        for letter in range(self.size):
            trial = [*chosen, letter]
            if np.linalg.matrix_rank(self.steps[trial]) == len(trial):
                chosen = trial
        return chosen

    def _candidates(self, axes: list[int], inverse: NDArray[np.float64]) -> list[Ints]:
        """Every matrix that maps the axes to some bonds, where it is an integer matrix."""
        d, found = self.dimensions, []
        for images in product(range(self.size), repeat=d):
            block = self.steps[list(images)].T[:d, :d] @ inverse
            whole = np.eye(3)
            whole[:d, :d] = block
            found.append(np.rint(whole).astype(np.int64))
            if not np.allclose(whole, found[-1], atol=1e-9):
                found.pop()
        return found

    def _permutes(self, matrix: Ints) -> bool:
        images = {tuple(row) for row in (self.steps @ matrix.T).tolist()}
        return images == set(self.vectors)

    @cached_property
    def images(self) -> Ints:
        """[G, Z] the letter that each symmetry turns each letter into."""
        index = {vector: i for i, vector in enumerate(self.vectors)}
        moved = np.einsum("gij,zj->gzi", self.symmetries, self.steps)
        return np.array([[index[tuple(v)] for v in rows] for rows in moved.tolist()])

    @cached_property
    def products(self) -> Ints:
        """[G, G] the number of the symmetry "first the column's, then the row's"."""
        index = {tuple(row): g for g, row in enumerate(self.images.tolist())}
        composed = self.images[:, self.images]  # [G, G, Z]
        return np.array([[index[tuple(v)] for v in rows] for rows in composed.tolist()])

    @cached_property
    def turns(self) -> Ints:
        """[Z - 1] the walker's moves as letters in its own frame: all but straight back."""
        return np.array([letter for letter in range(self.size) if letter != 1])

    @cached_property
    def rotations(self) -> Ints:
        """[Z - 1] the symmetry that turns the walker's frame when it makes each move.

        Of the proper rotations that take "ahead" (letter 0) to the move, the smallest angle.
        """
        proper = np.rint(np.linalg.det(self.symmetries)).astype(int) == 1
        traces = np.trace(self.symmetries, axis1=1, axis2=2)
        chosen = []
        for letter in self.turns:
            fits = np.flatnonzero(proper & (self.images[:, 0] == letter))
            chosen.append(fits[traces[fits].argmax()])
        return np.array(chosen)

    @cached_property
    def breaking(self) -> Breaking:
        """What is left of the symmetry after the walk's first letters; see `Breaking`."""
        return _breaking(self)

    def pack(self, points: Ints) -> Ints:
        """Return points [..., 3] as single integers [...], so that steps add.

        x + 1024 y + 1024^2 z. Two different points of one walk, or of its surroundings, never
        get one number: their difference would have to be a combination of (1024, -1, 0) and
        the like, which is longer than `LONGEST` residues reach.
        """
        return points @ np.array([1, 1 << WORD, 1 << (2 * WORD)], dtype=np.int64)

    @cached_property
    def deltas(self) -> Ints:
        """[Z] what each letter adds to a packed point."""
        return self.pack(self.steps)

    @cached_property
    def _hashed(self) -> tuple[int, Ints, Ints]:
        """A modulus under which the packed vectors differ, and for each remainder the vector
        that has it (or one that never occurs) and its letter's number.
        """
        modulus = self.size
        while len(set((self.deltas % modulus).tolist())) < self.size:
            modulus += 1
        vector = np.full(modulus, np.iinfo(np.int64).max)
        letter = np.zeros(modulus, dtype=np.int64)
        vector[self.deltas % modulus] = self.deltas
        letter[self.deltas % modulus] = np.arange(self.size)
        return modulus, vector, letter

    def adjacent(self, differences: Ints) -> Flags:
        """Return which differences [...] of packed points are neighbour vectors."""
        modulus, vector, _ = self._hashed
        near: Flags = vector[differences % modulus] == differences
        return near

    def bonds(self, cells: Ints) -> Ints:
        """Return the letters' numbers [C, L - 1] of chains of packed points [C, L]."""
        modulus, _, letter = self._hashed
        letters: Ints = letter[np.diff(cells, axis=1) % modulus]
        return letters

    def cartesian(self, points: Ints) -> NDArray[np.float64]:
        """Return points [..., 3] in Cartesian coordinates; a bond has length 1."""
        there: NDArray[np.float64] = points @ np.array(self.basis)
        return there


@dataclass(frozen=True)
class Breaking:
    """A machine that lets each walk through in one of its symmetric forms only.

    Its state is the group of symmetries that leave the walk so far in place. Letters which that
    group exchanges are one choice, and the first of them is the legal one: so the walks let
    through are those that are first in the alphabet among their images. On the square lattice
    this fixes the first bond and the first turn, in 3D also the first turn out of the plane.
    """

    legal: NDArray[np.bool_]  # [S, Z]
    after: Ints  # [S, Z] the next state; for letters that are not legal, that of their image
    mover: Ints  # [S, Z] the symmetry in the group that turns the letter into the legal one


def _breaking(lattice: Lattice) -> Breaking:
    images = lattice.images
    groups = [frozenset(range(len(images)))]
    known = {groups[0]: 0}
    legal, after, mover = [], [], []
    for group in groups:  # grows while it is walked
        members = sorted(group)
        moved = images[members]  # [members, Z]
        first = moved.min(axis=0)
        legal.append(first == np.arange(lattice.size))
        mover.append([members[g] for g in moved.argmin(axis=0)])
        following = []
        for letter in first:
            fixed = frozenset(g for g in members if images[g, letter] == letter)
            if fixed not in known:
                known[fixed] = len(groups)
                groups.append(fixed)
            following.append(known[fixed])
        after.append(following)
    return Breaking(np.array(legal), np.array(after), np.array(mover))


def _pairs(*vectors: Vector) -> tuple[Vector, ...]:
    """Return each vector followed by its opposite."""
    return tuple(v for x, y, z in vectors for v in ((x, y, z), (-x, -y, -z)))


_UNIT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_HALF = 0.5**0.5
_FCC = _pairs((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))

LATTICES = {
    lattice.name: lattice
    for lattice in (
        Lattice("square", "RLUD", _pairs((1, 0, 0), (0, 1, 0)), _UNIT, 2, True),
        Lattice(
            "triangular",
            "RLUDWE",
            _pairs((1, 0, 0), (0, 1, 0), (-1, 1, 0)),
            ((1.0, 0.0, 0.0), (0.5, 0.75**0.5, 0.0), (0.0, 0.0, 1.0)),
            2,
            False,
        ),
        Lattice("cubic", "RLUDFB", _pairs((1, 0, 0), (0, 1, 0), (0, 0, 1)), _UNIT, 3, True),
        Lattice(
            "fcc",
            "ABCDEFGHIJKL",
            _FCC,
            ((_HALF, 0.0, 0.0), (0.0, _HALF, 0.0), (0.0, 0.0, _HALF)),
            3,
            False,
        ),
    )
}


@lru_cache(maxsize=64)
def lattice_named(name: str) -> Lattice:
    """Return the lattice of that name; raises InputError with the nearest one."""
    if name not in LATTICES:
        raise InputError(f"unknown lattice {name!r}; {nearest(name, LATTICES)}")
    return LATTICES[name]
