"""The audit of the estimators: exact expected gradients, member by member.

Every batch of k designs of a small world is given to the real `Learner`, with the real policy
class, in float64; the gradient that it would step along is weighted by the batch's probability.
What comes out is the estimator's expectation, not a sample of it. See `designer.claims` for what
each member claims, and `designer.limits` for the identities that tie the members together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from designer.enumeration import World, batches, gap, lively, of_prefixes, true_value, world
from designer.learner import Learner
from designer.learning import LearnerSettings
from designer.natural import flattened
from designer.protocols import Trajectory
from designer.rollout import with_prior
from designer.suiting import biases

EXACT = 1e-12
Holds = Literal["any batch", "known bias", "large batch"]
PLAIN: dict[str, Any] = {"entropy": 0.0, "value_weight": 0.0, "max_grad_norm": float("inf")}


@dataclass(frozen=True)
class Bench:
    """The world that is listed, and what some members need beside it."""

    toy: World = field(default_factory=world)

    @cached_property
    def prior(self) -> Any:
        """A frozen policy to stay near to."""
        return lively(self.toy.env, 50)

    @cached_property
    def value(self) -> Tensor:
        """[N, T] the true expected reward from each prefix on."""
        return true_value(self.toy)

    @cached_property
    def paid(self) -> Tensor:
        """[N, T] rewards that steps pay."""
        return of_prefixes(self.toy)

    @cached_property
    def potential(self) -> Tensor:
        """[N, T + 1] a potential of the prefixes, 0 at the start."""
        after = of_prefixes(self.toy, torch.cos)
        return torch.cat([torch.zeros_like(after[:, :1]), after], dim=1)

    @cached_property
    def score(self) -> Tensor:
        """[N, P] the gradient of each design's log-probability."""
        return torch.stack([self.toy.gradient(value) for value in self.toy.log_prob])

    @cached_property
    def theirs(self) -> Tensor:
        """[N] the prior's log-probability of each design."""
        known = with_prior(self.toy.fixed, self.prior).prior_log_prob
        assert known is not None
        return known.sum(1)


Gradient = Callable[[Bench], Tensor]


@dataclass(frozen=True)
class Member:
    """One estimator: its settings, the gradient that it claims, and how that claim holds.

    `known` is the expected gradient in batches of k where it is biased by a known amount.
    """

    name: str
    settings: LearnerSettings
    claim: Gradient
    holds: Holds = "any batch"
    known: Callable[[Bench, int], Tensor] | None = None
    k: int = 2  # designs a batch
    steps_pay: bool = False  # rewards [N, T] in place of [N]
    true_value: bool = False  # the critic knows the truth
    needs_prior: bool = False
    prepare: Callable[[Learner], None] = lambda learner: None


@dataclass(frozen=True)
class Row:
    """What the audit found of one member. Gradients are compared by their largest difference."""

    name: str
    holds: str  # any batch: unbiased; known bias; large batch: exact where the batch is everything
    error: float  # of what is claimed, in units of the claim's largest entry where that exceeds 1
    bias: float  # length of (expected - exact) over that of the exact gradient
    variance: float  # total variance of one design's share of the gradient
    cosine: float  # between the expected gradient and the exact one
    biased: Sequence[str]  # what the settings say of themselves


def audit(members: Sequence[Member], bench: Bench | None = None) -> list[Row]:
    """Return a row for each member."""
    bench = bench or Bench()
    return [examine(member, bench) for member in members]


def examine(member: Member, bench: Bench) -> Row:
    """Return what one member's expected gradient is, against what it claims."""
    mean, second = torch.zeros(()), 0.0
    for rows, chance in batches(bench.toy.weight, member.k):
        gradient = stepped(member, bench, rows, torch.ones(member.k, dtype=torch.float64))
        mean = mean + chance * gradient
        second += chance * float(gradient.square().sum())
    claim = member.claim(bench)
    match member.holds:
        case "any batch":
            error = gap(mean, claim)
        case "known bias":
            assert member.known is not None
            error = gap(mean, member.known(bench, member.k))
        case "large batch":
            error = gap(everything(member, bench), claim)
    size, length = float(claim.norm()), float(mean.norm())
    return Row(
        member.name,
        member.holds,
        error / max(1.0, float(claim.abs().max())),
        float((mean - claim).norm()) / size,
        member.k * (second - length**2),
        float(mean @ claim) / max(size * length, 1e-300),
        _said(member),
    )


def everything(member: Member, bench: Bench) -> Tensor:
    """Return the gradient of the batch that holds every design, weighted by its probability."""
    return stepped(member, bench, torch.arange(len(bench.toy.reward)), bench.toy.weight)


def stepped(member: Member, bench: Bench, rows: Tensor, weight: Tensor) -> Tensor:
    """Return the direction [P] of the first step that the learner takes on some rows."""
    policy, prior = bench.toy.policy, bench.prior if member.needs_prior else None
    learner = Learner(policy, member.settings, prior)
    member.prepare(learner)
    learner.optimiser.register_step_pre_hook(_stop)
    reward = bench.paid if member.steps_pay else bench.toy.reward
    try:
        learner.update(_drawn(member, bench).rows(rows), reward[rows], weight)
    except _EnoughError:
        parameters = list(policy.parameters())
        return -flattened([p.grad for p in parameters], parameters)
    raise AssertionError(f"{member.name} took no step")


class _EnoughError(Exception):
    """The gradient lies ready; the step itself is not wanted."""


def _stop(*_: Any) -> None:
    raise _EnoughError


def _drawn(member: Member, bench: Bench) -> Trajectory:
    drawn = bench.toy.fixed.replace(prior_log_prob=None)
    if member.settings.shaping > 0:
        drawn = drawn.replace(potential=bench.potential)
    return drawn.replace(value=bench.value) if member.true_value else drawn


def _said(member: Member) -> list[str]:
    """Return what the settings call biased, without what the bench itself sets."""
    return biases(replace(member.settings, max_grad_norm=float("inf")))
