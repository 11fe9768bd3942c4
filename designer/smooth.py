"""A small world of real numbers, in which pathwise gradients are integrals with known values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer import pathwise
from designer.enumeration import flat
from designer.policy import RecurrentPolicy
from designer.rollout import evaluate, retrace


@dataclass(frozen=True)
class Sum:
    """How far B rows have come."""

    total: Tensor  # [B]
    taken: Tensor  # [B] int64


@dataclass(frozen=True)
class Additions:
    """`max_steps` real numbers, one a choice; their sum so far is seen."""

    max_steps: int = 1

    num_actions, num_values, obs_size = 1, 1, 2
    differentiable = True

    def reset(self, batch_size: int, device: torch.device, generator: Any = None) -> Sum:
        """Return B empty sums."""
        zero = torch.zeros(batch_size, dtype=torch.float64, device=device)
        return Sum(zero, zero.long())

    def observe(self, state: Sum, /) -> Tensor:
        """Return [B, 2]: the sum, and one."""
        return torch.stack([state.total, torch.ones_like(state.total)], dim=1)

    def mask(self, state: Sum, /) -> Tensor:
        """Return [B, 1]: going on is the one action."""
        return torch.ones(len(state.total), 1, dtype=torch.bool, device=state.total.device)

    def step(self, state: Sum, action: Tensor, values: Tensor, /) -> Sum:
        """Return the sums with the next numbers [B, 1]; finished rows stay as they are."""
        more = torch.where(self.done(state), 0.0, values[:, 0])
        return Sum(state.total + more, (state.taken + 1).clamp_max(self.max_steps))

    def done(self, state: Sum, /) -> Tensor:
        """Return [B] bool."""
        return state.taken >= self.max_steps

    def decode(self, actions: Sequence[Sequence[int]], /, values: Any = ()) -> list[Any]:
        """Return no designs: nothing here is judged one by one."""
        return [None] * len(actions)


def polynomial(values: Tensor) -> Tensor:
    """Return [N] a reward of degree 4 in the sum of values [N, T, 1]."""
    x = values.sum((1, 2))
    return 0.3 * x**4 - x**3 + 0.5 * x**2 + x


def three_ways(deviation: float, nodes: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    """Return the score-function, pathwise and deterministic gradients of the mean reward.

    The normal numbers are integrated (Gauss and Hermite), which is exact for one step.
    """
    env: Any = Additions()
    policy = _actor(deviation)
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    noise = torch.from_numpy(x).reshape(-1, 1, 1)
    weight = torch.from_numpy(w / w.sum())
    values, _ = pathwise.unrolled(env, policy, noise)
    through = flat(policy, (weight * polynomial(values)).sum())
    walked = retrace(env, torch.zeros(nodes, 1, dtype=torch.int64), values=values.detach())
    log_prob = evaluate(policy, walked).log_prob.sum(1)
    score = flat(policy, (weight * polynomial(values).detach() * log_prob).sum())
    still, _ = pathwise.unrolled(env, policy, torch.zeros_like(noise[:1]))
    return score, through, flat(policy, polynomial(still).sum())


def _actor(deviation: float) -> RecurrentPolicy:
    """Return a float64 policy whose numbers lie away from 0, at the deviation in every state."""
    policy = RecurrentPolicy(2, 1, 4, seed=0, num_values=1, deviation=0.3).double()
    generator = torch.Generator().manual_seed(1)
    head = policy.number_head
    assert head is not None
    with torch.no_grad():
        head.weight[:1].normal_(0.0, 0.7, generator=generator)
        head.weight[1:] = 0.0
        head.bias.copy_(torch.tensor([0.5, math.log(deviation / 0.3)]))
    return policy
