"""What touches what on many chains at once and on any device.

Chains are rows of packed points [B, L] int64; no two of their points are one. Nothing here reads
back to the host.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.folding.frames import frames_on
from tasks.folding.lattices import Lattice


def felt(cells: Tensor, pairs: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """Return the energy of each residue [B, L], of `pairs`' dtype, and its taken neighbours [B, L].

    `pairs` [L * L] are the contact energies, row by row; every contact counts at both residues.
    """
    energy, touching = _contacts(cells, pairs, deltas_of(cells, lattice))
    return energy.sum(1), touching.sum(1, dtype=pairs.dtype)


def energies(cells: Tensor, pairs: Tensor, lattice: Lattice) -> Tensor:
    """Return the energies [B]: each contact is looked for from one of its residues only."""
    ahead = deltas_of(cells, lattice)[::2]  # opposite letters follow each other
    return _contacts(cells, pairs, ahead)[0].sum((1, 2))


def _contacts(cells: Tensor, pairs: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Return [B, D, L] each residue's energy with the one a vector away, and if one is there."""
    length = cells.shape[1]
    ordered, residue = cells.sort(1)
    touching, place = met(ordered, (cells[:, None] + deltas[:, None]).flatten(1))
    row = torch.arange(length, device=cells.device).repeat(len(deltas)) * length
    energy = pairs[row + residue.gather(1, place)] * touching
    shape = len(cells), len(deltas), length
    return energy.view(shape), touching.view(shape)


def deltas_of(like: Tensor, lattice: Lattice) -> Tensor:
    """Return [Z] the packed neighbour vectors, where `like` is."""
    return frames_on(lattice, like.device).deltas


def adjacent(differences: Tensor, lattice: Lattice) -> Tensor:
    """Return which differences of packed points are neighbour vectors."""
    return (differences[..., None] == deltas_of(differences, lattice)).any(-1)


def met(ordered: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return which points [B, N] are among sorted ones [B, L], and their places [B, N] there."""
    place = torch.searchsorted(ordered, points).clamp(max=ordered.shape[1] - 1)
    return ordered.gather(1, place) == points, place
