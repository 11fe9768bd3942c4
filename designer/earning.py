"""From what a batch was paid to what its choices are credited with, as the settings ask.

Pure functions around `designer.credit` and a baseline; nothing here is differentiated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from designer import counterfactual, credit, estimators, masking
from designer.baselines import Baseline, Earned
from designer.learning import LearnerSettings
from designer.protocols import Trajectory


def aligned(reward: Tensor, weight: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return both on the device and in the dtype of `like`; rewards without weight become 0."""
    reward, weight = reward.to(like), weight.to(like)
    per_row = weight if reward.dim() == 1 else weight.unsqueeze(1)
    return credit.kept(reward, per_row), weight


def earned(trajectory: Trajectory, reward: Tensor, weight: Tensor, s: LearnerSettings) -> Earned:
    """Return rewards and returns, with the prior's penalty and the shaping taken in.

    `reward` is [B], or [B, T] where steps pay.
    """
    active = trajectory.active
    by_step = reward.dim() == 2 or s.gamma < 1.0
    rewards = credit.step_rewards(reward, active)
    if s.kl_weight > 0 and s.loss == "policy_gradient":
        assert trajectory.prior_log_prob is not None
        penalty = estimators.kl_penalty(trajectory.log_prob, trajectory.prior_log_prob)
        rewards = rewards - s.kl_weight * penalty
    if s.shaping > 0 and trajectory.potential is not None:
        phi = trajectory.potential.to(rewards.dtype)
        rewards = rewards + s.shaping * credit.shaping_rewards(phi, active, s.gamma)
        by_step = True
    returns = credit.discounted_returns(rewards, s.gamma)
    counted = weight.unsqueeze(1) * active
    if not by_step:  # one number a row: what it earned in all
        returns, counted = returns[:, :1], weight.unsqueeze(1)
    value = trajectory.value.detach().to(rewards.dtype)
    return Earned(rewards, returns, value, weight, counted, trajectory.group)


@torch.no_grad()
def judged(earned: Earned, trajectory: Trajectory, policy: Any, values: Tensor) -> Earned:
    """Return what was earned with what a critic of actions says of it, `values` [B, T, A]."""
    choices = policy.unroll(trajectory.observations)
    log_probs = masking.log_probabilities(choices.logits, trajectory.masks)
    expected = counterfactual.counterfactual_value(values, log_probs, trajectory.masks)
    taken = masking.chosen(values, trajectory.actions)
    active = trajectory.active
    return replace(earned, taken=taken * active, expected=expected * active)


@torch.no_grad()
def credited(
    earned: Earned, active: Tensor, baseline: Baseline, s: LearnerSettings
) -> tuple[Tensor, Tensor]:
    """Return advantages [B, T], 0 where inactive, and the critic's target, [B, 1] or [B, T]."""
    advantage: Tensor = baseline(earned)
    target = advantage + earned.value if baseline.needs_value else earned.returns
    if baseline.needs_actions:
        assert earned.expected is not None
        target = credit.gae(earned.rewards, earned.expected, s.gamma, s.gae_lambda)
        target = target + earned.expected
    if s.normalise:
        whole = advantage.shape == earned.counted.shape
        counted = earned.counted if whole else earned.weight.unsqueeze(1)
        advantage = credit.normalise(advantage, counted.expand_as(advantage))
    advantage = advantage * active
    if s.per_step:
        advantage = advantage / active.sum(1, keepdim=True).clamp_min(1)
    return advantage, target


def by_part(earned: Earned, agent: Tensor, agents: int) -> Tensor:
    """Return [B, agents] what each agent's choices added, by a critic of actions."""
    assert earned.taken is not None and earned.expected is not None
    return counterfactual.part_credit(earned.taken - earned.expected, agent, agents)


def shares(parts: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """Return how much each agent's choices matter: the mean size of its credit [B, agents]."""
    means = [credit.mean(size, weight) for size in parts.abs().unbind(1)]
    return {f"credit_{i + 1}": value for i, value in enumerate(means)}
