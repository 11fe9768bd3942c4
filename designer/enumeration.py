"""Small worlds in which every design can be listed, so that expectations are sums.

What a public estimator is usually tested by is sampling, within 10 %; here its expected gradient
is exact, with the real policy class, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor

from designer.natural import flattened
from designer.policy import RecurrentPolicy
from designer.protocols import Policy, Trajectory
from designer.rollout import evaluate, retrace
from designer.sequences import Sequences


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


def batches(weight: Tensor, k: int) -> Iterator[tuple[Tensor, float]]:
    """Yield every batch of k designs, as indices [k], with its probability; order is left out."""
    share = weight.tolist()
    for rows in combinations_with_replacement(range(len(share)), k):
        orders = math.factorial(k)
        for row in set(rows):
            orders //= math.factorial(rows.count(row))
        yield torch.tensor(rows), orders * math.prod(share[row] for row in rows)


def true_value(toy: World, reward: Tensor | None = None) -> Tensor:
    """Return [N, T], the expected reward from each prefix on; 0 where inactive."""
    actions, active = toy.trajectory.actions.tolist(), toy.trajectory.active
    reward = toy.reward if reward is None else reward
    weight, value = toy.weight, torch.zeros(active.shape, dtype=torch.float64)
    for i, row in enumerate(actions):
        for t in range(int(active[i].sum())):
            same = torch.tensor([other[:t] == row[:t] for other in actions])
            value[i, t] = (weight * reward)[same].sum() / weight[same].sum()
    return value


def of_prefixes(toy: World, function: Callable[[Tensor], Tensor] = torch.sin) -> Tensor:
    """Return [N, T] numbers that depend on the prefix written so far, as step rewards do."""
    actions, active = toy.trajectory.actions, toy.trajectory.active
    code = torch.zeros(len(actions), dtype=torch.float64)
    out = []
    for t in range(actions.shape[1]):
        code = 3.0 * code + actions[:, t] + 1
        out.append(function(code * 1.7) * active[:, t])
    return torch.stack(out, dim=1)


def flat(policy: torch.nn.Module, value: Tensor) -> Tensor:
    """Return the gradient of `value` as one vector; parameters that do not matter count 0."""
    parameters = list(policy.parameters())
    parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return flattened(parts, parameters)


def vector(policy: torch.nn.Module) -> Tensor:
    """Return all parameters as one vector (a copy)."""
    parameters = [p.detach() for p in policy.parameters()]
    return flattened(parameters, parameters)


def gap(a: Tensor, b: Tensor) -> float:
    """Return the largest difference."""
    return float((a - b).abs().max())
