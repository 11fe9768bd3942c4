"""Two blocks that meet: against trying every pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.symbolic.fit.fitting import evaluate
from tasks.symbolic.language.library import library
from tasks.symbolic.language.strips import ends
from tasks.symbolic.language.variants import ends as ends_of_row
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.search.bank import stock
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.search.meeting import Ways, contexts, met
from tasks.symbolic.search.pairs import meeting, sketched
from tasks.symbolic.search.variation import alphabet
from tasks.symbolic.tables.table import make_table

KOZA = library("koza", ["x", "y"])
WITH = library("koza", ["x", "y"], constant=True)
NAMES = frozenset(KOZA.operator_ids)
JOIN = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}


def points(count: int = 12) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.5, 1.5, (count, 2))


@pytest.mark.parametrize("name", sorted(JOIN))
def test_pairs_that_meet_are_those_of_trying_all(name: str) -> None:
    bank = stock(Expressions(KOZA, max_length=20), points(), 250)
    pairs, rng = sketched(bank, np.arange(12)), np.random.default_rng(2)
    a, b = bank.values[:, None], bank.values[None]
    with np.errstate(all="ignore"):
        every = JOIN[name](a, b)
    for _ in range(20):
        i, j = rng.integers(len(bank), size=2)
        wanted = every[i, j]
        if not np.isfinite(wanted).all() or np.ptp(wanted) < 1e-6:
            continue
        wanted = wanted + 1.7 if name in ("add", "sub") else wanted * 1.7
        found = meeting(wanted, pairs, frozenset([name]), most=10**6)
        got = {(p.first, p.second) for p in found}
        if name in ("add", "mul"):
            got |= {(q, p) for p, q in got}
        gap = wanted - every
        if name in ("add", "sub"):
            gap = gap - gap.mean(2, keepdims=True)
        else:
            factor = (wanted * every).sum(2) / (every**2).sum(2)
            gap = wanted - factor[..., None] * every
        size = ((wanted - wanted.mean()) ** 2).mean()
        with np.errstate(all="ignore"):
            miss = (gap**2).mean(2)
        # sums of very large blocks that cancel are left to the others
        fine = (miss <= 1e-20 * size) & (np.abs(a).max(2) < 1e3) & (np.abs(b).max(2) < 1e3)
        assert set(zip(*np.nonzero(fine), strict=True)) <= got
        assert (i, j) in got
        for p in found:
            again = p.factor * every[p.first, p.second] + p.shift
            assert np.allclose(again, wanted, rtol=1e-8, atol=1e-9)


def test_contexts_are_expressions_with_a_leaf_at_the_place() -> None:
    bank, a = stock(Expressions(WITH, max_length=20), points(), 300), alphabet(WITH)
    rows, at = contexts(bank, a, 200, 24, np.random.default_rng(0), plain=True)
    for row, length, place in zip(rows.tokens, rows.lengths, at, strict=True):
        tokens = row[:length].tolist()
        stops = ends_of_row(tokens, WITH)
        assert stops[0] == length and tokens[place] == WITH.first_variable
        assert stops[place] == place + 1
    functions = rows.tokens[1 : 1 + len(a.unary), 0]
    assert rows.lengths[0] == 1 and functions.tolist() == a.unary.tolist()
    assert rows.lengths.max() > 9
    assert (ends(rows, at, a.arity) == at + 1).all()


def test_a_law_of_two_blocks_in_a_context_is_met() -> None:
    x = np.random.default_rng(1).uniform(0.5, 1.5, (30, 2))
    # log(2.5 * sin(x) * (y + x*y)): a place below the logarithm, and a factor
    table = make_table(x, np.log(2.5 * np.sin(x[:, 0]) * (x[:, 1] + x[:, 0] * x[:, 1])), ["x", "y"])
    env = Expressions(WITH, max_length=24)
    evolution = Evolution(env, table, blocks=300, pairs=3000)
    assert evolution.ways is not None
    a, rng = alphabet(WITH), np.random.default_rng(0)
    rows, at = contexts(evolution.aim.bank, a, 400, 24, rng)
    outer = np.tile([1.0, 0.0], (400, 1))
    ways = Ways(evolution.ways.pairs)
    children = met(rows, at, outer, evolution.aim, ways, a, np.arange(0))
    assert len(children)
    given = torch.from_numpy(children.constants(WITH))
    f = evaluate(torch.from_numpy(children.tokens), WITH, torch.from_numpy(x), given).numpy()
    assert np.allclose(f, table.y, rtol=1e-8)
