"""The scikit-learn front, source code, and short numbers."""

from __future__ import annotations

import math
import os
import pickle
import shutil
import subprocess
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from designer.errors import InputError
from tasks.symbolic import SymbolicRegressor
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.output.code import to_code
from tasks.symbolic.output.tidy import tidied
from tasks.symbolic.tables.table import make_table

X = np.random.default_rng(0).uniform(1, 3, size=(40, 2))
Y = 2.5 * X[:, 0] * np.exp(-X[:, 1])


def small(**settings: object) -> SymbolicRegressor:
    """Return an estimator that is quick."""
    return SymbolicRegressor(**{"max_evaluations": 200, "population": 60, **settings})


def test_scikit_learns_own_checks_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of checks that need packages which are not installed
        results = check_estimator(small(), on_fail=None, on_skip=None)
    wrong = [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")]
    assert wrong == []
    skipped = {str(r["exception"]) for r in results if r["status"] == "skipped"}
    wanted = ("pandas", "polars", "array_api_strict")
    if os.environ.get("SCIPY_ARRAY_API") == "1" and all(map(find_spec, wanted)):
        assert not skipped  # as with `pip install '.[checks]'`
    assert all("pandas" in why or "ARRAY_API" in why for why in skipped)


def test_a_law_is_found_and_kept_through_clone_and_pickle() -> None:
    found = SymbolicRegressor(max_evaluations=6000, random_state=1).fit(X, Y)
    assert found.score(X, Y) > 1 - 1e-9
    again = clone(found).fit(X, Y)
    assert again.equation_.text == found.equation_.text
    assert found.front_[-1]["nmse"] < 1e-18 and found.evaluations_ <= 6000
    restored = pickle.loads(pickle.dumps(found))
    assert np.array_equal(restored.predict(X), found.predict(X))
    assert "x_" in found.latex() or "x0" in found.latex()
    value = found.sympy().subs({"x0": 2.0, "x1": 1.0})
    assert math.isclose(float(value), 5 * math.exp(-1), rel_tol=1e-8)


def test_weights_are_repeats() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 3, size=len(Y)).astype(float)
    noisy = Y + rng.normal(size=len(Y)) * 0.05
    one = small().fit(X, noisy, sample_weight=weights)
    rows = np.repeat(np.arange(len(Y)), weights.astype(int))
    two = small().fit(X[rows], noisy[rows])
    assert one.equation_.tokens == two.equation_.tokens
    assert np.allclose(one.predict(X), two.predict(X), rtol=1e-9)


def test_units_are_obeyed_or_refused() -> None:
    found = small(units=["m", "s", "m/s"]).fit(X, X[:, 0] / X[:, 1])
    assert found.equation_.text == "x0/x1"
    with pytest.raises(InputError, match="no expression"):
        small(units=["m", "s", "kg"]).fit(X, Y)


FORMULA = "2.5*x*exp(-y)/(1 + sqrt(x)) - 0.5*cos(x)**2 + x**3 - abs(y)"


@pytest.mark.parametrize("language", ["python", "numpy", "torch"])
def test_code_computes_the_same(language: str, tmp_path: Path) -> None:
    import importlib.util

    import torch

    made = parse(FORMULA, library("all", ["x", "y"], constant=True))
    file = tmp_path / f"made_{language}.py"
    file.write_text(to_code(made, language))  # type: ignore[arg-type]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for x, y in X[:5]:
        point = {"torch": torch.tensor}.get(language, float)
        value = float(module.f(point(x), point(y)))
        assert math.isclose(value, float(made.predict(np.array([[x, y]]))[0]), rel_tol=1e-6)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_c_computes_the_same(tmp_path: Path) -> None:
    made = parse(FORMULA, library("all", ["x", "y"], constant=True))
    x, y = X[0]
    main = f'#include <stdio.h>\nint main(void) {{ printf("%.17g", f({x!r}, {y!r})); return 0; }}\n'
    (tmp_path / "f.c").write_text(to_code(made, "c") + main.replace("np.float64", ""))
    subprocess.run(["cc", "f.c", "-o", "f", "-lm"], cwd=tmp_path, check=True)
    out = subprocess.run([tmp_path / "f"], capture_output=True, text=True, check=True).stdout
    assert math.isclose(float(out), float(made.predict(X[:1])[0]), rel_tol=1e-12)


def test_code_refuses_what_is_not_fitted() -> None:
    with pytest.raises(InputError, match="not fitted"):
        to_code(parse("a*x", library("all", ["x"], constant=True)))


def test_numbers_become_short_where_the_fit_allows() -> None:
    x = X[:, :1]
    made = parse("a*sin(b*x)", library("all", ["x"], constant=True))
    table = make_table(x, 0.75 * np.sin(math.pi * x[:, 0]), ["x"])
    near = made.fitted([0.7500000003, math.pi + 2e-10], 1.0, 0.0)
    assert tidied(near, table).constants == (0.75, math.pi)
    noisy = make_table(x, table.y + 0.1 * np.random.default_rng(2).normal(size=len(x)), ["x"])
    short = tidied(made.fitted([0.7512345678, 3.1412345678], 1.0, 0.0), noisy)
    assert max(len(repr(value)) for value in short.constants) <= 18
    error = np.mean((short.predict(x) - noisy.y) ** 2)
    assert error <= 1.01 * np.mean((near.predict(x) - noisy.y) ** 2)


def test_the_srbench_contract() -> None:
    import importlib.util

    import sympy

    file = Path(__file__).parents[3] / "srbench" / "regressor.py"
    spec = importlib.util.spec_from_file_location("srbench_regressor", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    est = clone(module.est).set_params(max_evaluations=300, population=60)
    est.fit(X, X[:, 0] * X[:, 1])
    read = sympy.sympify(module.model(est, X))  # our own text, as SRBench reads it
    assert float(read.subs({"x0": 2.0, "x1": 3.0})) == pytest.approx(6.0, rel=1e-6)
    assert module.complexity(est) >= 3
