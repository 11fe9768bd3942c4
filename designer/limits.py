"""The identities that tie the family together: each member, at its limit, is REINFORCE.

Exact ones hold to 1e-12; those of a limit hold at a stated order, which is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer import estimators, natural, pathwise, risk
from designer.audit import EXACT, PLAIN, Bench, Member, everything, stepped
from designer.claims import mean, paid
from designer.constraints import Constraint, Controller, Multipliers, dual_step, pid_step
from designer.enumeration import batches, gap
from designer.learning import LearnerSettings
from designer.protocols import Scored
from designer.robust import ROBUST, combined
from designer.smooth import three_ways


@dataclass(frozen=True)
class Limit:
    """One identity. `error` is a difference, or how far the measured order is from the stated."""

    name: str
    stated: str  # exact, or the order
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Return whether the identity was found."""
        return self.error <= self.tolerance


def limits(bench: Bench | None = None) -> list[Limit]:
    """Return every identity, measured."""
    bench = bench or Bench()
    return [*_exact(bench), *_orders(bench), *_outside(bench)]


def _exact(bench: Bench) -> list[Limit]:
    whole: dict[str, dict[str, Any]] = {
        "exponential utility, eta = 0": {"baseline": "entropic", "eta": 0.0},
        "upper quantile of the whole": {"baseline": "quantile", "epsilon": 1.0},
        "worst case, KL radius 0": {"baseline": "kl_ball", "radius": 0.0},
        "mean - variance, risk 0": {"baseline": "mean_variance", "risk": 0.0},
        "batch mean, infinite batch": {"baseline": "batch_mean"},
        "KL to the prior, weight 0": {"baseline": "none", "kl_weight": 0.0},
        "coma, return, critic of zeros": {
            "baseline": "counterfactual", "agents": 2, "agent_steps": 1,
        },
        "critic, lambda 1, discount 1": {"baseline": "critic", "gamma": 1.0, "gae_lambda": 1.0},
    }  # fmt: skip
    found = [
        _same(name, everything(_member(name, **changes), bench), mean(bench))
        for name, changes in whole.items()
    ]
    each: dict[str, dict[str, Any]] = {
        "max@k, k = 1": {"baseline": "max_at_k", "best_of": 1},
        "ppo, clip infinite, one epoch": {"epochs": 2, "clip": 1e9},
        "leave one out, natural off": {"natural": False},
    }
    for name, changes in each.items():
        found.append(_same(name, _expectation(_member(name, **changes), bench), mean(bench)))
    shaped = Member("", LearnerSettings(**PLAIN, baseline="none"), paid, steps_pay=True)
    total = (bench.toy.share * bench.paid.sum(1)).sum()
    togo = everything(shaped, bench)
    return [*found, _same("reward to go, the total", togo, bench.toy.gradient(total))]


def _orders(bench: Bench) -> list[Limit]:
    """Return the limits that are approached, with the order at which they are."""

    def away(**changes: Any) -> float:
        return gap(everything(_member("", **changes), bench), mean(bench))

    def turned(size: float) -> float:
        """Return how far natural's step, times its damping, is from the gradient itself."""
        step = everything(_member("", baseline="none", natural=True, damping=size), bench)
        return gap(size * step, mean(bench))

    return [
        _order("exponential utility, eta -> 0", 1, lambda x: away(baseline="entropic", eta=x)),
        _order("mean - variance, risk -> 0", 1, lambda x: away(baseline="mean_variance", risk=x)),
        _order("worst case, radius -> 0", 0.5, lambda x: away(baseline="kl_ball", radius=x)),
        _order("natural gradient, damping -> infinity", 1, lambda x: turned(1.0 / x)),
        _order("gumbel-softmax, temperature -> 0", 2, relaxation_bias),
        _order("deterministic gradient, deviation -> 0", 2, determined),
    ]


def _outside(bench: Bench) -> list[Limit]:
    values = np.array([[0.3], [-1.2], [4.0]])
    one = [combined(values, np.ones(1), how) for how in ROBUST]
    alone = max(float(np.abs(v - values[:, 0]).max()) for v in one)
    many = np.array([[0.3, 0.7, -0.4], [1.0, 2.0, 5.0]])
    ball = combined(many, np.array([1.0, 1.0, 2.0]), "kl", radius=0.0)
    drift = float(np.abs(ball - many @ np.array([0.25, 0.25, 0.5])).max())
    wide = float(np.abs(combined(many, np.ones(3), "kl", radius=50.0) - many.min(1)).max())
    preferences = torch.linspace(-1, 1, 4, dtype=torch.float64)
    return [
        _same("pathwise = score function", *three_ways(0.3)[:2]),
        Limit("constraint, multiplier 0", "exact", _unpriced(), 0.0),
        Limit("pid without P and D = dual ascent", "exact", _controlled(), EXACT),
        Limit("ensemble of one", "exact", alone, EXACT),
        Limit("ensemble, KL radius 0 = mean", "exact", drift, EXACT),
        Limit("ensemble, KL radius large = worst", "exact", wide, 1e-6),
        _same("softmax bandit", *bandit(preferences, torch.sin(3 * preferences), 0.7)),
        _same("compatible critic", *compatible(bench)),
        Limit("KL-ball dual = primal", "exact", _duality(), 1e-9),
    ]


