"""Learners whose gradient goes through the design: `[learner] kind = "pathwise"`, dpg, gumbel.

Each kind is its settings; what learns by them is in `designer.through` and
`designer.learnedcritic`. `biased` says, a line each, what is biased by design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from designer import pathwise
from designer.errors import InputError
from designer.learnedcritic import ThroughCritic
from designer.objective import Objective
from designer.signature import Unbounded
from designer.suiting import check_ranges
from designer.through import PathLearner, ThroughChoices, ThroughNumbers, ThroughValues

DIFFERENTIABLE = {
    "pathwise": "designer.differentiable:Pathwise",
    "dpg": "designer.differentiable:Dpg",
    "gumbel": "designer.differentiable:Gumbel",
}


@dataclass(frozen=True)
class Pathwise:
    """Reparameterised gradients of the mean reward over Gaussian values. Unbiased.

    Where choices of another kind come with the values (the tokens of an equation), these learn by
    the score function, each row against the others, and the values through the oracle. **Biased**
    where the reward jumps: at values for which a design becomes inadmissible.
    """

    lr: float = 1e-3
    entropy: float = 0.0  # weight of the entropy bonus
    imitation_weight: float = 1.0
    max_grad_norm: Unbounded = 1.0
    seed: int = 0

    biased = ()

    def __post_init__(self) -> None:
        check_ranges(self, above=("lr", "max_grad_norm"), least=("entropy", "imitation_weight"))

    def learner(self, policy: Any, env: Any, objective: Objective) -> PathLearner:
        """Return the learner; raises InputError where the task or an oracle does not fit."""
        if getattr(env, "num_values", 0) and getattr(env, "unseen", False):
            return ThroughNumbers(policy, self, env, pathwise.relaxed_reward(objective))
        _check_values(env, "pathwise")
        return ThroughValues(policy, self, env, pathwise.relaxed_reward(objective))


@dataclass(frozen=True)
class Dpg:
    """Deterministic policy gradients: only the mean of the values is learned.

    With critic "exact" the derivative is the oracles' own, at the policy's means. With "learned"
    it is that of a network trained by one-step temporal differences on noisy designs, with slow
    target networks; no derivative of the oracle is needed. **Biased**: the mean design's reward
    is climbed, which is the mean reward up to order deviation^2, and a learned critic errs.
    """

    lr: float = 1e-3
    critic: Literal["exact", "learned"] = "exact"
    critic_lr: float = 1e-2  # well above lr, or the policy runs where the critic knows nothing
    critic_hidden: int = 64
    critic_epochs: int = 8  # steps of the critic a batch
    polyak: float = 0.1  # how far the targets move a step
    imitation_weight: float = 1.0
    max_grad_norm: Unbounded = 1.0
    seed: int = 0

    @property
    def biased(self) -> tuple[str, ...]:
        """What is biased by design, a line each."""
        lines = ("dpg: the reward of the mean design is climbed, order deviation^2",)
        learned = (*lines, "critic learned: as far as it is wrong")
        return learned if self.critic == "learned" else lines

    def __post_init__(self) -> None:
        above = ("lr", "critic_lr", "critic_hidden", "critic_epochs", "polyak", "max_grad_norm")
        check_ranges(self, above=above, least=("imitation_weight",))
        if self.polyak > 1:
            raise InputError(f"learner: polyak is {self.polyak}, expected above 0 and at most 1")

    def learner(self, policy: Any, env: Any, objective: Objective) -> PathLearner:
        """Return the learner; raises InputError where the task or an oracle does not fit."""
        if self.critic == "learned":
            _check_real(env, "dpg")
            return ThroughCritic(policy, self, env)
        _check_values(env, "dpg with critic = 'exact'")
        return ThroughValues(policy, self, env, pathwise.relaxed_reward(objective), still=True)


@dataclass(frozen=True)
class Gumbel:
    """Gumbel-softmax over the choices of a design of fixed length. **Biased** by `tau`.

    `hard` is the straight-through form: the oracle sees the designs that were sampled. `tau`
    moves to `tau_end` geometrically over `tau_steps` batches.
    """

    lr: float = 1e-3
    tau: float = 1.0
    tau_end: float = 0.3
    tau_steps: int = 200
    hard: bool = True
    entropy: float = 0.0
    imitation_weight: float = 1.0
    max_grad_norm: Unbounded = 1.0
    seed: int = 0

    @property
    def biased(self) -> tuple[str, ...]:
        """What is biased by design, a line each."""
        form = "straight-through" if self.hard else "soft"
        return (f"gumbel, tau {self.tau} to {self.tau_end}: {form} choices",)

    def __post_init__(self) -> None:
        above = ("lr", "tau", "tau_end", "tau_steps", "max_grad_norm")
        check_ranges(self, above=above, least=("entropy", "imitation_weight"))

    def learner(self, policy: Any, env: Any, objective: Objective) -> PathLearner:
        """Return the learner; raises InputError where the task or an oracle does not fit."""
        relaxable = getattr(env, "relaxable", None)
        reason = "has no relaxed form" if relaxable is None else relaxable()
        if reason:
            raise InputError(
                f"learner: kind 'gumbel' needs designs of fixed length that are read as "
                f"probabilities, and this task {reason}; {pathwise.INSTEAD}"
            )
        return ThroughChoices(policy, self, env, pathwise.relaxed_reward(objective))


def _check_real(env: Any, kind: str) -> None:
    if not getattr(env, "num_values", 0):
        raise InputError(
            f"learner: kind {kind!r} needs choices that are real numbers, and this task has none; "
            f"take kind = 'gumbel' where its oracle has a relaxed form, or {pathwise.INSTEAD}"
        )


def _check_values(env: Any, kind: str) -> None:
    _check_real(env, kind)
    if not getattr(env, "differentiable", False) or env.num_actions > 1:
        raise InputError(
            f"learner: kind {kind!r} needs a task that is smooth in its values all the way, and "
            f"this one is not (its choices or observations jump); {pathwise.INSTEAD}, or kind = "
            "'dpg' with critic = 'learned'"
        )
