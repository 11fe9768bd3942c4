"""Where equations are defined: proofs, witnesses, and intervals against samples."""

from __future__ import annotations

import numpy as np
import pytest

from designer.memory import Found
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.making import make_task
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.output.poles import _INTERVALS, bounds, domain
from tasks.symbolic.tables.table import make_table

XY_ONE = library("all", ["x"], ["1", "2"], constant=True)
XY = library("all", ["x", "y"], ["1", "2"], constant=True)


@pytest.mark.parametrize(
    ("text", "known", "value"),
    [
        ("1/(x - 1.3)", "not everywhere", lambda x, y: x - 1.3),
        ("x/(x*x - x + 1)", "everywhere", None),  # the interval holds 0 until it is halved
        ("1/(x*y - 2)", "not everywhere", lambda x, y: x * y - 2),
        ("log(x + y)", "everywhere", None),
        ("log(x - y)", "not everywhere", None),
        ("sqrt(x*x + y)", "everywhere", None),
        ("1/sin(x)", "everywhere", None),
        ("1/cos(x)", "not everywhere", lambda x, y: np.cos(x)),
        ("exp(sin(x)/(2 + cos(y)))", "everywhere", None),
        ("asin(x/4)", "everywhere", None),
        ("asin(x/2)", "not everywhere", None),
        ("tan(x/4)", "unknown", None),
        ("1/(x - 1 + exp(tan(y/4)))", "unknown", None),  # above 0.6, which no interval shows
        ("1/(where(x, y - 1) + where(0 - x, y - 2) + 0.6)", "unknown", None),
        ("x*exp(-y)", "everywhere", None),
    ],
)
def test_what_is_known_of_a_domain(text: str, known: str, value: object) -> None:
    low, high = np.array([0.5, 0.5]), np.array([3.0, 3.0])
    found = domain(parse(text, XY), low, high)
    assert found.defined == known
    if known == "not everywhere":
        assert found.at is not None and (found.at >= low).all() and (found.at <= high).all()
    if value is not None:
        assert abs(value(*found.at)) < 1e-9  # type: ignore[operator]


def test_a_zero_at_the_border_is_found() -> None:
    found = domain(parse("1/x", XY), np.array([0.0, 0.0]), np.array([1.0, 1.0]))
    assert found.defined == "not everywhere" and found.at is not None and found.at[0] == 0.0


@pytest.mark.parametrize("name", sorted(_INTERVALS))
def test_intervals_hold_all_values(name: str) -> None:
    inner = f"{name}(x - 0.3, y*x)" if name in ("where", "unless", "min", "max") else None
    text = {"add": "x + x*y", "sub": "x - x*y", "mul": "(x - 1)*(y - 1)", "div": "x/(y + 2)",
            "neg": "-x", "inv": "(x + 2)**-1", "square": "(x - 0.4)**2", "cube": "(x - 0.4)**3",
            "pow": "(x + 2)**(y - 0.5)"}.get(name, inner)  # fmt: skip
    design = parse(text or f"{name}(x*0.4 + {1 if name in ('sqrt', 'log') else 0})", XY)
    assert name in [XY.names[token] for token in design.tokens]
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 2, (50, 2)), rng.uniform(0, 1, (50, 2))
    points = a[:, None] + b[:, None] * rng.random((50, 40, 2))
    with np.errstate(all="ignore"):
        values = design.predict(points.reshape(-1, 2)).reshape(50, 40)
    low, high = bounds(design, (a, a + b))
    fine = np.isfinite(values)
    assert fine.any()
    assert (~fine | ((values >= low[:, None]) & (values <= high[:, None]))).all()
    assert np.isfinite(low).any()


def test_a_pole_between_the_rows_is_told() -> None:
    x = np.linspace(0.1, 2.0, 12)[:, None]
    made = make_task(make_table(x, 1 / (x[:, 0] - 1.0), ["x"]), Expressions(XY_ONE))
    assert made.tell is not None
    told = {}
    for text in ("1/(x - 1)", "1/(x + 1)"):
        design = parse(text, XY_ONE)
        found = Found(design.text, 1.0, {"nmse": 0.0}, 5, 0, 0, design.key, 1.0)
        told[text] = made.tell([found], [found])
    assert "not defined everywhere between the rows: not at x = 1" in told["1/(x - 1)"].lines[-1]
    assert not any("not defined" in line for line in told["1/(x + 1)"].lines)
    facts = told["1/(x + 1)"].facts["recommended"]
    assert facts["defined_between_the_rows"] == "everywhere"
