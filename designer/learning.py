"""The settings of the learner, and its kinds: one set of fields under several defaults.

A `[learner]` table is the keyword arguments of one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from designer.errors import InputError

LEARNERS = {
    "reinforce": "designer.learning:Reinforce",
    "ppo": "designer.learning:Ppo",
    "risk_seeking": "designer.learning:RiskSeeking",
    "reinvent": "designer.learning:Reinvent",
}


@dataclass(frozen=True)
class LearnerSettings:
    """Everything that can be set about learning; the kinds below differ in defaults alone.

    Raises InputError for values out of range and for settings that contradict each other.
    """

    lr: float = 1e-3  # step size of the optimiser
    optimiser: Literal["adam", "sgd"] = "adam"  # sgd moves by exactly lr times the gradient
    loss: Literal["policy_gradient", "augmented"] = "policy_gradient"  # augmented: REINVENT's
    epochs: int = 1  # passes over a batch; 1 is REINFORCE, more is PPO
    minibatches: int = 1  # parts of a batch, an optimiser step each
    clip: float = 0.2  # PPO's bound on the ratio, 1 +- clip; unused by REINFORCE
    baseline: Literal[
        "none", "running_mean", "batch_mean", "leave_one_out", "critic", "quantile", "entropic"
    ] = "leave_one_out"
    running_decay: float = 0.9  # how much the running mean keeps of itself
    epsilon: float = 0.05  # share of the batch that the quantile baseline learns from
    eta: float = 1.0  # risk of the entropic baseline: above 0 seeks it, below avoids it
    gamma: float = 1.0  # discount of later rewards; below 1 is biased
    gae_lambda: float = 1.0  # the critic's horizon; below 1 is biased, of less variance
    normalise: bool = False  # advantages to mean 0, deviation 1; biased
    shaping: float = 0.0  # weight of the environment's potential as step rewards; unbiased
    entropy: float = 0.01  # weight of the entropy bonus
    entropy_decay: float = 1.0  # the bonus of step t counts decay^t (hierarchical entropy)
    value_weight: float = 0.5  # weight of the critic's squared error; unused without a critic
    kl_weight: float = 0.0  # reward lost a nat of divergence from the prior; needs a prior
    sigma: float = 60.0  # what a reward of 1 adds to the prior's log-likelihood, if augmented
    imitation: Literal["likelihood", "augmented"] = "likelihood"  # how given designs are learned
    imitation_weight: float = 1.0  # weight of the imitation loss
    max_grad_norm: float = 1.0  # longer gradients are shortened to this; inf never shortens
    seed: int = 0  # of the shuffling into minibatches

    def __post_init__(self) -> None:
        for name in ("lr", "epochs", "minibatches", "clip", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise InputError(f"learner: {name} is {getattr(self, name)}, expected above 0")
        for name in ("entropy", "value_weight", "kl_weight", "imitation_weight", "shaping"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"learner: {name} is {getattr(self, name)}, expected 0 or more")
        for name in ("gamma", "gae_lambda", "entropy_decay", "running_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"learner: {name} is {getattr(self, name)}, expected 0 to 1")
        if self.normalise and self.baseline == "quantile":
            raise InputError(
                "learner: normalise would teach away from every row below the quantile; "
                "set normalise = false, or another baseline"
            )


@dataclass(frozen=True)
class Reinforce(LearnerSettings):
    """One unbiased step a batch, each design compared with the others (leave-one-out)."""


@dataclass(frozen=True)
class Ppo(LearnerSettings):
    """Several clipped steps a batch, for oracles that cost more than learning."""

    epochs: int = 4
    minibatches: int = 4
    normalise: bool = True


@dataclass(frozen=True)
class RiskSeeking(LearnerSettings):
    """Learn from the best of each batch: the best design counts, not the average one."""

    baseline: Literal[
        "none", "running_mean", "batch_mean", "leave_one_out", "critic", "quantile", "entropic"
    ] = "quantile"
    entropy: float = 0.005
    entropy_decay: float = 0.7


@dataclass(frozen=True)
class Reinvent(LearnerSettings):
    """Tilt a prior towards high scores (REINVENT's augmented likelihood); needs a prior."""

    loss: Literal["policy_gradient", "augmented"] = "augmented"
    imitation: Literal["likelihood", "augmented"] = "augmented"
    entropy: float = 0.0
    lr: float = 1e-4
