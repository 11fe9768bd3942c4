"""What is known of a law beforehand: how it is put together, and its trend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measured import X, csv

from designer.errors import InputError
from oracles.fit import Fit
from tasks.symbolic.conditions import conditions
from tasks.symbolic.judging import judge
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.variants import ends
from tasks.symbolic.tables.table import make_table
from tasks.symbolic.task import task


def test_a_form_is_kept_by_everything_that_is_proposed(tmp_path: Path) -> None:
    x, z = X.T
    path = csv(tmp_path / "t.csv", "x,z,y", x, z, np.exp(-x) * (1 + z * z) + 0.5)
    made = task(data=path, form="y = f(x)*g(z) + a", constants=2, pairs=False)
    env, form = made.environment, made.environment.form
    proposed = made.proposer([], 40, np.random.default_rng(0))  # type: ignore[misc]
    assert len(proposed) > 10
    names = env.library.names
    for design in proposed:
        words = [names[t] for t in design.tokens]
        assert words[:2] == ["add", "mul"] and words[-1] == "c"
        stops = ends(design.tokens, env.library)
        f, g = words[2 : stops[2]], words[stops[2] : stops[stops[2]]]
        assert "z" not in f and "x" not in g
    assert form.text == " f(x)*g(z) + a"
    tried = [parse(t, env.library) for t in ("x*z + 1", "z*x + 1", "x*z", "x*(z + z) + 2")]
    assert [row is not None for row in env.encode(tried)] == [True, False, False, True]
    assert min(judge(design, made.context["data"]).nmse for design in proposed) < 0.05


@pytest.mark.parametrize(("text", "message"), [
    ("f(x)*g(", "form, character 8, at its end: expected a column"),
    ("f(x) + f(z)", "form, character 8, .*f stands twice"), ("2*x", "leaves nothing to search"),
    ("f(2)", "expected a column as an argument"), ("f(q)", "'q' is no column"),
    (" + ".join(["f(x)", *"abcdghklmnop"]), "takes at least 25 tokens, and max_length is 24"),
])  # fmt: skip
def test_forms_that_do_not_do(tmp_path: Path, text: str, message: str) -> None:
    path = csv(tmp_path / "t.csv", "x,z,y", X[:, 0], X[:, 1], X[:, 0])
    with pytest.raises(InputError, match=message):
        task(data=path, form=text)


def test_what_breaks_a_condition_is_inadmissible() -> None:
    table = make_table(X, X[:, 0] ** 2 / X[:, 1], ["x", "z"])
    tokens = library("all", ["x", "z"], (), True)
    texts = ["x**2/z", "x**2*z", "sin(3*x)/z", "x - z", "x + 1/z", "sqrt(x - z + 2)"]
    designs = [parse(text, tokens) for text in texts]
    known = conditions(table, ["x"], ["z"], positive=True)
    assert known is not None
    assert known.kept(designs, table).tolist() == [True, False, False, False, True, True]
    only = conditions(table, ["x"])
    assert only is not None and only.kept(designs, table).tolist() == [
        True, True, False, True, True, True,
    ]  # fmt: skip
    measured = Fit(table, conditions=known)(designs)
    assert np.isfinite(measured.columns["nmse"]).tolist()[:5] == [True, False, False, False, True]
    assert conditions(table) is None
    for wrong, message in (
        ({"increasing": ["q"]}, "increasing: 'q' is no input"),
        ({"increasing": ["x"], "decreasing": ["x"]}, "both increasing and decreasing"),
        ({"positive": True, "negative": True}, "contradict"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            conditions(table, **wrong)  # type: ignore[arg-type]
