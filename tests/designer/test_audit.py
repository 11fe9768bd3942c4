"""The audit is a test: every member is what it claims to be, every identity holds."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from designer import credit, natural, risk
from designer.audit import EXACT, Bench, examine
from designer.claims import members
from designer.enumeration import gap
from designer.learner import LEARNERS
from designer.learning import BaselineName
from designer.limits import limits

BENCH = Bench()
MEMBERS = {member.name: member for member in members()}


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_is_what_it_claims_to_be(name: str) -> None:
    row = examine(MEMBERS[name], BENCH)
    assert row.error <= EXACT, row
    unbiased = row.holds == "any batch"
    assert (row.bias < 1e-10) == unbiased, row
    assert row.variance > 0
    if not unbiased:
        assert row.biased, "what is biased must say so"


def test_every_baseline_and_every_kind_is_audited() -> None:
    from typing import get_args

    audited = {member.settings.baseline for member in MEMBERS.values()}
    assert audited == set(get_args(BaselineName))
    losses = {member.settings.loss for member in MEMBERS.values()}
    assert losses == {"policy_gradient", "augmented", "trajectory_balance"}
    assert {member.settings.tilt for member in MEMBERS.values()} == {True, False}
    assert len(LEARNERS) == 14


def test_at_its_limit_every_member_is_reinforce() -> None:
    found = limits(BENCH)
    assert [tie for tie in found if not tie.holds] == []
    assert len(found) >= 25 and len({tie.name for tie in found}) == len(found)


def best_of_subsets(values: list[float], k: int) -> list[float]:
    """Return what each row adds to the best of k, by listing all subsets."""
    from itertools import combinations

    n, out = len(values), [0.0] * len(values)
    subsets = list(combinations(range(n), k))
    for rows in subsets:
        for row in rows:
            others = [values[i] for i in rows if i != row]
            out[row] += max(values[i] for i in rows) - max(others)
    return [n * gained / len(subsets) for gained in out]


@pytest.mark.parametrize("k", [2, 3, 5, 7])
def test_max_at_k_is_the_sum_over_all_subsets(k: int) -> None:
    values = [0.3, -1.0, 2.5, 0.3, 0.9, -0.2, 1.7]
    found = risk.max_at_k_advantage(torch.tensor(values).double(), torch.ones(7).double(), k)
    assert gap(found, torch.tensor(best_of_subsets([float(v) for v in values], k))) < 1e-6
    exact = best_of_subsets(values, k)
    found = risk.max_at_k_advantage(
        torch.tensor(values, dtype=torch.float64), torch.ones(7).double(), k
    )
    assert gap(found, torch.tensor(exact, dtype=torch.float64)) < 1e-11


def test_max_at_k_leaves_unmeasured_rows_out_and_lowers_k_to_what_there_is() -> None:
    values = torch.tensor([1.0, torch.nan, 3.0, 2.0], dtype=torch.float64)
    weight = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    alone = risk.max_at_k_advantage(values[[0, 2, 3]], torch.ones(3).double(), 2)
    assert gap(risk.max_at_k_advantage(values, weight, 2)[[0, 2, 3]], alone) < EXACT
    whole = risk.max_at_k_advantage(values[[0, 2, 3]], torch.ones(3).double(), 3)
    assert gap(risk.max_at_k_advantage(values, weight, 8)[[0, 2, 3]], whole) < EXACT


def test_a_large_batch_has_finite_shares() -> None:
    values = torch.randn(4096, generator=torch.Generator().manual_seed(0)).double()
    found = risk.max_at_k_advantage(values, torch.ones(4096).double(), 64)
    assert bool(torch.isfinite(found).all()) and float(found.min()) >= 0.0
    # the mean of the rows' shares of their subsets' best, over the k rows of a subset
    assert float(found.argmax()) == float(values.argmax())


@pytest.mark.parametrize("radius", [0.0, 1e-4, 0.1, 0.5, 10.0])
def test_the_worst_in_the_ball_is_the_least_mean_within_it(radius: float) -> None:
    values = torch.tensor([[0.2, 1.5, -0.7, 0.9]], dtype=torch.float64)
    share = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64)
    worst, eta = risk.worst_in_ball(values, share, radius)
    steps = torch.linspace(0, 1, 41, dtype=torch.float64)
    grid = torch.tensor([q for q in product(steps.tolist(), repeat=3) if sum(q) <= 1 + 1e-12])
    q = torch.cat([grid, (1 - grid.sum(1, keepdim=True)).clamp_min(0)], dim=1).double()
    far = torch.where(q > 0, q * (q / share).clamp_min(1e-300).log(), 0.0).sum(1)
    least = (q @ values[0])[far <= radius + 1e-12]
    if len(least):  # no point of a grid can be lower, and one comes near
        assert float(least.min()) >= float(worst) - 1e-9
        assert radius < 0.1 or float(least.min()) - float(worst) < 0.05
    assert float(eta) <= 0.0
    if radius == 0.0:
        assert float(worst) == pytest.approx(float(share @ values[0]), abs=EXACT)
    if radius == 10.0:
        assert float(worst) == pytest.approx(-0.7, abs=1e-6)


@pytest.mark.parametrize("eta", [-1e4, -3.0, 3.0, 1e4])
def test_annealing_passes_zero_and_stays_finite(eta: float) -> None:
    seen = torch.tensor([0.0, 50.0, 100.0, 200.0], dtype=torch.float64)
    path = risk.annealed(eta, -eta, 100, seen)
    assert path.tolist() == [eta, 0.0, -eta, -eta]
    values = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for now in path:
        advantage = credit.entropic_advantage(values, torch.ones(3).double(), now)
        assert bool(torch.isfinite(advantage).all())
    plain = credit.entropic_advantage(values, torch.ones(3).double(), path[1])
    assert gap(plain, values - values.mean()) < EXACT


def test_random_features_have_neither_property_of_the_compatible_ones() -> None:
    weight, reward = BENCH.toy.weight, BENCH.toy.reward
    exact = BENCH.score.T @ (weight * reward)
    fitted = BENCH.score @ natural.compatible(BENCH.score, weight, reward)
    assert gap(BENCH.score.T @ (weight * fitted), exact) < EXACT
    generator = torch.Generator().manual_seed(1)
    random = torch.randn(len(reward), 3, generator=generator, dtype=torch.float64)
    other = random @ natural.compatible(random, weight, reward)
    assert gap(BENCH.score.T @ (weight * other), exact) > 1e-3


def test_the_natural_step_does_not_depend_on_the_parametrisation() -> None:
    weight, reward = BENCH.toy.weight, BENCH.toy.reward
    generator = torch.Generator().manual_seed(2)
    size = BENCH.score.shape[1]
    change = torch.eye(size).double() + 0.02 * torch.randn(size, size, generator=generator)
    moved = BENCH.score @ change  # the scores by other parameters

    def effect(scores: Tensor) -> Tensor:
        """Return how each design's log-probability moves."""
        return scores @ natural.compatible(scores, weight, reward)

    assert gap(effect(BENCH.score), effect(moved)) < 1e-9
    plain = BENCH.score @ BENCH.score.T @ (weight * reward)
    assert gap(plain, moved @ moved.T @ (weight * reward)) > 1e-3


def test_natural_agrees_with_an_explicit_inverse() -> None:
    weight = BENCH.toy.weight
    fisher = BENCH.score.T @ (weight.unsqueeze(1) * BENCH.score)
    gradient = BENCH.score.T @ (weight * BENCH.toy.reward)
    inverse = torch.linalg.inv(fisher + 0.01 * torch.eye(len(fisher)).double())
    found = natural.natural(BENCH.score, weight, gradient, 0.01)
    assert gap(found, inverse @ gradient) < 1e-10
    assert math.isfinite(float(found.norm()))
