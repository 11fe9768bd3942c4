"""Labels: one form for all, numbers of its own for each."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured import X, csv, found

from designer.errors import InputError
from oracles.fit import Fit
from tasks.symbolic.judging import judge
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.tables import sheet
from tasks.symbolic.tables.table import Table, make_table, read_table
from tasks.symbolic.task import task


def metals(tmp_path: Path) -> Path:
    """Write a law whose two numbers depend on the metal."""
    names = np.array(["steel", "copper", "zinc"])[np.arange(60) % 3]
    a = {"steel": 1.5, "copper": 4.0, "zinc": 2.25}
    b = {"steel": -0.3, "copper": -0.9, "zinc": 0.5}
    y = [a[n] * math.exp(b[n] * x) for n, x in zip(names, X[:, 0], strict=True)]
    return csv(tmp_path / "metals.csv", "metal,time [s],y", names, X[:, 0].tolist(), y)


def test_each_label_has_constants_of_its_own(tmp_path: Path) -> None:
    table = read_table(metals(tmp_path), category="metal")
    assert table.labels == ("copper", "steel", "zinc") and table.variables == ("x0",)
    design = parse("a*exp(b*x0)", library("default", table.variables, (), True))
    judged = judge(design, table)
    assert judged.nmse < 1e-24 and judged.numbers == 6
    fitted = [own.constants for own in judged.by_label]
    assert np.allclose(fitted, [(4.0, -0.9), (1.5, -0.3), (2.25, 0.5)])
    assert np.allclose(judged.predict(table), table.y)
    score = Fit(table, scale=False)([design])
    assert score.columns["nmse"][0] < 1e-24 and score.designs is not None
    assert score.designs[0].text == "c0*exp(c1*x0)"
    # together, one pair of numbers for all explains much less
    assert judge(design, read_table(tmp_path / "metals.csv")).nmse > 0.1


def test_labelled_errors_are_the_weighted_sum_of_each_labels_own() -> None:
    rng = np.random.default_rng(7)
    groups = np.arange(60) % 3
    w = rng.uniform(0.5, 2, 60)
    w /= w.mean()
    y = X[:, 0] * (groups + 1) + rng.normal(size=60)
    plain = make_table(X, y, ["x", "z"], weights=w)
    table = Table(**{**vars(plain), "category": "g", "labels": ("a", "b", "c"), "groups": groups})
    judged = judge(parse("a*x + b", library("default", ["x", "z"], (), True)), table)
    squares = 0.0
    for label in range(3):
        own_rows = groups == label
        root = np.sqrt(w[own_rows])
        design = np.column_stack([X[own_rows, 0], np.ones(own_rows.sum())]) * root[:, None]
        squares += float(np.linalg.lstsq(design, y[own_rows] * root, rcond=None)[1][0])
    mean = np.average(y, weights=w)
    expected = squares / float((w * (y - mean) ** 2).sum())
    assert judged.nmse == pytest.approx(expected, rel=1e-9)


def test_a_search_with_labels_finds_the_form(tmp_path: Path) -> None:
    made = task(data=metals(tmp_path), category="metal", constants=2)
    first = made.proposer([], 40, np.random.default_rng(0))  # type: ignore[misc]
    told = made.tell(rows := found(made, ["a*exp(b*x0)", "a*x0"]), rows[::-1])  # type: ignore[misc]
    assert first and told.best[0].design == "c0*exp(c1*x0)"
    said = json.loads(told.files["equation.json"])["recommended"]["constants"]["zinc"]
    assert said == pytest.approx({"c0": 2.25, "c1": 0.5})
    assert "def f_zinc(x0)" in told.files["equation.py"]
    assert any("copper" in line and "-0.9" in line for line in told.lines)


@pytest.mark.parametrize(("rows", "message"), [
    ([("a", 1, 2), ("a", 2, 3), ("b", 3, 5)], "one row of 'b'"),
    ([("a", 1, 2), ("a", 2, 3)], "only one label"),
    ([(f"k{i}", i, 2 * i) for i in range(60)], "60 different labels, at most 50"),
])  # fmt: skip
def test_labels_that_do_not_do(tmp_path: Path, rows: list[Any], message: str) -> None:
    path = csv(tmp_path / "t.csv", "kind,x,y", *zip(*rows, strict=True))
    with pytest.raises(InputError, match=message):
        read_table(path, category="kind")


def test_labels_that_look_alike_in_code_have_functions_of_their_own(tmp_path: Path) -> None:
    kinds = np.array(["a b", "a-b", "a_b_"])[np.arange(60) % 3]
    slope = {"a b": 1.5, "a-b": 2.5, "a_b_": 3.5}
    y = [slope[kind] * x for kind, x in zip(kinds, X[:, 0], strict=True)]
    made = task(data=csv(tmp_path / "t.csv", "kind,x,y", kinds, X[:, 0], y), category="kind")
    told = made.tell(rows := found(made, ["a*x"]), rows)  # type: ignore[misc]
    parts = [part.split("(x):\n") for part in told.files["equation.py"].split("def ")[1:]]
    assert [name for name, _ in parts] == ["f_a_b", "f_a_b_", "f_a_b__"]
    for (_, body), kind in zip(parts, sorted(slope), strict=True):
        number = float(body.split("return (")[1].split(" *")[0])
        assert f"kind: {kind}\n" in body and number == pytest.approx(slope[kind])


def test_a_label_is_one_however_its_number_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet, "_PIECE", 2)  # a column is read in pieces: numbers, or text
    kinds = ["01", "01", "1", "b", "b", "01"]
    path = csv(tmp_path / "t.csv", "kind,x,y", kinds, range(6), [0, 1, 4, 9, 16, 25])
    table = read_table(path, category="kind")
    assert table.labels == ("1", "b") and table.groups is not None
    assert table.groups.tolist() == [0, 0, 0, 1, 1, 0]
