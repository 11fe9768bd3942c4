"""What a reward is compared with: modules that turn returns into advantages.

They are modules so that what they remember (a running mean) is a buffer, saved and restored with
everything else; a baseline kept in a local variable would start anew at every step. `forward`
never changes a buffer: `observe` does, after learning, so a baseline is always the *previous*
value and never holds the reward that it is compared with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from designer import counterfactual, credit, risk
from designer.errors import InputError, nearest
from designer.learning import LearnerSettings


@dataclass(frozen=True)
class Earned:
    """What a batch earned. K = 1 where one number holds for all steps of a row, else K = T."""

    rewards: Tensor  # [B, T] paid at each step
    returns: Tensor  # [B, K] still to be earned from each step on
    value: Tensor  # [B, T] what the policy expected; 0 where inactive
    weight: Tensor  # [B]
    counted: Tensor  # [B, K] the weight where `returns` counts, else 0
    group: Tensor | None = None  # [B] int64, rows that share a baseline
    taken: Tensor | None = None  # [B, T] what the critic of actions says of those taken
    expected: Tensor | None = None  # [B, T] and of the policy's own, on average

    @property
    def score(self) -> Tensor:
        """Return [B], what each row earned from its first step on."""
        return self.returns[:, 0]


class Baseline(nn.Module, ABC):
    """Advantages from returns. `biased` tells whether the mean gradient is the exact one."""

    biased = False
    needs_value = False  # True where the policy's value head must be trained
    needs_actions = False  # True where a critic of actions must be trained

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
    """Exponential utility at `eta`: above 0 seeks risk, below avoids it. **Biased** at 1 / B.

    With `eta_end` it goes there, straight, while `eta_steps` batches are learned from.
    """

    biased = True
    seen: Tensor

    def __init__(
        self, eta: float = 1.0, eta_end: float | None = None, eta_steps: int = 1000
    ) -> None:
        super().__init__()
        self.eta, self.eta_end, self.eta_steps = eta, eta_end, eta_steps
        if eta_end is not None:
            self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, 1]: how much the row's share of the utility exceeds its share of the batch."""
        eta: float | Tensor = self.eta
        if self.eta_end is not None:
            eta = risk.annealed(self.eta, self.eta_end, self.eta_steps, self.seen)
        return credit.entropic_advantage(earned.score, earned.weight, eta).unsqueeze(1)

    @torch.no_grad()
    def observe(self, earned: Earned) -> None:
        """Count the batch, unless it is without any weight."""
        if self.eta_end is not None:
            self.seen.add_((earned.weight.sum() > 0).to(self.seen))


class MaxAtK(Baseline):
    """The expected best of `k` designs (PKPO). Unbiased."""

    def __init__(self, k: int = 8) -> None:
        super().__init__()
        self.k = k

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, 1]: what the row adds to the best of k, over all subsets of the batch."""
        return risk.max_at_k_advantage(earned.score, earned.weight, self.k).unsqueeze(1)


class KlBall(Baseline):
    """The worst mean within `radius` nats of the sampled designs' distribution.

    The dual of exponential utility, at the eta <= 0 which that radius asks for. **Biased** at
    1 / B; radius 0 is the batch's mean, (B - 1) / B of the plain gradient.
    """

    biased = True

    def __init__(self, radius: float = 0.1) -> None:
        super().__init__()
        self.radius = radius

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, 1] the advantages at the radius' own eta."""
        _, eta = risk.worst_in_ball(earned.score, earned.weight, self.radius)
        return credit.entropic_advantage(earned.score, earned.weight, eta).unsqueeze(1)


class MeanVariance(Baseline):
    """Mean less `penalty` times variance: what comes out alike each time. **Biased** at 1 / B."""

    biased = True

    def __init__(self, penalty: float = 1.0) -> None:
        super().__init__()
        self.penalty = penalty

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, 1]."""
        advantage = risk.mean_variance_advantage(earned.score, earned.weight, self.penalty)
        return advantage.unsqueeze(1)


class GroupScaled(Baseline):
    """The group's mean taken off, then divided by its deviation (GRPO). **Biased**."""

    biased = True

    def forward(self, earned: Earned) -> Tensor:
        """Return the returns, group by group at mean 0 and deviation 1."""
        return credit.group_scaled(earned.returns, earned.counted, earned.group)


class Counterfactual(Baseline):
    """COMA: each agent's choice against its policy's average choice, the others' as they were.

    Unbiased at lam = 1 for any critic; else **biased** as far as the critic is wrong.
    """

    needs_actions = True  # a critic of every action

    def __init__(self, lam: float = 1.0) -> None:
        super().__init__()
        self.lam = _share("lam", lam)
        self.biased = lam < 1.0

    def forward(self, earned: Earned) -> Tensor:
        """Return [B, T]; raises InputError where nobody gave a critic of actions."""
        if earned.taken is None or earned.expected is None:
            raise InputError(
                "the counterfactual baseline needs a critic of actions; use it through the "
                "learner (baseline = 'counterfactual'), or take baseline = 'leave_one_out'"
            )
        return counterfactual.counterfactual_advantage(
            earned.returns, earned.taken, earned.expected, self.lam
        )


BASELINES: dict[str, Callable[[LearnerSettings], Baseline]] = {
    "none": lambda s: NoBaseline(),
    "running_mean": lambda s: RunningMean(s.running_decay),
    "batch_mean": lambda s: BatchMean(),
    "leave_one_out": lambda s: LeaveOneOut(),
    "critic": lambda s: Critic(s.gamma, s.gae_lambda),
    "quantile": lambda s: Quantile(s.epsilon),
    "entropic": lambda s: Entropic(s.eta, s.eta_end, s.eta_steps),
    "max_at_k": lambda s: MaxAtK(s.best_of),
    "kl_ball": lambda s: KlBall(s.radius),
    "mean_variance": lambda s: MeanVariance(s.risk),
    "group_scaled": lambda s: GroupScaled(),
    "counterfactual": lambda s: Counterfactual(s.gae_lambda),
}


def named(s: LearnerSettings) -> Baseline:
    """Return the baseline that the settings name; raises InputError for an unknown name."""
    if s.baseline not in BASELINES:
        hint = nearest(s.baseline, BASELINES)
        raise InputError(f"learner: baseline {s.baseline!r} is unknown; {hint}")
    return BASELINES[s.baseline](s)


def _share(name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{name} is {value}, expected 0 to 1")
    return value
