"""Constraints: prices that rise and fall, and what is said when they cannot be met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from designer.constraints import (
    Constraint,
    Controller,
    Multipliers,
    dual_step,
    pid_step,
)
from designer.errors import InputError
from designer.protocols import Scored

REWARD, COST, COLD = np.array([1.0, 0.6, 0.1]), np.array([1.0, 0.4, 0.0]), 0.2


@dataclass(frozen=True)
class Column:
    name: str = "x"
    cheap: bool = True

    def __call__(self, designs: Sequence[Any]) -> np.ndarray:
        return np.zeros(len(designs))


def bound(**settings: Any) -> Constraint:
    return Constraint(Column(), **settings)


def scored(x: list[float], reward: list[float] | None = None) -> Scored:
    values = np.array(reward if reward is not None else [1.0] * len(x))
    merit = np.where(np.isnan(x), np.nan, values)
    designs = [None if math.isnan(v) else "d" for v in x]
    ones = np.ones(len(x))
    return Scored(designs, {"x": np.array(x)}, values, merit, ones, ones.astype(bool))


def spent(price: float) -> float:
    """Return the mean cost of the best policy of three arms, with entropy, at that price."""
    weight = np.exp((REWARD - price * COST) / COLD)
    return float(weight @ COST / weight.sum())


def test_dual_ascent_finds_the_price_that_bisection_finds() -> None:
    low, high = 0.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > 0.3 else (low, middle)
    price = 0.0
    for _ in range(2000):
        price = dual_step(price, spent(price) - 0.3, 0.5)
    assert price == pytest.approx(low, abs=1e-12)
    assert spent(price) == pytest.approx(0.3, abs=1e-13)


def test_the_controller_finds_the_same_price() -> None:
    price, memory, plain = 0.0, Controller(), 0.0
    for _ in range(2000):
        price, memory = pid_step(memory, spent(price) - 0.3, 1.0, 0.5, 0.1)
        plain = dual_step(plain, spent(plain) - 0.3, 0.5)
    assert price == pytest.approx(plain, abs=1e-12) and price > 1.0


def test_a_constraint_that_is_kept_has_no_price_and_an_impossible_one_rises() -> None:
    kept, impossible = 0.0, 0.0
    for _ in range(500):
        kept = dual_step(kept, spent(kept) - 0.99, 0.5)
        impossible = dual_step(impossible, spent(impossible) + 0.1, 0.5)
    assert kept == 0.0 and impossible > 20


@pytest.mark.parametrize(
    "settings,excess",
    [
        ({"at_most": 2.0}, [-0.5, 0.0, 1.0]),
        ({"at_least": 2.0}, [0.5, 0.0, -1.0]),
        ({"at_most": 2.0, "scale": 1.0}, [-1.0, 0.0, 2.0]),
    ],
)
def test_the_excess_is_in_scales_beyond_the_bound(
    settings: dict[str, Any], excess: list[float]
) -> None:
    found = bound(**settings).excess({"x": np.array([1.0, 2.0, 4.0])})
    assert found.tolist() == excess


def test_prices_lower_the_reward_and_invalid_rows_stay_lowest() -> None:
    multipliers = Multipliers([bound(at_most=1.0, start=2.0)])
    rows = scored([0.5, 4.0, math.nan], reward=[0.2, 0.9, -1.0])
    priced = multipliers.priced(rows)
    assert priced[:2] == pytest.approx([0.2 + 1.0, 0.9 - 6.0])
    assert priced[2] < priced[:2].min()
    assert multipliers.keeps(rows).tolist() == [True, False, False]


def test_an_unmeasured_row_changes_no_others_reward() -> None:
    multipliers = Multipliers([bound(at_most=1.0, start=2.0)])
    rows = scored([4.0, math.nan], reward=[-0.3, -1.3])
    more = scored([4.0, math.nan, math.nan], reward=[-0.3, -1.3, 0.0])
    more.weight[2] = 0.0
    priced = multipliers.priced(rows)
    assert priced[1] == priced[0] - 1.0
    assert multipliers.priced(more)[:2].tolist() == priced.tolist()


def test_a_mean_constraint_lets_single_designs_exceed_it() -> None:
    multipliers = Multipliers([bound(at_most=1.0, on_average=True)])
    assert multipliers.keeps(scored([0.5, 4.0])).all()


def test_only_the_policys_own_rows_move_the_price_and_it_survives_a_checkpoint() -> None:
    for method in ("dual", "pid"):
        multipliers = Multipliers([bound(at_most=1.0, method=method)])
        multipliers.learn(scored([3.0, 1.0, -90.0]), rows=2)
        assert multipliers.metrics()["excess_1"] == 1.0
        assert multipliers.metrics()["multiplier_1"] > 0
        again = Multipliers([bound(at_most=1.0, method=method)])
        again.restore(multipliers.state())
        for one in (multipliers, again):
            one.learn(scored([2.5, 0.0]), rows=2)
        assert again.state() == multipliers.state()


def test_what_cannot_be_met_is_reported_with_the_price_and_the_nearest() -> None:
    multipliers = Multipliers([bound(at_most=1.0), bound(at_least=0.5)])
    for _ in range(50):
        multipliers.learn(scored([2.0, 3.0]), rows=2)
    ceiling, floor = multipliers.report()
    assert ceiling["met"] is False and ceiling["nearest"] == 2.0 and ceiling["mean"] == 2.5
    assert ceiling["multiplier"] == pytest.approx(50 * 0.05 * 1.5)
    assert floor["met"] is True and floor["multiplier"] == 0.0


def test_bounds_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(InputError, match=r"x >= 3 and x <= 1 contradict each other"):
        Multipliers([bound(at_most=1.0), bound(at_least=3.0)])


@pytest.mark.parametrize(
    "settings,text",
    [
        ({}, "at_most or at_least"),
        ({"at_most": 1.0, "at_least": 0.0}, "at_most or at_least"),
        ({"at_most": math.nan}, "the bound is nan"),
        ({"at_most": 1.0, "scale": 0.0}, "scale is 0.0"),
        ({"at_most": 1.0, "rate": -1.0}, "rate is -1.0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        bound(**settings)
