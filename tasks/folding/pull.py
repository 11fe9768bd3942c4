"""Pull moves, for many chains at once: local moves that never break a chain.

A bead goes to a free point next to its successor, and its predecessors follow along the chain's
old path until the chain is whole again: N. Lesh, M. Mitzenmacher and S. Whitesides, RECOMB 2003.
On the square and cubic lattices the followers move up two places (the corner between old and new
point must be free), on the triangular and FCC lattices, where old and new point can be
neighbours, one place. At an end the chain goes ahead by as much. Either end may lead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designer.protocols import Floats
from tasks.folding.lattices import Flags, Ints, Lattice


@dataclass(frozen=True)
class Proposals:
    """One pull each of V chains, seen from the end that follows (`flipped`: read backwards)."""

    rows: Ints  # [V] which chain
    flipped: Flags  # [V]
    before: Ints  # [V, L] packed points
    after: Ints  # [V, L]
    moved: Flags  # [V, L]


def propose(cells: Ints, lattice: Lattice, rng: np.random.Generator) -> Proposals:
    """Return one pull of each chain [C, L] where the drawn one is possible (V <= C of them)."""
    count, length = cells.shape
    bead = rng.integers(length, size=(count,))
    flipped = rng.integers(2, size=(count,)).astype(bool)
    first = lattice.deltas[rng.integers(lattice.size, size=(count,))]
    second = lattice.deltas[rng.integers(lattice.size, size=(count,))]
    chain = np.where(flipped[:, None], cells[:, ::-1], cells)
    target, corner = _targets(chain, bead, first, second, lattice)
    possible = (chain != target[:, None]).all(axis=1)
    row = np.arange(count)
    if lattice.bipartite:
        free = (chain != corner[:, None]).all(axis=1)
        possible &= free | (corner == chain[row, np.maximum(bead - 1, 0)]) | (bead == 0)
    else:
        possible &= lattice.adjacent(target - chain[row, bead]) | (bead == 0)
    rows = np.flatnonzero(possible)
    chain, bead = chain[rows], bead[rows]
    after, moved = _pulled(chain, bead, target[rows], corner[rows], lattice)
    return Proposals(rows, flipped[rows], chain, after, moved)


def _targets(
    chain: Ints, bead: Ints, first: Ints, second: Ints, lattice: Lattice
) -> tuple[Ints, Ints]:
    """Return where each bead would go and (bipartite) where its predecessor would."""
    length = chain.shape[1]
    row, last = np.arange(len(chain)), bead == length - 1
    here = chain[row, bead]
    anchor = chain[row, np.minimum(bead + 1, length - 1)]  # the end is its own anchor
    target = anchor + first
    corner = target + here - anchor
    if lattice.bipartite:  # at the end, two points ahead
        corner = np.where(last, target, corner)
        target = np.where(last, target + second, target)
    return target, corner


def _pulled(
    chain: Ints, bead: Ints, target: Ints, corner: Ints, lattice: Lattice
) -> tuple[Ints, Flags]:
    """Return the chains [V, L] after the pull, and which beads moved."""
    count, length = chain.shape
    row, place = np.arange(count), np.arange(length)
    shift = 2 if lattice.bipartite else 1
    dragged = np.empty_like(chain)
    dragged[:, :-shift] = chain[:, shift:]
    dragged[:, -shift:] = target[:, None]
    if lattice.bipartite:
        dragged[row, np.maximum(bead - 1, 0)] = corner
    dragged[row, bead] = target
    whole = np.zeros((count, length), dtype=bool)
    whole[:, :-1] = lattice.adjacent(dragged[:, 1:] - chain[:, :-1])  # bead k may stay where it is
    whole &= place < bead[:, None]
    stays = np.where(whole.any(axis=1), length - 1 - whole[:, ::-1].argmax(axis=1), -1)
    moved = (place > stays[:, None]) & (place <= bead[:, None])
    return np.where(moved, dragged, chain), moved


def energy_changes(made: Proposals, pairs: Floats, lattice: Lattice) -> Floats:
    """Return [V] the energy that each pull adds; only the beads that moved are looked at."""
    both = np.stack([pairs, pairs[::-1, ::-1]])
    sticky = (both != 0).any(axis=2)[made.flipped.astype(np.int64)]  # [V, L]
    row, bead = np.nonzero(made.moved & sticky)
    energy = both[made.flipped[row].astype(np.int64), bead]  # [m, L]
    energy = np.where(made.moved[row], 0.5 * energy, energy)  # pairs that both moved come twice
    new = lattice.adjacent(made.after[row] - made.after[row, bead][:, None])
    old = lattice.adjacent(made.before[row] - made.before[row, bead][:, None])
    change = (energy * new).sum(axis=1) - (energy * old).sum(axis=1)
    return np.bincount(row, weights=change, minlength=len(made.rows)).astype(np.float64)


@dataclass
class Walkers:
    """C chains that walk by pull moves, each at its own temperature. Changes as it walks."""

    lattice: Lattice
    pairs: Floats  # [L, L], `Matrix.pairs`
    cells: Ints  # [C, L] packed points
    energy: Floats  # [C]
    temperature: Floats  # [C] kT, in the unit of the energy

    def __post_init__(self) -> None:
        self.best_cells, self.best_energy = self.cells.copy(), self.energy.copy()
        self._start = self.energy.copy()

    def step(self, rng: np.random.Generator) -> int:
        """Make one Metropolis step of each chain; returns the energies computed, at most C."""
        made = propose(self.cells, self.lattice, rng)
        change = energy_changes(made, self.pairs, self.lattice)
        chance = np.exp(np.minimum(-change / self.temperature[made.rows], 0.0))
        taken = rng.random(len(chance)) < chance
        rows = made.rows[taken]
        after = made.after[taken]
        self.cells[rows] = np.where(made.flipped[taken, None], after[:, ::-1], after)
        self.energy[rows] += change[taken]
        better = rows[self.energy[rows] < self.best_energy[rows] - 1e-9]
        self.best_cells[better] = self.cells[better]
        self.best_energy[better] = self.energy[better]
        return len(made.rows)

    def letters(self) -> Ints:
        """Return the letters' numbers [C, L - 1]: the best fold met, or the last where none of
        them was better than the start.
        """
        improved = self.best_energy < self._start - 1e-9
        cells = np.where(improved[:, None], self.best_cells, self.cells)
        return self.lattice.bonds(cells)
