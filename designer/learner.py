"""The learner: one batch in, one or several steps of the optimiser, figures out.

With `epochs` = `minibatches` = 1 it is REINFORCE; with more it is PPO, whose first step has the
same gradient. It never sees the environment: observations, masks, actions and behaviour
log-probabilities are all in the trajectory. The host waits once an optimiser step (was the
gradient finite?); everything else stays on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from designer import baselines, counterfactual, earning, estimators, losses, masking, natural
from designer.baselines import Baseline, Earned
from designer.descent import Descent, learns_apart, under
from designer.errors import InputError
from designer.extras import extras
from designer.learning import LEARNERS, LearnerSettings, Ppo, Reinforce, Reinvent, RiskSeeking
from designer.minibatch import Minibatch, averaged, parts
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
        earned = self._earned(trajectory, reward, weight)
        credited = earning.credited(earned, trajectory.active, self.baseline, self.settings)
        batch = Minibatch(trajectory, *credited, earned)
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
        reward, weight = self._aligned(reward, weight)
        loss = self.portions.fitted(lambda: self._imitated(trajectory, reward, weight), len(weight))
        norm, skipped = self.descent.take(weight)
        return {"loss": loss, "grad_norm": norm, "skipped": skipped}

    def _imitated(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> Tensor:
        """Put the gradient of the imitation loss in place; return the loss."""
        now = self.portions.evaluate(self.policy, trajectory)
        loss = losses.imitation_loss(now, reward, weight, self.settings, self._log_z())
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
        return self._by_part(trajectory, self._earned(trajectory, reward, torch.ones_like(reward)))

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

    def _aligned(self, reward: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return earning.aligned(reward, weight, next(self.policy.parameters()))

    def _earned(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> Earned:
        """Return what a batch earned, with what the critic of actions says where there is one."""
        earned = earning.earned(trajectory, *self._aligned(reward, weight), self.settings)
        if not self.baseline.needs_actions:
            return earned
        with torch.no_grad():
            values = self._action_values(trajectory)
        return earning.judged(earned, trajectory, self.policy, values)

    def _action_values(self, trajectory: Trajectory) -> Tensor:
        assert trajectory.agent is not None
        values: Tensor = self.extras["critic"](trajectory.observations, trajectory.agent)
        return values

    def _learn(self, batch: Minibatch) -> dict[str, Tensor]:
        """Make one optimiser step on a part of a batch; return its figures."""
        weight = batch.earned.weight
        figures = self.portions.fitted(lambda: self._differentiated(batch), len(weight))
        norm, skipped = self.descent.take(weight)
        return figures | {"grad_norm": norm, "skipped": skipped}

    def _differentiated(self, batch: Minibatch) -> dict[str, Tensor]:
        """Put the gradient of a part of a batch in place; return its figures."""
        s, trajectory, weight = self.settings, batch.trajectory, batch.earned.weight
        now = self.portions.evaluate(self.policy, trajectory)
        entropy = estimators.entropy_bonus(now.entropy, weight, s.entropy_decay)
        loss = losses.policy_loss(now, batch, s, self._log_z()) - self.entropy_weight * entropy
        value = self._value(now)
        target = batch.target.expand_as(value)
        value_loss = estimators.value_loss(value, target, trajectory.active, weight)
        self._backward(loss, s.value_weight * value_loss, now, weight)
        told = {"loss": loss.detach(), "value_loss": value_loss.detach()}
        return told | losses.figures(now, batch, value, s)

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
            heads = self._judges(actor)
            parts = self.portions.gradients(value_loss, heads, self.policy, now)
            for parameter, part in zip(heads, parts, strict=True):
                parameter.grad = added(parameter.grad, part)

    def _judges(self, actor: list[nn.Parameter]) -> list[nn.Parameter]:
        """Return the parameters that the critic's loss reaches, `actor` where it has none alone."""
        if self.baseline.needs_actions:
            return list(self.extras["critic"].parameters())
        return list(self.descent.groups[1].parameters) if learns_apart(self.settings) else actor

    def _by_part(self, trajectory: Trajectory, earned: Earned) -> Tensor:
        assert trajectory.agent is not None
        return earning.by_part(earned, trajectory.agent, self.settings.agents)

    def _shares(self, batch: Minibatch) -> dict[str, Tensor]:
        if not self.baseline.needs_actions:
            return {}
        return earning.shares(self._by_part(batch.trajectory, batch.earned), batch.earned.weight)

    def _log_z(self) -> Tensor | None:
        return self.extras["partition"]() if "partition" in self.extras else None

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
