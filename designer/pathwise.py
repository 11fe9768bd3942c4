"""Gradients through the design itself, where an oracle is a smooth function of the choices.

The score-function family (`designer.estimators`) needs only numbers from the oracle; these need
its derivative: an oracle offers ``relaxed(choices) -> Tensor`` beside its call, [B, T, K] values,
[B, T, A] probabilities or `Drawn` designs in, the raw column `relaxed_column` [B] out. An oracle
with `flat` True does not change with them. Pure functions:

* `unrolled`          reparameterised Gaussian values (Kingma and Welling 2014); with zero noise
                      the deterministic policy gradient with an exact critic (Silver et al. 2014)
* `drawn`             the same for numbers that go with choices of another kind
* `gumbel_softmax`    a relaxed one-hot choice; hard = straight-through (Jang et al. 2017,
                      Maddison et al. 2017). **Biased**: by tau^2 for a linear reward if soft
* `gumbel_given`      the perturbed logits, given which action they made the largest
* `polyak`            target networks that follow slowly
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from designer import gaussian, masking
from designer.errors import InputError
from designer.objective import Objective, identity
from designer.protocols import Policy, Trajectory
from designer.rollout import gaussians
from designer.transforms import Identity, Linear
from designer.walk import restart, valued

Reward = Callable[[Any], Tensor]  # choices [B, T, K or A], or `Drawn` -> [B], differentiable
INSTEAD = "take kind = 'reinforce' or 'ppo', which need no derivative"


@dataclass(frozen=True)
class Drawn:
    """Designs with the numbers that went into them, differentiable in the policy."""

    designs: Sequence[Any]  # [B], None where a row is not one
    values: Tensor  # [B, T, K]
    valued: Tensor  # [B, T] bool, where they matter

    def packed(self) -> Tensor:
        """Return [B, M] the numbers that matter, in order; 0 beyond a row's own (K = 1)."""
        place = (self.valued.cumsum(1) - 1).clamp_min(0)
        most = int(self.valued.sum(1).max()) if self.valued.numel() else 0
        kept = torch.where(self.valued, self.values[..., 0], 0.0)
        empty = kept.new_zeros(len(kept), max(most, 1))
        return empty.scatter_add(1, place, kept)[:, :most]


def noise_of(policy: Policy, trajectory: Trajectory) -> Tensor:
    """Return [B, T, K] the standard normal numbers behind the values of a trajectory."""
    assert trajectory.values is not None
    with torch.no_grad():
        location, scale = gaussians(policy.unroll(trajectory.observations))
        return (trajectory.values - location) / scale


def drawn(env: Any, policy: Policy, trajectory: Trajectory) -> Drawn:
    """Return the designs of a trajectory, their numbers as functions of the policy.

    For environments in which no later choice depends on an earlier number (`env.unseen`).
    """
    assert trajectory.values is not None and trajectory.valued is not None
    location, scale = gaussians(policy.unroll(trajectory.observations))
    values = trajectory.values
    with torch.no_grad():
        noise = (values - location) / scale
    designs = env.decode(trajectory.actions.tolist(), **trajectory.given)
    return Drawn(designs, gaussian.draw(location, scale, noise), trajectory.valued)


