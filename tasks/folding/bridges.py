"""Bond rebridging, for many chains at once and on any device: bonds change, no point moves.

Where two bonds lie side by side, they are exchanged: part of the chain is walked the other way
round, or becomes a ring that is opened and joined to the chain elsewhere (J. M. Deutsch, J. Chem.
Phys. 106, 8849, 1997). `tasks.folding.compiled_moves` has the same moves for one chain.

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
class Spot:
    """Where a rebridging is tried: a residue of each chain and a step from it, [B, 1] each."""

    residue: Tensor  # int64
    step: Tensor  # int64, of packed points


def rebridged(
    chain: Tensor, spot: Spot, kind: Tensor, ring: Spot, forwards: Tensor, lattice: Lattice
) -> tuple[Tensor, Tensor]:
    """Return the chains [B, L] rebridged, and [B] bool where that is possible; others stay.

    `kind` [B, 1] is 0 or 1 for the two ways to turn a part around, 2 or more for a ring. That is
    opened at `ring.residue`, counted from its first one on and around it, and joined to what lies
    a step from there, to be walked `forwards` [B, 1] (bool) or not.
    """
    look = _Look(chain, lattice)
    touching, other = look.at(spot.residue, spot.step)
    first, last = torch.minimum(spot.residue, other), torch.maximum(spot.residue, other)
    turns, rings = kind < 2, kind > 1
    left = torch.where(kind == 1, first - 1, first + 1)
    right = torch.where(kind == 0, last + 1, last - 1)
    end = (left < 0) | (right >= chain.shape[1])
    least = torch.where(rings, 4, 2)
    legal = touching & (end | look.beside(left, right)) & (last - first >= least)
    opened, possible = _through_ring(look, first, last, ring, forwards)
    legal &= turns | possible
    place = look.place
    begin = torch.where(kind == 0, first + 1, first)
    inside = (place >= begin) & (place < begin + last - first)
    turned = torch.where(inside, 2 * begin + last - first - 1 - place, place)
    order = torch.where(legal, torch.where(turns, turned, opened), place)
    return chain.gather(1, order), legal.squeeze(1)


class _Look:
    """What lies where on B chains [B, L]."""

    def __init__(self, chain: Tensor, lattice: Lattice) -> None:
        self.chain, self.lattice = chain, lattice
        self.place = torch.arange(chain.shape[1], device=chain.device)
        self._ordered, self._residue = chain.sort(1)

    def at(self, residue: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Return [B, 1] whether something lies a step from a residue, and which residue it is."""
        found, where = met(self._ordered, self.chain.gather(1, residue) + step)
        return found, self._residue.gather(1, where)

    def beside(self, one: Tensor, other: Tensor) -> Tensor:
        """Return [B, 1] whether two residues (the nearest there are) lie side by side."""
        most = self.chain.shape[1] - 1
        points = (self.chain.gather(1, residue.clamp(0, most)) for residue in (one, other))
        return adjacent(next(points) - next(points), self.lattice)


def _through_ring(
    look: _Look, first: Tensor, last: Tensor, ring: Spot, forwards: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the order [B, L] after residues between `first` and `last` were closed to a ring and
    this opened elsewhere, and [B, 1] whether it can be joined to the rest there.
    """
    place, most = look.place, look.chain.shape[1] - 1
    size = (last - first - 1).clamp(min=1)
    spot = (first + 1 + ring.residue % size).clamp(max=most)
    after = torch.where(spot + 1 < last, spot + 1, (first + 1).clamp(max=most))
    touching, other = look.at(spot, ring.step)
    forth = torch.where(other == first, last, other + 1)  # ... other, spot, ring, after, forth ...
    back = torch.where(other == last, first, other - 1)  # ... back, after, ring, spot, other ...
    following = torch.where(forwards, forth, back)
    outside = ((other <= first) | (other >= last)) & (following >= 0) & (following <= most)
    possible = touching & outside & look.beside(following, after)
    entry = torch.where(forwards, other, following)  # the last residue before the ring
    begin = torch.where(entry > first, entry + 1 - size, entry + 1)
    turn = torch.where(forwards, begin - place, place - begin)
    come = torch.where(forwards, spot, after) - first - 1
    around = first + 1 + torch.remainder(come + turn, size)
    rest = torch.where(place < begin, place, place - size)  # of what is not in the ring
    rest = torch.where(rest <= first, rest, rest + size)
    return torch.where((place >= begin) & (place < begin + size), around, rest), possible
