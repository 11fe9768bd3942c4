"""B growing chains, and in which order each grows: from an end, or from the middle both ways.

Placement k is residue `order[k]`. The first two are given; each later one is put next to an
earlier one at one of the two ends. Letters in the order of growth are the walk's letters, taken
backwards (the opposite letter) where the chain grows towards its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from torch import Tensor

from designer.protocols import Floats
from tasks.folding.lattices import Ints, Lattice

Grow = Literal["start", "end", "middle"]


@dataclass(frozen=True)
class Growth:
    """B growing chains, t residues each (those that gave up repeat their last point)."""

    cells: Tensor  # [B, t] int32 packed points of the residues, in the order they were placed
    near: Tensor  # [B, 4, Z] float32 what is around the end that grows next, see `Surroundings`
    head: Tensor  # [B, S, 3] float32 lattice points of the ends that grow (S = 1, or 2 of them)
    core: Tensor  # [B, 3] float32 sum of the hydrophobic residues' points
    frame: Tensor  # [B, S] int64 the symmetry that turns the standard frame into the walker's
    broken: Tensor  # [B] int64 state of `Lattice.breaking`
    last: Tensor  # [B, S] int64 the last move
    stuck: Tensor  # [B] bool, the walker gave up
    energy: Tensor  # [B] float32 contact energy so far
    lines: Tensor  # [B, k, D] int64 lines that the core lies on, see `Lines`; D = 0: not needed
    spread: Tensor  # [B] int64 how many different ones
    ahead: Tensor  # [B, Z, D] int64 lines through the neighbours of the end that grows next
    wider: Tensor  # [B, Z] int64 how many of these are new


@dataclass(frozen=True)
class Order:
    """The order of growth of a chain of `length` residues."""

    length: int
    grow: Grow = "start"

    @cached_property
    def order(self) -> Ints:
        """[L] the residue of each placement."""
        residues = np.arange(self.length)
        if self.grow == "start":
            return residues
        if self.grow == "end":
            return residues[::-1].copy()
        left, right = (self.length - 2) // 2, (self.length - 2) // 2 + 1
        taken = [left, right]
        while len(taken) < self.length:
            if right + 1 < self.length:
                taken.append(right := right + 1)
            if left > 0:
                taken.append(left := left - 1)
        return np.array(taken)

    @cached_property
    def sides(self) -> list[int]:
        """[L + 1] at which end each placement is put: 0 where the given bond points, 1 behind it.

        The entry after the last placement is that of the last one.
        """
        if self.grow != "middle":
            return [0] * (self.length + 1)
        first = int(self.order[0])
        ends = [int(residue < first) for residue in self.order]
        return [*ends, ends[-1]]

    @cached_property
    def heads(self) -> list[int]:
        """[L + 1] the placement that each placement is put next to (of the first two: unused)."""
        last, heads = {0: 1, 1: 0}, [0, 0]
        for k in range(2, self.length + 1):
            heads.append(last[self.sides[k]])
            last[self.sides[k]] = k
        return heads[: self.length + 1]

    @cached_property
    def onwards(self) -> list[bool]:
        """[L] whether another residue is put next to each placement."""
        after = set(self.heads[2 : self.length])
        return [k in after for k in range(self.length)]

    def ahead(self, window: int) -> Ints:
        """Return [L + 1, window] the residues to come at the end that grows next, -1 for none."""
        rows = np.full((self.length + 1, window), -1)
        coming: dict[int, list[int]] = {0: [], 1: []}
        for k in reversed(range(2, self.length)):
            side = coming[self.sides[k]]
            side.insert(0, int(self.order[k]))
            del side[window:]
            rows[k, : len(side)] = side
        return rows

    @cached_property
    def _bonds(self) -> tuple[Ints, Ints]:
        """[L - 1] the bond that each step of growth makes, and 1 where it is made backwards."""
        made = self.order[1:]
        beside = self.order[[self.heads[k] if k > 1 else 0 for k in range(1, self.length)]]
        return np.minimum(made, beside), (made < beside).astype(np.int64)

    def grown(self, letters: Ints) -> Ints:
        """Return letters' numbers [..., L - 1] of walks in the order of growth."""
        bonds, flips = self._bonds
        grown: Ints = letters[..., bonds] ^ flips
        return grown

    def walked(self, grown: Ints) -> Ints:
        """Return the letters of the walks [..., L - 1] that grew in this order."""
        bonds, flips = self._bonds
        letters = np.empty_like(grown)
        letters[..., bonds] = grown ^ flips
        return letters

    def first_frames(self, lattice: Lattice) -> Ints:
        """[S] the frame of each end after the given bond: it looks the way that end grows."""
        behind = np.flatnonzero(lattice.images[:, 0] == 1)
        proper = np.rint(np.linalg.det(lattice.symmetries[behind])).astype(int) == 1
        return np.array([0, int(behind[proper][0])][: 2 if self.grow == "middle" else 1])

    def gains(self, pairs: Floats, lattice: Lattice) -> list[float]:
        """Return [L + 1] the most that placements t, t + 1, ... can gain together, 0 or below.

        Each residue touches as many of those placed before it as it has room for, and of these
        the ones that attract it most; on the bipartite lattices only those of the other parity.
        """
        place = np.arange(self.length)
        mine = pairs[self.order][:, self.order]
        before = place[:, None] > place[None, :]
        if lattice.bipartite:
            before &= (self.order[:, None] - self.order[None, :]) % 2 == 1
        room = lattice.size - 2 + np.isin(self.order, (0, self.length - 1))
        gains = np.zeros(self.length + 1)
        for t in range(self.length):
            partners = np.sort(np.where(before[t], np.minimum(mine[t], 0), 0))
            gains[t] = partners[: room[t]].sum()
        return [float(g) for g in gains[::-1].cumsum()[::-1]]
