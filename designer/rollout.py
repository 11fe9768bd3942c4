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

from designer import gaussian, masking
from designer.errors import InputError
from designer.protocols import Choices, Environment, Policy, Trajectory
from designer.walk import (
    Columns,
    Potentials,
    beside,
    filled,
    names,
    noise,
    restart,
    start_of,
    valued,
)


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
    normals = noise(env, batch_size, device, generator)
    state = env.reset(batch_size, device, generator)
    memory = policy.start(batch_size, device)
    steps, extras, start = Columns(env.max_steps), Columns(env.max_steps), start_of(env, state)
    potentials = Potentials(env, state)
    for t in range(env.max_steps):
        active = ~env.done(state)
        if t and device.type == "cpu" and not bool(active.any()):
            break
        observation, mask = env.observe(state), env.mask(state)
        choices, memory = policy.step(observation, memory)
        action, log_prob, entropy = masking.draw(choices.logits, mask, uniforms[t], temperature)
        values: tuple[Tensor, ...] = ()
        if normals is not None:
            location, scale = gaussians(choices)
            values = (gaussian.draw(location, scale, normals[t], temperature),)
            counts = valued(env, state, action, active)
            density = gaussian.log_density(*values, location, scale, temperature)
            log_prob = log_prob + density * counts
            entropy = entropy + gaussian.entropy(scale, temperature) * counts
        steps.append(observation, mask, action, active, log_prob, entropy, choices.value)
        extras.append(*beside(env, state, action, active, *values).values())
        before, state = state, env.step(state, action, *values)
        potentials.append(before, action, state)
    observations, masks, actions, acted, log_probs, entropies, worth = steps.joined()
    return Trajectory(
        observations,
        masks,
        actions,
        acted,
        log_probs * acted,
        entropies * acted,
        worth * acted,
        potential=potentials.stacked(),
        start=start,
        **dict(zip(names(env), extras.joined(), strict=True)),
    )


def retrace(
    env: Environment[Any, Any],
    actions: Sequence[Sequence[int]] | Tensor,
    *,
    values: Sequence[Any] | Tensor | None = None,
    start: Sequence[Any] | Tensor | None = None,
    device: torch.device | str = "cpu",
) -> Trajectory:
    """Return the steps that `actions` take, with log-probabilities, entropy and value 0.

    `actions` is [B, T] or a list of rows of different length; a short row must end its design.
    `values` [B][T][K] and `start` [B][S] go with them where the environment has these. Illegal
    actions raise ValueError (checked on the CPU only, where it costs no transfer).
    """
    walked, wrong = attempt(env, actions, values=values, start=start, device=device)
    if wrong.device.type == "cpu" and bool((wrong >= 0).any()):
        length = walked.actions.shape[1]
        first = int(wrong[wrong >= 0].min())  # the earliest, as a step-by-step check would say
        row = int((wrong == first).nonzero()[0])
        if first == length:
            raise ValueError(f"row {row} is unfinished after its {length} actions")
        action = int(_padded(actions, wrong.device)[row, first])
        raise ValueError(f"row {row}, step {first}: action {action} is not legal there")
    return walked


@torch.no_grad()
def attempt(
    env: Environment[Any, Any],
    actions: Sequence[Sequence[int]] | Tensor,
    *,
    values: Sequence[Any] | Tensor | None = None,
    start: Sequence[Any] | Tensor | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Trajectory, Tensor]:
    """Return the steps of `retrace`, and [B] the step at which a row went wrong, -1 for none.

    That is the first step whose action is illegal (the first legal one is taken there, so the
    row goes on somehow), or T where the row is unfinished after its T actions.
    """
    device = torch.device(device)
    wanted = _padded(actions, device)
    batch_size, length = wanted.shape
    state = restart(env, batch_size, device, start)
    numbers = filled(env, values, batch_size, length, device)
    steps, extras, first = Columns(length), Columns(length), start_of(env, state)
    potentials = Potentials(env, state)
    wrong = torch.full((batch_size,), -1, dtype=torch.int64, device=device)
    for t in range(length):
        observation, mask, active = env.observe(state), env.mask(state), ~env.done(state)
        legal = _legal(mask, wanted[:, t])
        # padding: a finished row takes its one legal action, whatever the column holds
        action = torch.where(active & legal, wanted[:, t], mask.to(torch.uint8).argmax(-1))
        wrong = torch.where(active & ~legal & (wrong < 0), t, wrong)
        given = () if numbers is None else (numbers[:, t],)
        steps.append(observation, mask, action, active)
        extras.append(*beside(env, state, action, active, *given).values())
        before, state = state, env.step(state, action, *given)
        potentials.append(before, action, state)
    wrong = torch.where(~env.done(state) & (wrong < 0), length, wrong)
    observations, masks, taken, active = steps.joined()
    zero = torch.zeros(taken.shape, device=device)
    walked = Trajectory(
        observations,
        masks,
        taken,
        active,
        zero,
        zero,
        zero,
        potential=potentials.stacked(),
        start=first,
        **dict(zip(names(env), extras.joined(), strict=True)),
    )
    return walked, wrong


