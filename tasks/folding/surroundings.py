"""What lies within two bonds of a walker's head, for B walkers at once.

A window around the head is cut out of the list of occupied points: the difference of packed
points, shifted, has all its three fields between 0 and 7 exactly where a residue is near, and
these nine bits are the address in a small table. No grid, no loop over residues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Floats
from tasks.folding.lattices import WORD, Ints, Lattice

TAKEN, STICKY, EXITS, ENERGY = range(4)  # channels
_REACH = 2
SHIFT = _REACH * (1 + (1 << WORD) + (1 << 2 * WORD))
FAR_BITS = ~(7 | 7 << WORD | 7 << 2 * WORD)
_ADDRESSES = 1 << 9


@dataclass(frozen=True)
class _Tables:
    slot: Tensor  # [1024] int64 number of the near point at each address; W = none
    beside: Tensor  # [W, Z] float32, 1 where the near point is next to that neighbour of the head
    partner: Tensor  # [L, L + 1] float32 energy of the next residue with residue number k
    sticky: Tensor  # [L + 1] float32, 1 where residue number k is hydrophobic


class Surroundings:
    """Looks around the heads of B chains; its tables move to a device when first used there.

    `pairs` [L, L] is `Matrix.pairs`, `sticky` tells which residues are hydrophobic.
    """

    def __init__(self, lattice: Lattice, pairs: Floats, sticky: Sequence[bool]) -> None:
        self._size = lattice.size
        near, beside = near_points(lattice)
        known = slots(near)
        slot = np.full(2 * _ADDRESSES, len(near), dtype=np.int64)  # the second half is far away
        slot[:_ADDRESSES] = np.where(known < 0, len(near), known)
        partner = np.concatenate([np.zeros((len(pairs), 1)), pairs], axis=1)
        numbered = np.array([False, *sticky])
        floats = (np.asarray(table, dtype=np.float32) for table in (beside, partner, numbered))
        self._host = (slot, *floats)
        self._tables: dict[torch.device, _Tables] = {}

    def __call__(self, cells: Tensor) -> Tensor:
        """Return [B, 4, Z] float32 for chains of t packed points [B, t]: the neighbours of each
        head by letter. Channels: taken (0 or 1), taken by a hydrophobic residue, free neighbours
        that the point has itself, energy gained by placing residue t there.
        """
        tables = self._on(cells.device)
        window = self._window(cells, tables)
        first = window[:, : self._size]
        taken = (window > 0).float()
        exits = self._size - 1 - taken @ tables.beside  # one neighbour is the head itself
        energy = _looked_up(tables.partner[cells.shape[1]], window) @ tables.beside
        return torch.stack(
            [taken[:, : self._size], _looked_up(tables.sticky, first), exits, energy], dim=1
        )

    def _window(self, cells: Tensor, tables: _Tables) -> Tensor:
        """Return [B, W] int64 the number (from 1) of the residue at each near point, 0 if free."""
        width = len(tables.beside)
        shifted = cells[:, :-1] - (cells[:, -1:] - SHIFT)
        far = ((shifted & FAR_BITS) != 0).int()
        address = (shifted | shifted >> (WORD - 3) | shifted >> 2 * (WORD - 3)) & (_ADDRESSES - 1)
        slot = _looked_up(tables.slot, address | far << 9)
        number = torch.arange(1, cells.shape[1], device=cells.device).expand_as(slot)
        window = torch.zeros(len(cells), width + 1, dtype=torch.int64, device=cells.device)
        return window.scatter_(1, slot, number)[:, :width]

    def _on(self, device: torch.device) -> _Tables:
        if device not in self._tables:
            tensors = (torch.as_tensor(table, device=device) for table in self._host)
            self._tables[device] = _Tables(*tensors)
        return self._tables[device]


def _looked_up(table: Tensor, index: Tensor) -> Tensor:
    """Return table[index] for a table of one dimension; three times as fast on the CPU."""
    return table.index_select(0, index.flatten()).view(index.shape)


def near_points(lattice: Lattice) -> tuple[Ints, Ints]:
    """Return the points [W, 3] one or two bonds away, the Z neighbours first, and `beside`."""
    neighbours = [tuple(v) for v in lattice.steps.tolist()]
    second = {(a + d, b + e, c + f) for a, b, c in neighbours for d, e, f in neighbours}
    others = sorted(second - set(neighbours) - {(0, 0, 0)})
    points = np.array([*neighbours, *others], dtype=np.int64)
    differences = points[:, None, :] - lattice.steps[None, :, :]
    beside = (differences[:, :, None, :] == lattice.steps).all(axis=-1).any(axis=-1)
    return points, beside.astype(np.int64)


def slots(near: Ints) -> Ints:
    """Return [512] the number of the near point at each address, -1 where there is none."""
    slot = np.full(_ADDRESSES, -1, dtype=np.int64)
    slot[_address(near)] = np.arange(len(near))
    return slot


def _address(points: Ints) -> Ints:
    """Return the address [W] of points within the window."""
    return (points + _REACH) @ np.array([1, 8, 64], dtype=np.int64)
