"""What one optimiser step learns from, and how a batch is cut into several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from designer.baselines import Earned
from designer.learning import LearnerSettings
from designer.protocols import Trajectory, rows_of


@dataclass(frozen=True)
class Minibatch:
    """Some rows of a batch, or all of them, and what they are credited with."""

    trajectory: Trajectory
    advantage: Tensor  # [B, T], 0 where inactive
    target: Tensor  # [B, 1] or [B, T]
    earned: Earned

    def rows(self, index: Tensor) -> Minibatch:
        """Return some of the rows."""
        return Minibatch(
            self.trajectory.rows(index),
            self.advantage[index],
            self.target[index],
            rows_of(self.earned, index),
        )


def parts(batch: Minibatch, s: LearnerSettings, generator: torch.Generator) -> Iterator[Minibatch]:
    """Yield the whole batch or shuffled minibatches, `epochs` times."""
    count = len(batch.earned.weight)
    for _ in range(s.epochs):
        if s.minibatches == 1:
            yield batch
            continue
        order = torch.randperm(count, generator=generator).to(batch.earned.weight.device)
        for rows in order.chunk(s.minibatches):
            yield batch.rows(rows)


def averaged(metrics: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the means over optimiser steps, and the sum of `skipped`."""
    columns = {name: torch.stack([step[name] for step in metrics]) for name in metrics[0]}
    return {k: v.sum() if k == "skipped" else v.mean() for k, v in columns.items()}
