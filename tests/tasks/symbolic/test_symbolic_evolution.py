"""Arrays of token rows, the bank, wanted values, and the search they make."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from designer.testing import walk
from tasks.symbolic.fit.fitting import evaluate
from tasks.symbolic.language.library import library
from tasks.symbolic.language.operators import OPERATORS
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.strips import ends, strips
from tasks.symbolic.language.trees import PAD, pack, read
from tasks.symbolic.language.variants import ends as ends_of_row
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.search.bank import stock
from tasks.symbolic.search.crowd import EXACT
from tasks.symbolic.search.desired import INVERSES, Wanted, match
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.search.variation import alphabet, crossover, hoist, insertion, point, subtree
from tasks.symbolic.tables.table import make_table

KOZA = library("koza", ["x"])
WITH = library("default", ["x", "y"], ["2"], constant=True)


class Purse:
    """Counts, with a limit."""

    def __init__(self, left: int | None = None) -> None:
        self.left, self.spent = left, 0

    def spend(self, evaluations: int) -> None:
        self.spent += evaluations
        if self.left is not None:
            self.left -= evaluations
            assert self.left >= 0


def random_rows(env: Expressions, count: int) -> list[list[int]]:
    """Return distinct expressions of random legal walks."""
    actions, _ = walk(env, count, seed=3)
    return [list(row) for row in {d.tokens for d in env.decode(actions) if d is not None}]


def test_what_is_lawful_is_legal_and_little_else_is_lost() -> None:
    env = Expressions(WITH, max_length=14, max_depth=5, min_length=3)
    loose = Expressions(WITH, max_length=16, nesting=(), inverses=(), distinct=(),
                        idle_constants=True, max_constants=9)  # fmt: skip
    rows = random_rows(env, 1500) + random_rows(loose, 3000)
    lawful = env.lawful(read(pack(rows), WITH)).tolist()
    legal = env.legal(rows)
    assert all(fine for good, fine in zip(lawful, legal, strict=True) if good)
    assert 0.9 * sum(legal) <= sum(lawful) < len(rows)


def test_ends_agree_with_the_plain_ones() -> None:
    rows = random_rows(Expressions(WITH, max_length=14), 300)
    packed = strips(rows, 14)
    for at in range(14):
        some = [i for i, row in enumerate(rows) if len(row) > at]
        part = packed.take(np.array(some))
        found = ends(part, np.full(len(some), at), alphabet(WITH).arity)
        assert found.tolist() == [ends_of_row(rows[i], WITH)[at] for i in some]


@pytest.mark.parametrize("name", ["crossover", "subtree", "point", "hoist", "insertion"])
def test_children_are_complete_expressions(name: str) -> None:
    env, rng = Expressions(WITH, max_length=14), np.random.default_rng(0)
    parents = strips(random_rows(env, 400), 14)
    a, bank = alphabet(WITH), stock(env, rng.uniform(1, 2, (10, 2)), 300)
    children, fits = {
        "crossover": lambda: crossover(
            parents, parents.take(rng.permutation(len(parents))), a, rng
        ),
        "subtree": lambda: subtree(parents, bank, a, rng),
        "point": lambda: point(parents, a, rng),
        "hoist": lambda: hoist(parents, a, rng),
        "insertion": lambda: insertion(parents, bank, a, rng),
    }[name]()
    assert fits.sum() > 50
    changed = 0
    for row, parent in zip(children.take(fits).tokens, parents.take(fits).tokens, strict=True):
        tokens = row[row != PAD].tolist()
        assert ends_of_row(tokens, WITH)[0] == len(tokens)
        changed += tokens != parent[parent != PAD].tolist()
    assert changed > 0.4 * fits.sum()


def test_the_bank_holds_each_function_once_and_as_short_as_can_be() -> None:
    env = Expressions(KOZA, max_length=20, distinct=("sub",))
    x = np.random.default_rng(0).uniform(0.5, 1.5, (12, 1))
    bank = stock(env, x, 400)
    values = evaluate(torch.from_numpy(bank.rows.tokens), KOZA, torch.from_numpy(x)).numpy()
    assert np.allclose(values, bank.values, rtol=1e-12)
    size = np.abs(values).max(1, keepdims=True) + 1e-300
    different = np.unique(np.column_stack([np.round(values / size, 9), size.round(9)]), axis=0)
    assert len(different) == len(bank)
    assert (np.diff(bank.rows.lengths) >= 0).all()
    # one token: x. Two: sin, cos, exp, log of it. Three: x + x, x * x, x / x (x - x is ruled out)
    assert np.diff(bank.starts)[:2].tolist() == [1, 4]


@pytest.mark.parametrize("name", sorted(INVERSES))
@pytest.mark.parametrize("second", [False, True])
def test_inverses_invert_and_their_slopes_are_derivatives(name: str, second: bool) -> None:
    operator = OPERATORS[name]
    if second and operator.arity == 1:
        pytest.skip("one argument")
    rng = np.random.default_rng(0)
    low, high = (1.1, 1.9) if name == "cosh" else (0.2, 0.9)
    inner, other = rng.uniform(low, high, 50), rng.uniform(0.3, 0.8, 50)

    def value(a: np.ndarray) -> np.ndarray:
        pair = [torch.from_numpy(v) for v in ((other, a) if second else (a, other))]
        return operator.function(*pair[: operator.arity]).numpy()

    wanted, slope = INVERSES[name](second, value(inner), other)
    assert np.allclose(wanted, inner, rtol=1e-9)
    step = 1e-6
    numeric = (value(inner + step) - value(inner - step)) / (2 * step)
    assert np.allclose(np.abs(slope), np.abs(numeric), rtol=1e-4)


@pytest.mark.parametrize("mode", ["plain", "scale", "affine"])
def test_the_match_is_the_best_block_of_its_size(mode: str) -> None:
    rng = np.random.default_rng(1)
    bank = stock(Expressions(KOZA, max_length=20), rng.uniform(0.5, 1.5, (12, 1)), 200)
    wanted = Wanted(rng.normal(size=(30, 12)), rng.uniform(0.5, 2, size=(30, 12)))
    found = match(wanted, bank, mode, rng)
    for row in range(30):
        size = bank.rows.lengths[found.block[row]]
        losses = {}
        for block in np.flatnonzero(bank.rows.lengths == size):
            g, d, w = bank.values[block], wanted.values[row], wanted.slope[row]
            columns = {"plain": [], "scale": [g], "affine": [g, np.ones(12)]}[mode]
            if not columns:
                losses[block] = float((w**2 * (d - g) ** 2).sum())
                continue
            design = np.stack(columns, axis=1) * w[:, None]
            answer, *_ = np.linalg.lstsq(design, d * w, rcond=None)
            losses[block] = float(((design @ answer - d * w) ** 2).sum())
            if block == found.block[row]:
                assert np.isclose(answer[0], found.factor[row], rtol=1e-6)
        assert losses[found.block[row]] <= min(losses.values()) * (1 + 1e-6)


def test_a_law_is_found_and_paid_for() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (20, 1))
    table = make_table(x, x[:, 0] ** 3 + x[:, 0] ** 2 + x[:, 0], ["x"])
    env, purse = Expressions(KOZA, max_length=20, distinct=("sub",)), Purse()
    evolution = Evolution(env, table, population=300, blocks=2000, purse=purse)
    found = evolution([], 20, np.random.default_rng(0))
    errors = [np.mean((d.predict(x) - table.y) ** 2) / np.var(table.y) for d in found]
    assert min(errors) <= EXACT and purse.spent >= 300
    assert all(env.legal([list(d.tokens) for d in found]))
    assert len({d.key for d in found}) == len(found)


def test_guesses_are_among_what_was_asked_for_and_nothing_beyond() -> None:
    x = np.random.default_rng(0).uniform(1, 2, (15, 2))
    table = make_table(x, np.sin(3.1 * x[:, 0]) * x[:, 1], ["x", "y"])
    guesses = tuple(parse(text, WITH) for text in ("x*y", "sin(x)", "x + y"))
    made = Evolution(Expressions(WITH, max_length=14), table, population=60, generations=1,
                     blocks=200, pairs=0, ratios=False, guesses=guesses)  # fmt: skip
    for count in (1, 3, 5):
        found = made([], count, np.random.default_rng(0))
        assert len(found) == count
        assert found[:3] == list(guesses[:count])


def test_calls_repeat_and_the_budget_holds() -> None:
    x = np.random.default_rng(0).uniform(1, 2, (15, 2))
    table = make_table(x, np.sin(3.1 * x[:, 0]) * x[:, 1], ["x", "y"])
    env = Expressions(WITH, max_length=14)
    texts = []
    for _ in range(2):
        purse = Purse(700)
        evolution = Evolution(
            env, table, scale=True, population=200, blocks=300, pairs=2000, purse=purse
        )
        parents = [parse("x*y", WITH), parse("sin(x)", WITH)]
        texts.append([d.text for d in evolution(parents, 20, np.random.default_rng(5))])
        assert purse.spent <= 700
    assert texts[0] == texts[1]


def test_contexts_that_miss_are_tried_less_often_and_a_restored_search_goes_on_the_same() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, (600, 2))
    table = make_table(x, x[:, 0] * x[:, 1] + rng.normal(0, 0.1, 600), ["x", "y"])
    env = Expressions(WITH, max_length=14)

    def made() -> Evolution:
        return Evolution(env, table, scale=True, population=60, generations=3, blocks=200,
                         pairs=500)  # fmt: skip

    whole, first, second = made(), made(), made()
    assert whole.every == 1 and whole.state() == {}
    draws = np.random.default_rng(1)
    assert len(whole.drawn(draws).y) == 256 and len(whole.data.y) == 600
    assert not torch.equal(whole.drawn(draws).y, whole.drawn(draws).y)
    a = np.random.default_rng(2)
    whole([], 10, a)
    missed = whole.state()["contexts"]
    assert missed >= 24  # 8 a generation, and the bare places of the first
    whole.restore({"contexts": 1200})
    assert whole.every == 4 and whole.state() == {"contexts": 1200}
    b = np.random.default_rng(2)
    first([], 10, b)
    second.restore(first.state())
    state = b.bit_generator.state
    one = [d.text for d in first([], 10, b)]
    b.bit_generator.state = state
    assert one == [d.text for d in second([], 10, b)]
    assert first.state() == second.state() != {"contexts": missed}
