"""Deterministic policy gradients where the oracle has no derivative: a network stands for it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from designer import credit, pathwise
from designer.descent import advance
from designer.protocols import Trajectory
from designer.rollout import gaussians
from designer.through import PathLearner


class ActionValue(nn.Module):
    """Q of the values [B, T, K] taken where [B, T, F] was seen: [B, T], by a GRU over the past."""

    def __init__(self, obs_size: int, num_values: int, hidden: int) -> None:
        super().__init__()
        self.past = nn.GRU(obs_size, hidden, batch_first=True)
        self.judge = nn.Sequential(
            nn.Linear(hidden + num_values, hidden), nn.Tanh(), nn.Linear(hidden, 1)
        )

    def forward(self, observations: Tensor, values: Tensor) -> Tensor:
        """Return [B, T], the reward that is expected after these values."""
        seen, _ = self.past(observations)
        worth: Tensor = self.judge(torch.cat([seen, values], dim=-1)).squeeze(-1)
        return worth


class ThroughCritic(PathLearner):
    """Deterministic policy gradients through a learned critic, with target networks."""

    def __init__(self, policy: Any, settings: Any, env: Any) -> None:
        super().__init__(policy, settings, env)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            critic = ActionValue(env.obs_size, env.num_values, settings.critic_hidden)
        self.critic = critic.to(next(policy.parameters()))
        self.slow_policy, self.slow_critic = copy.deepcopy(policy), copy.deepcopy(self.critic)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), lr=settings.critic_lr)

    def modules(self) -> dict[str, tuple[nn.Module, torch.optim.Optimizer | None]]:
        """Return policy, critic, and the two that follow them."""
        return super().modules() | {
            "critic": (self.critic, self.critic_optimiser),
            "slow_policy": (self.slow_policy, None),
            "slow_critic": (self.slow_critic, None),
        }

    def loss(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Train the critic; return minus its mean at what the policy would do in these rows."""
        assert trajectory.values is not None
        seen, values = trajectory.observations.to(reward), trajectory.values.to(reward)
        counted = trajectory.active * weight.unsqueeze(1)
        error = skipped = torch.zeros(())
        for _ in range(self.settings.critic_epochs):
            target = self.target(seen, trajectory.active, reward)
            error = credit.mean((self.critic(seen, values) - target).square(), counted)
            self.critic_optimiser.zero_grad(set_to_none=True)
            error.backward()  # type: ignore[no-untyped-call]
            _, broken, moved = advance(self.critic_optimiser, float("inf"), weight)
            skipped = skipped + broken
            if moved:
                pathwise.polyak(self.slow_critic, self.critic, self.settings.polyak)
        if bool(weight.sum() > 0):
            pathwise.polyak(self.slow_policy, self.policy, self.settings.polyak)
        means, _ = gaussians(self.policy.unroll(seen))
        worth = credit.mean(self.critic(seen, means), counted)
        return {"loss": -worth, "critic_loss": error, "critic_worth": worth, "skipped": skipped}

    @torch.no_grad()
    def target(self, seen: Tensor, active: Tensor, reward: Tensor) -> Tensor:
        """Return [B, T]: the slow critic one step on; the reward itself at a row's last step."""
        means, _ = gaussians(self.slow_policy.unroll(seen))
        after = torch.cat([self.slow_critic(seen, means)[:, 1:], seen.new_zeros(len(seen), 1)], 1)
        going_on = torch.cat([active[:, 1:], torch.zeros_like(active[:, :1])], dim=1)
        return credit.step_rewards(reward, active) + after * going_on
