"""Baselines: what they compare with, what they remember, and what they say of themselves."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from designer import credit
from designer.baselines import (
    BASELINES,
    BatchMean,
    Critic,
    Earned,
    Entropic,
    LeaveOneOut,
    NoBaseline,
    Quantile,
    RunningMean,
)
from designer.errors import InputError
from designer.learning import BaselineName, LearnerSettings


def earned(scores: list[float], weight: list[float] | None = None, **changes: Tensor) -> Earned:
    """Return what a batch earned that is paid once, at the end of its two steps."""
    returns = torch.tensor(scores, dtype=torch.float64).unsqueeze(1)
    shares = torch.ones(len(scores)).double() if weight is None else torch.tensor(weight).double()
    rewards = torch.cat([torch.zeros_like(returns), returns], dim=1)
    parts = {
        "rewards": rewards,
        "returns": returns,
        "value": torch.zeros_like(rewards),
        "weight": shares,
        "counted": shares.unsqueeze(1),
        **changes,
    }
    return Earned(**parts)


def test_every_registered_baseline_makes_an_advantage_of_the_right_shape() -> None:
    judged = torch.full((4, 2), 0.5).double()
    batch = earned([1, 2, 3, 4], [1, 1, 0, 1], taken=judged, expected=judged)
    assert tuple(BASELINES) == get_args(BaselineName)
    for name, make in BASELINES.items():
        advantage = make(LearnerSettings())(batch)
        assert advantage.shape in ((4, 1), (4, 2)), name
        assert bool(torch.isfinite(advantage).all()), name


def test_they_say_whether_they_are_biased() -> None:
    unbiased = [NoBaseline(), RunningMean(), LeaveOneOut(), Critic(), Critic(gamma=0.9)]
    biased = [BatchMean(), Quantile(), Entropic(), Critic(lam=0.95)]
    assert not any(b.biased for b in unbiased) and all(b.biased for b in biased)
    assert [b.needs_value for b in (*unbiased, *biased)].count(True) == 3


def test_the_running_mean_is_always_the_previous_one() -> None:
    baseline = RunningMean(decay=0.5)
    assert baseline(earned([4, 6])).squeeze(1).tolist() == [4, 6], "nothing is known at first"
    baseline.observe(earned([4, 6]))
    assert baseline(earned([100, 0])).squeeze(1).tolist() == [95, -5]
    assert baseline(earned([100, 0])).squeeze(1).tolist() == [95, -5], "looking changes nothing"
    baseline.observe(earned([8, 8]))
    # weights 1/4 and 1/2 of means 5 and 8, divided by what they sum to
    assert float(baseline(earned([0.0]))) == pytest.approx(-(0.25 * 5 + 0.5 * 8) / 0.75)


def test_the_running_mean_is_saved_and_restored() -> None:
    baseline = RunningMean()
    baseline.observe(earned([3, 5]))
    assert set(baseline.state_dict()) == {"mean", "mass"}
    twin = RunningMean()
    twin.load_state_dict(baseline.state_dict())
    assert torch.equal(twin(earned([1.0])), baseline(earned([1.0])))


def test_unmeasured_rows_and_batches_are_not_remembered() -> None:
    baseline = RunningMean()
    baseline.observe(earned([3, float("nan"), 5], [1, 0, 1]))
    before = {k: v.clone() for k, v in baseline.state_dict().items()}
    baseline.observe(earned([float("nan")], [0]))
    assert all(torch.equal(v, before[k]) for k, v in baseline.state_dict().items())
    assert float(baseline(earned([0.0]))) == pytest.approx(-4)


def test_rows_are_compared_within_their_group() -> None:
    batch = earned([1, 3, 10, 30, 7], group=torch.tensor([5, 5, 2, 2, 9]))
    assert LeaveOneOut()(batch).squeeze(1).tolist() == [-2, 2, -20, 20, 7]
    assert BatchMean()(batch).squeeze(1).tolist() == [-1, 1, -10, 10, 0]


def test_steps_are_compared_among_rows_still_active() -> None:
    returns = torch.tensor([[4.0, 2.0], [6.0, 0.0], [8.0, 8.0]]).double()
    active = torch.tensor([[True, True], [True, False], [True, True]])
    batch = earned([0, 0, 0], returns=returns, counted=active.double())
    left = LeaveOneOut()(batch)
    assert left[:, 0].tolist() == [-3, 0, 3]
    assert left[[0, 2], 1].tolist() == [-6, 6], "the finished row is no measure for the others"


def test_the_critic_makes_generalised_advantages() -> None:
    value = torch.tensor([[0.5, 1.0], [0.25, 0.0]]).double()
    batch = earned([2, 3], value=value)
    expected = credit.gae(batch.rewards, value, 0.9, 0.8)
    assert torch.equal(Critic(gamma=0.9, lam=0.8)(batch), expected)


@pytest.mark.parametrize(
    "make", [lambda: RunningMean(1.5), lambda: Quantile(0.0), lambda: Critic(lam=-0.1)]
)
def test_settings_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(InputError, match="expected"):
        make()  # type: ignore[operator]
