"""Tables in parts: rows held out, samples, and the columns that matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measured import X, csv, found

from designer.errors import InputError
from tasks.symbolic.judging import judge
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.tables.parts import parted
from tasks.symbolic.tables.selection import selected
from tasks.symbolic.tables.table import make_table, read_table
from tasks.symbolic.task import task


def test_held_out_rows_are_in_no_other_part_and_never_fitted() -> None:
    rng = np.random.default_rng(3)
    table = make_table(X, X[:, 0] * 2 + rng.normal(size=60), ["x", "z"])
    parts = parted(table, split=0.25, sample=20, seed=3)
    assert parts.held is not None
    assert (len(parts.held.y), len(parts.whole.y), len(parts.search.y)) == (15, 45, 20)
    together = sorted([*parts.held.y.tolist(), *parts.whole.y.tolist()])
    assert together == sorted(table.y.tolist()) and set(parts.search.y) <= set(parts.whole.y)
    judged = judge(parse("a*x", library("default", ["x", "z"], (), True)), parts.whole, parts.held)
    slope = float(parts.whole.x[:, 0] @ parts.whole.y / (parts.whole.x[:, 0] @ parts.whole.x[:, 0]))
    left = parts.held.y - slope * parts.held.x[:, 0]
    assert judged.held == pytest.approx(float((left**2).mean() / parts.held.y.var()))
    assert np.array_equal(parted(table, split=0.25, seed=3).held.y, parts.held.y)  # type: ignore[union-attr]


@pytest.mark.parametrize(("split", "sample", "message"), [
    (1.0, 0, "share of rows to hold out"), (-0.1, 0, "share of rows"), (0.001, 0, "holds out 0"),
    (0.98, 0, "leaves 1"), (0.0, 1, "at least 2 rows"),
])  # fmt: skip
def test_parts_that_are_no_parts(split: float, sample: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parted(make_table(X, X[:, 0], ["x", "z"]), split, sample)


def test_rows_of_weight_0_judge_nothing_and_are_never_fitted() -> None:
    weights = np.where(np.arange(60) < 6, 1.0, 0.0)
    table = make_table(X, np.where(weights > 0, 2.0, X[:, 0]), ["x", "z"], weights=weights)
    with pytest.raises(InputError, match="one value in all rows that weigh anything"):
        parted(table)
    light = make_table(X, X[:, 0], ["x", "z"], weights=weights)
    with pytest.raises(InputError, match=r"holds out 3 row\(s\) of weight 0"):
        parted(light, split=0.05)
    part = light.rows(np.arange(6, 60))
    assert not part.varies and part.weights is not None and not part.weights.any()


def test_what_was_found_on_a_sample_is_fitted_again_on_all_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rng.uniform(1, 3, 500)
    y = 2 * x + rng.normal(size=500)
    path = csv(tmp_path / "t.csv", "x,y", x.tolist(), y.tolist())
    made = task(data=path, sample=50, split=0.2)
    assert len(made.context["data"].y) == 50
    assert any("50 of 400 rows" in note for note in made.notes)
    rows = found(made, ["a*x"])
    told = made.tell(rows, rows)  # type: ignore[misc]
    whole = made.tell.parts.whole  # type: ignore[union-attr]
    slope = float(whole.x[:, 0] @ whole.y / (whole.x[:, 0] @ whole.x[:, 0]))
    assert told.best[0].design == f"{float(told.best[0].design.split('*')[0])!r}*x"
    # a fit ends with the step that lowers the error by less than 1e-7 of itself
    assert float(told.best[0].design.split("*")[0]) == pytest.approx(slope, rel=1e-6)
    assert rows[0].design != told.best[0].design
    assert told.best[0].scores["nmse"] != rows[0].scores["nmse"]
    assert "held_out_nmse" in told.best[0].scores and "held-out nmse" in told.lines[0]


def test_of_a_wide_table_what_matters_is_kept_and_said() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0.5, 3, (120, 20))
    y = x[:, 7] * np.sin(x[:, 12]) + 1 / x[:, 19]
    table = make_table(x, y, [f"v{i}" for i in range(20)])
    kept, line = selected(table, "auto")
    assert kept == [7, 12, 19] and "kept 3 of 20 inputs" in line and "shuffled" in line
    assert selected(table, "all") == (list(range(20)), "")
    assert len(few := selected(table, "5")[0]) == 5 and {7, 12, 19} <= set(few)
    assert selected(make_table(x[:, :4], y, list("abcd")), "auto") == ([0, 1, 2, 3], "")
    for wrong in ("best", "0", "²"):
        with pytest.raises(InputError, match="expected auto, all, or how many"):
            selected(table, wrong)


def test_more_columns_than_rows_are_refused(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "a,b,c,y", [1, 2], [3, 4], [5, 7], [1, 2])
    with pytest.raises(InputError, match="3 inputs but only 2 rows"):
        read_table(path)
    assert read_table(path, inputs=["b"]).variables == ("b",)
    assert read_table(path, ignore=["a"]).variables == ("b", "c")
    for wrong, message in (
        ({"inputs": ["y"]}, "cannot be an input too"), ({"inputs": ["q"]}, "no column 'q'"),
        ({"target": "a", "weights": "a"}, "both target and weights"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            read_table(path, **wrong)
