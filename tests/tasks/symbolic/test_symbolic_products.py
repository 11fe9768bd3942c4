"""Products of powers and blocks: made by hand and found again, alone and below chains."""

from __future__ import annotations

import numpy as np
import pytest

from designer.protocols import Floats
from oracles.fit import Fit
from tasks.symbolic.language.library import Library, library
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.rules import DISTINCT
from tasks.symbolic.search.bank import stock
from tasks.symbolic.search.crowd import EXACT
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.search.laws import bends
from tasks.symbolic.search.products import LESS, MORE, Product, Products, gathered, products, values
from tasks.symbolic.search.twins import twins
from tasks.symbolic.tables.table import make_table

TOKENS = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "sqrt", "square"]


def points(count: int = 24, V: int = 3) -> Floats:
    return np.random.default_rng(5).uniform(1.0, 3.0, (count, V))


def tokens(constant: bool = True, V: int = 3) -> Library:
    return library(TOKENS, [f"v{i}" for i in range(V)], constant=constant)


@pytest.fixture(scope="module")
def among() -> Products:
    bank = stock(Expressions(tokens(), max_length=30), points(), 2000)
    made = gathered(bank, np.arange(24), points(), bends(tokens()))
    assert made is not None
    return made


def value(found: Product, among: Products) -> Floats:
    out = found.scale * (among.x ** np.array(found.powers)).prod(1)
    for factor in found.factors:
        out = out * values(factor, among.bank) ** factor.power
    return np.asarray(out)


def test_powers_alone(among: Products) -> None:
    x = points()
    (found,) = products(-0.3 * x[:, 0] ** 3 / np.sqrt(x[:, 1]) / x[:, 2] ** 4, among, False)
    assert found.powers == (3.0, -0.5, -4.0) and not found.factors
    assert found.scale == pytest.approx(-0.3, rel=1e-9)
    assert products(x[:, 0] ** 0.3, among, False) == []  # powers are whole or half


def test_every_pair_that_is_built_is_found(among: Products) -> None:
    rng = np.random.default_rng(1)
    for _ in range(12):
        i, j = rng.choice(len(among.factor), size=2, replace=False)
        if min(among.factor[[i, j], 0]) < 0:
            continue
        signs = rng.choice([1, -1], size=2)
        logs = signs[0] * among.left[i] + signs[1] * among.left[j]
        wanted = 2.5 * np.exp(logs)
        for found in products(wanted, among, False):
            np.testing.assert_allclose(value(found, among), wanted, rtol=1e-7)
        x = among.x
        own = [(among.factor[n], s) for n, s in zip((i, j), signs, strict=True)]
        wanted = x[:, 0] ** 2 / x[:, 1]
        for (block, kind), sign in own:
            v = among.bank.values[block]
            wanted = wanted * {MORE: 1 + v, LESS: 1 - v}.get(int(kind), v) ** sign
        found_ = products(wanted, among, False)
        assert found_
        for found in found_:
            np.testing.assert_allclose(value(found, among), wanted, rtol=1e-7)


@pytest.mark.parametrize("bend", ["exp-", "exp+", "1+", "sin", "cos"])
def test_a_number_within(among: Products, bend: str) -> None:
    x = points()
    u = 0.7391 * x[:, 0]  # a sine of several turns is not always found
    make = {"exp-": np.expm1, "exp+": lambda t: np.exp(t) + 1, "1+": lambda t: 1 + t,
            "sin": np.sin, "cos": np.cos}[bend]  # fmt: skip
    wanted = 0.2 * x[:, 2] ** 2 / make(u)
    found = products(wanted, among, True)
    assert found and products(wanted, among, False) == []
    for one in found:
        np.testing.assert_allclose(value(one, among), wanted, rtol=1e-7)


def test_noise_and_odd_values_have_no_product(among: Products) -> None:
    rng = np.random.default_rng(2)
    for wanted in (rng.normal(size=24), np.full(24, 2.0), np.full(24, np.nan), np.zeros(24)):
        assert products(wanted, among, True) == []


@pytest.mark.parametrize("operator", ["mul", "add"])
def test_two_functions_with_a_number_in_each(operator: str) -> None:
    x = np.random.default_rng(6).uniform(0, 2, (24, 2))
    bank = stock(Expressions(tokens(V=2), max_length=10), x, 50)
    a, b = np.sin(1.73 * x[:, 0]), np.exp(-0.41 * x[:, 1])
    wanted = 0.3 * a * b if operator == "mul" else 0.3 * a - 2.2 * b
    found = [one for one in twins(wanted, bank, ("sin", "exp")) if one.operator == operator]
    assert {(one.first.bend, one.second.bend) for one in found} >= {("sin", "exp")}
    (one,) = (one for one in found if one.first.bend == "sin" and one.second.bend == "exp")
    assert [one.first.number, one.second.number] == pytest.approx([1.73, -0.41], rel=1e-6)
    assert one.factors == pytest.approx((0.3,) if operator == "mul" else (0.3, -2.2), rel=1e-6)
    assert twins(np.random.default_rng(7).normal(size=24), bank, ("sin", "exp")) == []


def test_few_points_have_no_room_for_powers() -> None:
    bank = stock(Expressions(tokens(V=6), max_length=10), points(12, 6), 50)
    assert gathered(bank, np.arange(12), points(12, 6), ()) is None


@pytest.mark.parametrize("constant", [True, False])
def test_a_chain_is_closed_in_a_search(constant: bool) -> None:
    x = np.random.default_rng(3).uniform(1, 3, (60, 4))
    a, b, c, d = x.T
    y = np.sqrt(1 + a**2 * b / (c * d**4)) if not constant else 0.31 / np.expm1(0.159 * a * b) * c
    table = make_table(x, y, ["a", "b", "c", "d"])
    own = library(TOKENS, ["a", "b", "c", "d"], constant=constant)
    distinct = DISTINCT if constant else ("sub",)  # without numbers 1 is x / x
    env = Expressions(own, max_length=30, distinct=distinct)

    def best(on: bool) -> float:
        made = Evolution(env, table, scale=constant, population=60, generations=2, blocks=200,
                         pairs=1000, ratios=False, sums=False, products=on)  # fmt: skip
        found = made([], 40, np.random.default_rng(0))
        assert not on or "products" in made.missed
        return float(Fit(table)(found).columns["nmse"].min())

    assert best(True) <= EXACT < best(False)