def bandit(preferences: Tensor, payoff: Tensor, baseline: float) -> tuple[Tensor, Tensor]:
    """Return the expected bandit gradient over all arms, and autograd's."""
    held = preferences.clone().requires_grad_()
    pi = torch.softmax(held, 0)
    exact = torch.autograd.grad((pi * payoff).sum(), held)[0]
    found = sum(
        float(chance)
        * estimators.bandit_gradient(
            preferences, torch.tensor([arm]), payoff[arm : arm + 1], baseline
        )
        for arm, chance in enumerate(pi.tolist())
    )
    assert isinstance(found, Tensor)
    return found, exact


def compatible(bench: Bench) -> tuple[Tensor, Tensor]:
    """Return the gradient that the compatible critic gives, and the exact one."""
    weights = natural.compatible(bench.score, bench.toy.weight, bench.toy.reward)
    fitted = bench.score @ weights
    return bench.score.T @ (bench.toy.weight * fitted), mean(bench)


def determined(deviation: float) -> float:
    """Return how far the deterministic policy gradient is from that of the mean reward."""
    score, _, still = three_ways(deviation)
    return gap(score, still)


def relaxation_bias(tau: float) -> float:
    """Return the bias of the relaxed gradient of an expected linear reward of two choices.

    The noise is integrated, not sampled: the difference of two Gumbels is logistic.
    """
    logit = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    grid = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    noise = torch.stack([(grid / (1 - grid)).log(), torch.zeros_like(grid)], dim=1)
    log_p = torch.log_softmax(torch.stack([logit, torch.zeros_like(logit)]), 0).expand(len(grid), 2)
    legal = torch.ones(len(grid), 2, dtype=torch.bool)
    relaxed = pathwise.gumbel_softmax(log_p, legal, noise, tau, hard=False)[:, 0].mean()
    exact = torch.sigmoid(logit)
    found, true = (torch.autograd.grad(value, logit)[0] for value in (relaxed, exact))
    return float((found - true).abs())


def _unpriced() -> float:
    """Return how much a constraint that is kept changes the rewards: nothing, digit for digit."""

    @dataclass(frozen=True)
    class Column:
        name: str = "x"
        cheap: bool = True

        def __call__(self, designs: Any) -> Any:
            return np.zeros(len(designs))

    reward = np.array([0.1, 0.7, -0.3])
    columns = {"x": np.array([0.2, 0.9, 0.4])}
    ones, new = np.ones(3), np.ones(3, dtype=bool)
    scored = Scored([1, 2, 3], columns, reward, reward, ones, new)
    multipliers = Multipliers([Constraint(Column(), at_most=1.0)])
    for _ in range(5):
        multipliers.learn(scored, 3)
    return float(np.abs(multipliers.priced(scored) - reward).max())


def _controlled() -> float:
    multiplier, memory, apart = 0.0, Controller(), 0.0
    for t in range(200):
        excess = math.sin(0.3 * t) + 0.1
        multiplier = dual_step(multiplier, excess, 0.05)
        steered, memory = pid_step(memory, excess, 0.0, 0.05, 0.0)
        apart = max(apart, abs(steered - multiplier))
    return apart


def _duality() -> float:
    """Return the gap between the worst mean in the ball and the dual's value at its exponent."""
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    share = torch.rand(50, 6, generator=generator, dtype=torch.float64)
    share = share / share.sum(1, keepdim=True)
    worst, eta = risk.worst_in_ball(values, share, 0.1)
    dual = torch.logsumexp(share.log() + eta.unsqueeze(1) * values, 1) / eta + 0.1 / eta
    return gap(worst, dual)


def _expectation(member: Member, bench: Bench) -> Tensor:
    parts = [
        chance * stepped(member, bench, rows, torch.ones(2, dtype=torch.float64))
        for rows, chance in batches(bench.toy.weight, 2)
    ]
    return torch.stack(parts).sum(0)


def _member(name: str, **changes: Any) -> Member:
    return Member(name, replace(LearnerSettings(**PLAIN), **changes), mean)


def _same(name: str, found: Tensor, exact: Tensor) -> Limit:
    return Limit(name, "exact", gap(found, exact), EXACT)


def _order(name: str, order: float, away: Callable[[float], float]) -> Limit:
    """Return how far the order is from the stated one, measured where it is reached."""
    large, small = away(1e-2), away(1e-3)
    return Limit(name, f"order {order:g}", abs(math.log10(large / small) - order), 0.1)
