"""Budget, cache, failures: what the meter promises about every oracle call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from designer.errors import InputError, OracleError
from designer.meter import Meter
from designer.protocols import Measured
from designer.store import Store


@dataclass(frozen=True)
class Word:
    """A design that is its own text."""

    key: str

    @property
    def text(self) -> str:
        """The word."""
        return self.key

    @property
    def complexity(self) -> int:
        """Its length."""
        return len(self.key)


@dataclass
class Counting:
    """Measures the length of words and keeps count of what it was asked."""

    name: str = "size"
    cheap: bool = False
    asked: list[str] = field(default_factory=list)

    def __call__(self, designs: Sequence[Word]) -> Any:
        """Return lengths; 'bad' raises, 'nan' fails, 'inf' is inadmissible."""
        self.asked += [design.key for design in designs]
        if any(design.key == "bad" for design in designs):
            raise ValueError("no such word")
        special = {"nan": math.nan, "inf": math.inf}
        values = [special.get(d.key, float(len(d.key))) for d in designs]
        lost = [isinstance(design, Named) for design in designs]
        return np.where(lost, math.nan, values)


class Named(Word):
    """A word whose measurement fails."""


def words(*keys: str | None) -> list[Word | None]:
    return [None if key is None else Word(key) for key in keys]


def test_repeats_and_absent_rows_cost_nothing() -> None:
    oracle = Counting()
    meter = Meter([oracle])
    first = meter(words("a", None, "bb", "a"))
    np.testing.assert_array_equal(first.columns["size"], [1, math.nan, 2, 1])
    np.testing.assert_array_equal(first.fresh, [True, False, True, False])
    again = meter(words("bb", "ccc"))
    assert oracle.asked == ["a", "bb", "ccc"] and meter.spent == 3
    np.testing.assert_array_equal(again.fresh, [False, True])


def test_budget_is_checked_before_the_call() -> None:
    oracle = Counting()
    meter = Meter([oracle], budget=2)
    out = meter(words("a", "bb", "ccc", "a"))
    np.testing.assert_array_equal(out.columns["size"], [1, 2, math.nan, 1])
    assert out.exhausted and meter.left == 0 and oracle.asked == ["a", "bb"]
    assert not meter(words("a")).exhausted  # known designs are free for ever
    with pytest.raises(InputError, match="at least 1"):
        Meter([oracle], budget=0)


def test_a_raising_row_is_lost_alone_and_never_a_number() -> None:
    meter = Meter([Counting()])
    out = meter(words("a", "bad", "bb"))
    np.testing.assert_array_equal(out.columns["size"], [1, math.nan, 2])
    assert out.errors == {1: "ValueError: no such word"} and meter.spent == 3


def test_infinity_is_measured_and_nan_is_not() -> None:
    meter = Meter([Counting()], max_failure_rate=0.9)
    out = meter(words("inf", "nan"))
    assert math.isinf(out.columns["size"][0]) and math.isnan(out.columns["size"][1])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0], "2 designs went in and values of shape"),
        (["x", "y"], "expected 2 numbers"),
        ("text", "expected 2 numbers"),
        (None, "values of shape"),
        ([[1, 2], [3, 4]], "values of shape"),
        ([1 + 2j, 2], "expected 2 numbers"),
    ],
)
def test_broken_contracts_are_named(answer: Any, message: str) -> None:
    @dataclass
    class Broken:
        name: str = "broken"
        cheap: bool = True

        def __call__(self, designs: Sequence[Word]) -> Any:
            return answer

    with pytest.raises(OracleError, match=message):
        Meter([Broken()])(words("a", "b"))


def test_too_many_failures_stop_with_the_oracles_own_words() -> None:
    meter = Meter([Counting()], max_failure_rate=0.25)
    meter(words("bad", *[f"w{i}" for i in range(19)]))  # 1 of 20
    for i in range(4):
        meter(words("bad" + "!" * i, f"v{i}"))
    with pytest.raises(
        OracleError, match=r"of the last \d+ evaluations failed.*the oracle returned"
    ):
        for i in range(40):
            meter([Word("nan"), Named(f"nan{i}")])


def test_two_oracles_may_not_share_a_column() -> None:
    with pytest.raises(InputError, match="'size'"):
        Meter([Counting(), Counting()])(words("a"))
    for meter in (Meter([Counting(), Counting()]), Meter([Counting()], [Counting()])):
        with pytest.raises(InputError, match="two oracles give a column 'size'"):
            meter.preflight(words("a"))  # before anything is paid for
        assert meter.spent == 0


def test_penalties_see_completed_designs_and_are_columns() -> None:
    @dataclass
    class Completing(Counting):
        def __call__(self, designs: Sequence[Word]) -> Measured:
            values = np.ones(len(designs))
            return Measured({"size": values}, [Word(d.key + "!") for d in designs])

    meter = Meter([Completing()], [Counting("length", True)])
    out = meter(words("ab", "ab"))
    np.testing.assert_array_equal(out.columns["length"], [3, 3])
    assert out.designs[0] == Word("ab!")


def test_preflight_refuses_an_oracle_that_measures_nothing() -> None:
    with pytest.raises(OracleError, match=r"'size'.*first: bad.*no such word"):
        Meter([Counting()]).preflight(words("bad"))
    meter = Meter([Counting()])
    meter.preflight(words("a"))
    assert meter.spent == 0


@pytest.mark.parametrize("cheap", [True, False])
def test_resume_pays_nothing_twice_and_counts_everything_once(tmp_path: Path, cheap: bool) -> None:
    store = Store(tmp_path / "c.sqlite")
    oracle = Counting(cheap=cheap)
    meter = Meter([oracle], budget=5, ledger=store)
    meter(words("a", "bb"))
    state = meter.state()
    lost = meter(words("ccc", "dddd", "a", "nan"))  # after the checkpoint, then killed
    store.close()

    again = Counting(cheap=cheap)
    resumed = Meter([again], budget=5, ledger=Store(tmp_path / "c.sqlite"))
    resumed.restore(state)
    assert resumed.spent == 2
    out = resumed(words("ccc", "dddd", "a", "nan"))
    np.testing.assert_array_equal(out.columns["size"], lost.columns["size"])
    np.testing.assert_array_equal(out.fresh, lost.fresh)
    assert resumed.spent == meter.spent == 5
    if not cheap:
        assert again.asked == []  # everything had been paid


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=8))
def test_spent_is_the_number_of_distinct_designs_asked(batches: list[list[str]]) -> None:
    oracle = Counting()
    meter = Meter([oracle], budget=5)
    for batch in batches:
        meter(words(*batch))
    assert meter.spent == len(oracle.asked) == len(set(oracle.asked)) <= 5
    assert meter.spent == min(5, len({key for batch in batches for key in batch}))


@dataclass
class Pair:
    """Measures two columns, unless it is broken."""

    name: str = "pair"
    cheap: bool = False
    broken: bool = False

    def __call__(self, designs: Sequence[Word]) -> Measured:
        if self.broken:
            raise ValueError("no licence")
        return Measured({"size": [float(len(d.key)) for d in designs], "a": [1.0] * len(designs)})


def test_a_batch_that_fails_throughout_keeps_its_columns_names() -> None:
    oracle = Pair()
    meter = Meter([oracle])
    meter.preflight(words("x"))
    oracle.broken = True
    lost = meter(words("a", "bb"))
    assert list(lost.columns) == ["size", "a"] and len(lost.errors) == 2
    assert all(np.isnan(values).all() for values in lost.columns.values())
    resumed = Meter([oracle])
    resumed.restore(meter.state())
    assert list(resumed(words("ccc")).columns) == ["size", "a"]
    oracle.broken = False
    assert resumed(words("dddd")).columns["size"].tolist() == [4.0]
