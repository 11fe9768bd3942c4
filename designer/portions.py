"""As many rows at a time as the device's memory holds, with the gradient of the whole batch.

A loss sees three numbers of each step: log-probability, entropy, value. Where a batch does not
fit, these are computed portion by portion without a graph, the loss is differentiated by them,
and each portion is run again, with its graph, and given its share of that gradient. So every
loss has the gradient of the whole batch, up to rounding, at the price of a second forward pass
(gradient caching, Gao et al. 2021, arXiv 2101.06983).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from designer.protocols import Policy, Trajectory
from designer.rollout import evaluate, with_prior

SEEN = ("log_prob", "entropy", "value")  # what losses are functions of
T = TypeVar("T")


class Portions:
    """How many rows go at a time: `rows`, 0 for all; halved where memory runs out."""

    def __init__(self) -> None:
        self.rows = self.halvings = 0

    def fitted(self, work: Callable[[], T], count: int) -> T:
        """Return what `work` on `count` rows returns, in portions that fit.

        Raises torch.OutOfMemoryError where a single row is too much. Never moves to the CPU.
        """
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                size = min(self.rows or count, count)
                if size <= 1:
                    raise
            # out of the `except`: its traceback would keep the graph alive
            self.rows, self.halvings = (size + 1) // 2, self.halvings + 1
            torch.cuda.empty_cache()

    def cuts(self, count: int) -> list[slice]:
        """Return the portions of `count` rows; one where all fit."""
        size = self.rows or max(count, 1)
        return [slice(i, i + size) for i in range(0, max(count, 1), size)]

    def evaluate(self, policy: Policy, trajectory: Trajectory) -> Trajectory:
        """Return what `rollout.evaluate` does. In portions, what losses see are leaves: after
        `backward`, `pull` hands their gradients on to the policy."""
        cuts = self.cuts(len(trajectory.actions))
        if len(cuts) == 1:
            return evaluate(policy, trajectory)
        with torch.no_grad():
            parts = [evaluate(policy, trajectory.rows(cut)) for cut in cuts]
            seen = {name: torch.cat([getattr(p, name) for p in parts]) for name in SEEN}
        return trajectory.replace(**{k: v.requires_grad_() for k, v in seen.items()})

    def pull(self, policy: Policy, now: Trajectory) -> None:
        """Add to the policy's gradients what the leaves of `evaluate` were given."""
        cuts = self.cuts(len(now.actions))
        for cut in cuts if len(cuts) > 1 else ():
            again = evaluate(policy, now.rows(cut))
            pairs = [(getattr(again, name), getattr(now, name).grad) for name in SEEN]
            pairs = [(out, g[cut]) for out, g in pairs if g is not None and out.requires_grad]
            if pairs:
                torch.autograd.backward(*zip(*pairs, strict=True))  # type: ignore[arg-type]

    def gradients(
        self, loss: Tensor, parameters: Sequence[Tensor], policy: Policy, now: Trajectory
    ) -> list[Tensor | None]:
        """Return the gradient of a loss of values by some parameters; None where it is 0."""
        cuts = self.cuts(len(now.actions))
        if len(cuts) == 1:
            return list(torch.autograd.grad(loss, list(parameters), allow_unused=True))
        leaves = [*parameters, now.value]
        *direct, through = torch.autograd.grad(loss, leaves, allow_unused=True)
        found: list[Tensor | None] = list(direct)
        for cut in cuts if through is not None else ():
            value = evaluate(policy, now.rows(cut)).value
            more = torch.autograd.grad(value, list(parameters), through[cut], allow_unused=True)
            found = [added(one, two) for one, two in zip(found, more, strict=True)]
        return found

    def with_prior(self, trajectory: Trajectory, prior: Policy) -> Trajectory:
        """Return the trajectory with the prior's log-probabilities, where it has none yet."""
        cuts = self.cuts(len(trajectory.actions))
        if len(cuts) == 1 or trajectory.prior_log_prob is not None:
            return with_prior(trajectory, prior)
        parts = [with_prior(trajectory.rows(cut), prior).prior_log_prob for cut in cuts]
        return trajectory.replace(prior_log_prob=torch.cat([p for p in parts if p is not None]))

    def figures(self, device: torch.device) -> dict[str, Tensor]:
        """Return how often memory ran out and the rows at a time; nothing where it never did."""
        told = {"halvings": self.halvings, "rows_at_a_time": self.rows} if self.halvings else {}
        return {name: torch.tensor(float(value), device=device) for name, value in told.items()}

    @property
    def told(self) -> str:
        """What a person is told; nothing where memory never ran out."""
        times = f"memory ran out {self.halvings} times" if self.halvings else ""
        return times and f"{times}; the learner takes {self.rows} rows at a time"

    def state(self) -> Tensor:
        """Return the counts for a checkpoint."""
        return torch.tensor([self.rows, self.halvings])

    def restore(self, state: Tensor) -> None:
        """Go back to a checkpoint."""
        self.rows, self.halvings = (int(count) for count in state)


def added(one: Tensor | None, two: Tensor | None) -> Tensor | None:
    """Return the sum of two gradients, None where there is neither."""
    return two if one is None else one if two is None else one + two
