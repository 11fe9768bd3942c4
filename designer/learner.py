"""The learner: one batch in, one or several steps of the optimiser, figures out.

With `epochs` = `minibatches` = 1 it is REINFORCE; with more it is PPO, whose first step has the
same gradient. It never sees the environment: observations, masks, actions and behaviour
log-probabilities are all in the trajectory. The host waits once an optimiser step (was the
gradient finite?); everything else stays on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from designer import baselines, counterfactual, credit, estimators, masking, natural
from designer.baselines import Baseline, Earned
from designer.batch import Batch, averaged, parts
from designer.descent import Descent, learns_apart, under
from designer.errors import InputError
from designer.extras import extras
from designer.learning import LEARNERS, LearnerSettings, Ppo, Reinforce, Reinvent, RiskSeeking
from designer.portions import Portions, added
from designer.protocols import Policy, Trajectory
from designer.suiting import biases, needs_prior

__all__ = ["LEARNERS", "Learner", "LearnerSettings", "Ppo", "Reinforce", "Reinvent", "RiskSeeking"]


class Learner:
    """Improves `policy` by what its designs earned.

    `prior` is a frozen policy to stay near to; it is not part of `state_dict`. `baseline` stands
    in for the one that the settings name. Raises InputError where a setting needs a prior, or
    sizes that the policy does not tell.
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
        self.settings = s = settings if settings is not None else Reinforce()
        self.policy: Any = policy
        self.prior = prior
        like = next(policy.parameters())
        self.baseline = baseline if baseline is not None else baselines.named(s)
        self.baseline.to(like.device)
        self.extras = extras(s, policy).to(like)
        self.descent = Descent(policy, dict(self.extras.items()), s)
        self.portions = Portions()
        self.generator = torch.Generator().manual_seed(s.seed)
        self._check_prior()

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Torch's optimiser; its groups are the parts that are learned, the policy first."""
        return self.descent.optimiser

    @property
    def steps(self) -> int:
        """Optimiser steps taken."""
        return self.descent.steps

    @property
    def skipped(self) -> int:
        """Steps not taken because a gradient was not finite."""
        return self.descent.skipped

    @property
    def entropy_weight(self) -> float:
        """The weight of the entropy bonus now, on its way from `entropy` to `entropy_end`."""
        s = self.settings
        if s.entropy_end is None:
            return s.entropy
        share = min(1.0, self.steps / s.entropy_steps)
        return s.entropy + share * (s.entropy_end - s.entropy)

    @property
    def biased(self) -> list[str]:
        """What is biased by design here, a line each."""
        return biases(self.settings)

    @property
    def memory(self) -> str:
        """What running out of memory came to; nothing where it never did."""
        return self.portions.told

    def update(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Learn from sampled rows; return figures, each a number on the policy's device.

        `reward` is [B], or [B, T] where steps pay; `weight` [B] is 0 where unmeasured. Figures
        are means over the optimiser steps made, `skipped` is their number without effect. Nothing
        is learned, and there are none, where the settings learn from replay alone.
        """
        if not self.settings.sampled:
            return {}
        trajectory = self._with_agents(self._with_prior(trajectory))
        earned = self._earned(trajectory, *self._aligned(reward, weight))
        with torch.no_grad():
            advantage, target = self._advantage(earned)
        credited = self._credited(advantage, trajectory.active)
        batch = Batch(trajectory, credited, target, earned)
        metrics = [self._learn(part) for part in parts(batch, self.settings, self.generator)]
        self.baseline.observe(earned)
        return averaged(metrics) | self._shares(batch) | self.portions.figures(reward.device)

    def imitate(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Make given rows likelier, in one step; return loss, grad_norm and skipped.

        `reward` [B] is used by the augmented likelihood and by trajectory balance only; ranks
        belong into `weight` [B].
        """
        s = self.settings
        if s.imitation == "augmented" or (s.imitation == "trajectory_balance" and s.tilt):
            trajectory = self._with_prior(trajectory)
        aligned = self._aligned(reward, weight)
        loss = self.portions.fitted(lambda: self._imitated(trajectory, *aligned), len(weight))
        norm, skipped = self.descent.take(aligned[1])
        return {"loss": loss, "grad_norm": norm, "skipped": skipped}

    def _imitated(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> Tensor:
        """Put the gradient of the imitation loss in place; return the loss."""
        s = self.settings
        now = self.portions.evaluate(self.policy, trajectory)
        if s.imitation == "likelihood":
            loss = estimators.weighted_likelihood(now.log_prob, weight)
        else:
            loss = self._aimed(s.imitation, now, reward, weight)
        self.optimiser.zero_grad(set_to_none=True)
        (self.settings.imitation_weight * loss).backward()  # type: ignore[no-untyped-call]
        self.portions.pull(self.policy, now)
        return loss.detach()

    @torch.no_grad()
    def part_credit(self, trajectory: Trajectory, reward: Tensor) -> Tensor:
        """Return [B, agents] what each agent's choices added to the reward [B].

        It is Q of what was chosen less the counterfactual, summed over the agent's steps. Raises
        InputError where the baseline is another one.
        """
        if not self.baseline.needs_actions:
            raise InputError("credit by part needs baseline = 'counterfactual' (kind = 'coma')")
        trajectory = self._with_agents(trajectory)
        ones = torch.ones_like(reward)
        earned = self._earned(trajectory, *self._aligned(reward, ones))
        return self._by_part(trajectory, earned)

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that changes by learning, as one flat dict of tensors (copies)."""
        state = {f"policy.{k}": v for k, v in self.policy.state_dict().items()}
        state |= {f"baseline.{k}": v for k, v in self.baseline.state_dict().items()}
        state |= {f"extras.{k}": v for k, v in self.extras.state_dict().items()}
        state |= self.descent.state_dict() | {"generator": self.generator.get_state()}
        state["portions"] = self.portions.state()
        return {name: value.detach().clone().contiguous() for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go back to exactly what `state_dict` returned; KeyError where a part is missing."""
        self.policy.load_state_dict(under(state, "policy."))
        self.baseline.load_state_dict(under(state, "baseline."))
        self.extras.load_state_dict(under(state, "extras."))
        self.descent.load_state_dict(state)
        self.generator.set_state(state["generator"].cpu())
        self.portions.restore(state["portions"])

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
        earned = Earned(rewards, returns, value, weight, counted, trajectory.group)
        return self._judged(earned, trajectory) if self.baseline.needs_actions else earned

    @torch.no_grad()
    def _judged(self, earned: Earned, trajectory: Trajectory) -> Earned:
        """Return what was earned with what the critic of actions says of it."""
        values = self._action_values(trajectory)
        choices = self.policy.unroll(trajectory.observations)
        log_probs = masking.log_probabilities(choices.logits, trajectory.masks)
        expected = counterfactual.counterfactual_value(values, log_probs, trajectory.masks)
        taken = masking.chosen(values, trajectory.actions)
        active = trajectory.active
        return replace(earned, taken=taken * active, expected=expected * active)

    def _action_values(self, trajectory: Trajectory) -> Tensor:
        assert trajectory.agent is not None
        values: Tensor = self.extras["critic"](trajectory.observations, trajectory.agent)
        return values

    def _advantage(self, earned: Earned) -> tuple[Tensor, Tensor]:
        """Return advantages and the critic's target, [B, 1] or [B, T] each."""
        advantage: Tensor = self.baseline(earned)
        target = advantage + earned.value if self.baseline.needs_value else earned.returns
        if self.baseline.needs_actions:
            assert earned.expected is not None
            s = self.settings
            target = credit.gae(earned.rewards, earned.expected, s.gamma, s.gae_lambda)
            target = target + earned.expected
        if self.settings.normalise:
            whole = advantage.shape == earned.counted.shape
            counted = earned.counted if whole else earned.weight.unsqueeze(1)
            advantage = credit.normalise(advantage, counted.expand_as(advantage))
        return advantage, target

    def _credited(self, advantage: Tensor, active: Tensor) -> Tensor:
        """Return [B, T] advantages, 0 where inactive; over the row's length if `per_step`."""
        credited = advantage * active
        if self.settings.per_step:
            credited = credited / active.sum(1, keepdim=True).clamp_min(1)
        return credited

    def _learn(self, batch: Batch) -> dict[str, Tensor]:
        """Make one optimiser step on a part of a batch; return its figures."""
        weight = batch.earned.weight
        figures = self.portions.fitted(lambda: self._differentiated(batch), len(weight))
        norm, skipped = self.descent.take(weight)
        return figures | {"grad_norm": norm, "skipped": skipped}

    def _differentiated(self, batch: Batch) -> dict[str, Tensor]:
        """Put the gradient of a part of a batch in place; return its figures."""
        s, trajectory, weight = self.settings, batch.trajectory, batch.earned.weight
        now = self.portions.evaluate(self.policy, trajectory)
        entropy = estimators.entropy_bonus(now.entropy, weight, s.entropy_decay)
        loss = self._policy_loss(now, batch) - self.entropy_weight * entropy
        counted = (trajectory.active, weight)
        value = self._value(now)
        target = batch.target.expand_as(value)
        value_loss = estimators.value_loss(value, target, *counted)
        self._backward(loss, s.value_weight * value_loss, now, weight)
        new, old = now.log_prob.detach(), trajectory.log_prob
        figures = {
            "loss": loss.detach(),
            "entropy": credit.mean(now.entropy.detach(), weight.unsqueeze(1) * counted[0]),
            "value_loss": value_loss.detach(),
            "approx_kl": estimators.approx_kl(new, old, *counted),
            "clip_fraction": estimators.clip_fraction(new, old, *counted, s.clip),
            "explained_variance": estimators.explained_variance(
                value.detach() if batch.earned.taken is not None else batch.earned.value,
                target,
                *counted,
            ),
        }
        if trajectory.prior_log_prob is not None:
            figures["kl_prior"] = estimators.kl_k1(new, trajectory.prior_log_prob, weight)
        return figures

    def _policy_loss(self, now: Trajectory, batch: Batch) -> Tensor:
        s, weight = self.settings, batch.earned.weight
        if s.loss != "policy_gradient":
            return self._aimed(s.loss, now, batch.earned.score, weight)
        if s.epochs * s.minibatches == 1:
            return estimators.reinforce(now.log_prob, batch.advantage, weight)
        behaviour = batch.trajectory.log_prob
        return estimators.ppo_clip(now.log_prob, behaviour, batch.advantage, weight, s.clip)

    def _aimed(self, loss: str, now: Trajectory, score: Tensor, weight: Tensor) -> Tensor:
        """Return how far the rows' likelihood is from the one that their score aims at."""
        prior, sigma = now.prior_log_prob, self.settings.sigma
        prior = None if prior is None else prior.to(now.log_prob.dtype)
        if loss == "trajectory_balance" and not self.settings.tilt:
            prior = None
        if loss == "trajectory_balance":
            log_z = self.extras["partition"]()
            return estimators.trajectory_balance(now.log_prob, log_z, score, weight, sigma, prior)
        assert prior is not None
        return estimators.augmented_likelihood(now.log_prob, prior, score, weight, sigma)

    def _value(self, now: Trajectory) -> Tensor:
        """Return [B, T] what the critic says: of the state, or of the action that was taken."""
        if not self.baseline.needs_actions:
            return now.value
        return masking.chosen(self._action_values(now), now.actions) * now.active

    def _backward(self, loss: Tensor, value_loss: Tensor, now: Trajectory, weight: Tensor) -> None:
        """Put the gradients of a part in place."""
        s, actor = self.settings, self.descent.actor
        critic = self.baseline.needs_value or self.baseline.needs_actions
        self.optimiser.zero_grad(set_to_none=True)
        if critic and not (s.natural or learns_apart(s)):
            loss, critic = loss + value_loss, False
        loss.backward(retain_graph=critic)  # type: ignore[no-untyped-call]
        self.portions.pull(self.policy, now)
        if s.natural:
            natural.turn(self.policy, now, weight, actor, s.damping)
        if critic:
            heads = self.descent.groups[1].parameters if learns_apart(s) else actor
            parts = self.portions.gradients(value_loss, heads, self.policy, now)
            for parameter, part in zip(heads, parts, strict=True):
                parameter.grad = added(parameter.grad, part)

    def _by_part(self, trajectory: Trajectory, earned: Earned) -> Tensor:
        assert earned.taken is not None and earned.expected is not None
        assert trajectory.agent is not None
        gained = earned.taken - earned.expected
        return counterfactual.part_credit(gained, trajectory.agent, self.settings.agents)

    def _shares(self, batch: Batch) -> dict[str, Tensor]:
        """Return how much each agent's choices matter: the mean size of its credit."""
        if not self.baseline.needs_actions:
            return {}
        weight = batch.earned.weight.unsqueeze(1)
        sizes = self._by_part(batch.trajectory, batch.earned).abs()
        means = [credit.mean(column.unsqueeze(1), weight) for column in sizes.unbind(1)]
        return {f"credit_{i + 1}": value for i, value in enumerate(means)}

    def _aligned(self, reward: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return both on the policy's device and in its dtype; rewards without weight become 0."""
        like = next(self.policy.parameters())
        reward, weight = reward.to(like), weight.to(like)
        per_row = weight if reward.dim() == 1 else weight.unsqueeze(1)
        return credit.kept(reward, per_row), weight

    def _with_prior(self, trajectory: Trajectory) -> Trajectory:
        """Return the trajectory with the prior's log-probabilities, where there is a prior."""
        prior = self.prior
        if prior is None:
            return trajectory
        count = len(trajectory.actions)
        return self.portions.fitted(lambda: self.portions.with_prior(trajectory, prior), count)

    def _with_agents(self, trajectory: Trajectory) -> Trajectory:
        """Return the trajectory with who made each choice, where agents are told apart."""
        if not self.baseline.needs_actions:
            return trajectory
        s = self.settings
        return trajectory.replace(
            agent=counterfactual.agents_of(trajectory, s.agents, s.agent_steps)
        )

    def _check_prior(self) -> None:
        s = self.settings
        for setting in needs_prior(s):
            if self.prior is None:
                raise InputError(f"learner: {setting} needs a prior; name one, or change it")
