"""Replica exchange for many chains at once and on any device.

Chains stand on ladders of rising temperatures, walk by Metropolis, and neighbours on a ladder
exchange places: R. H. Swendsen and J.-S. Wang, Phys. Rev. Lett. 57, 2607 (1986). All chains make
the same kind of move together, without a read by the host. It is a search and no sampler of the
Boltzmann distribution: several pulls can lead to one fold and not as many back, and a chain that
makes no move of one kind makes one of another.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.folding.bridges import Spot, rebridged
from tasks.folding.closing import LONGEST
from tasks.folding.lattices import Lattice
from tasks.folding.pull import aimed, possible, pulled
from tasks.folding.stretches import Stretch, regrown
from tasks.folding.touching import deltas_of, energies

_TRIES = 16  # pulls that are looked at for each that is made


@dataclass
class Walkers:
    """C chains, `rungs` of them a ladder, one after the other. Changes as it walks.

    Of the steps a share `rebridging` are rebridgings and a share `regrowth` grow a stretch anew,
    spread evenly; the others are pulls. `lean` is what such stretches prefer, see
    `tasks.folding.leaning`. Random numbers are `generator`'s, which lives where the chains do.
    """

    lattice: Lattice
    pairs: Tensor  # [L * L] float64, `Matrix.pairs` row by row
    cells: Tensor  # [C, L] int64 packed points
    temperature: Tensor  # [C] float64 kT, in the unit of the energy
    generator: torch.Generator
    rungs: int = 1
    rebridging: float = 0.0
    regrowth: float = 0.0
    lean: Tensor | None = None  # [2, L + 2, ANGLES^2] float64

    def __post_init__(self) -> None:
        self.energy = self._energies(self.cells)  # [C]
        self.best_cells, self.best_energy = self.cells, self.energy
        self._start, self._made = self.energy, 0

    def step(self) -> Tensor:
        """Make one step of each chain; returns how many energies that computed."""
        made, self._made = self._made, self._made + 1
        if _due(self.regrowth, made):
            after, legal, taken = self._regrown()
            energy = self._energies(after)
        else:
            due = _due(self.rebridging / (1 - self.regrowth), made - int(self.regrowth * made))
            after, legal = self._rebridged() if due else self._pulled()
            energy = self._energies(after)
            chance = ((self.energy - energy) / self.temperature).exp()
            taken = legal & (self._chance() < chance)
        self.cells = torch.where(taken[:, None], after, self.cells)
        self.energy = torch.where(taken, energy, self.energy)
        better = self.energy < self.best_energy - 1e-9
        self.best_cells = torch.where(better[:, None], self.cells, self.best_cells)
        self.best_energy = torch.where(better, self.energy, self.best_energy)
        return legal.sum()

    def _pulled(self) -> tuple[Tensor, Tensor]:
        """Return the chains after a pull each, the first possible of `_TRIES`, and where there is
        one: most that are drawn are not, and to look costs less than the energy of a fold.
        """
        flip = self._coin()
        chain = torch.where(flip, self.cells.flip(1), self.cells)
        bead = self._drawn(chain.shape[1], _TRIES)
        pulls = aimed(chain, bead, self._way(_TRIES), self._way(_TRIES), self.lattice)
        legal = possible(chain, pulls, self.lattice)
        after = pulled(chain, pulls.one(legal.to(torch.uint8).argmax(1, True)), self.lattice)
        return torch.where(flip, after.flip(1), after), legal.any(1)

    def _rebridged(self) -> tuple[Tensor, Tensor]:
        """Return the chains rebridged, those that cannot be after a pull, and which are changed."""
        length = self.cells.shape[1]
        spot, ring = (Spot(self._drawn(length), self._way()) for _ in range(2))
        kind, forwards = self._drawn(4), self._coin()
        after, legal = rebridged(self.cells, spot, kind, ring, forwards, self.lattice)
        others, possible = self._pulled()
        return torch.where(legal[:, None], after, others), legal | possible

    def _regrown(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the chains with a stretch grown anew, where that was possible, and which of them
        are to be taken.
        """
        flip, length = self._coin(), self.cells.shape[1]
        chain = torch.where(flip, self.cells.flip(1), self.cells)
        stretch = Stretch(self._drawn(length), 2 + self._drawn(LONGEST - 1), flip)
        luck, beta = self._chance(LONGEST + 1), 1 / self.temperature[:, None]
        after, legal, taken = regrown(
            chain, stretch, beta, luck, self.pairs, self.lattice, self.lean
        )
        return torch.where(flip, after.flip(1), after), legal, taken

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

    def _drawn(self, below: int, each: int = 1) -> Tensor:
        """Return [C, `each`] whole numbers."""
        shape, device = (len(self.cells), each), self.cells.device
        return torch.randint(below, shape, generator=self.generator, device=device)

    def _coin(self) -> Tensor:
        return self._drawn(2) == 1

    def _way(self, each: int = 1) -> Tensor:
        """Return [C, `each`] neighbour vectors."""
        return deltas_of(self.cells, self.lattice).long()[self._drawn(self.lattice.size, each)]

    def _chance(self, *more: int) -> Tensor:
        """Return [C, ...] numbers in [0, 1)."""
        shape, device = (len(self.cells), *more), self.cells.device
        return torch.rand(shape, generator=self.generator, dtype=torch.float64, device=device)


def _due(share: float, made: int) -> bool:
    """Return whether the step after so many is one of a share of them, spread evenly."""
    return int(share * (made + 1)) > int(share * made)
