"""Sampling designs from a policy, and replaying given ones through it.

`rollout` draws, `retrace` walks known actions through the environment, and `evaluate` asks a
policy what it thinks of recorded steps, with gradients. `replay` is the last two together.

All random numbers are drawn before the first step. On the CPU the loop stops when every row is
done: since finished rows absorb, and no number is drawn in the loop, this changes no result. On
other devices nothing is read back to the host inside the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from designer import masking
from designer.protocols import Environment, Policy, Trajectory


@torch.no_grad()
def rollout(
    env: Environment[Any, Any],
    policy: Policy,
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    device: torch.device | str = "cpu",
    temperature: float = 1.0,
) -> Trajectory:
    """Return B rows sampled from the policy; no gradients. T is at most `env.max_steps`.

    `generator` lives on the CPU or on `device`; the same seed gives the same rows.
    """
    device = torch.device(device)
    uniforms = _uniforms(env.max_steps, batch_size, device, generator)
    state = env.reset(batch_size, device, generator)
    memory = policy.start(batch_size, device)
    steps = _Columns(env.max_steps)
    potentials = [_potential(env, state)]
    for t in range(env.max_steps):
        active = ~env.done(state)
        if t and device.type == "cpu" and not bool(active.any()):
            break
        observation, mask = env.observe(state), env.mask(state)
        choices, memory = policy.step(observation, memory)
        action, log_prob, entropy = masking.draw(choices.logits, mask, uniforms[t], temperature)
        steps.append(observation, mask, action, active, log_prob, entropy, choices.value)
        state = env.step(state, action)
        potentials.append(_potential(env, state))
    observations, masks, actions, acted, log_probs, entropies, values = steps.joined()
    return Trajectory(
        observations,
        masks,
        actions,
        acted,
        log_probs * acted,
        entropies * acted,
        values * acted,
        potential=_stacked(potentials),
    )


@torch.no_grad()
def retrace(
    env: Environment[Any, Any],
    actions: Sequence[Sequence[int]] | Tensor,
    *,
    device: torch.device | str = "cpu",
) -> Trajectory:
    """Return the steps that `actions` take, with log-probabilities, entropy and value 0.

    `actions` is [B, T] or a list of rows of different length; a short row must end its design.
    Illegal actions raise ValueError (checked on the CPU only, where it costs no transfer).
    """
    device = torch.device(device)
    wanted = _padded(actions, device)
    batch_size, length = wanted.shape
    state = env.reset(batch_size, device)
    steps: list[tuple[Tensor, ...]] = []
    potentials = [_potential(env, state)]
    for t in range(length):
        observation, mask, active = env.observe(state), env.mask(state), ~env.done(state)
        # padding: a finished row takes its one legal action, whatever the column holds
        action = torch.where(active, wanted[:, t], mask.to(torch.uint8).argmax(-1))
        if device.type == "cpu":
            _check_legal(mask, action, t)
        steps.append((observation, mask, action, active))
        state = env.step(state, action)
        potentials.append(_potential(env, state))
    if device.type == "cpu" and not bool(env.done(state).all()):
        row = int((~env.done(state)).nonzero()[0])
        raise ValueError(f"row {row} is unfinished after its {length} actions")
    observations, masks, taken, active = (torch.stack(c, dim=1) for c in zip(*steps, strict=True))
    zero = torch.zeros(taken.shape, device=device)
    return Trajectory(
        observations, masks, taken, active, zero, zero, zero, potential=_stacked(potentials)
    )


def evaluate(policy: Policy, trajectory: Trajectory, prior: Policy | None = None) -> Trajectory:
    """Return the trajectory with this policy's log-probabilities, entropies and values.

    Differentiable in the policy's parameters. With a `prior`, its log-probabilities of the same
    actions are filled in, without gradients.
    """
    choices = policy.unroll(trajectory.observations)
    log_probs = masking.log_probabilities(choices.logits, trajectory.masks)
    active = trajectory.active
    prior_log_prob = trajectory.prior_log_prob
    if prior is not None and prior_log_prob is None:
        with torch.no_grad():
            logits = prior.unroll(trajectory.observations).logits
            theirs = masking.log_probabilities(logits, trajectory.masks)
            prior_log_prob = masking.chosen(theirs, trajectory.actions) * active
    return trajectory.replace(
        log_prob=masking.chosen(log_probs, trajectory.actions) * active,
        entropy=masking.entropy(log_probs, trajectory.masks) * active,
        value=choices.value * active,
        prior_log_prob=prior_log_prob,
    )


def replay(
    env: Environment[Any, Any],
    policy: Policy,
    actions: Sequence[Sequence[int]] | Tensor,
    *,
    prior: Policy | None = None,
    device: torch.device | str = "cpu",
) -> Trajectory:
    """Return what the policy thinks of given actions, with gradients (agrees with `rollout`)."""
    return evaluate(policy, retrace(env, actions, device=device), prior)


class _Columns:
    """What is kept of every step, written into place, step after step.

    Room for all T steps is taken at the first one: thousands of small tensors kept alive until
    the end would cost more than the choices themselves.
    """

    def __init__(self, length: int) -> None:
        self.length, self.count = length, 0
        self.columns: list[Tensor] = []

    def append(self, *values: Tensor) -> None:
        if not self.columns:
            self.columns = [value.new_empty((self.length, *value.shape)) for value in values]
        for column, value in zip(self.columns, values, strict=True):
            column[self.count] = value
        self.count += 1

    def joined(self) -> list[Tensor]:
        """Return each column as [B, T, ...], T being the steps taken."""
        return [column[: self.count].transpose(0, 1) for column in self.columns]


def _uniforms(
    steps: int, batch_size: int, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    where = generator.device if generator is not None else device
    return torch.rand(steps, batch_size, generator=generator, device=where).to(device)


def _potential(env: Environment[Any, Any], state: Any) -> Tensor | None:
    potential = getattr(env, "potential", None)
    return None if potential is None else potential(state)


def _stacked(potentials: list[Tensor | None]) -> Tensor | None:
    if potentials[0] is None:
        return None
    return torch.stack([p for p in potentials if p is not None], dim=1)


def _padded(actions: Sequence[Sequence[int]] | Tensor, device: torch.device) -> Tensor:
    if isinstance(actions, Tensor):
        return actions.to(device=device, dtype=torch.int64)
    length = max((len(row) for row in actions), default=0)
    rows = [list(row) + [0] * (length - len(row)) for row in actions]
    return torch.tensor(rows, dtype=torch.int64, device=device).reshape(len(rows), length)


def _check_legal(mask: Tensor, action: Tensor, t: int) -> None:
    legal = mask.gather(-1, action.unsqueeze(-1)).squeeze(-1)
    if not bool(legal.all()):
        row = int((~legal).nonzero()[0])
        raise ValueError(f"row {row}, step {t}: action {int(action[row])} is not legal there")
