"""One round of a campaign: what was asked for, and what the record says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from designer.protocols import Scored, Spelling, Trajectory
from designer.store import DesignRow


@dataclass(frozen=True)
class Asked:
    """What is to be judged: B sampled designs, then the proposer's."""

    actions: list[list[int]]  # [B][T] on the host, crossed once
    designs: Sequence[Any]  # [B + P], None where a row is not a design
    given: Mapping[str, Any] = field(default_factory=dict)  # [B] values, start; if any

    @property
    def sampled(self) -> int:
        """B, how many of the designs the policy made."""
        return len(self.actions)

    def spelling(self, row: int) -> Spelling:
        """Return what builds a sampled row."""
        given = {name: values[row] for name, values in self.given.items()}
        return Spelling(self.actions[row], given)

    def plain(self) -> dict[str, Any]:
        """Return what a checkpoint needs to make the batch again."""
        texts = [design.text for design in self.designs[self.sampled :]]
        return {"actions": self.actions, "proposed": texts, "given": dict(self.given)}


@dataclass(frozen=True)
class Batch(Asked):
    """What one step asks to have judged, and the walks by which the policy made its part."""

    trajectory: Trajectory = field(kw_only=True)  # B rows


def rows(asked: Asked, scored: Scored) -> list[DesignRow]:
    """Return a row of the record for each design."""
    return [
        DesignRow(design and design.key, float(reward), float(weight), row >= asked.sampled)
        for row, (design, reward, weight) in enumerate(
            zip(asked.designs, scored.reward, scored.weight, strict=True)
        )
    ]


def figures(batch: Batch, scored: Scored) -> dict[str, float]:
    """Return what the sampled rows look like: reward, variety, entropy and length.

    `reward` is NaN where none of them was measured; `unmeasured` counts proposals too.
    """
    count = batch.sampled
    keys = [design.key for design in batch.designs[:count] if design is not None]
    weight = scored.weight[:count]
    active = batch.trajectory.active
    mean_entropy = batch.trajectory.entropy.sum() / active.sum().clamp(min=1)
    total = float(weight.sum())
    return {
        "reward": float((scored.reward[:count] * weight).sum() / total) if total else math.nan,
        "valid": len(keys) / count,
        "distinct": len(set(keys)) / count,
        "fresh": float(scored.fresh[:count].sum()) / count,
        "unmeasured": float((scored.weight == 0).sum()),
        "entropy": float(mean_entropy),
        "length": float(active.sum() / count),
    }
