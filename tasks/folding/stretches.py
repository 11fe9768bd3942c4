"""Stretches taken out and grown anew, for many chains at once and on any device.

The move of `tasks.folding.regrowth`, which says where it comes from: each residue goes to a free
neighbour point with a probability in proportion to e^(-E / kT), times the number of free walks that
from there still meet the rest of the chain, times what the policy prefers; the stretch is taken
with the probability that makes Boltzmann's distribution stand. Old and new stretches are walked
side by side, as two rows each.

Chains are rows of packed points [B, L] int64. Nothing here reads back to the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from designer.masking import first_beyond, threshold
from tasks.folding.closing import LONGEST, SPAN, closings
from tasks.folding.lattices import WORD, Lattice
from tasks.folding.leaning import ANGLES, angles
from tasks.folding.touching import deltas_of, met

_NOWHERE = 1 << 50  # a packed point that no chain comes to, nor its surroundings
_STEEPEST = 80.0  # kT; stronger contacts weigh as these, so that no product leaves the numbers


@dataclass(frozen=True)
class Stretch:
    """What is taken out of each of B chains, read in the direction of growth; [B, 1] each."""

    first: Tensor  # int64, the place of its first residue; 0 is not possible
    size: Tensor  # int64 residues, 1 to `LONGEST`; fewer where the chain ends before
    flip: Tensor  # bool, the chain is read from its end


def regrown(
    chain: Tensor, stretch: Stretch, beta: Tensor, luck: Tensor, pairs: Tensor, lattice: Lattice,
    lean: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return chains [B, L] with a stretch grown anew, [B] bool where growth found a way, and [B]
    bool where the new stretch is to be taken.

    `beta` [B, 1] is 1 / kT, `luck` [B, LONGEST + 1] in [0, 1), `pairs` [L * L] the contact energies
    of residues, `lean` [2, L + 2, ANGLES^2] what `tasks.folding.leaning` says.
    """
    count = len(chain)
    rows = _Rows(chain, stretch, beta, pairs, lattice, lean)
    for q in range(min(LONGEST, chain.shape[1] - 1)):
        rows.grow(q, luck[:, q])
    new, old = rows.weight[:count], rows.weight[count:]
    legal = rows.whole[:count] & (stretch.first.squeeze(1) > 0)
    taken = legal & (luck[:, LONGEST].log() < new - old)
    return rows.chains(count), legal, taken


