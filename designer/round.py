"""One round of a campaign: what was asked for, and what the record says of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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


@dataclass
class Outstanding:
    """Designs that people are measuring, by the numbers they were given: "1", "2", ...

    `batch` is the one asked for last, of which nothing is told yet; `late` is what was left blank
    when earlier ones were told.
    """

    batch: Batch | None = None
    late: dict[str, Any] = field(default_factory=dict)
    numbered: int = 0  # designs that were given a number so far

    def ask(self, batch: Batch) -> None:
        """Number the designs of a new batch, and wait for them."""
        self.batch = batch
        self.numbered += sum(design is not None for design in batch.designs)

    def newest(self) -> dict[str, Any]:
        """Return the designs of the batch by number."""
        held = [] if self.batch is None else [d for d in self.batch.designs if d is not None]
        return {str(n): d for n, d in enumerate(held, self.numbered - len(held) + 1)}

    def designs(self) -> dict[str, Any]:
        """Return all that wait, by number."""
        return self.late | self.newest()

    def take(self, told: Collection[str]) -> Asked:
        """Return what is told by these keys, and wait for the rest.

        That is the whole batch where any of it is told, with the late ones after it.
        """
        late = [design for design in self.late.values() if design.key in told]
        asked = Asked([], late)
        if self.batch is not None and any(d.key in told for d in self.newest().values()):
            asked = replace(self.batch, designs=[*self.batch.designs, *late])
            self.late, self.batch = self.designs(), None
        self.late = {n: design for n, design in self.late.items() if design.key not in told}
        return asked

    def plain(self) -> dict[str, Any]:
        """Return what a checkpoint needs to wait for the same again."""
        batch = None if self.batch is None else self.batch.plain()
        late = {number: design.text for number, design in self.late.items()}
        return {"batch": batch, "late": late, "numbered": self.numbered}


def rows(asked: Asked, scored: Scored) -> list[DesignRow]:
    """Return a row of the record for each design."""
    return [
        DesignRow(design and design.key, float(reward), float(weight), row >= asked.sampled)
        for row, (design, reward, weight) in enumerate(
            zip(asked.designs, scored.reward, scored.weight, strict=True)
        )
    ]


def figures(batch: Asked, scored: Scored) -> dict[str, float]:
    """Return what the sampled rows look like, if any: reward, variety, entropy and length.

    `reward` is NaN where none of them was measured; `unmeasured` counts proposals too.
    """
    if not isinstance(batch, Batch):
        return {"unmeasured": float((scored.weight == 0).sum())}
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
