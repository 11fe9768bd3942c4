"""Quotients of polynomials: found, believed only where exact, and written as tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oracles.fit import Fit
from tasks.symbolic.fit.fitting import evaluate
from tasks.symbolic.language.library import library
from tasks.symbolic.language.trees import pack
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.search.crowd import EXACT
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.search.ratios import Ratio, ratio, written
from tasks.symbolic.search.whole import number, spelled
from tasks.symbolic.tables.table import make_table

KOZA = library("koza", ["x", "y"], constant=True)
LAWS = {
    "a cube over a square": (lambda x, y: (x + 1) ** 3 / (x * x - x + 1), 2),
    "two variables": (lambda x, y: x**4 - x**3 + y**2 / 2 - y, 4),
    "a real factor": (lambda x, y: 0.0795774715459 * x * y / (x + y), 3),
    "a degree of nine": (lambda x, y: sum(x**k for k in range(1, 10)), 9),
}


def points(variables: int, count: int = 20) -> np.ndarray:
    return np.random.default_rng(3).uniform(-1, 1, (count, variables)) + 0.01


@pytest.mark.parametrize("name", LAWS)
def test_the_law_is_found_and_written(name: str) -> None:
    law, terms = LAWS[name]
    one = name in ("a cube over a square", "a degree of nine")
    x = points(1 if one else 2)
    wanted = law(x[:, 0], None if one else x[:, 1])
    found = ratio(wanted, x)
    assert found is not None
    assert terms <= len(found.above) + len(found.below) <= terms + 5
    lib = library("koza", ["x"], constant=True) if one else KOZA
    spelled = written(found, lib)
    assert spelled is not None
    tokens = pack([[token for token, _ in spelled]])
    given = torch.tensor([[n for t, n in spelled if t == lib.constant_id]], dtype=torch.float64)
    far = points(x.shape[1], 50) * 3
    values = evaluate(tokens, lib, torch.from_numpy(far), given)[0].numpy()
    np.testing.assert_allclose(values, law(far[:, 0], far[:, -1]), rtol=1e-8)


def test_short_coefficients_are_exact() -> None:
    x = points(1)[:, 0]
    found = ratio((x**5 - 3 * x**3 + 1) / (x**2 + 1), x[:, None])
    assert found == Ratio({(0,): 1.0, (3,): -3.0, (5,): 1.0}, {(0,): 1.0, (2,): 1.0})


@pytest.mark.parametrize("law", [np.exp, np.sin, np.cosh, lambda x: np.log(x + 1.5)])
def test_a_smooth_function_is_not_believed_to_be_a_quotient(law: object) -> None:
    assert ratio(law(points(1))[:, 0], points(1)) is None  # type: ignore[operator]


def test_noise_has_no_quotient_and_odd_inputs_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, (40, 3))
    assert ratio(x[:, 0] * x[:, 1] + rng.normal(0, 1e-3, 40), x) is None
    assert ratio(np.full(40, 2.0), x) is None
    assert ratio(np.full(40, np.nan), x) is None
    assert ratio(np.exp(300 * x[:, 0]), x) is None
    assert ratio(x[:, 0] * 1e300, x * 1e200) is None
    assert ratio(x[:12, 0], x[:12]) is not None
    assert ratio(x[:2, 0], x[:2]) is None
    assert ratio(rng.normal(size=40), np.zeros((40, 1))) is None


@pytest.mark.parametrize("name", ["R-1", "R-2", "degree 9", "two variables", "all negative"])
def test_whole_coefficients_are_spelled_in_plain_tokens(name: str) -> None:
    law, length = {
        "R-1": (lambda x, y: (x + 1) ** 3 / (x * x - x + 1), 31),
        "R-2": (lambda x, y: (x**5 - 3 * x**3 + 1) / (x**2 + 1), 27),
        "degree 9": (lambda x, y: sum(x**k for k in range(1, 10)), 33),
        "two variables": (lambda x, y: x**4 - x**3 + y**2 / 2 - y, 27),
        "all negative": (lambda x, y: -1 - 2 * x * x * y - y, 19),
    }[name]
    one = name in ("R-1", "R-2", "degree 9")
    plain = library("koza", ["x"] if one else ["x", "y"])
    x = points(len(plain.variables))
    found = ratio(law(x[:, 0], x[:, -1]), x)
    assert found is not None
    tokens = spelled(found, plain)
    assert tokens is not None and len(tokens) <= length
    far = points(x.shape[1], 50) * 3
    values = evaluate(pack([tokens]), plain, torch.from_numpy(far))[0].numpy()
    np.testing.assert_allclose(values, law(far[:, 0], far[:, -1]), rtol=1e-9)


def test_numbers_are_spelled_and_odd_coefficients_are_not() -> None:
    plain = library("koza", ["x"])
    for n in range(1, 10):
        tokens = number(n, plain)
        assert tokens is not None
        given = torch.tensor([[0.3], [-2.0]], dtype=torch.float64)
        assert evaluate(pack([tokens]), plain, given)[0].tolist() == pytest.approx([n, n])
    assert number(10, plain) is None and number(0, plain) is None
    assert number(2, library(["mul", "sin"], ["x"])) is None
    assert spelled(Ratio({(1,): 0.31}, {(0,): 1.0}), plain) is None
    assert spelled(Ratio({(1,): 11.0}, {(0,): 1.0}), plain) is None
    halves = spelled(Ratio({(1,): 0.5, (2,): 1.0}, {(0,): 1.0}), plain)
    assert halves is not None
    here = torch.tensor([[3.0]], dtype=torch.float64)
    assert float(evaluate(pack([halves]), plain, here)) == pytest.approx(10.5)


def test_evolution_writes_it_within_a_function_although_the_mask_writes_no_constants() -> None:
    x = np.random.default_rng(0).uniform(0, 2, (30, 2))
    y = np.log((1 + 3 * x[:, 0] ** 2 + x[:, 1]) / (2 + x[:, 0] * x[:, 1]))
    env = Expressions(KOZA, max_length=30, max_constants=0, coefficients=16, distinct=("sub",))
    table = make_table(x, y, ["x", "y"])
    evolution = Evolution(env, table, population=100, blocks=300, pairs=0)
    found = evolution([], 60, np.random.default_rng(0))
    assert Fit(table, scale=False)(found).columns["nmse"].min() <= EXACT
