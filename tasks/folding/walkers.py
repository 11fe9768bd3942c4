"""Replica exchange by pull moves, for many chains at once and on any device.

Chains stand on ladders of rising temperatures, walk by Metropolis, and neighbours on a ladder
exchange places: R. H. Swendsen and J.-S. Wang, Phys. Rev. Lett. 57, 2607 (1986). All chains make
each step together, without a read by the host. It is a search and no sampler of the Boltzmann
distribution: several pulls can lead to one fold, and not as many back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.folding.frames import frames_on
from tasks.folding.lattices import Lattice
from tasks.folding.pull import aimed, energies, possible, pulled


@dataclass
class Walkers:
    """C chains, `rungs` of them a ladder, one after the other. Changes as it walks.

    Random numbers are `generator`'s, which lives where the chains do.
    """

    lattice: Lattice
    pairs: Tensor  # [L * L] float64, `Matrix.pairs` row by row
    cells: Tensor  # [C, L] int64 packed points
    temperature: Tensor  # [C] float64 kT, in the unit of the energy
    generator: torch.Generator
    rungs: int = 1

    def __post_init__(self) -> None:
        self.energy = self._energies(self.cells)  # [C]
        self.best_cells, self.best_energy = self.cells, self.energy
        self._start = self.energy

    def step(self) -> Tensor:
        """Make one Metropolis step of each chain; returns how many energies that computed."""
        flip = self._drawn(2) == 1
        chain = torch.where(flip, self.cells.flip(1), self.cells)
        bead = self._drawn(chain.shape[1])
        steps = frames_on(self.lattice, chain.device).deltas.long()
        first, second = (steps[self._drawn(self.lattice.size)] for _ in range(2))
        pull = aimed(chain, bead, first, second, self.lattice)
        legal = possible(chain, pull, self.lattice).squeeze(1)
        after = pulled(chain, pull, self.lattice)
        after = torch.where(flip, after.flip(1), after)
        energy = self._energies(after)
        taken = legal & (self._chance() < ((self.energy - energy) / self.temperature).exp())
        self.cells = torch.where(taken[:, None], after, self.cells)
        self.energy = torch.where(taken, energy, self.energy)
        better = self.energy < self.best_energy - 1e-9
        self.best_cells = torch.where(better[:, None], self.cells, self.best_cells)
        self.best_energy = torch.where(better, self.energy, self.best_energy)
        return legal.sum()

    def exchange(self, odd: bool) -> None:
        """Let neighbours on a ladder exchange places: those from an even rung on, or an odd one."""
        row = torch.arange(len(self.cells), device=self.cells.device)
        rung = row % self.rungs
        up = rung % 2 == int(odd)
        other = torch.where(up, row + 1, row - 1)
        alone = (other // self.rungs != row // self.rungs) | (other >= len(row))
        other = torch.where(alone, row, other)
        beta = 1 / self.temperature
        gain = (beta - beta[other]) * (self.energy - self.energy[other])
        taken = self._chance()[torch.minimum(row, other)] < gain.exp()
        source = torch.where(taken, other, row)
        self.cells, self.energy = self.cells[source], self.energy[source]

    def found(self) -> Tensor:
        """Return [C, L] the best fold that stood on each place, or the last where none of them
        was better than the first.
        """
        improved = self.best_energy < self._start - 1e-9
        return torch.where(improved[:, None], self.best_cells, self.cells)

    def _energies(self, cells: Tensor) -> Tensor:
        return energies(cells, self.pairs, self.lattice)

    def _drawn(self, below: int) -> Tensor:
        shape, device = (len(self.cells), 1), self.cells.device
        return torch.randint(below, shape, generator=self.generator, device=device)

    def _chance(self) -> Tensor:
        shape, device = (len(self.cells),), self.cells.device
        return torch.rand(shape, generator=self.generator, dtype=torch.float64, device=device)
