"""The settings of the learner, and its kinds: one set of fields under several defaults.

A `[learner]` table is the keyword arguments of one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from designer.signature import Unbounded
from designer.suiting import check

LEARNERS = {
    "reinforce": "designer.learning:Reinforce",
    "ppo": "designer.learning:Ppo",
    "actor_critic": "designer.learning:ActorCritic",
    "natural": "designer.learning:Natural",
    "grpo": "designer.learning:Grpo",
    "dr_grpo": "designer.learning:DrGrpo",
    "risk_seeking": "designer.learning:RiskSeeking",
    "max_at_k": "designer.learning:MaxAtK",
    "entropic": "designer.learning:Entropic",
    "robust": "designer.learning:Robust",
    "coma": "designer.learning:Coma",
    "reinvent": "designer.learning:Reinvent",
    "trajectory_balance": "designer.learning:TrajectoryBalance",
    "elite_balance": "designer.learning:EliteBalance",
}

BaselineName = Literal[
    "none", "running_mean", "batch_mean", "leave_one_out", "critic", "quantile", "entropic",
    "max_at_k", "kl_ball", "mean_variance", "group_scaled", "counterfactual",
]  # fmt: skip
LossName = Literal["policy_gradient", "augmented", "trajectory_balance"]
ImitationName = Literal["likelihood", "augmented", "trajectory_balance"]
OptimiserName = Literal["adam", "sgd"]


@dataclass(frozen=True)
class LearnerSettings:
    """Everything that can be set about learning; the kinds below differ in defaults alone.

    Raises InputError for values out of range and for settings that contradict each other.
    """

    lr: float = 1e-3  # step size of the optimiser
    optimiser: OptimiserName = "adam"  # sgd moves by exactly lr times the gradient
    lr_power: float = 0.0  # step t moves by lr / (1 + t)^power
    critic_lr: float | None = None  # the value head's own step size: two time scales
    critic_lr_power: float = 0.0  # its schedule; at most lr_power, so that the critic stays ahead
    loss: LossName = "policy_gradient"  # augmented: REINVENT's; trajectory_balance: GFlowNets'
    epochs: int = 1  # passes over a batch; 1 is REINFORCE, more is PPO
    minibatches: int = 1  # parts of a batch, an optimiser step each
    clip: float = 0.2  # PPO's bound on the ratio, 1 +- clip; unused by REINFORCE
    baseline: BaselineName = "leave_one_out"
    running_decay: float = 0.9  # how much the running mean keeps of itself
    epsilon: float = 0.05  # share of the batch that the quantile baseline learns from
    eta: float = 1.0  # risk of the entropic baseline: above 0 seeks it, below avoids it
    eta_end: float | None = None  # what eta becomes, straight, in `eta_steps` batches; biased
    eta_steps: int = 1000
    best_of: int = 8  # k of max_at_k: the best of so many designs counts; unbiased
    radius: float = 0.1  # nats that the worst case of kl_ball may lie away; biased
    risk: float = 1.0  # what mean_variance takes off the mean for each unit of variance; biased
    agents: int = 0  # who place parts of one design, for the counterfactual baseline
    agent_steps: int = 0  # steps of each part; 0 = the longest design's in equal parts
    gamma: float = 1.0  # discount of later rewards; below 1 is biased
    gae_lambda: float = 1.0  # the critic's horizon; below 1 is biased, of less variance
    normalise: bool = False  # advantages to mean 0, deviation 1; biased
    per_step: bool = False  # each row's advantage over its length (GRPO's mean); biased
    natural: bool = False  # step along F^-1 gradient, for small policies; biased (a ratio)
    damping: float = 1e-3  # added to F
    shaping: float = 0.0  # weight of the environment's potential as step rewards; unbiased
    entropy: float = 0.01  # weight of the entropy bonus
    entropy_end: float | None = None  # what it becomes, straight, in `entropy_steps`
    entropy_steps: int = 1000  # of the optimiser, imitation included
    entropy_decay: float = 1.0  # the bonus of step t counts decay^t (hierarchical entropy)
    value_weight: float = 0.5  # weight of the critic's squared error; unused without a critic
    kl_weight: float = 0.0  # reward lost a nat of divergence from the prior; needs a prior
    sigma: float = 60.0  # what a reward of 1 adds to the aimed log-likelihood; not policy_gradient
    log_z_lr: float = 0.1  # step size of the learned log Z of trajectory balance
    imitation: ImitationName = "likelihood"
    imitation_weight: float = 1.0  # weight of the imitation loss
    tilt: bool = True  # trajectory balance starts from the prior, where there is one
    sampled: bool = True  # learn from the sampled designs too; False: from replay alone
    max_grad_norm: Unbounded = 1.0  # longer gradients are shortened to this; inf never shortens
    seed: int = 0  # of the shuffling into minibatches

    def __post_init__(self) -> None:
        check(self)


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
class ActorCritic(LearnerSettings):
    """One-step actor-critic (TD error), the critic faster than the actor. **Biased** by what the
    critic is wrong; shaping = 1 adds the task's potential, where it has one.
    """

    baseline: BaselineName = "critic"
    gae_lambda: float = 0.0
    critic_lr: float | None = 1e-2
    value_weight: float = 1.0


@dataclass(frozen=True)
class Natural(LearnerSettings):
    """The natural gradient, by an exact solve; for small policies (hidden = 16, say)."""

    natural: bool = True
    optimiser: OptimiserName = "sgd"
    lr: float = 0.1


@dataclass(frozen=True)
class Grpo(LearnerSettings):
    """Group-relative: reward less the group's mean, over its deviation, over the row's length.

    **Biased** three times: by (K - 1) / K, by the deviation, and by the length; `dr_grpo` has
    neither of the last two.
    """

    baseline: BaselineName = "group_scaled"
    per_step: bool = True
    epochs: int = 4
    minibatches: int = 4


@dataclass(frozen=True)
class DrGrpo(LearnerSettings):
    """GRPO done right (Liu et al. 2025): no deviation, no length. (K - 1) / K of the gradient,
    exactly, in its first step; with baseline = "leave_one_out" all of it.
    """

    baseline: BaselineName = "batch_mean"
    epochs: int = 4
    minibatches: int = 4


@dataclass(frozen=True)
class MaxAtK(LearnerSettings):
    """Raise the expected best of `best_of` designs (PKPO). Unbiased."""

    baseline: BaselineName = "max_at_k"


@dataclass(frozen=True)
class Entropic(LearnerSettings):
    """Exponential utility: eta above 0 for the few best, below 0 for the dependable."""

    baseline: BaselineName = "entropic"
    eta: float = 4.0
    eta_end: float | None = 1.0


@dataclass(frozen=True)
class Robust(LearnerSettings):
    """The worst mean within `radius` nats of the designs' own distribution."""

    baseline: BaselineName = "kl_ball"


