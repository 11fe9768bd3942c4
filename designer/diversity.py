"""The diversity filter: designs of a class that was rewarded often earn less.

What it takes off, it takes off wherever the search learns from a reward: the policy's own update,
the elites that are replayed, and the parents that a proposer breeds from. What is recorded and
reported keeps the reward that was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import erf, exp, pi, sqrt, tanh
from typing import Any

import numpy as np

from designer.errors import InputError
from designer.protocols import Floats, Task
from designer.settings import BucketShape, Settings

# the share that is left, of how full a class is
SHAPES: dict[BucketShape, Callable[[float], float]] = {
    "step": lambda full: float(full < 1),
    "linear": lambda full: max(0.0, 1 - full),
    "sigmoid": lambda full: 1 / (1 + exp(min((2 * full - 1) / 0.15, 700.0))),
    "erf": lambda full: 1 - erf(sqrt(pi) * full),
    "tanh": lambda full: 1 - tanh(3 * full),
}


class DiversityFilter:
    """Takes from the reward of a design what its class was rewarded with before.

    `bucket` names the class of a design (its Murcko scaffold, say). A class is full once `size`
    of its members were rewarded, a design counting every time it comes; the next one keeps
    `SHAPES[shape]` of its reward. Blaschke et al. 2020, J. Cheminform. 12:68 (step is its form);
    softer shapes after Svensson et al. 2024, arXiv 2410.10431.
    """

    def __init__(
        self,
        bucket: Callable[[Any], str],
        *,
        size: int = 25,
        least: float = 0.4,
        shape: BucketShape = "step",
    ) -> None:
        self.bucket, self.size, self.least, self.left = bucket, size, least, SHAPES[shape]
        self._seen: dict[str, int] = {}

    def __call__(self, designs: Sequence[Any], reward: Floats, weight: Floats) -> Floats:
        """Return [B] the share of each reward that is left, 0 to 1, counting the rows in order.

        Only measured rewards of `least` or more are counted and lowered; the others keep all.
        """
        share = np.ones(len(reward))
        for row in np.flatnonzero((reward >= self.least) & (weight > 0)).tolist():
            if designs[row] is None:
                continue
            name = self.bucket(designs[row])
            seen = self._seen.get(name, 0)
            self._seen[name] = seen + 1
            share[row] = self.left(seen / self.size)
        return share

    def state(self) -> dict[str, int]:
        """Return plain data for a checkpoint."""
        return dict(self._seen)

    def restore(self, state: Mapping[str, int]) -> None:
        """Go back to a checkpoint."""
        self._seen = dict(state)


def lowered(reward: Floats, share: Floats) -> Floats:
    """Return [B] the rewards with only `share` of them left; what is 0 or less stays as it is."""
    return np.where((share < 1) & (reward > 0), reward * share, reward)


def diversity_filter(task: Task, settings: Settings) -> DiversityFilter | None:
    """Return the filter that the settings ask for, None where they ask for none.

    Raises InputError where the task names no classes of designs.
    """
    if settings.bucket_size == 0:
        return None
    if task.bucket is None:
        raise InputError(
            f"bucket_size is {settings.bucket_size}, and task {task.name!r} names no classes of "
            "designs; leave it out"
        )
    s = settings
    return DiversityFilter(
        task.bucket, size=s.bucket_size, least=s.bucket_from, shape=s.bucket_shape
    )