def evaluate(policy: Policy, trajectory: Trajectory, prior: Policy | None = None) -> Trajectory:
    """Return the trajectory with this policy's log-probabilities, entropies and values.

    Differentiable in the policy's parameters. With a `prior`, its log-probabilities of the same
    actions are filled in, without gradients.
    """
    choices = policy.unroll(trajectory.observations)
    log_probs = masking.log_probabilities(choices.logits, trajectory.masks)
    active = trajectory.active
    entropy = masking.entropy(log_probs, trajectory.masks) * active
    if trajectory.values is not None and trajectory.valued is not None:
        entropy = entropy + gaussian.entropy(gaussians(choices)[1]) * trajectory.valued
    if prior is not None:
        trajectory = with_prior(trajectory, prior)
    return trajectory.replace(
        log_prob=log_prob_of(choices, trajectory, masking.chosen(log_probs, trajectory.actions)),
        entropy=entropy,
        value=choices.value * active,
    )


def with_prior(trajectory: Trajectory, prior: Policy) -> Trajectory:
    """Return the trajectory with the prior's log-probabilities, where it has none yet."""
    if trajectory.prior_log_prob is not None:
        return trajectory
    with torch.no_grad():
        choices = prior.unroll(trajectory.observations)
        theirs = masking.log_probabilities(choices.logits, trajectory.masks)
        chosen = masking.chosen(theirs, trajectory.actions)
        return trajectory.replace(prior_log_prob=log_prob_of(choices, trajectory, chosen))


def log_prob_of(choices: Choices, trajectory: Trajectory, chosen: Tensor) -> Tensor:
    """Return [B, T] the log-probability of the actions and of the values that go with them."""
    if trajectory.values is None or trajectory.valued is None:
        return chosen * trajectory.active
    density = gaussian.log_density(trajectory.values, *gaussians(choices))
    return chosen * trajectory.active + density * trajectory.valued


def gaussians(choices: Choices) -> tuple[Tensor, Tensor]:
    """Return location and deviation; raises InputError for a policy that has no values."""
    if choices.location is None or choices.scale is None:
        raise InputError(
            "this task needs a policy that draws real numbers beside its choices, and this one "
            "gives none; take kind = 'recurrent', or give `Choices` a location and a scale"
        )
    return choices.location, choices.scale


def replay(
    env: Environment[Any, Any],
    policy: Policy,
    actions: Sequence[Sequence[int]] | Tensor,
    *,
    values: Sequence[Any] | Tensor | None = None,
    start: Sequence[Any] | Tensor | None = None,
    prior: Policy | None = None,
    device: torch.device | str = "cpu",
) -> Trajectory:
    """Return what the policy thinks of given actions, with gradients (agrees with `rollout`)."""
    walked = retrace(env, actions, values=values, start=start, device=device)
    return evaluate(policy, walked, prior)


def _uniforms(
    steps: int, batch_size: int, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    where = generator.device if generator is not None else device
    return torch.rand(steps, batch_size, generator=generator, device=where).to(device)


def _padded(actions: Sequence[Sequence[int]] | Tensor, device: torch.device) -> Tensor:
    if isinstance(actions, Tensor):
        return actions.to(device=device, dtype=torch.int64)
    length = max((len(row) for row in actions), default=0)
    rows = [list(row) + [0] * (length - len(row)) for row in actions]
    return torch.tensor(rows, dtype=torch.int64, device=device).reshape(len(rows), length)


def _legal(mask: Tensor, action: Tensor) -> Tensor:
    """Return [B] bool; False for an action that there is not."""
    known = (action >= 0) & (action < mask.shape[-1])
    held = action.clamp(0, mask.shape[-1] - 1).unsqueeze(-1)
    return mask.gather(-1, held).squeeze(-1) & known
