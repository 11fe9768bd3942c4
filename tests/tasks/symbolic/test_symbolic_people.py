"""What a person with a CSV asks for: guesses, held-out rows, labels, wide tables, own operators."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.memory import Found
from oracles.fit import Fit
from tasks.symbolic.conditions import conditions
from tasks.symbolic.guesses import checked
from tasks.symbolic.judging import judge
from tasks.symbolic.language.library import library
from tasks.symbolic.language.operators import OPERATORS, own
from tasks.symbolic.language.parser import parse
from tasks.symbolic.output.code import to_code
from tasks.symbolic.output.report import RULE
from tasks.symbolic.output.tidy import spelled, tidied, tidy_text
from tasks.symbolic.tables.parts import parted
from tasks.symbolic.tables.selection import selected
from tasks.symbolic.tables.table import Table, make_table, read_table
from tasks.symbolic.task import task

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 3, (60, 2))


def csv(path: Path, header: str, *columns: Any) -> Path:
    """Write a table and return its path."""
    rows = [",".join(str(cell) for cell in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def metals(tmp_path: Path) -> Path:
    """Write a law whose two numbers depend on the metal."""
    names = np.array(["steel", "copper", "zinc"])[np.arange(60) % 3]
    a = {"steel": 1.5, "copper": 4.0, "zinc": 2.25}
    b = {"steel": -0.3, "copper": -0.9, "zinc": 0.5}
    y = [a[n] * math.exp(b[n] * x) for n, x in zip(names, X[:, 0], strict=True)]
    return csv(tmp_path / "metals.csv", "metal,time [s],y", names, X[:, 0].tolist(), y)


def found(made: Any, texts: list[str]) -> list[Found]:
    """Return what a campaign would have recorded of formulas."""
    designs = [parse(text, made.tell.tokens, made.symbols) for text in texts]
    measured = Fit(made.context["data"], made.context["scale"], made.context["offset"])(designs)
    assert measured.designs is not None
    out = []
    for row, done in enumerate(measured.designs):
        scores = {name: float(values[row]) for name, values in measured.columns.items()}
        place = (done.complexity, 0, 0, done.key, scores["fit"])
        out.append(Found(done.text, scores["fit"], scores, *place))
    return out


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
    groups = np.arange(60) % 3
    w = RNG.uniform(0.5, 2, 60)
    w /= w.mean()
    y = X[:, 0] * (groups + 1) + RNG.normal(size=60)
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


def test_held_out_rows_are_in_no_other_part_and_never_fitted() -> None:
    table = make_table(X, X[:, 0] * 2 + RNG.normal(size=60), ["x", "z"])
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


def test_what_was_found_on_a_sample_is_fitted_again_on_all_rows(tmp_path: Path) -> None:
    x = RNG.uniform(1, 3, 500)
    y = 2 * x + RNG.normal(size=500)
    path = csv(tmp_path / "t.csv", "x,y", x.tolist(), y.tolist())
    made = task(data=path, sample=50, split=0.2)
    assert len(made.context["data"].y) == 50
    assert any("50 of 400 rows" in note for note in made.notes)
    rows = found(made, ["a*x"])
    told = made.tell(rows, rows)  # type: ignore[misc]
    whole = made.tell.parts.whole  # type: ignore[union-attr]
    slope = float(whole.x[:, 0] @ whole.y / (whole.x[:, 0] @ whole.x[:, 0]))
    assert told.best[0].design == f"{float(told.best[0].design.split('*')[0])!r}*x"
    assert float(told.best[0].design.split("*")[0]) == pytest.approx(slope, rel=1e-9)
    assert told.best[0].scores["nmse"] != rows[0].scores["nmse"]
    assert "held_out_nmse" in told.best[0].scores and "held-out nmse" in told.lines[0]


def test_of_a_wide_table_what_matters_is_kept_and_said() -> None:
    x = RNG.uniform(0.5, 3, (120, 20))
    y = x[:, 7] * np.sin(x[:, 12]) + 1 / x[:, 19]
    table = make_table(x, y, [f"v{i}" for i in range(20)])
    kept, line = selected(table, "auto")
    assert kept == [7, 12, 19] and "kept 3 of 20 inputs" in line and "shuffled" in line
    assert selected(table, "all") == (list(range(20)), "")
    assert len(few := selected(table, "5")[0]) == 5 and {7, 12, 19} <= set(few)
    assert selected(make_table(x[:, :4], y, list("abcd")), "auto") == ([0, 1, 2, 3], "")
    with pytest.raises(InputError, match="expected auto, all, or how many"):
        selected(table, "best")


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


def test_a_guess_is_handed_over_and_bred_from(tmp_path: Path) -> None:
    x = RNG.uniform(-3, 3, 60)
    y = 0.7 * x + 1.3 * np.tanh(3.1 * x)
    path = csv(tmp_path / "t.csv", "x,y", x.tolist(), y.tolist())
    made = task(data=path, guess=["y = a*x + b*tanh(3*x)"])
    assert "tanh" in made.environment.library.names  # the search may use what the guess uses
    proposed = made.proposer([], 30, np.random.default_rng(0))  # type: ignore[misc]
    assert proposed[0].text == "c0*x + c1*tanh(3*x)"
    best = min(judge(design, made.context["data"]).nmse for design in proposed)
    assert best < 1e-20  # the 3 that was written is where its fit begins
    with pytest.raises(InputError, match="guess needs search = 'evolution'"):
        task(data=path, guess=["a*x"], search="none")


def test_a_formula_that_is_undefined_says_where() -> None:
    table = make_table(X - 1.0, X[:, 0], ["x", "z"])
    tokens = library("default", ["x", "z"], (), True)
    with pytest.raises(InputError, match=r"log\(x\) is undefined or infinite on \d+ of 60 rows"):
        checked("1 + a*log(x)", tokens, table)
    assert checked("y = a*x", tokens, table).text == "c0*x"


@pytest.mark.parametrize(("text", "message"), [
    ("a*x + b*sin(c*x", r"character 16, at its end: expected '\)'"),
    ("a*sinn(x)", "character 3, before 'sinn.*unknown function 'sinn': did you mean 'sin'"),
    ("alpha*x", "unknown column 'alpha'.*a number to be fitted is one letter"),
    ("a*sin + x", "it is a function, and needs its arguments"),
    ("2*lambda", "the column is written `lambda`"),
    ("where(x > a, x, 1)", "would be fitted twice; write where"),
])  # fmt: skip
def test_formulas_that_do_not_parse(text: str, message: str) -> None:
    tokens = library("default", ["x", "x1"], (), True)
    with pytest.raises(InputError, match=message):
        parse(text, tokens, {"x1": "lambda"})


def test_where_chooses_and_nothing_undefined_slips_through() -> None:
    tokens = library("default", ["x", "z"], (), True)
    made = parse("where(x > 1.5, 2*x, log(z)) + where(x < z, 1)", tokens)
    x, z = X.T
    expected = np.where(x > 1.5, 2 * x, np.log(z)) + np.where(x < z, 1.0, 0.0)
    assert np.allclose(made.predict(X), expected)
    assert np.allclose(parse(made.text, tokens).predict(X), expected)
    half = parse("where(log(x - 1), z)", tokens).predict(X)
    assert np.isnan(half[x < 1]).all() and np.isfinite(half[x > 1]).all()
    value = made.sympy().subs({"x": 2.0, "z": 1.0})
    assert float(value) == pytest.approx(4.0)


def test_where_is_fitted_by_its_derivatives() -> None:
    tokens = library("default", ["x", "z"], (), True)
    y = np.where(X[:, 0] > 1.5, 2.5 * X[:, 0], -0.5 * X[:, 1] ** 2)
    judged = judge(parse("where(x > 1.5, a*x, b*z**2)", tokens), make_table(X, y, ["x", "z"]))
    assert judged.nmse < 1e-20 and judged.expression.constants[1] == pytest.approx(2.5)


@pytest.mark.parametrize("language", ["python", "numpy", "torch", "c"])
def test_piecewise_code_computes_the_same(language: Any, tmp_path: Path) -> None:
    tokens = library("default", ["x", "double"], (), True)
    made = parse("where(x > 1, max(double, 2), sqrt(2)) + min(x, 1)", tokens)
    expected, code = made.predict(X[:6]), to_code(made, language, note="a\nnote */")
    if language == "c":
        if shutil.which("cc") is None:
            pytest.skip("no C compiler")
        calls = "".join(f'printf("%.17g\\n", f({x!r}, {z!r}));' for x, z in X[:6].tolist())
        main = f"#include <stdio.h>\nint main(void) {{ {calls} return 0; }}\n"
        (tmp_path / "f.c").write_text(code + main)
        subprocess.run(["cc", "f.c", "-o", "f", "-lm"], cwd=tmp_path, check=True)
        out = subprocess.run([tmp_path / "f"], capture_output=True, text=True, check=True).stdout
        assert np.allclose([float(line) for line in out.split()], expected, rtol=1e-12)
        return
    file = tmp_path / f"piece_{language}.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if language == "python":
        values: Any = [module.f(x, z) for x, z in X[:6].tolist()]
    elif language == "numpy":
        values = module.f(*X[:6].T)
    else:
        values = module.f(*torch.from_numpy(X[:6].T.copy())).numpy()
    assert np.allclose(values, expected, rtol=1e-12)


def test_an_operator_of_ones_own_is_searched_fitted_and_bounded() -> None:
    softplus = own("softplus", torch.nn.functional.softplus, domain=[-2.0, 2.0])
    tokens = library(["add", softplus], ["x", "z"], (), True)
    made = parse("a*softplus(b*x)", tokens)
    y = 2 * np.log1p(np.exp(0.5 * X[:, 0]))
    judged = judge(made, make_table(X, y, ["x", "z"]))
    assert judged.nmse < 1e-20 and judged.expression.constants == pytest.approx((2.0, 0.5))
    beyond = parse("softplus(x)", tokens).predict(X)
    assert np.array_equal(np.isnan(beyond), X[:, 0] > 2)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"name": "sin"}, "name 'sin' is taken"), ({"name": "a b"}, "no plain name"),
    ({"arity": 3}, "expected 1 or 2"), ({"domain": [2.0, 1.0]}, r"expected \[low, high\]"),
    ({"commutes": True}, "has one argument"), ({"function": lambda a: 1.0}, "returned a float"),
    ({"function": lambda a: a[0]}, "returned a float64 tensor of shape"),
    ({"function": lambda a: a.nonsense}, "failed on tensors of float64: AttributeError"),
])  # fmt: skip
def test_operators_that_do_not_do(wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"name": "soft", "function": torch.sigmoid}
    with pytest.raises(InputError, match=message):
        own(**{**given, **wrong})


def test_an_operator_that_is_nowhere_defined_is_refused() -> None:
    far = own("far", torch.sin, domain=[1e6, 2e6])
    with pytest.raises(InputError, match="'far' is undefined on all rows of all inputs"):
        task(operator=[far])
    with pytest.raises(InputError, match="has the name of a column"):
        task(operator=[own("semi_major_axis_au", torch.sin)])


def test_the_report_tells_the_recommended_first_with_its_rule(tmp_path: Path) -> None:
    made = task(data="planets", target="period_days")
    rows = found(made, ["a*semi_major_axis_au", "a*sqrt(semi_major_axis_au)*semi_major_axis_au"])
    told = made.tell(rows, rows)  # type: ignore[misc]
    assert told.lines[1].startswith("*") and "sqrt(semi_major_axis_au)" in told.lines[1]
    assert f"* {RULE}" in told.lines
    assert set(told.files) == {
        "equation.txt", "equation.tex", "equation.json", "equation.svg", "equation.py",
        "equation_numpy.py", "equation_torch.py", "equation.c",
    }  # fmt: skip
    assert "residuals" in told.files["equation.svg"]
    best, said = told.best[0], json.loads(told.files["equation.json"])
    assert said["recommended"]["equation"] == best.design and said["rule"] == RULE
    assert len(said["equations"]) == 2


def test_numbers_are_spelled_by_name() -> None:
    assert [spelled(v) for v in (math.pi, -2 * math.pi, 1 / 3, 0.5, 1 / math.sqrt(2), 2.0)] == [
        "pi", "-(2*pi)", "(1/3)", "0.5", "(1/sqrt(2))", "2",
    ]  # fmt: skip
    table = make_table(X, X[:, 0] * math.pi / 3 + 0 * X[:, 1], ["x", "z"])
    made = parse("a*x + b*sin(c*x)", library("default", ["x", "z"], (), True))
    y = 0.75 * X[:, 0] + math.sqrt(2) * np.sin(math.pi * X[:, 0])
    table = make_table(X, y, ["x", "z"])
    near = made.fitted((0.7500000001, 1.41421356239, 3.14159265358), 1.0, 0.0)
    short = tidied(near, table)
    assert tidy_text(short) == "0.75*x + sqrt(2)*sin(pi*x)"
    assert str(short.sympy()) != "" and "pi" in tidy_text(short)
    assert np.allclose(parse(tidy_text(short), made.library).predict(X), y)


def test_min_max_and_abs_are_there() -> None:
    assert {"min", "max", "abs", "where", "unless"} <= set(OPERATORS)


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
        ends = spans(design.tokens, env.library.arities)
        f, g = words[2 : ends[2]], words[ends[2] : ends[ends[2]]]
        assert "z" not in f and "x" not in g
    assert form.text == " f(x)*g(z) + a"
    tried = [parse(t, env.library) for t in ("x*z + 1", "z*x + 1", "x*z", "x*(z + z) + 2")]
    assert [row is not None for row in env.encode(tried)] == [True, False, False, True]
    assert min(judge(design, made.context["data"]).nmse for design in proposed) < 0.05


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


def spans(tokens: tuple[int, ...], arities: tuple[int, ...]) -> list[int]:
    """Return where the subexpression that begins at each token ends."""
    out, stack = [0] * len(tokens), []
    for at in range(len(tokens) - 1, -1, -1):
        stop = at + 1
        for _ in range(arities[tokens[at]]):
            stop = stack.pop()
        out[at] = stop
        stack.append(stop)
    return out


@pytest.mark.parametrize(("text", "message"), [
    ("f(x)*g(", "form, character 8, at its end: expected a column"),
    ("f(x) + f(z)", "form, character 8, .*f stands twice"), ("2*x", "leaves nothing to search"),
    ("f(2)", "expected a column as an argument"), ("f(q)", "'q' is no column"),
])  # fmt: skip
def test_forms_that_do_not_do(tmp_path: Path, text: str, message: str) -> None:
    path = csv(tmp_path / "t.csv", "x,z,y", X[:, 0], X[:, 1], X[:, 0])
    with pytest.raises(InputError, match=message):
        task(data=path, form=text)
