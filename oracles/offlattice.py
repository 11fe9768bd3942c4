"""Energies of off-lattice conformations: what is measured, and its smooth form for gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from designer.protocols import Floats, Measured
from tasks.offlattice.design import Conformation
from tasks.offlattice.energy import energy, score


@dataclass(frozen=True)
class AbEnergy:
    """The energy of the AB model: columns `energy`, and `score`, which is ready to be maximised.

    `score` is -energy where that is below zero and -log(1 + energy) above: chains that run into
    themselves have energies of 1e12 and more, which no learner could average.
    """

    sequence: str
    model: str
    name: str = "ab_energy"

    cheap = True
    relaxed_column = "score"  # what `relaxed` gives

    def __call__(self, designs: Sequence[Conformation], /) -> Measured:
        """Return the columns [N]; raises InputError for designs of another task or model."""
        for row, design in enumerate(designs):
            if not isinstance(design, Conformation):
                text = str(getattr(design, "text", ""))[:60]
                raise InputError(f"{self.name} judges AB chains, but row {row} is {text!r}")
            if (design.sequence, design.model) != (self.sequence, self.model):
                raise InputError(
                    f"{self.name} judges {self.sequence} ({self.model}), but row {row} is "
                    f"{design.sequence} ({design.model})"
                )
        if not designs:
            return Measured({"energy": np.zeros(0), "score": np.zeros(0)})
        angles = torch.from_numpy(np.stack([design.array for design in designs]))
        energies = energy(angles, self.sequence, self.model)
        return Measured({"energy": _numbers(energies), "score": _numbers(score(energies))})

    def relaxed(self, values: Tensor) -> Tensor:
        """Return [B] the score of angles [B, T, K], differentiable, in float64."""
        return score(energy(values.to(torch.float64), self.sequence, self.model))


def _numbers(values: Tensor) -> Floats:
    array: Floats = values.numpy()
    return array