def unrolled(
    env: Any, policy: Policy, noise: Tensor, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return values [B, T, K] made from noise [B, T, K], and their entropy [B].

    Differentiable in the policy's parameters, also through what the policy saw of its own
    earlier values: unbiased for the mean of any smooth reward. Zero noise is the policy's mean.
    """
    state = restart(env, len(noise), noise.device, start)
    memory, values, entropies = policy.start(len(noise), noise.device), [], []
    for t in range(env.max_steps):
        active, mask = ~env.done(state), env.mask(state)
        choices, memory = policy.step(env.observe(state), memory)
        location, scale = gaussians(choices)
        action = mask.to(torch.uint8).argmax(-1)
        value = gaussian.draw(location, scale, noise[:, t])
        counts = valued(env, state, action, active)
        values.append(value)
        entropies.append(gaussian.entropy(scale) * counts)
        state = env.step(state, action, value)
    return torch.stack(values, dim=1), torch.stack(entropies, dim=1).sum(1)


def gumbel_given(log_probs: Tensor, actions: Tensor, exponential: Tensor) -> Tensor:
    """Return [..., A] log-probabilities plus Gumbel noise whose largest entry is the action.

    `exponential` [..., A] are standard exponential numbers. Over actions drawn from the
    distribution this is exactly the unconditional law, so a sampled design can be relaxed
    without sampling (or judging) another (Tucker et al. 2017, appendix C). Not differentiated.
    """
    with torch.no_grad():
        exponential = exponential.to(log_probs)
        top = exponential.gather(-1, actions.unsqueeze(-1))
        waits = exponential * (-log_probs).clamp_max(80.0).exp() + top
        perturbed = -waits.log()
        return perturbed.scatter(-1, actions.unsqueeze(-1), -top.log())


def gumbel_softmax(
    log_probs: Tensor, mask: Tensor, noise: Tensor, tau: float, hard: bool = True
) -> Tensor:
    """Return [..., A] softmax((log p + noise) / tau) over legal actions, differentiable.

    Hard: one-hot in value, the soft gradient (straight-through). Illegal actions get exactly 0.
    """
    safe = torch.where(mask, log_probs, 0.0)
    soft = masking.log_probabilities((safe + noise) / tau, mask).exp() * mask
    if not hard:
        return soft
    best = torch.where(mask, safe + noise, -torch.inf).argmax(-1, keepdim=True)
    one_hot = torch.zeros_like(soft).scatter(-1, best, 1.0)
    return one_hot + (soft - soft.detach())


def relaxed_rollout(
    env: Any,
    policy: Policy,
    trajectory: Trajectory,
    exponential: Tensor,
    tau: float,
    hard: bool = True,
) -> Tensor:
    """Return relaxed choices [B, T, A] of sampled rows; hard: the rows themselves in value.

    The policy sees its own relaxed choices (`env.observe_relaxed`), so the gradient knows that
    earlier choices change later ones. **Biased** by the temperature; see the module.
    """
    count, length = trajectory.actions.shape
    device = trajectory.actions.device
    memory, chosen = policy.start(count, device), []
    last: Tensor | None = None
    for t in range(length):
        choices, memory = policy.step(env.observe_relaxed(t, last, count, device), memory)
        mask = trajectory.masks[:, t]
        log_probs = masking.log_probabilities(choices.logits, mask)
        perturbed = gumbel_given(log_probs, trajectory.actions[:, t], exponential[:, t])
        noise = torch.where(mask, perturbed - log_probs.detach(), 0.0)
        last = gumbel_softmax(log_probs, mask, noise, tau, hard)
        chosen.append(last)
    return torch.stack(chosen, dim=1)


@torch.no_grad()
def polyak(target: nn.Module, source: nn.Module, rate: float) -> None:
    """Move the target's parameters: target <- (1 - rate) target + rate source."""
    for slow, fast in zip(target.parameters(), source.parameters(), strict=True):
        slow.lerp_(fast, rate)


def relaxed_reward(objective: Objective) -> Reward:
    """Return the objective as a differentiable function of the choices.

    Raises InputError, with the reason and what to take instead, where a part has no derivative:
    an oracle without `relaxed`, a column other than its relaxed one, a transform other than
    identity and linear, terms that are not added, or constraints.
    """
    if objective.aggregate != "arithmetic" and len(objective.terms) > 1:
        raise InputError(
            f"aggregate {objective.aggregate!r} has no pathwise form here; set aggregate = "
            f"'arithmetic', or {INSTEAD}"
        )
    if objective.constraints:
        raise InputError(
            "constraints are priced in the reward, which a gradient through the oracle does not "
            f"read; leave [[constraint]] out, or {INSTEAD}"
        )
    total = float(sum(term.weight for term in objective.terms))
    terms, penalties = _steep(objective.terms), _steep(objective.penalties)
    if not terms:
        raise InputError(f"no oracle of this objective changes with the choices; {INSTEAD}")
    parts = [(_smooth(t.oracle, t.column, t.transform), t.weight / total) for t in terms]
    parts += [(_smooth(p.oracle, p.column, identity), -p.weight) for p in penalties]

    def reward(choices: Any) -> Tensor:
        return torch.stack([weight * part(choices) for part, weight in parts]).sum(0)

    return reward


def _steep(parts: Sequence[Any]) -> list[Any]:
    return [part for part in parts if not getattr(part.oracle, "flat", False)]


def _smooth(oracle: Any, column: str | None, transform: Any) -> Reward:
    relaxed = getattr(oracle, "relaxed", None)
    if relaxed is None:
        raise InputError(
            f"oracle {oracle.name!r} gives no derivative (it has no `relaxed`), and this learner "
            f"goes through the oracle; {INSTEAD}, or kind = 'dpg' with critic = 'learned' where "
            "choices are real numbers"
        )
    offered = getattr(oracle, "relaxed_column", oracle.name)
    if (column or oracle.name) != offered:
        raise InputError(
            f"oracle {oracle.name!r} gives a derivative of column {offered!r} only, not of "
            f"{column or oracle.name!r}; set column = {offered!r}, or {INSTEAD}"
        )
    if transform is identity or isinstance(transform, Identity):
        return relaxed  # type: ignore[no-any-return]
    if isinstance(transform, Linear):
        low, high = transform.low, transform.high
        return lambda choices: ((relaxed(choices) - low) / (high - low)).clamp(0.0, 1.0)
    raise InputError(
        f"transform {type(transform).__name__.lower()!r} has no pathwise form; take identity or "
        f"linear, or {INSTEAD}"
    )
