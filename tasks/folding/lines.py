"""Which contacts a growing chain has lost for good: a bound by the lines that its core lies on.

A line of the lattice that meets hydrophobic residues leaves their set at both its ends. So h of
them that lie on n lines, counted in all Z / 2 directions, have at most Z h / 2 - n bonds and
contacts among them, and a chain that grows never comes to lie on fewer lines.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from tasks.folding.lattices import Ints, Lattice

_BASE = 1 << 14  # above any coordinate of a cross product


class Lines:
    """Counts lines for B chains; its tables move to a device when first used there."""

    def __init__(self, lattice: Lattice, hp: str) -> None:
        steps = torch.from_numpy(lattice.steps)
        axes = lattice.steps[[step > [-x for x in step] for step in lattice.steps.tolist()]]
        numbers = np.cross(axes, [1, _BASE, _BASE**2]).T.copy()  # p x axis is the same on a line
        self._keys = torch.from_numpy(numbers)  # [3, D]
        self._steps = steps @ self._keys  # [Z, D]
        bonds = sum(a == b == "H" for a, b in pairwise(hp))
        self.room = lattice.size * hp.count("H") / 2 - bonds

    @property
    def directions(self) -> int:
        """D, Z / 2."""
        return self._keys.shape[1]

    def most(self, energy: float) -> float:
        """Return on how many lines the core of a fold of such an energy can lie."""
        return self.room + energy

    def through(self, points: Tensor) -> Tensor:
        """Return [B, D] int64 the lines through points [B, 3], by number."""
        return (points.long()[:, :, None] * self._keys.to(points.device)).sum(1)

    def met(self, points: Ints) -> int:
        """Return on how many lines points [N, 3] lie."""
        return sum(len(np.unique(numbers)) for numbers in (points @ self._keys.numpy()).T)

    def ahead(self, head: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lines through the neighbours of a head [B, 3], and how many of these are new.

        [B, Z, D] by number and [B, Z] int64, by letter; `held` [B, k, D] are those of before.
        """
        near = self.through(head)[:, None] + self._steps.to(head.device)
        return near, (near[:, None] != held[:, :, None]).all(1).sum(2)
