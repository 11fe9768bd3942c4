"""The SMILES environment without its mask, to see what a network knows by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.molecules.smiles import Smiles, Strings


@dataclass(frozen=True)
class Unmasked(Smiles):
    """Every token and END are always legal; a string that is too long may only end."""

    def mask(self, state: Strings, /) -> Tensor:
        """Return [B, A] bool; END alone is legal in finished rows and at the full length."""
        rows = torch.zeros(
            len(state.last), self.num_actions, dtype=torch.bool, device=state.last.device
        )
        over = state.ended | (state.length >= self.max_length)
        rows[:, : self.end] = ~over.unsqueeze(1)
        rows[:, self.end] = True
        return rows