class _Rows:
    """2B stretches on their way: those that are drawn, then those that the chains have."""

    def __init__(
        self, chain: Tensor, stretch: Stretch, beta: Tensor, pairs: Tensor, lattice: Lattice,
        lean: Tensor | None,
    ) -> None:  # fmt: skip
        self.chain, self.pairs, self.lattice, self.lean = chain, pairs, lattice, lean
        self.length, count = chain.shape[1], len(chain)
        self.deltas = deltas_of(chain, lattice).long()
        place = torch.arange(self.length, device=chain.device)
        first, size = stretch.first, torch.minimum(stretch.size, self.length - stretch.first)
        self.inside = (place >= first) & (place < first + size)
        ordered, residue = chain.masked_fill(self.inside, _NOWHERE).sort(1)
        ends = self._bond(first - 1), self._bond(first - 2)
        alike = (first, size, stretch.flip, beta, first + size < self.length, ordered, residue)
        held = [torch.cat([part, part]) for part in (*alike, *ends)]
        self.first, self.size, self.flip, self.beta, self.closes = held[:5]
        self.ordered, self.residue, self.last, self.earlier = held[5:]
        self.at = self._point(self.first - 1)
        self.anchor = self._point(self.first + self.size)
        self.fresh = chain.new_full((2 * count, LONGEST), -_NOWHERE)
        self.weight = pairs.new_zeros(2 * count)  # its logarithm
        self.whole = torch.ones(2 * count, dtype=torch.bool, device=chain.device)

    def grow(self, q: int, luck: Tensor) -> None:
        """Place residue number q of each stretch, by `luck` [B] or where the chain has it."""
        place = self.first + q
        own = self._number(place)
        points = self.at + self.deltas
        taken = met(self.ordered, points)[0]
        taken |= (points[:, :, None] == self.fresh[:, None]).any(2)
        bias = self._bias(points, own, self.size - q) * ~taken
        felt = (-self.beta * self._felt(points, own, q)).clamp(-_STEEPEST, _STEEPEST)
        mass = bias * felt.exp()
        sums = mass.cumsum(1)
        drawn = first_beyond(mass, sums, threshold(sums, torch.cat([luck, luck])))
        held = (self._point(place) - self.at == self.deltas).to(torch.uint8).argmax(1)
        letter = torch.cat([drawn[: len(luck)], held[len(luck) :]])[:, None]
        grows, total = (self.size > q).squeeze(1), sums[:, -1]
        self.whole &= ~grows | (total > 0)
        gained = total.log() - bias.gather(1, letter).squeeze(1).log()
        self.weight = torch.where(grows, self.weight + gained, self.weight)
        self.at = points.gather(1, letter)
        self.fresh[:, q] = torch.where(grows, self.at.squeeze(1), -_NOWHERE)
        self.last, self.earlier = letter + 1, self.last

    def chains(self, count: int) -> Tensor:
        """Return the chains [B, L] with their stretches as drawn."""
        place = torch.arange(self.length, device=self.chain.device) - self.first[:count]
        drawn = self.fresh[:count].gather(1, place.clamp(0, LONGEST - 1))
        return torch.where(self.inside, drawn, self.chain)

    def _bias(self, points: Tensor, own: Tensor, left: Tensor) -> Tensor:
        """Return [2B, Z] what points weigh beside what is felt there."""
        table, angle = _tables(self.lattice, points.device)
        gap = self.anchor - points + _middle(self.lattice)
        x, y, z = (gap >> (WORD * axis) for axis in range(3))
        low = (1 << WORD) - 1
        x, y = x & low, y & low
        near = (x < SPAN) & (y < SPAN) & (z >= 0) & (z < SPAN)
        index = torch.where(near, (z * SPAN + y) * SPAN + x, 0)
        share = table[left.clamp(min=0), index] * near
        bias = torch.where(self.closes, share, 1.0)
        if self.lean is None:
            return bias
        shapes = angle[1:][:, self.last.squeeze(1)] * ANGLES
        shapes = shapes + angle[1:][:, self.earlier.squeeze(1)]
        return bias * self.lean[self.flip.long(), own + 1].squeeze(1).gather(1, shapes.t())

    def _felt(self, points: Tensor, own: Tensor, q: int) -> Tensor:
        """Return [2B, Z] the energy of a residue at each of these points."""
        around = (points[:, :, None] + self.deltas).flatten(1)
        there, where = met(self.ordered, around)
        other = self._number(self.residue.gather(1, where))
        energy = self.pairs[own * self.length + other] * there
        if q:
            others = self._number(self.first + torch.arange(q, device=points.device))
            touching = around[:, :, None] == self.fresh[:, None, :q]
            theirs = self.pairs[own * self.length + others]
            energy = energy + (touching * theirs[:, None]).sum(2)
        return energy.view(*points.shape, -1).sum(2)

    def _number(self, place: Tensor) -> Tensor:
        """Return the residues at places of the chain as it is read; the last for later ones."""
        place = place.clamp(max=self.length - 1)
        return torch.where(self.flip, self.length - 1 - place, place)

    def _point(self, place: Tensor) -> Tensor:
        """Return [2B, 1] the points of places of the chains; the nearest there is."""
        place = place.clamp(0, self.length - 1)
        return torch.cat([self.chain.gather(1, half) for half in place.chunk(2)])

    def _bond(self, place: Tensor) -> Tensor:
        """Return [B, 1] the letter, from 1, of the bond that leads to a place; 0: there is none."""
        ends = (self.chain.gather(1, (place - back).clamp(min=0)) for back in (0, 1))
        letter = (next(ends) - next(ends) == self.deltas).to(torch.uint8).argmax(1)[:, None] + 1
        return torch.where(place > 0, letter, 0)


@lru_cache(maxsize=16)
def _tables(lattice: Lattice, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the lattice's `closings` as float64 and its `angles`, on a device."""
    table = torch.as_tensor(closings(lattice.name), dtype=torch.float64)
    return table.to(device), torch.as_tensor(angles(lattice.name), device=device)


def _middle(lattice: Lattice) -> int:
    """Return the packed middle of the table of closing walks."""
    return (SPAN // 2) * sum(1 << (WORD * axis) for axis in range(lattice.dimensions))
