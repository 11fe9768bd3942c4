"""Sums with coefficients: against trying every pair, with sines, with units, in a search."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from oracles.fit import Fit
from tasks.symbolic.language.library import library
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.units import make_units
from tasks.symbolic.search.bank import Bank, stock
from tasks.symbolic.search.crowd import EXACT
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.search.sums import Sum, Sums, sums
from tasks.symbolic.tables.table import make_table

JIN = library("jin", ["x", "y"], constant=True)


def points(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.5, 1.5, (count, 2))


def value(one: Sum, bank: Bank) -> np.ndarray:
    out = np.full(bank.values.shape[1], one.shift)
    for term in one.terms:
        block = bank.values[term.block]
        out = out + term.coefficient * (block if term.phase is None else np.sin(block + term.phase))
    return out


@pytest.fixture(scope="module")
def small() -> Sums:
    return Sums(stock(Expressions(JIN, max_length=20), points(), 70), np.arange(20), False)


def test_pairs_are_those_of_least_squares_over_all(small: Sums) -> None:
    rng, family = np.random.default_rng(1), small.family(None)
    f = small.bank.values
    for _ in range(4):
        i, j = rng.choice(family.block, size=2, replace=False)
        wanted = 2.7 * f[i] - 0.31 * f[j] + 4.0
        expected = set()
        for a, b in combinations(family.block.tolist(), 2):
            A = np.column_stack([f[a], f[b], np.ones(20)])
            A = A / np.sqrt((A * A).sum(0))
            coefficients, *_ = np.linalg.lstsq(A, wanted, rcond=1e-12)
            miss = ((A @ coefficients - wanted) ** 2).mean() / wanted.var()
            if miss < 1e-22 and np.linalg.cond(A) < 1e3:
                expected.add(frozenset((a, b)))
        found = sums(wanted, small, None, None)
        got = {frozenset(t.block for t in one.terms) for one in found}
        assert frozenset((int(i), int(j))) in got
        # where more than two lie in one plane neighbours in the order stand for all of them
        assert got & expected and len(expected) < 40
        for one in found:
            np.testing.assert_allclose(value(one, small.bank), wanted, rtol=1e-8)


def test_a_third_block_beside(small: Sums) -> None:
    f, family = small.bank.values, small.family(None)
    i, j, k = family.block[[3, 25, 50]]
    wanted = 1.35 * f[i] + 5.5 * f[j] - 0.2 * f[k]
    found = sums(wanted, small, None, 3)
    assert {frozenset((int(i), int(j), int(k)))} <= {
        frozenset(t.block for t in one.terms) for one in found
    }
    assert all(abs(one.shift) < 1e-6 for one in found)


def test_noise_and_odd_values_have_no_sum(small: Sums) -> None:
    rng = np.random.default_rng(2)
    for wanted in (
        rng.normal(size=20),
        np.full(20, 3.0),
        np.full(20, np.nan),
        1e200 * points()[:, 0],
    ):
        assert sums(wanted, small, None, None) == []
        assert sums(wanted, small, None, 5) == []


def test_a_sine_with_a_phase_is_found_in_a_search() -> None:
    x = np.random.default_rng(3).uniform(-3, 3, (40, 2))
    y = 1.35 * x[:, 0] * x[:, 1] + 5.5 * np.sin(x[:, 0] - x[:, 1] + 0.7)
    table = make_table(x, y, ["x", "y"])
    env = Expressions(JIN, max_length=24)
    evolution = Evolution(env, table, scale=True, population=60, generations=2, blocks=300,
                          pairs=2000, ratios=False)  # fmt: skip
    found = evolution([], 40, np.random.default_rng(0))
    assert Fit(table)(found).columns["nmse"].min() <= EXACT
    without = Evolution(env, table, scale=True, population=60, generations=2, blocks=300,
                        pairs=2000, ratios=False, sums=False)  # fmt: skip
    found = without([], 40, np.random.default_rng(0))
    assert Fit(table)(found).columns["nmse"].min() > EXACT


def test_only_blocks_of_the_wanted_unit_are_added() -> None:
    tokens = library(["add", "mul", "div", "sin", "cos"], ["v", "t"], constant=True)
    units = make_units(["m/s", "s"], "m")
    env = Expressions(tokens, max_length=12, units=units)
    among = Sums(stock(env, points(), 200), np.arange(20), True)
    assert among.bank.units is not None and units.target is not None
    v, t = points().T
    metres = np.array(units.target)
    found = sums(2.0 * v * t + 0.3 * v * t * np.sin(v * t / (v * t + v * t)), among, metres, None)
    family = among.family(metres)
    assert not family.shifted
    assert (np.abs(among.bank.units[family.block] - metres) < 1e-9).all()
    for one in found:
        assert one.shift == 0.0 and all(term.phase is None for term in one.terms)
        assert all((among.bank.units[t_.block] == metres).all() for t_ in one.terms)
    assert sums(v + 2.0 * t, among, metres, None) == []


@pytest.mark.parametrize("huge", [1e200, np.inf, np.nan])
def test_what_is_too_large_for_squares_is_no_sum(small: Sums, huge: float) -> None:
    wanted = np.linspace(1.0, 2.0, 20)
    wanted[3] = huge
    assert sums(wanted, small, None, None) == []
