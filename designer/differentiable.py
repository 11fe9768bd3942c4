"""Learners whose gradient goes through the design: `[learner] kind = "pathwise"`, dpg, gumbel.

They stand where `Learner` stands (update, imitate, state_dict, load_state_dict). Sampled designs
are judged and remembered as ever; the gradient comes from the oracles' `relaxed` form at those
same designs, so nothing is evaluated twice. `biased` says, a line each, what is biased by design.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from designer import credit, estimators, pathwise
from designer.descent import advance, moments, restore_moments, under
from designer.errors import InputError
from designer.objective import Objective
from designer.protocols import Environment, Trajectory
from designer.rollout import evaluate, gaussians

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
    max_grad_norm: float = 1.0
    seed: int = 0

    biased = ()

    def __post_init__(self) -> None:
        _check(self, above=("lr", "max_grad_norm"), least=("entropy", "imitation_weight"))

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
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def biased(self) -> tuple[str, ...]:
        """What is biased by design, a line each."""
        lines = ("dpg: the reward of the mean design is climbed, order deviation^2",)
        learned = (*lines, "critic learned: as far as it is wrong")
        return learned if self.critic == "learned" else lines

    def __post_init__(self) -> None:
        above = ("lr", "critic_lr", "critic_hidden", "critic_epochs", "polyak", "max_grad_norm")
        _check(self, above=above, least=("imitation_weight",))
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
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def biased(self) -> tuple[str, ...]:
        """What is biased by design, a line each."""
        form = "straight-through" if self.hard else "soft"
        return (f"gumbel, tau {self.tau} to {self.tau_end}: {form} choices",)

    def __post_init__(self) -> None:
        above = ("lr", "tau", "tau_end", "tau_steps", "max_grad_norm")
        _check(self, above=above, least=("entropy", "imitation_weight"))

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


class PathLearner(ABC):
    """One optimiser step a batch, down a loss that goes through the design."""

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
        return [*self.settings.biased, *common_biases(self.settings)]

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

    def __init__(self, policy: Any, settings: Gumbel, env: Any, reward: pathwise.Reward) -> None:
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

    def __init__(self, policy: Any, settings: Dpg, env: Any) -> None:
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


def common_biases(settings: Any) -> list[str]:
    """Return what all of these learners share."""
    bonus = getattr(settings, "entropy", 0.0) > 0
    lines = ["entropy: of the states visited, not of which are visited"] if bonus else []
    if settings.max_grad_norm < float("inf"):
        lines.append(f"max_grad_norm {settings.max_grad_norm}: long gradients are shortened")
    return lines


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


def _check(settings: Any, above: tuple[str, ...], least: tuple[str, ...]) -> None:
    for name in above:
        if not getattr(settings, name) > 0:
            raise InputError(f"learner: {name} is {getattr(settings, name)}, expected above 0")
    for name in least:
        if not 0 <= getattr(settings, name) < float("inf"):
            raise InputError(f"learner: {name} is {getattr(settings, name)}, expected 0 or more")


def _named(part: str, module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(f"{part}.{name}", parameter) for name, parameter in module.named_parameters()]
