"""The learner: one batch in, one or several steps of the optimiser, figures out.

With `epochs` = `minibatches` = 1 it is REINFORCE; with more it is PPO, whose first step has the
same gradient. It never sees the environment: observations, masks, actions and behaviour
log-probabilities are all in the trajectory. The host waits once an optimiser step (was the
gradient finite?); everything else stays on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from designer import baselines, credit, estimators
from designer.baselines import Baseline, Earned
from designer.errors import InputError
from designer.learning import (
    LEARNERS,
    LearnerSettings,
    Ppo,
    Reinforce,
    Reinvent,
    RiskSeeking,
)
from designer.protocols import Policy, Trajectory
from designer.rollout import evaluate, with_prior

__all__ = ["LEARNERS", "Learner", "LearnerSettings", "Ppo", "Reinforce", "Reinvent", "RiskSeeking"]


class Learner:
    """Improves `policy` by what its designs earned.

    `prior` is a frozen policy to stay near to; it is not part of `state_dict`. `baseline` stands
    in for the one that the settings name. Raises InputError where a setting needs a prior.
    """

    def __init__(
        self,
        policy: Policy,
        settings: LearnerSettings | None = None,
        prior: Policy | None = None,
        baseline: Baseline | None = None,
    ) -> None:
        if not isinstance(policy, nn.Module):
            raise InputError(f"policy {type(policy).__name__} is not a torch.nn.Module")
        self.settings = settings if settings is not None else Reinforce()
        self.policy: Any = policy
        self.prior = prior
        self.baseline = baseline if baseline is not None else _baseline(self.settings)
        self.baseline.to(next(policy.parameters()).device)
        kind = torch.optim.Adam if self.settings.optimiser == "adam" else torch.optim.SGD
        self.optimiser: torch.optim.Optimizer = kind(policy.parameters(), lr=self.settings.lr)
        self.generator = torch.Generator().manual_seed(self.settings.seed)
        self.steps = 0  # optimiser steps taken
        self.skipped = 0  # steps not taken because the gradient was not finite
        self._check_prior()

    def update(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Learn from sampled rows; return figures, each a number on the policy's device.

        `reward` is [B], or [B, T] where steps pay; `weight` [B] is 0 where unmeasured. Figures
        are means over the optimiser steps made, `skipped` is their number without effect.
        """
        trajectory = self._with_prior(trajectory)
        earned = self._earned(trajectory, *self._aligned(reward, weight))
        with torch.no_grad():
            advantage, target = self._advantage(earned)
        batch = _Batch(trajectory, advantage * trajectory.active, target, earned)
        metrics = [self._learn(part) for part in self._parts(batch)]
        self.baseline.observe(earned)
        return _averaged(metrics)

    def imitate(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Make given rows likelier, in one step; return loss, grad_norm and skipped.

        `reward` [B] is used by the augmented likelihood only; ranks belong into `weight` [B].
        """
        trajectory = self._with_prior(trajectory)
        reward, weight = self._aligned(reward, weight)
        now = evaluate(self.policy, trajectory)
        if self.settings.imitation == "augmented":
            loss = self._augmented(now, reward, weight)
        else:
            loss = estimators.weighted_likelihood(now.log_prob, weight)
        norm, skipped = self._step(self.settings.imitation_weight * loss, weight)
        return {"loss": loss.detach(), "grad_norm": norm, "skipped": skipped}

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that changes by learning, as one flat dict of tensors (copies)."""
        state = {f"policy.{k}": v for k, v in self.policy.state_dict().items()}
        state |= {f"baseline.{k}": v for k, v in self.baseline.state_dict().items()}
        for name, parameter in self.policy.named_parameters():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    state[f"optimiser.{name}.{key}"] = value
        state["generator"] = self.generator.get_state()
        state["counters"] = torch.tensor([self.steps, self.skipped])
        return {name: value.detach().clone().contiguous() for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go back to exactly what `state_dict` returned; KeyError where a part is missing."""
        self.policy.load_state_dict(_under(state, "policy."))
        self.baseline.load_state_dict(_under(state, "baseline."))
        self.optimiser.state.clear()
        for name, parameter in self.policy.named_parameters():
            kept = _under(state, f"optimiser.{name}.")
            if kept:
                self.optimiser.state[parameter] = {
                    key: value.clone() if value.dim() == 0 else value.clone().to(parameter.device)
                    for key, value in kept.items()
                }
        self.generator.set_state(state["generator"].cpu())
        self.steps, self.skipped = (int(count) for count in state["counters"])

    def _earned(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> Earned:
        """Return rewards and returns, with the prior's penalty and the shaping taken in."""
        s, active = self.settings, trajectory.active
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

    def _advantage(self, earned: Earned) -> tuple[Tensor, Tensor]:
        """Return advantages and the critic's target, [B, 1] or [B, T] each."""
        advantage: Tensor = self.baseline(earned)
        target = advantage + earned.value if self.baseline.needs_value else earned.returns
        if self.settings.normalise:
            whole = advantage.shape == earned.counted.shape
            counted = earned.counted if whole else earned.weight.unsqueeze(1)
            advantage = credit.normalise(advantage, counted.expand_as(advantage))
        return advantage, target

    def _learn(self, batch: _Batch) -> dict[str, Tensor]:
        """Make one optimiser step on a part of a batch; return its figures."""
        s, trajectory, weight = self.settings, batch.trajectory, batch.earned.weight
        now = evaluate(self.policy, trajectory)
        entropy = estimators.entropy_bonus(now.entropy, weight, s.entropy_decay)
        loss = self._policy_loss(now, batch) - s.entropy * entropy
        counted = (trajectory.active, weight)
        target = batch.target.expand_as(now.value)
        value_loss = estimators.value_loss(now.value, target, *counted)
        if self.baseline.needs_value:
            loss = loss + s.value_weight * value_loss
        norm, skipped = self._step(loss, weight)
        new, old = now.log_prob.detach(), trajectory.log_prob
        figures = {
            "loss": loss.detach(),
            "entropy": credit.mean(now.entropy.detach(), weight.unsqueeze(1) * counted[0]),
            "value_loss": value_loss.detach(),
            "approx_kl": estimators.approx_kl(new, old, *counted),
            "clip_fraction": estimators.clip_fraction(new, old, *counted, s.clip),
            "explained_variance": estimators.explained_variance(
                batch.earned.value, target, *counted
            ),
            "grad_norm": norm,
            "skipped": skipped,
        }
        if trajectory.prior_log_prob is not None:
            figures["kl_prior"] = estimators.kl_k1(new, trajectory.prior_log_prob, weight)
        return figures

    def _policy_loss(self, now: Trajectory, batch: _Batch) -> Tensor:
        s, weight = self.settings, batch.earned.weight
        if s.loss == "augmented":
            return self._augmented(now, batch.earned.score, weight)
        if s.epochs * s.minibatches == 1:
            return estimators.reinforce(now.log_prob, batch.advantage, weight)
        behaviour = batch.trajectory.log_prob
        return estimators.ppo_clip(now.log_prob, behaviour, batch.advantage, weight, s.clip)

    def _augmented(self, now: Trajectory, score: Tensor, weight: Tensor) -> Tensor:
        assert now.prior_log_prob is not None
        prior = now.prior_log_prob.to(now.log_prob.dtype)
        return estimators.augmented_likelihood(
            now.log_prob, prior, score, weight, self.settings.sigma
        )

    def _step(self, loss: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Step down the loss; return the gradient's norm, and 1 where it was not finite.

        Without any weight, and with a gradient that is not finite, nothing moves at all.
        """
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), self.settings.max_grad_norm)
        finite, some = torch.isfinite(norm), weight.sum() > 0
        if bool(finite & some):
            self.optimiser.step()
            self.steps += 1
        else:
            self.skipped += int(~finite)
        return torch.where(finite, norm, 0.0).detach(), (~finite).to(norm.dtype)

    def _parts(self, batch: _Batch) -> Iterator[_Batch]:
        """Yield the whole batch or shuffled minibatches, `epochs` times."""
        count = len(batch.earned.weight)
        for _ in range(self.settings.epochs):
            if self.settings.minibatches == 1:
                yield batch
                continue
            order = torch.randperm(count, generator=self.generator).to(batch.earned.weight.device)
            for rows in order.chunk(self.settings.minibatches):
                yield batch.rows(rows)

    def _aligned(self, reward: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return both on the policy's device and in its dtype; rewards without weight become 0."""
        like = next(self.policy.parameters())
        reward, weight = reward.to(like), weight.to(like)
        per_row = weight if reward.dim() == 1 else weight.unsqueeze(1)
        return credit.kept(reward, per_row), weight

    def _with_prior(self, trajectory: Trajectory) -> Trajectory:
        """Return the trajectory with the prior's log-probabilities, where there is a prior."""
        return trajectory if self.prior is None else with_prior(trajectory, self.prior)

    def _check_prior(self) -> None:
        s = self.settings
        needs = {
            'loss = "augmented"': s.loss == "augmented",
            'imitation = "augmented"': s.imitation == "augmented",
            "kl_weight above 0": s.kl_weight > 0,
        }
        for setting, needed in needs.items():
            if needed and self.prior is None:
                raise InputError(f"learner: {setting} needs a prior; name one, or change it")


@dataclass(frozen=True)
class _Batch:
    """What one optimiser step learns from."""

    trajectory: Trajectory
    advantage: Tensor  # [B, T], 0 where inactive
    target: Tensor  # [B, 1] or [B, T]
    earned: Earned

    def rows(self, index: Tensor) -> _Batch:
        """Return some of the rows."""
        return _Batch(
            _rows(self.trajectory, index),
            self.advantage[index],
            self.target[index],
            _rows(self.earned, index),
        )


def _rows(record: Any, index: Tensor) -> Any:
    """Return a record of [B, ...] tensors with some of its rows; absent fields stay absent."""
    parts = {field.name: getattr(record, field.name) for field in fields(record)}
    return type(record)(**{k: None if v is None else v[index] for k, v in parts.items()})


def _baseline(s: LearnerSettings) -> Baseline:
    match s.baseline:
        case "none":
            return baselines.NoBaseline()
        case "running_mean":
            return baselines.RunningMean(s.running_decay)
        case "batch_mean":
            return baselines.BatchMean()
        case "leave_one_out":
            return baselines.LeaveOneOut()
        case "critic":
            return baselines.Critic(s.gamma, s.gae_lambda)
        case "quantile":
            return baselines.Quantile(s.epsilon)
        case "entropic":
            return baselines.Entropic(s.eta)
    raise InputError(f"learner: baseline {s.baseline!r} is unknown: {list(baselines.BASELINES)}")


def _averaged(metrics: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the means over optimiser steps, and the sum of `skipped`."""
    columns = {name: torch.stack([step[name] for step in metrics]) for name in metrics[0]}
    return {k: v.sum() if k == "skipped" else v.mean() for k, v in columns.items()}


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
