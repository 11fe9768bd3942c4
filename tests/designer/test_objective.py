"""From raw columns to rewards; the three absences are told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_meter import Word

from designer.errors import InputError
from designer.meter import Meter
from designer.objective import Objective, Penalty, Term


@dataclass(frozen=True)
class Fixed:
    """Answers from a table."""

    name: str
    table: Any
    cheap: bool = True

    def __call__(self, designs: Sequence[Word]) -> Any:
        """Return the table's values."""
        return np.array([dict(self.table)[d.key] for d in designs], dtype=float)


def fixed(name: str, **table: float) -> Fixed:
    return Fixed(name, tuple(table.items()))


def judged(objective: Objective, *keys: str | None) -> Any:
    designs = [None if key is None else Word(key) for key in keys]
    return objective(designs, Meter(objective.oracles, objective.penalty_oracles))


def test_means_and_product() -> None:
    terms = [Term(fixed("u", a=0.25), weight=3.0), Term(fixed("v", a=1.0))]
    assert judged(Objective(terms), "a").reward[0] == pytest.approx((0.75 + 1) / 4)
    geometric = Objective(terms, aggregate="geometric")
    assert judged(geometric, "a").reward[0] == pytest.approx((0.25**3) ** 0.25)
    product = Objective(terms, aggregate="product")
    assert judged(product, "a").reward[0] == pytest.approx(0.25**3)


def test_penalties_subtract_unclipped_and_are_recorded_raw() -> None:
    objective = Objective([Term(fixed("u", a=0.5))], [Penalty(fixed("cost", a=40.0), weight=0.1)])
    scored = judged(objective, "a")
    assert scored.reward[0] == pytest.approx(-3.5) and scored.columns["cost"][0] == 40.0


def test_three_absences() -> None:
    objective = Objective([Term(fixed("u", low=-7.0, failed=math.nan, broken=-math.inf))])
    scored = judged(objective, "low", None, "failed", "broken")
    np.testing.assert_array_equal(scored.weight, [1, 1, 0, 1])
    low, invalid, _, inadmissible = scored.reward
    assert invalid == inadmissible < low  # below every valid one, however low that is
    assert np.isfinite(scored.reward).all()


def test_what_failed_in_one_part_is_unmeasured_whatever_the_others_say() -> None:
    failed, broken = fixed("u", a=math.nan), fixed("v", a=math.inf)
    for one, other in ((failed, broken), (broken, failed)):
        assert judged(Objective([Term(one), Term(other)]), "a").weight[0] == 0
        assert judged(Objective([Term(one)], [Penalty(other)]), "a").weight[0] == 0
    for weight in (0.0, 1.0):
        scored = judged(Objective([Term(fixed("w", a=1.0))], [Penalty(broken, weight=weight)]), "a")
        assert scored.weight[0] == 1 and np.isnan(scored.merit[0]), "inadmissible at any weight"


def test_what_a_transform_makes_of_infinity_stays_inadmissible() -> None:
    objective = Objective([Term(fixed("u", a=math.inf, b=0.0), transform=lambda v: 1 / (1 + v))])
    scored = judged(objective, "a", "b")
    assert scored.reward[0] < scored.reward[1] and scored.weight[0] == 1


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="no term"):
        Objective([])
    with pytest.raises(InputError, match="did you mean 'geometric'"):
        Objective([Term(fixed("u", a=1.0))], aggregate="geometrical")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"no column 'w': known: u"):
        judged(Objective([Term(fixed("u", a=1.0), column="w")]), "a")
    with pytest.raises(InputError, match="at least 0"):
        judged(Objective([Term(fixed("u", a=-1.0))], aggregate="product"), "a")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8))
def test_any_value_gives_a_finite_reward(values: list[float]) -> None:
    table = {f"w{i}": value for i, value in enumerate(values)}
    objective = Objective([Term(fixed("u", **table))])
    scored = judged(objective, *table, None)
    assert np.isfinite(scored.reward[scored.weight > 0]).all()
    valid = np.isfinite(values)
    assert (scored.reward[:-1][valid] > scored.reward[-1]).all()


def test_merit_is_the_reward_before_penalties() -> None:
    terms = [Term(fixed("u", a=0.5, b=math.inf, c=math.nan))]
    scored = judged(
        Objective(terms, [Penalty(fixed("cost", a=3.0, b=0, c=0))]), "a", "b", "c", None
    )
    assert scored.merit[0] == 0.5 and scored.reward[0] == -2.5
    assert np.isnan(scored.merit[1:]).all()
