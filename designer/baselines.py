"""What a reward is compared with: modules that turn returns into advantages.

They are modules so that what they remember (a running mean) is a buffer, saved and restored with
everything else; a baseline kept in a local variable would start anew at every step. `forward`
never changes a buffer: `observe` does, after learning, so a baseline is always the *previous*
value and never holds the reward that it is compared with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from designer import credit
from designer.errors import InputError

BASELINES = {
    "none": "designer.baselines:NoBaseline",
    "running_mean": "designer.baselines:RunningMean",
    "batch_mean": "designer.baselines:BatchMean",
    "leave_one_out": "designer.baselines:LeaveOneOut",
    "critic": "designer.baselines:Critic",
    "quantile": "designer.baselines:Quantile",
    "entropic": "designer.baselines:Entropic",
}


@dataclass(frozen=True)
class Earned:
    """What a batch earned. K = 1 where one number holds for all steps of a row, else K = T."""

    rewards: Tensor  # [B, T] paid at each step
    returns: Tensor  # [B, K] still to be earned from each step on
    value: Tensor  # [B, T] what the policy expected; 0 where inactive
    weight: Tensor  # [B]
    counted: Tensor  # [B, K] the weight where `returns` counts, else 0
    group: Tensor | None = None  # [B] int64, rows that share a baseline

    @property
    def score(self) -> Tensor:
        """Return [B], what each row earned from its first step on."""
        return self.returns[:, 0]


class Baseline(nn.Module, ABC):
    """Advantages from returns. `biased` tells whether the mean gradient is the exact one."""

    biased = False
    needs_value = False  # True where the policy's value head must be trained

    @abstractmethod
    def forward(self, earned: Earned) -> Tensor:
        """Return advantages, [B, 1] or [B, T]."""

    def observe(self, earned: Earned) -> None:
        """Remember what must be remembered, once the batch has been learned from."""


class NoBaseline(Baseline):
    """The return itself: unbiased, of the largest variance."""

    def forward(self, earned: Earned) -> Tensor:
        """Return the returns."""
        return earned.returns


class RunningMean(Baseline):
    """The mean of earlier batches, forgotten at rate 1 - decay; 0 before the first. Unbiased."""

    mean: Tensor
    mass: Tensor

    def __init__(self, decay: float = 0.9) -> None:
        super().__init__()
        self.decay = _share("decay", decay)
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mass", torch.zeros((), dtype=torch.float64))  # weight seen so far

    def forward(self, earned: Earned) -> Tensor:
        """Return the returns less the mean of earlier batches."""
        seen = torch.where(self.mass > 0, self.mean / self.mass.clamp_min(1e-12), 0.0)
        return earned.returns - seen.to(earned.returns)

    @torch.no_grad()
    def observe(self, earned: Earned) -> None:
        """Take the batch's mean in; a batch without any weight changes nothing."""
        new = credit.mean(earned.score, earned.weight).to(self.mean)
        any_weight = (earned.weight.sum() > 0).to(self.mean.device)
        mean = self.decay * self.mean + (1 - self.decay) * new
        mass = self.decay * self.mass + (1 - self.decay)
        self.mean.copy_(torch.where(any_weight, mean, self.mean))
        self.mass.copy_(torch.where(any_weight, mass, self.mass))


class BatchMean(Baseline):
    """The mean of the row's group, itself included. **Biased** by the factor (K - 1) / K."""

    biased = True

    def forward(self, earned: Earned) -> Tensor:
        """Return the returns less the group's mean."""
        return earned.returns - credit.batch_mean(earned.returns, earned.counted, earned.group)


class LeaveOneOut(Baseline):
    """The mean of the other rows of the group. Unbiased, and the default."""

    def forward(self, earned: Earned) -> Tensor:
        """Return the returns less the mean of the others."""
        return earned.returns - credit.leave_one_out(earned.returns, earned.counted, earned.group)


class Critic(Baseline):
    """The policy's value head, with generalised advantages. Unbiased at lam = 1 only."""

    needs_value = True

    def __init__(self, gamma: float = 1.0, lam: float = 1.0) -> None:
        super().__init__()
        self.gamma, self.lam = _share("gamma", gamma), _share("lam", lam)
        self.biased = lam < 1.0

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, T] generalised advantages."""
        return credit.gae(earned.rewards, earned.value, self.gamma, self.lam)


class Quantile(Baseline):
    """Only the best share `epsilon` teaches (risk-seeking). **Biased**: the quantile is sampled."""

    biased = True

    def __init__(self, epsilon: float = 0.05) -> None:
        super().__init__()
        self.epsilon = epsilon
        if not 0.0 < epsilon <= 1.0:
            raise InputError(f"epsilon is {epsilon}, expected a share above 0 and at most 1")

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, 1]: the excess over the quantile, divided by epsilon."""
        return credit.quantile_advantage(earned.score, earned.weight, self.epsilon).unsqueeze(1)


class Entropic(Baseline):
    """Exponential utility at `eta`: above 0 seeks risk, below avoids it. **Biased** at 1 / B."""

    biased = True

    def __init__(self, eta: float = 1.0) -> None:
        super().__init__()
        self.eta = eta

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, 1]: how much the row's share of the utility exceeds its share of the batch."""
        return credit.entropic_advantage(earned.score, earned.weight, self.eta).unsqueeze(1)


def _share(name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{name} is {value}, expected 0 to 1")
    return value
