"""What every compiled search of one chain stands on: a torus of points, and energies as integers.

A chain lies on a torus wider than the chain is long, so that points are single integers and it
never meets itself around the back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError
from designer.protocols import Floats
from tasks.folding.closing import SPAN, closings
from tasks.folding.energy import contact_energies, coordinates, matrix_named, strongest
from tasks.folding.lattices import Ints, Lattice, lattice_named
from tasks.folding.sequence import parse_sequence, types

if TYPE_CHECKING:
    from tasks.folding.compiled_moves import Ground

Array = NDArray[Any]
LONGEST_3D = 508  # residues; a longer chain's grid would take 2 GiB a replica
_FINEST = 30000  # steps of the strongest energy, where energies are not round numbers


@dataclass(frozen=True, eq=False)
class Terrain:
    """What all ladders of one chain share; nothing of it changes."""

    sequence: str
    lattice: Lattice
    widths: Ints  # [3] what one step along each axis adds to a point
    ground: Ground  # for the compiled moves
    unit: float  # of the whole-number energies
    strongest: float  # see `energy.strongest`

    @property
    def table(self) -> Array:
        """[K, K] the whole-number energy of each two kinds side by side."""
        size = math.isqrt(len(self.ground.energy))
        return self.ground.energy.reshape(size, size)

    def chains(self, letters: Ints) -> Array:
        """Return chains [N, L + 2] on the torus for letters' numbers [N, L - 1]."""
        points = coordinates(letters, self.lattice) @ self.widths & int(self.ground.mask)
        return np.pad(points, ((0, 0), (1, 1)), mode="edge").astype(np.uint64)

    def energies(self, letters: Ints) -> Ints:
        """Return the whole-number energies [N] of letters' numbers [N, L - 1]."""
        kinds = self.ground.cells[1:-1] % len(self.table)
        pairs = self.table[kinds[:, None], kinds[None, :]].astype(np.float64)
        apart = abs(np.subtract.outer(np.arange(len(kinds)), np.arange(len(kinds)))) > 1
        points = coordinates(letters, self.lattice)
        energy = contact_energies(points, self.lattice, np.where(apart, pairs, 0.0))
        return np.rint(energy).astype(np.int64)

    def letters(self, chains: Array) -> Ints:
        """Return the letters' numbers [N, L - 1] of chains [N, L + 2]."""
        bonds = (chains[:, 2:-1] - chains[:, 1:-2]) & self.ground.mask
        letters: Ints = self.ground.letter[bonds].astype(np.int64) - 1
        return letters

    def grids(self, chains: Array) -> Array:
        """Return what lies on each point [N, S]; memory is taken only where a chain comes by."""
        grids = np.zeros((len(chains), int(self.ground.mask) + 1), dtype=np.uint16)
        residues = self.ground.cells[None, 1:-1]
        np.put_along_axis(grids, chains[:, 1:-1].astype(np.int64), residues, 1)
        return grids


@lru_cache(maxsize=16)
def terrain_of(sequence: str, lattice: str, matrix: str) -> Terrain:
    """Return the terrain on which a chain is searched."""
    from tasks.folding.compiled_moves import Ground
    from tasks.folding.leaning import angles

    place, side = lattice_named(lattice), 8
    while side < len(sequence) + 4:
        side *= 2
    mask = side**place.dimensions - 1
    widths = np.array([1, side, side * side if place.dimensions == 3 else 0], dtype=np.int64)
    deltas = (place.steps @ widths & mask).astype(np.uint64)
    letter = np.zeros(mask + 1, dtype=np.uint8)
    letter[deltas] = np.arange(1, place.size + 1)
    side_steps = (_side_steps(place) @ widths & mask).astype(np.uint64)
    pairs = matrix_named(matrix).pairs(sequence)
    unit = _unit(pairs)
    cells, energy = _energies(sequence, matrix, unit)
    reach = (SPAN // 2) * int(widths.sum())
    ground = Ground(
        length=np.uint64(len(sequence)),
        mask=np.uint64(mask),
        bipartite=place.bipartite,
        deltas=deltas,
        letter=letter,
        side=side_steps,
        cells=cells,
        energy=energy,
        angle=angles(lattice),
        bits=np.uint64(side.bit_length() - 1),
        middle=np.uint64(reach),
        closings=closings(lattice),
    )
    return Terrain(sequence, place, widths, ground, unit, strongest(pairs))


def _side_steps(lattice: Lattice) -> Ints:
    """Return [Z + 1, C, 3] the steps from an anchor to where a pull may take what is bound to it
    by each letter (numbered from 1): to a side on bipartite lattices, else beside both.
    """
    steps, found = lattice.steps, []
    vectors = {tuple(v) for v in steps.tolist()}
    for bond in steps:
        if lattice.bipartite:
            found.append([v for v in steps if v @ bond == 0])
        else:
            found.append([v for v in steps if tuple((v - bond).tolist()) in vectors])
    return np.array([found[0], *found])


def _energies(sequence: str, matrix: str, unit: float) -> tuple[Array, Array]:
    """Return `cells` and `energy` as `Ground` has them; kinds that attract nothing are one."""
    from tasks.folding.compiled_moves import KINDS

    known = matrix_named(matrix)
    residues = np.array(types(parse_sequence(sequence, known.alphabet), known.alphabet))
    present = np.unique(residues)
    values = np.rint(known.values[np.ix_(present, present)] / unit).astype(np.int32)
    active = (values != 0).any(axis=1)
    kind = np.where(active, active.cumsum(), 0)
    if kind.max() >= KINDS:
        raise InputError(f"{kind.max()} kinds of residues, the search tells {KINDS - 1} apart")
    energy = np.zeros((KINDS, KINDS), dtype=np.int32)
    energy[np.ix_(kind[active], kind[active])] = values[np.ix_(active, active)]
    cells = np.zeros(len(residues) + 2, dtype=np.uint16)
    own = kind[np.searchsorted(present, residues)]
    cells[1:-1] = np.arange(1, len(residues) + 1) * KINDS + own
    return cells, energy.ravel()


def _unit(pairs: Floats) -> float:
    """Return the largest of 1, 0.1, 0.01 and 0.001 in which all energies are whole numbers that
    fit 16 bits, or a fraction of the largest so small that it does not matter to the search.
    """
    largest = float(abs(pairs).max())
    for unit in (1.0, 0.1, 0.01, 0.001):
        whole = np.rint(pairs / unit)
        if largest / unit <= _FINEST and np.allclose(whole * unit, pairs, rtol=0, atol=1e-9):
            return unit
    return largest / _FINEST
