"""What a person with a CSV asks for: guesses, formulas to judge, own operators, the report."""

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
from measured import X, csv, found

from designer.errors import InputError
from tasks.symbolic.guesses import checked
from tasks.symbolic.judging import judge
from tasks.symbolic.language.expression import expression
from tasks.symbolic.language.library import library
from tasks.symbolic.language.operators import own
from tasks.symbolic.language.parser import parse
from tasks.symbolic.output.code import to_code
from tasks.symbolic.output.report import RULE
from tasks.symbolic.output.tidy import spelled, tidied, tidy_text
from tasks.symbolic.tables.table import make_table
from tasks.symbolic.task import task


def test_a_guess_is_handed_over_and_bred_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    x = rng.uniform(-3, 3, 60)
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


def test_columns_with_names_like_parts_of_numbers_are_no_numbers() -> None:
    made = parse("sqrt(n)*exp(e1)/sqrt(2) + sin(-1.5e-7)", library("all", ["n", "e1"], (), True))
    code = to_code(made, "torch")
    assert "torch.sqrt(n)" in code and "torch.exp(e1)" in code
    long = parse("sqrt(1.2345678901234567*n*2.3456789012345678)", made.library)
    assert "torch.tensor" not in to_code(long, "torch")
    assert "torch.sqrt(torch.tensor(2.0, " in code and "sin(torch.tensor((-1.5e-07), " in code


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


def test_an_operator_of_ones_own_is_not_taken_for_sympys_of_that_name() -> None:
    tokens = library([own("sinc", torch.sinc)], ["x"])  # sin(pi x)/(pi x); sympy's has no pi
    made = expression([0, 1], tokens)
    assert made.text == "sinc(x)"
    assert not made.sympy().subs({"x": 0.5}).is_number
