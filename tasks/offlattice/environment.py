"""The environment: a chain bent residue by residue, its choices real numbers.

Each step has one action (go on) and K values, the angles at the next residue. Observations are
smooth functions of the angles so far, so a gradient can flow through the whole walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Spelling
from tasks.offlattice.design import Conformation, conformations
from tasks.offlattice.energy import MODELS

WINDOW = 3  # residues that are seen ahead


@dataclass(frozen=True)
class Bent:
    """How far B chains have been bent."""

    angles: Tensor  # [B, T, K] radians so far, 0 beyond
    placed: Tensor  # [B] int64


@dataclass(frozen=True)
class Angles:
    """One sequence of A and B in one model; T = L - 2 choices of K angles each."""

    sequence: str
    model: str = "2d"

    num_actions = 1
    differentiable = True  # smooth in its values, from the first choice to the energy

    @property
    def num_values(self) -> int:
        """K: 1 in the plane, 2 in space."""
        return MODELS[self.model]

    @property
    def max_steps(self) -> int:
        """T = L - 2."""
        return len(self.sequence) - 2

    @property
    def obs_size(self) -> int:
        """F: the kinds around, the place, sine and cosine of the last angles, the chain's ends."""
        return WINDOW + 2 + 4 * self.num_values

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Bent:
        """Return B straight chains."""
        shape = (batch_size, self.max_steps, self.num_values)
        placed = torch.zeros(batch_size, dtype=torch.int64, device=device)
        return Bent(torch.zeros(shape, device=device), placed)

    def observe(self, state: Bent, /) -> Tensor:
        """Return [B, F] in [-1, 1], differentiable in the angles and in their dtype (float32)."""
        kinds = torch.tensor([1.0 if a == "A" else -1.0 for a in self.sequence])
        padded = torch.cat([kinds, torch.zeros(WINDOW + 1)]).to(state.angles.device)
        ahead = state.placed[:, None] + torch.arange(WINDOW + 1, device=padded.device)
        share = (state.placed / self.max_steps).unsqueeze(1)
        last = _before(state, 1), _before(state, 2)
        waves = [wave for angle in last for wave in (angle.sin(), angle.cos())]
        fixed = torch.cat([padded[ahead + 1], share], dim=1).to(state.angles.dtype)
        return torch.cat([fixed, *waves], dim=1)

    def mask(self, state: Bent, /) -> Tensor:
        """Return [B, 1]: going on is the one action."""
        return torch.ones(len(state.placed), 1, dtype=torch.bool, device=state.placed.device)

    def step(self, state: Bent, action: Tensor, values: Tensor | None = None, /) -> Bent:
        """Return the chains with the next angles [B, K] set; finished rows stay as they are."""
        if values is None:
            raise ValueError(f"{self.num_values} angles go with each choice here: give `values`")
        columns = torch.arange(self.max_steps, device=values.device)
        here = (columns == state.placed[:, None]).unsqueeze(-1)
        angles = torch.where(here, values.unsqueeze(1), state.angles)
        return Bent(angles, (state.placed + 1).clamp_max(self.max_steps))

    def done(self, state: Bent, /) -> Tensor:
        """Return [B] bool."""
        return state.placed >= self.max_steps

    def decode(
        self, actions: Sequence[Sequence[int]], /, values: Sequence[Any] = ()
    ) -> list[Conformation | None]:
        """Return the conformations of values [N][T][K]; `None` for a row that is too short."""
        whole = [len(row) >= self.max_steps for row in values]
        rows = [row[: self.max_steps] for row, full in zip(values, whole, strict=True) if full]
        shape = (len(rows), self.max_steps, self.num_values)
        array = np.array(rows, dtype=np.float64).reshape(shape)
        found = iter(conformations(array, self.sequence, self.model))
        return [next(found) if full else None for full in whole]

    def encode(
        self, designs: Sequence[Conformation], rng: np.random.Generator | None = None
    ) -> list[Spelling | None]:
        """Return the angles of each design; `rng` picks one of its two mirror images."""
        column = 0 if self.model == "2d" else 1
        out: list[Spelling | None] = []
        for design in designs:
            angles = design.array
            if rng is not None and rng.random() < 0.5:
                angles[:, column] *= -1.0
            out.append(Spelling([0] * self.max_steps, {"values": angles.tolist()}))
        return out


def _before(state: Bent, steps: int) -> Tensor:
    """Return [B, K] the angles set that many steps ago; 0 where there are none."""
    columns = torch.arange(state.angles.shape[1], device=state.placed.device)
    there = (columns == (state.placed - steps)[:, None]).unsqueeze(-1)
    return torch.where(there, state.angles, 0.0).sum(1)
