"""Molecules that nobody judged, drawn from the policy when breeding begins: new material.

What breeds from the best alone stays in their family. A child of one of the best and a stranger
brings pieces that the family lacks, and the model of what was judged tells which are worth a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from designer.rollout import rollout
from tasks.molecules.design import Molecule, read

BATCH = 250  # molecules sampled at once


@dataclass
class Strangers:
    """The molecules drawn; none before they are first asked for."""

    held: list[Molecule] = field(default_factory=list)

    def drawn(self, env: Any, policy: Any, count: int, rng: np.random.Generator) -> list[Molecule]:
        """Return the distinct molecules among `count` samples of the policy, always the same."""
        if not self.held:
            device = next(policy.parameters()).device
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            found: dict[str, Molecule] = {}
            for start in range(0, count, BATCH):
                size = min(BATCH, count - start)
                made = rollout(env, policy, size, generator, device=device)
                designs = env.decode(made.actions.tolist(), **made.given)
                found |= {design.key: design for design in designs if design is not None}
            self.held = list(found.values())
        return self.held

    def state(self) -> list[str]:
        """Return their SMILES, for a checkpoint."""
        return [design.text for design in self.held]

    def restore(self, state: Sequence[str]) -> None:
        """Go back to a checkpoint."""
        self.held = [design for design in map(read, state) if design is not None]
