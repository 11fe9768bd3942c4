"""What learns through the design, by the oracles' own derivatives.

They stand where `Learner` stands (`designer.protocols.Learns`). Sampled designs
are judged and remembered as ever; the gradient comes from the oracles' `relaxed` form at those
same designs, so nothing is evaluated twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from designer import credit, estimators, pathwise
from designer.descent import advance, moments, restore_moments, under
from designer.errors import InputError
from designer.protocols import Environment, Trajectory
from designer.rollout import evaluate
from designer.suiting import shared_biases


class PathLearner(ABC):
    """One optimiser step a batch, down a loss that goes through the design."""

    memory = ""  # it takes all rows at once, or none

    def __init__(self, policy: Any, settings: Any, env: Environment[Any, Any]) -> None:
        if not isinstance(policy, nn.Module):
            raise InputError(f"policy {type(policy).__name__} is not a torch.nn.Module")
        self.policy: Any = policy
        self.settings, self.env, self.prior = settings, env, None
        self.optimiser = torch.optim.Adam(policy.parameters(), lr=settings.lr)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.steps = self.skipped = 0

    @property
    def biased(self) -> list[str]:
        """What is biased by design here, a line each."""
        return [*self.settings.biased, *shared_biases(self.settings)]

    @abstractmethod
    def loss(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return "loss", what is gone down, and figures beside it; "skipped" is added to."""

    def update(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Learn from sampled rows; return figures. `weight` [B] is 0 where unmeasured."""
        like = next(self.policy.parameters())
        reward, weight = reward.to(like), weight.to(like)
        figures = self.loss(trajectory, credit.kept(reward, weight), weight)
        taken = self._step(figures["loss"], weight)
        taken["skipped"] = taken["skipped"] + figures.get("skipped", 0.0)
        return {name: value.detach() for name, value in (figures | taken).items()}

    def imitate(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Make given rows likelier, in one step."""
        now = evaluate(self.policy, trajectory)
        loss = estimators.weighted_likelihood(now.log_prob, weight.to(now.log_prob))
        taken = self._step(self.settings.imitation_weight * loss, weight)
        return {"loss": loss.detach()} | taken

    def modules(self) -> dict[str, tuple[nn.Module, torch.optim.Optimizer | None]]:
        """Return everything that changes by learning, with its optimiser."""
        return {"policy": (self.policy, self.optimiser)}

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that changes by learning, as one flat dict of tensors (copies)."""
        state: dict[str, Tensor] = {}
        for name, (module, optimiser) in self.modules().items():
            state |= {f"{name}.{k}": v for k, v in module.state_dict().items()}
            if optimiser is not None:
                state |= moments(optimiser, _named(name, module))
        state["generator"] = self.generator.get_state()
        state["counters"] = torch.tensor([self.steps, self.skipped])
        return {name: value.detach().clone().contiguous() for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go back to exactly what `state_dict` returned."""
        for name, (module, optimiser) in self.modules().items():
            module.load_state_dict(under(state, f"{name}."))
            if optimiser is not None:
                restore_moments(optimiser, _named(name, module), state)
        self.generator.set_state(state["generator"].cpu())
        self.steps, self.skipped = (int(count) for count in state["counters"])

    def _step(self, loss: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Step down the loss of rows of some weight; return the gradient's norm."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm, broken, moved = advance(self.optimiser, self.settings.max_grad_norm, weight)
        self.steps += int(moved)
        self.skipped += int(broken)
        return {"grad_norm": norm, "skipped": broken}


class ThroughValues(PathLearner):
    """Reparameterised values; `still` takes the noise away (deterministic policy gradient)."""

    def __init__(
        self, policy: Any, settings: Any, env: Any, reward: pathwise.Reward, still: bool = False
    ) -> None:
        super().__init__(policy, settings, env)
        self.reward, self.still = reward, still

    def loss(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return minus the mean smooth reward of the rows (or of the policy's means)."""
        if self.still:  # where nothing is drawn at the start, all rows are one design
            assert trajectory.values is not None
            drawn = trajectory.values if trajectory.start is not None else trajectory.values[:1]
            noise, weight = weight.new_zeros(drawn.shape), weight.new_ones(len(drawn))
        else:
            noise = pathwise.noise_of(self.policy, trajectory)
        values, entropy = pathwise.unrolled(self.env, self.policy, noise, trajectory.start)
        smooth = self.reward(values).to(weight.dtype)
        bonus = getattr(self.settings, "entropy", 0.0) * credit.mean(entropy, weight)
        mean = credit.mean(smooth, weight)
        return {
            "loss": -mean - bonus,
            "smooth_reward": mean,
            "entropy": credit.mean(entropy, weight),
        }


class ThroughNumbers(PathLearner):
    """Choices by the score function, the numbers that go with them through the oracle."""

    def __init__(self, policy: Any, settings: Any, env: Any, reward: pathwise.Reward) -> None:
        super().__init__(policy, settings, env)
        self.reward = reward

    @property
    def biased(self) -> list[str]:
        """What is biased by design here, a line each."""
        jumps = "pathwise: where a number makes a design inadmissible, that jump is not seen"
        return [jumps, *super().biased]

    def loss(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return minus the mean reward of the rows, differentiated in two ways."""
        drawn = pathwise.drawn(self.env, self.policy, trajectory)
        smooth = credit.mean(self.reward(drawn).to(weight), weight)
        now = evaluate(self.policy, trajectory.replace(values=None))  # of the choices alone
        advantage = reward - credit.leave_one_out(reward, weight)
        scored = estimators.reinforce(
            now.log_prob, advantage.unsqueeze(1) * trajectory.active, weight
        )
        entropy = estimators.entropy_bonus(evaluate(self.policy, trajectory).entropy, weight)
        return {
            "loss": scored - smooth - self.settings.entropy * entropy,
            "smooth_reward": smooth,
            "entropy": entropy,
        }


class ThroughChoices(PathLearner):
    """Gumbel-softmax choices, soft or straight-through."""

    def __init__(self, policy: Any, settings: Any, env: Any, reward: pathwise.Reward) -> None:
        super().__init__(policy, settings, env)
        self.reward = reward

    def loss(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Return minus the mean smooth reward of the relaxed rows."""
        s, shape = self.settings, trajectory.masks.shape
        uniform = torch.rand(shape, generator=self.generator).clamp_min(1e-12)
        waits = -uniform.log().to(trajectory.masks.device)
        choices = pathwise.relaxed_rollout(
            self.env, self.policy, trajectory, waits.clamp_min(1e-12), self.tau, s.hard
        )
        mean = credit.mean(self.reward(choices).to(weight.dtype), weight)
        now = evaluate(self.policy, trajectory)
        entropy = estimators.entropy_bonus(now.entropy, weight)
        figures = {"smooth_reward": mean, "tau": torch.tensor(self.tau)}
        return {"loss": -mean - s.entropy * entropy, **figures}

    @property
    def tau(self) -> float:
        """The temperature now."""
        s, share = self.settings, min(1.0, self.steps / self.settings.tau_steps)
        return float(s.tau * (s.tau_end / s.tau) ** share)


def _named(part: str, module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(f"{part}.{name}", parameter) for name, parameter in module.named_parameters()]
