"""Small worlds in which every design can be listed, and expectations are sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from designer.policy import RecurrentPolicy
from designer.protocols import Policy, Trajectory
from designer.rollout import evaluate, retrace
from designer.sequences import Sequences, TokenDesign, Written

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


@dataclass(frozen=True)
class Counted:
    """How far B rows have been written, and how many of the first token are in them."""

    last: Tensor
    length: Tensor
    ended: Tensor
    found: Tensor

    @property
    def written(self) -> Written:
        return Written(self.last, self.length, self.ended)


@dataclass(frozen=True)
class Shaped:
    """`Sequences` with a potential: how many of the first token have been written."""

    inner: Sequences

    num_actions = property(lambda self: self.inner.num_actions)
    max_steps = property(lambda self: self.inner.max_steps)
    obs_size = property(lambda self: self.inner.obs_size + 1)

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Counted:
        inner = self.inner.reset(batch_size, device)
        return Counted(**vars(inner), found=torch.zeros(batch_size, device=device))

    def observe(self, state: Counted, /) -> Tensor:
        return torch.cat([self.inner.observe(state.written), state.found.unsqueeze(1)], dim=1)

    def mask(self, state: Counted, /) -> Tensor:
        return self.inner.mask(state.written)

    def step(self, state: Counted, action: Tensor, /) -> Counted:
        gained = (action == 0) & ~self.done(state)
        return Counted(**vars(self.inner.step(state.written, action)), found=state.found + gained)

    def done(self, state: Counted, /) -> Tensor:
        return self.inner.done(state.written)

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[TokenDesign | None]:
        return self.inner.decode(actions)

    def potential(self, state: Counted) -> Tensor:
        return state.found


def listed(env: Any) -> list[list[int]]:
    """Return the actions of every design, found by walking through the masks."""
    rows: list[list[int]] = [[]]
    finished: list[list[int]] = []
    while rows:
        state = env.reset(len(rows), torch.device("cpu"))
        for t in range(len(rows[0])):
            state = env.step(state, torch.tensor([row[t] for row in rows]))
        over, legal = env.done(state).tolist(), env.mask(state)
        finished += [row for row, end in zip(rows, over, strict=True) if end]
        rows = [
            [*row, int(action)]
            for row, end, mask in zip(rows, over, legal, strict=True)
            if not end
            for action in mask.nonzero()
        ]
    return finished


@dataclass(frozen=True)
class World:
    """An environment with all of its N designs, a policy, and a reward for each design."""

    env: Any
    policy: RecurrentPolicy
    trajectory: Trajectory  # N rows, as the policy sees them now, with gradients
    reward: Tensor  # [N]

    @property
    def log_prob(self) -> Tensor:
        """Return [N], with gradients."""
        return self.trajectory.log_prob.sum(1)

    @property
    def share(self) -> Tensor:
        """Return the probability of each design, [N], with gradients."""
        return self.log_prob.exp()

    @property
    def weight(self) -> Tensor:
        """Return the probabilities as plain weights: a weighted mean is an expectation."""
        return self.share.detach()

    @property
    def fixed(self) -> Trajectory:
        """Return the trajectory as a rollout would give it, without gradients."""
        t = self.trajectory
        return t.replace(
            log_prob=t.log_prob.detach(), entropy=t.entropy.detach(), value=t.value.detach()
        )

    def gradient(self, value: Tensor) -> Tensor:
        """Return the gradient of a number by all parameters of the policy, as one vector."""
        return flat(self.policy, value)


def world(
    env: Any = None, seed: int = 0, layers: int = 1, prior: Policy | None = None, scale: float = 1.0
) -> World:
    """Return a world; by default ten words of one to three letters a and b, without 'bb'."""
    if env is None:
        env = Sequences("ab", max_length=3, min_length=1, forbidden=[("b", "b")])
    policy = lively(env, seed, layers)
    trajectory = evaluate(policy, retrace(env, listed(env)), prior)
    generator = torch.Generator().manual_seed(seed + 100)
    reward = torch.randn(len(trajectory.actions), generator=generator, dtype=torch.float64) * scale
    return World(env, policy, trajectory, reward)


def lively(env: Any, seed: int = 0, layers: int = 1, hidden: int = 4) -> RecurrentPolicy:
    """Return a float64 policy whose heads are not near zero, so that nothing cancels by luck."""
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden, layers, seed=seed).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for head in (policy.head, policy.value_head):
            head.weight.normal_(0.0, 1.0, generator=generator)
            head.bias.normal_(0.0, 0.5, generator=generator)
    return policy


def flat(policy: torch.nn.Module, value: Tensor) -> Tensor:
    """Return the gradient of `value` as one vector; parameters that do not matter count 0."""
    parameters = list(policy.parameters())
    parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(p) if g is None else g).reshape(-1)
            for p, g in zip(parameters, parts, strict=True)
        ]
    )


def vector(policy: torch.nn.Module) -> Tensor:
    """Return all parameters as one vector (a copy)."""
    return torch.cat([p.detach().reshape(-1) for p in policy.parameters()])


def gap(a: Tensor, b: Tensor) -> float:
    """Return the largest difference."""
    return float((a - b).abs().max())
