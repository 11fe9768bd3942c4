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

from tasks.folding.lattices import Lattice
from tasks.folding.touching import adjacent, met


@dataclass(frozen=True)
class Pull:
    """N pulls of each of B chains: which beads go, and where; [B, N] int64 each."""

    bead: Tensor  # its place in the chain, which is read from the end that follows
    target: Tensor  # the point it goes to
    corner: Tensor  # the point its predecessor goes to (square and cubic only)

    def one(self, which: Tensor) -> Pull:
        """Return pull number `which` [B, 1] of each chain."""
        held = (self.bead, self.target, self.corner)
        return Pull(*(part.gather(1, which) for part in held))


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
        free = ~met(ordered, torch.cat([pull.target, pull.corner], dim=1))[0]
        legal, passing = free.chunk(2, dim=1)
        before = chain.gather(1, (pull.bead - 1).clamp(min=0))
        passing = passing | (pull.corner == before)
    else:
        legal = ~met(ordered, pull.target)[0]
        passing = adjacent(pull.target - chain.gather(1, pull.bead), lattice)
    return legal & (passing | (pull.bead == 0))


def pulled(chain: Tensor, pull: Pull, lattice: Lattice) -> Tensor:
    """Return the chains [B, L] after one possible pull each (N = 1)."""
    length, shift = chain.shape[1], 2 if lattice.bipartite else 1
    place = torch.arange(length, device=chain.device)
    dragged = torch.cat([chain[:, shift:], pull.target.expand(-1, shift)], dim=1)
    if lattice.bipartite:
        dragged = torch.where(place == pull.bead - 1, pull.corner, dragged)
    dragged = torch.where(place == pull.bead, pull.target, dragged)
    whole = adjacent(dragged[:, 1:] - chain[:, :-1], lattice)  # residue k may stay where it is
    whole &= place[:-1] < pull.bead
    stays = torch.where(whole, place[:-1], -1).amax(1, keepdim=True)
    return torch.where((place > stays) & (place <= pull.bead), dragged, chain)
