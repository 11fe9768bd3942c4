"""Ground states of short chains, by growing every walk that can still be among the best.

Depth first, with each walk in its first symmetric form only. A branch is left when its energy
plus what the remaining residues could gain at best lies above the best energy so far. Plain
Python with points in a dict: it shares nothing with the batched environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from designer.errors import InputError
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.lattices import Lattice, lattice_named

LIMITS = {"square": 24, "triangular": 16, "cubic": 16, "fcc": 10}  # residues


@dataclass(frozen=True)
class Ground:
    """The lowest energy, how many walks have it (symmetric images count once), some of these."""

    energy: float
    degeneracy: int
    folds: tuple[Fold, ...]


def ground_states(
    sequence: str, lattice: str = "square", matrix: Path | str = "hp", keep: int = 100
) -> Ground:
    """Return the exact ground states; at most `keep` folds are listed.

    Half a minute for typical HP chains at the limits (24 residues on the square lattice, 16 on
    the triangular and cubic, 10 on FCC); a longer chain raises InputError.
    """
    limit = LIMITS[lattice_named(lattice).name]
    if len(sequence) > limit:
        raise InputError(
            f"{len(sequence)} residues are too many to enumerate on the {lattice} lattice, the "
            f"limit is {limit}; search instead"
        )
    pairs = matrix_named(matrix).pairs(sequence)
    search = _Search(lattice_named(lattice), pairs.tolist(), _gains(pairs, lattice), keep)
    search.grow(1, search.place.deltas[0].item(), int(search.place.breaking.after[0, 0]), 0.0)
    folds = tuple(Fold(sequence, lattice, letters) for letters in search.found)
    return Ground(search.best, search.count, folds)


def _gains(pairs: np.ndarray, name: str) -> list[float]:
    """Return [L + 1] the most that residues t, t + 1, ... can gain together (0 or below)."""
    lattice = lattice_named(name)
    place = np.arange(len(pairs))
    before = place[:, None] > place[None, :]
    if lattice.bipartite:
        before &= (place[:, None] - place[None, :]) % 2 == 1
    room = np.full(len(pairs), lattice.size - 2)
    room[-1] += 1
    gains = np.zeros(len(pairs) + 1)
    for t in range(len(pairs)):
        partners = np.sort(np.where(before[t], np.minimum(pairs[t], 0), 0))
        gains[t] = partners[: room[t]].sum()  # each earlier residue once at most
    return [float(g) for g in gains[::-1].cumsum()[::-1]]


@dataclass
class _Search:
    place: Lattice
    pairs: list[list[float]]
    gains: list[float]
    keep: int
    best: float = 0.0
    count: int = 0
    found: list[str] = field(default_factory=list)
    at: dict[int, int] = field(default_factory=lambda: {0: 0})
    letters: list[int] = field(default_factory=lambda: [0])

    def __post_init__(self) -> None:
        self.deltas = [int(d) for d in self.place.deltas]
        self.legal = self.place.breaking.legal.tolist()
        self.after = self.place.breaking.after.tolist()

    def grow(self, residue: int, cell: int, state: int, energy: float) -> None:
        """Place a residue and every continuation of it that may reach the best energy."""
        energy += sum(
            self.pairs[residue][self.at[cell + d]] for d in self.deltas if cell + d in self.at
        )
        if energy + self.gains[residue + 1] > self.best + 1e-9:
            return
        if residue == len(self.pairs) - 1:
            self._record(energy)
            return
        self.at[cell] = residue
        for letter, delta in enumerate(self.deltas):
            if self.legal[state][letter] and cell + delta not in self.at:
                self.letters.append(letter)
                self.grow(residue + 1, cell + delta, self.after[state][letter], energy)
                self.letters.pop()
        del self.at[cell]

    def _record(self, energy: float) -> None:
        if energy < self.best - 1e-9:
            self.best, self.count, self.found = energy, 0, []
        self.count += 1
        if len(self.found) < self.keep:
            self.found.append("".join(self.place.letters[k] for k in self.letters))
