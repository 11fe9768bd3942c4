"""Results are committed one by one as they arrive, and the order of arrival leaves no trace."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from designer.calling import Answer, joined
from designer.errors import OracleError
from designer.meter import Meter
from designer.protocols import Measured
from designer.store import Store


@dataclass(frozen=True)
class Word:
    """A design that is its own text."""

    text: str
    complexity: int = 1

    @property
    def key(self) -> str:
        """The word without what measuring added to it."""
        return self.text.rstrip("!")


@dataclass
class Streaming:
    """Answers in a given order; 'stop' interrupts it, 'bad' fails, each answer adds a '!'."""

    order: str = "forward"
    name: str = "size"
    cheap: bool = False
    ledger: Store | None = None
    asked: list[str] = field(default_factory=list)

    def __call__(self, designs: Sequence[Word]) -> Any:
        raise AssertionError("it streams")

    def stream(self, designs: Sequence[Word]) -> Iterator[tuple[list[int], Measured]]:
        """Yield one row at a time, looking whether the ledger has the one before."""
        rows = list(range(len(designs)))
        if self.order == "backward":
            rows.reverse()
        for count, row in enumerate(rows):
            if self.ledger is not None:
                assert len(list(self.ledger.parts())) == count
            key = designs[row].key
            if key == "stop":
                raise KeyboardInterrupt
            self.asked.append(key)
            if key.startswith("bad"):
                failed = Measured({"size": np.array([math.nan])}, errors={0: "no"})
                yield [row], failed
                continue
            done = [Word(designs[row].text + "!")]
            values = {"size": np.array([float(len(key))]), "extra": np.array([0.5])}
            yield [row], Measured(values, done, attempts={0: 3})


def words(text: str) -> list[Word]:
    return [Word(word) for word in text.split()]


def meter(path: Path, oracle: Any, *others: Any) -> Meter:
    store = Store(path)
    oracle.ledger = store
    return Meter([oracle, *others], ledger=store, parse=Word)


def test_the_order_of_arrival_leaves_no_trace(tmp_path: Path) -> None:
    out = {}
    for order in ("forward", "backward"):
        store = meter(tmp_path / order, Streaming(order))
        found = store(words("a bb bad ccc"))
        assert [design.text for design in found.designs] == ["a!", "bb!", "bad", "ccc!"]
        assert store.ledger is not None and not list(store.ledger.parts())
        kept = [(e.rowid, e.key, e.attempts, e.completed) for e in store.ledger.evaluations()]
        values = {name: column.tolist() for name, column in found.columns.items()}
        out[order] = repr((values, found.errors, kept))
    assert out["forward"] == out["backward"]
    assert "(1, 'a', 3, 'a!')" in out["forward"] and "(3, 'bad', 1, None)" in out["forward"]


def test_what_arrived_before_a_kill_is_not_paid_again(tmp_path: Path) -> None:
    whole = meter(tmp_path / "whole", Streaming())
    expected = whole(words("a bb bad halt ccc"))
    first = meter(tmp_path / "cut", Streaming())
    empty = first.state()
    with pytest.raises(KeyboardInterrupt):
        first(words("a bb bad stop ccc"))
    assert first.spent == 0
    oracle = Streaming()
    again = meter(tmp_path / "cut", oracle)
    again.restore(empty)
    oracle.ledger = None
    again.preflight(words("a"))  # it has measured: no need to try it
    found = again(words("a bb bad halt ccc"))
    assert oracle.asked == ["halt", "ccc"] and again.spent == 5
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
    assert found.designs == expected.designs and found.errors == expected.errors
    assert again.ledger is not None and whole.ledger is not None
    assert list(map(repr, again.ledger.evaluations())) == list(
        map(repr, whole.ledger.evaluations())
    )


def test_completed_designs_come_back_from_the_record(tmp_path: Path) -> None:
    first = meter(tmp_path / "c", Streaming())
    empty = first.state()
    first(words("a"))
    again = meter(tmp_path / "c", Streaming())
    again.restore(empty)
    assert again(words("a")).designs == [Word("a!")]


@dataclass
class Broken:
    """A second paid oracle that breaks its contract once."""

    name: str = "second"
    cheap: bool = False
    works: bool = False

    def __call__(self, designs: Sequence[Word]) -> Any:
        assert all(design.text.endswith("!") for design in designs)  # it sees completed designs
        return [2.0] * len(designs) if self.works else "text"


def test_one_oracle_failing_loses_nothing_of_another(tmp_path: Path) -> None:
    first = meter(tmp_path / "c", Streaming(), Broken())
    with pytest.raises(OracleError, match="second"):
        first(words("a bb"))
    oracle = Streaming()
    again = meter(tmp_path / "c", oracle, Broken(works=True))
    again.adopt()
    found = again(words("a bb"))
    assert oracle.asked == [] and found.columns["second"].tolist() == [2.0, 2.0]
    assert found.columns["size"].tolist() == [1.0, 2.0]


def test_a_hopeless_batch_is_not_waited_for(tmp_path: Path) -> None:
    oracle = Streaming()
    with pytest.raises(OracleError, match="first 20 evaluations all failed; the last said: no"):
        meter(tmp_path / "c", oracle)(words(" ".join(f"bad{i}" for i in range(100))))
    assert len(oracle.asked) == 20


@pytest.mark.parametrize("rows", [[0, 0], [5], [1]])
def test_rows_come_once_each(tmp_path: Path, rows: list[int]) -> None:
    class Wrong(Streaming):
        def stream(self, designs: Sequence[Word]) -> Iterator[tuple[list[int], Measured]]:
            yield rows, Measured({"size": np.ones(len(rows))})

    with pytest.raises(OracleError, match=r"unasked|no answer for row 0"):
        meter(tmp_path / "c", Wrong())(words("a bb"))


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0)])
def test_what_a_stream_raises_costs_the_design_that_raised_it(
    tmp_path: Path, error: BaseException
) -> None:
    class Crashing(Streaming):
        def stream(self, designs: Sequence[Word]) -> Iterator[tuple[list[int], Measured]]:
            for row in range(len(designs)):
                yield [row], self(designs[row : row + 1])

        def __call__(self, designs: Sequence[Word]) -> Measured:
            self.asked += [design.key for design in designs]
            if any(design.key == "c" for design in designs):
                raise error
            return Measured({"size": np.array([float(len(d.key)) for d in designs])})

    oracle = Crashing()
    found = meter(tmp_path / "c", oracle)(words("a c bb"))
    assert found.columns["size"].tolist() == pytest.approx([1.0, math.nan, 2.0], nan_ok=True)
    assert list(found.errors) == [1] and type(error).__name__ in found.errors[1]
    assert oracle.asked == ["a", "c", "c", "bb"]  # what had arrived is not asked for again


def test_answers_with_other_columns_than_the_first_are_refused() -> None:
    def said(names: str) -> Answer:
        return Answer({name: np.array([1.0]) for name in names}, words("w"), {})

    failed = Answer({}, words("w"), {0: "no"})
    whole = joined([([0], said("ab")), ([1], failed), ([2], said("ba"))], words("x y z"), "o")
    assert list(whole.columns) == ["a", "b"] and list(whole.errors) == [1]
    with pytest.raises(OracleError, match="'o' gave columns a, b at first and a later"):
        joined([([0], said("ab")), ([1], said("a"))], words("x y"), "o")
