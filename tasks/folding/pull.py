"""Pull moves, for many chains at once and on any device: local moves that never break a chain.

A bead goes to a free point next to its successor, and its predecessors follow along the chain's
old path until the chain is whole again: N. Lesh, M. Mitzenmacher and S. Whitesides, RECOMB 2003.
On the square and cubic lattices the followers move up two places (the corner between old and new
point must be free), on the triangular and FCC lattices, where old and new point can be
neighbours, one place. At an end the chain goes ahead by as much. Either end may lead.

Chains are rows of packed points [B, L] int64; no two of their points are one. Nothing here reads
back to the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.folding.frames import frames_on
from tasks.folding.lattices import Lattice


@dataclass(frozen=True)
class Pull:
    """N pulls of each of B chains: which beads go, and where; [B, N] int64 each."""

    bead: Tensor  # its place in the chain, which is read from the end that follows
    target: Tensor  # the point it goes to
    corner: Tensor  # the point its predecessor goes to (square and cubic only)


def aimed(chain: Tensor, bead: Tensor, first: Tensor, second: Tensor, lattice: Lattice) -> Pull:
    """Return pulls of chains [B, L]: each bead goes the step `first` away from its successor.

    `bead`, `first` and `second` are [N] or [B, N]; steps are of packed points. The leading end
    goes from where it is, on the square and cubic lattices by both steps.
    """
    last, bead = chain.shape[1] - 1, bead.expand(len(chain), -1)
    here, anchor = chain.gather(1, bead), chain.gather(1, (bead + 1).clamp(max=last))
    target = anchor + first
    if not lattice.bipartite:
        return Pull(bead, target, target)
    corner = torch.where(bead == last, target, target + here - anchor)
    return Pull(bead, torch.where(bead == last, target + second, target), corner)


def possible(chain: Tensor, pull: Pull, lattice: Lattice) -> Tensor:
    """Return [B, N] bool, which pulls leave the chains [B, L] whole and free of themselves."""
    ordered = chain.sort(1).values
    if lattice.bipartite:
        free = ~_met(ordered, torch.cat([pull.target, pull.corner], dim=1))[0]
        legal, passing = free.chunk(2, dim=1)
        before = chain.gather(1, (pull.bead - 1).clamp(min=0))
        passing = passing | (pull.corner == before)
    else:
        legal = ~_met(ordered, pull.target)[0]
        passing = _adjacent(pull.target - chain.gather(1, pull.bead), lattice)
    return legal & (passing | (pull.bead == 0))


def pulled(chain: Tensor, pull: Pull, lattice: Lattice) -> Tensor:
    """Return the chains [B, L] after one possible pull each (N = 1)."""
    length, shift = chain.shape[1], 2 if lattice.bipartite else 1
    place = torch.arange(length, device=chain.device)
    dragged = torch.cat([chain[:, shift:], pull.target.expand(-1, shift)], dim=1)
    if lattice.bipartite:
        dragged = torch.where(place == pull.bead - 1, pull.corner, dragged)
    dragged = torch.where(place == pull.bead, pull.target, dragged)
    whole = _adjacent(dragged[:, 1:] - chain[:, :-1], lattice)  # residue k may stay where it is
    whole &= place[:-1] < pull.bead
    stays = torch.where(whole, place[:-1], -1).amax(1, keepdim=True)
    return torch.where((place > stays) & (place <= pull.bead), dragged, chain)


def felt(cells: Tensor, pairs: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """Return the energy of each residue [B, L], of `pairs`' dtype, and its taken neighbours [B, L].

    `pairs` [L * L] are the contact energies, row by row; every contact counts at both residues.
    """
    energy, touching = _contacts(cells, pairs, _deltas(cells, lattice))
    return energy.sum(1), touching.sum(1, dtype=pairs.dtype)


def energies(cells: Tensor, pairs: Tensor, lattice: Lattice) -> Tensor:
    """Return the energies [B]: each contact is looked for from one of its residues only."""
    ahead = _deltas(cells, lattice)[::2]  # opposite letters follow each other
    return _contacts(cells, pairs, ahead)[0].sum((1, 2))


def _contacts(cells: Tensor, pairs: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Return [B, D, L] each residue's energy with the one a vector away, and if one is there."""
    length = cells.shape[1]
    ordered, residue = cells.sort(1)
    touching, place = _met(ordered, (cells[:, None] + deltas[:, None]).flatten(1))
    row = torch.arange(length, device=cells.device).repeat(len(deltas)) * length
    energy = pairs[row + residue.gather(1, place)] * touching
    shape = len(cells), len(deltas), length
    return energy.view(shape), touching.view(shape)


def _deltas(like: Tensor, lattice: Lattice) -> Tensor:
    return frames_on(lattice, like.device).deltas


def _adjacent(differences: Tensor, lattice: Lattice) -> Tensor:
    """Return which differences of packed points are neighbour vectors."""
    return (differences[..., None] == _deltas(differences, lattice)).any(-1)


def _met(ordered: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return which points [B, N] are among sorted ones [B, L], and their places [B, N] there."""
    place = torch.searchsorted(ordered, points).clamp(max=ordered.shape[1] - 1)
    return ordered.gather(1, place) == points, place
