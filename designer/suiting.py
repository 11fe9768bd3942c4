"""Which settings of the learner suit each other, and which of them are biased.

What does not fit is refused with the reason and what to take instead; what is biased is named,
so that a run's manifest and its `--json` object can say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from designer.errors import InputError

if TYPE_CHECKING:
    from designer.learning import LearnerSettings

AIMS = ("quantile", "entropic", "max_at_k", "kl_ball", "mean_variance")
INFINITE = float("inf")
STEEPEST = 10.0  # power of a schedule; a few dozen would leave the range of numbers in a long run
LARGEST = 1e30  # of a step size: weights are float32


def check(s: LearnerSettings) -> None:
    """Raise InputError for values out of range and for settings that contradict each other."""
    above = ("lr", "epochs", "minibatches", "clip", "max_grad_norm", "log_z_lr", "sigma")
    least = ("entropy", "value_weight", "kl_weight", "imitation_weight", "shaping", "damping")
    check_ranges(
        s,
        above=(*above, "best_of", "eta_steps", "entropy_steps"),
        least=(*least, "risk", "radius", "lr_power", "critic_lr_power", "agents", "agent_steps"),
    )
    if s.entropy_end is not None and not 0 <= s.entropy_end < INFINITE:
        raise InputError(f"learner: entropy_end is {s.entropy_end}, expected 0 or more")
    for name in ("gamma", "gae_lambda", "entropy_decay", "running_decay"):
        if not 0 <= getattr(s, name) <= 1:
            raise InputError(f"learner: {name} is {getattr(s, name)}, expected 0 to 1")
    if not 0 < s.epsilon <= 1:
        raise InputError(f"epsilon is {s.epsilon}, expected a share above 0 and at most 1")
    _check_advantages(s)
    _check_agents(s)
    _check_rates(s)
    _check_natural(s)


def check_ranges(settings: Any, above: Sequence[str], least: Sequence[str]) -> None:
    """Raise InputError where one of `above` is not above 0, one of `least` is below it, or the
    seed is none that a generator takes."""
    if not 0 <= settings.seed < 2**63:
        raise InputError(f"learner: seed is {settings.seed}, expected 0 or more, below 2**63")
    for name in above:
        if not getattr(settings, name) > 0:
            raise InputError(f"learner: {name} is {getattr(settings, name)}, expected above 0")
    for name in least:
        if not 0 <= getattr(settings, name) < INFINITE:
            raise InputError(f"learner: {name} is {getattr(settings, name)}, expected 0 or more")
    for name in ("lr", "critic_lr", "log_z_lr"):
        if (getattr(settings, name, None) or 0.0) > LARGEST:
            value = getattr(settings, name)
            raise InputError(f"learner: {name} is {value}, expected at most {LARGEST:g}")


def _check_advantages(s: LearnerSettings) -> None:
    if s.normalise and s.baseline == "quantile":
        raise InputError(
            "learner: normalise would teach away from every row below the quantile; "
            "set normalise = false, or another baseline"
        )
    if s.normalise and s.baseline == "group_scaled":
        raise InputError(
            "learner: baseline 'group_scaled' is normalised already, group by group; "
            "set normalise = false, or baseline = 'leave_one_out'"
        )
    if s.loss != "policy_gradient":
        lost = {
            f"baseline {s.baseline!r}": s.baseline not in ("leave_one_out", "none"),
            "kl_weight": s.kl_weight > 0,
            "normalise": s.normalise,
            "natural": s.natural,
        }
        for name, asked in lost.items():
            if asked:
                raise InputError(
                    f"learner: {name} has no effect on loss {s.loss!r}, which compares whole "
                    "designs with their aimed likelihood; leave it out, or take "
                    "loss = 'policy_gradient'"
                )
    if s.shaping > 0 and s.baseline in AIMS:
        raise InputError(
            f"learner: shaping moves credit between steps, and baseline {s.baseline!r} gives all "
            "steps of a design one number; take baseline = 'critic' or 'leave_one_out'"
        )


def _check_agents(s: LearnerSettings) -> None:
    if s.baseline == "counterfactual" and s.agents < 2:
        raise InputError(
            f"learner: agents is {s.agents}, and a counterfactual baseline needs at least 2; with "
            "one agent take baseline = 'critic', which is what remains of it"
        )
    if s.baseline != "counterfactual" and s.agents > 0:
        raise InputError(
            f"learner: agents is {s.agents}, and baseline {s.baseline!r} has none; take "
            "baseline = 'counterfactual' (kind = 'coma'), or leave agents out"
        )


def _check_rates(s: LearnerSettings) -> None:
    for name in ("lr_power", "critic_lr_power"):
        if getattr(s, name) > STEEPEST:
            raise InputError(f"learner: {name} is {getattr(s, name)}, expected 0 to {STEEPEST:g}")
    if s.critic_lr is None:
        return
    if not s.critic_lr > 0:
        raise InputError(f"learner: critic_lr is {s.critic_lr}, expected above 0")
    if s.baseline not in ("critic", "counterfactual"):
        raise InputError(
            f"learner: critic_lr is for a critic, and baseline {s.baseline!r} has none; leave it "
            "out, or take baseline = 'critic'"
        )
    if s.critic_lr_power > s.lr_power:
        raise InputError(
            f"learner: critic_lr_power is {s.critic_lr_power}, above lr_power {s.lr_power}: the "
            "critic would fall behind the actor that it judges; expected at most lr_power"
        )


def _check_natural(s: LearnerSettings) -> None:
    if s.natural and s.epochs * s.minibatches > 1:
        raise InputError(
            f"learner: natural takes one step a batch, and epochs x minibatches is "
            f"{s.epochs * s.minibatches}; set both to 1, or take kind = 'ppo'"
        )


def suits(s: LearnerSettings, batch_size: int, agents: int | None = None) -> None:
    """Raise InputError where the settings do not suit a campaign's batches, or its task.

    `agents` is how many the task has itself; None where it has none.
    """
    if s.baseline == "max_at_k" and s.best_of > batch_size:
        raise InputError(
            f"learner: best_of is {s.best_of}, more than the batch_size of {batch_size}; "
            "the best of a batch is best_of = batch_size at most"
        )
    if batch_size < 2 and s.baseline in (*AIMS, "group_scaled"):
        raise InputError(
            f"learner: baseline {s.baseline!r} compares designs of one batch, and batch_size is 1; "
            "raise batch_size, or take baseline = 'running_mean'"
        )
    if s.baseline == "counterfactual" and agents is not None and agents < 2:
        raise InputError(
            "learner: the counterfactual baseline needs at least 2 agents, and this task has "
            f"{agents}; take baseline = 'critic'"
        )


def needs_prior(s: LearnerSettings) -> list[str]:
    """Return the settings that cannot do without a prior."""
    needs = {
        'loss = "augmented"': s.loss == "augmented",
        'imitation = "augmented"': s.imitation == "augmented",
        "kl_weight above 0": s.kl_weight > 0,
    }
    return [setting for setting, needed in needs.items() if needed]


def biases(s: LearnerSettings) -> list[str]:
    """Return what is biased by design, a line each: the setting, and by how much or why."""
    gradient = s.loss == "policy_gradient"
    many = s.epochs * s.minibatches > 1
    by = {
        "batch_mean": "the baseline holds the row's own reward: (K - 1) / K of the gradient",
        "quantile": "the quantile is the sample's",
        "entropic": "the mean of the utility is the sample's, order 1 / B",
        "kl_ball": "the worst case is the sample's, order 1 / B",
        "mean_variance": "mean and variance are the sample's, order 1 / B",
        "group_scaled": "the deviation is the sample's, and (K - 1) / K",
    }
    lines = {
        f"baseline {s.baseline}: {by.get(s.baseline)}": gradient and s.baseline in by,
        f"gae_lambda {s.gae_lambda}: as far as the critic is wrong": gradient
        and s.gae_lambda < 1
        and s.baseline in ("critic", "counterfactual"),
        f"gamma {s.gamma}: the state's own factor gamma^t is left out": gradient and s.gamma < 1,
        "normalise: the scale depends on the sample": gradient and s.normalise,
        "per_step: short designs count more": gradient and s.per_step,
        "natural: a ratio of two sample means": s.natural,
        f"clip {s.clip}: steps after a batch's first see another policy": gradient and many,
        f"eta_end {s.eta_end}: the aim moves": gradient
        and s.baseline == "entropic"
        and s.eta_end is not None,
        "sampled = false: learns from the best designs alone": not s.sampled,
    }
    return [*(line for line, holds in lines.items() if holds), *shared_biases(s)]


def shared_biases(settings: Any) -> list[str]:
    """Return what biases any learner: the entropy bonus, where there is one, and clipping."""
    lines = {
        "entropy: of the states visited, not of which are visited": getattr(settings, "entropy", 0)
        > 0,
        f"max_grad_norm {settings.max_grad_norm}: long gradients are shortened": (
            settings.max_grad_norm < INFINITE
        ),
    }
    return [line for line, holds in lines.items() if holds]