@dataclass(frozen=True)
class Coma(LearnerSettings):
    """Several agents place parts of one design, each held against its counterfactual."""

    baseline: BaselineName = "counterfactual"
    agents: int = 4
    critic_lr: float | None = 1e-2


@dataclass(frozen=True)
class RiskSeeking(LearnerSettings):
    """Learn from the best of each batch: the best design counts, not the average one."""

    baseline: BaselineName = "quantile"
    entropy: float = 0.005
    entropy_decay: float = 0.7


@dataclass(frozen=True)
class Reinvent(LearnerSettings):
    """Tilt a prior towards high scores (REINVENT's augmented likelihood); needs a prior."""

    loss: LossName = "augmented"
    imitation: ImitationName = "augmented"
    entropy: float = 0.0
    lr: float = 1e-4


@dataclass(frozen=True)
class TrajectoryBalance(LearnerSettings):
    """Draw designs in proportion to e^(sigma reward), with a learned log Z (GFlowNets)."""

    loss: LossName = "trajectory_balance"
    imitation: ImitationName = "trajectory_balance"
    sigma: float = 30.0
    entropy: float = 0.0


@dataclass(frozen=True)
class EliteBalance(TrajectoryBalance):
    """Trajectory balance on the best found alone: the learner of Genetic GFN (Kim et al. 2024).

    Needs `campaign.replay`; with `campaign.rounds` = 8 as there. A prior is where it begins, not
    what it stays near to (`tilt = true` does that). **Biased**: what was sampled teaches only if
    it is among the best. arXiv 2402.05961
    """

    sampled: bool = False
    tilt: bool = False
    sigma: float = 50.0
    lr: float = 5e-4
