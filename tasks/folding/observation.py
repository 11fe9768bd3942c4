"""What the policy sees: the chain ahead, and what is around the walker in its own frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Floats
from tasks.folding.growth import Order
from tasks.folding.lattices import Lattice
from tasks.folding.surroundings import ENERGY, EXITS

_WAVES = 4  # sines and cosines of the position along the chain
_FAR = 10.0  # bonds; distances are told in this unit


class Describe:
    """Makes observations [B, F]; its tables move to a device when they are first used there.

    Of the chain: whether each of the next residues at the end that grows exists, is hydrophobic,
    and how much it can attract; the share placed; waves of the position. Of each of the A - 1
    moves: whether the point is taken, taken by a hydrophobic residue, its free neighbours, the
    energy gained there, and whether it was the last move. At the end the energy so far as a share
    of the bound, and the way to the middle of the hydrophobic residues so far, in the walker's
    frame.
    """

    def __init__(
        self,
        lattice: Lattice,
        pairs: Floats,
        sticky: Floats,
        window: int,
        scale: float,
        order: Order,
    ) -> None:
        self._moves = lattice.size - 1
        strongest = float(abs(pairs).max()) or 1.0
        self.along = _along(sticky, pairs / strongest, window, order).astype(np.float32)
        known = np.concatenate([[0.0], sticky[order.order].cumsum()]).clip(min=1)
        self._middle = (1 / known).astype(np.float32)
        self._scale = scale
        units = np.ones(4, dtype=np.float32)
        units[EXITS], units[ENERGY] = 1 / lattice.size, -1 / strongest
        self.units = units
        self._tables: dict[torch.device, tuple[Tensor, ...]] = {}

    def way(self, row: int) -> float:
        """Return the unit of the way to the hydrophobic residues, of that row of `along`."""
        return float(self._middle[row] / np.float32(_FAR))

    @property
    def size(self) -> int:
        """F, the number of features."""
        return int(self.along.shape[1]) + 5 * self._moves + 4

    def __call__(
        self, near: Tensor, letters: Tensor, last: Tensor, energy: Tensor, way: Tensor, placed: int
    ) -> Tensor:
        """Return [B, F] float32.

        `near` [B, 4, Z] are the surroundings, `letters` [B, A - 1] each move's letter, `last` [B]
        the last move, `energy` [B] that so far, `way` [B, 3] in the walker's frame the sum of
        the hydrophobic residues' points seen from the head.
        """
        along, middle, units = self._on(near.device)
        placed = min(placed, len(along) - 1)
        count = len(near)
        ours = near.gather(2, letters[:, None, :].expand(-1, 4, -1)) * units[:, None]
        before = torch.arange(self._moves, device=near.device) == last[:, None]
        parts = [
            along[placed].expand(count, -1),
            ours.flatten(1),
            before.float(),
            energy[:, None] / -self._scale,
            way * (middle[placed] / _FAR),
        ]
        return torch.cat(parts, dim=1)

    def _on(self, device: torch.device) -> tuple[Tensor, ...]:
        if device not in self._tables:
            arrays = (self.along, self._middle, self.units)
            self._tables[device] = tuple(torch.as_tensor(a, device=device) for a in arrays)
        return self._tables[device]


def _along(sticky: Floats, pairs: Floats, window: int, order: Order) -> Floats:
    """Return [L + 1, C] what is known of the chain when t residues are placed."""
    length = len(sticky)
    attracts = -np.minimum(pairs, 0).mean(axis=1) * length / max(1.0, sticky.sum())
    ahead = order.ahead(window)
    exists = ahead >= 0
    share = np.arange(length + 1)[:, None] / length
    angles = np.pi * share * 2.0 ** np.arange(_WAVES)
    columns = [exists, exists * sticky[ahead], exists * attracts[ahead]]
    return np.concatenate([*columns, share, np.sin(angles), np.cos(angles)], axis=1)
