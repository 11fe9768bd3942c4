"""The mask, counted and enumerated; the proposer, bound by the same mask."""

import itertools

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.rollout import retrace
from designer.testing import check_environment, check_proposer, walk
from tasks.symbolic.language.expression import expression
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.variants import ends, respell
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.search.proposer import Genetic, crossover, hoist, insertion, point, subtree

FREE = {"nesting": (), "inverses": (), "distinct": (), "idle_constants": True}
DEFAULT = library("default", ["x", "y"], ["2"], True)


def enumerate_all(env):
    """Return every expression the environment can write, breadth first, by its mask alone."""
    rows = torch.zeros(1, 0, dtype=torch.int64)
    state, finished = env.reset(1, torch.device("cpu")), []
    for _ in range(env.max_steps):
        mask = env.mask(state)
        parent, action = mask.nonzero(as_tuple=True)
        state = type(state)(*(getattr(state, f)[parent] for f in state.__dataclass_fields__))
        rows = torch.cat([rows[parent], action.unsqueeze(1)], 1)
        state = env.step(state, action)
        done = env.done(state)
        finished += [tuple(row) for row in rows[done].tolist()]
        rows = rows[~done]
        state = type(state)(*(getattr(state, f)[~done] for f in state.__dataclass_fields__))
    assert len(rows) == 0
    return finished


def recurrence(leaves, unary, binary, longest):
    """Return how many prefix expressions have 1, 2, ... tokens."""
    count = [0, leaves]
    for n in range(2, longest + 1):
        pairs = sum(count[i] * count[n - 1 - i] for i in range(1, n - 1))
        count.append(unary * count[n - 1] + binary * pairs)
    return count[1:]


@pytest.mark.parametrize(("names", "variables"), [
    (["add", "sin"], ["x"]), (["add", "mul", "exp"], ["x", "y"]), (["sub"], ["x", "y"]),
    (["sin", "log", "exp"], ["x"]),
])  # fmt: skip
def test_expressions_follow_the_recurrence_in_the_arities(names, variables):
    lib = library(names, variables)
    binary = sum(a == 2 for a in lib.arities)
    wanted = recurrence(len(variables), len(names) - binary, binary, 7)
    found = enumerate_all(Expressions(lib, max_length=7, **FREE))
    assert len(found) == len(set(found)) == sum(wanted)
    assert [sum(len(row) == n for row in found) for n in range(1, 8)] == wanted


@pytest.mark.parametrize("env", [
    Expressions(DEFAULT, max_length=12),
    Expressions(DEFAULT, max_length=9, min_length=6, max_depth=4, max_constants=1),
    Expressions(library(["sub", "div"], ["x"]), max_length=7, min_length=7),
    Expressions(library(["sin", "exp"], ["x"], (), True), max_length=5, min_length=5),
    Expressions(library([], ["x", "y"]), max_length=3),
    Expressions(library("all", ["a b", "y"], [], True), max_length=1),
    Expressions(library("koza", ["x"]), max_length=20, **FREE),
])  # fmt: skip
def test_the_environment_keeps_its_promises(env):
    check_environment(env, 64)


def within(row, lib, above=()):
    """Yield (token, its ancestors from the root, its parent's first operand) by recursion."""
    stops = ends(row, lib)
    for at, token in enumerate(row):
        over = [i for i in range(at) if stops[i] > at]
        yield lib.names[token], [lib.names[row[i]] for i in over], over


def test_the_mask_writes_exactly_what_the_rules_allow():
    lib = library(["sub", "sin", "cos", "exp", "log"], ["x"], (), True)
    ruled = Expressions(lib, max_length=5, max_constants=1)
    found = set(enumerate_all(ruled))
    everything = set(enumerate_all(Expressions(lib, max_length=5, max_constants=9, **FREE)))

    def allowed(row):
        names = [lib.names[t] for t in row]
        if names.count("c") > 1 or names == ["c"]:
            return False
        for name, above, _ in within(row, lib):
            if name in ("sin", "cos") and {"sin", "cos"} & set(above):
                return False
            if name in ("exp", "log") and name in above:
                return False
            if above and (above[-1], name) in (("exp", "log"), ("log", "exp")):
                return False
            if name == "c" and above[-1] != "sub":
                return False
        # x - x is out, unless nothing else would fit: with one constant c - x, x - c are left
        pairs = zip(names, names[1:], names[2:], strict=False)
        return not any(p == ("sub", "x", "x") for p in pairs) or "c" in names

    missing = {row for row in everything if allowed(row)} - found
    extra = {row for row in found if not allowed(row)}
    named = [" ".join(lib.names[t] for t in row) for row in sorted(missing | extra)]
    # where the length is used up and the constant too, x - x is all that is left: the rule yields
    assert all("sub x x" in name for name in named), named
    assert not extra or all(len(row) == 5 for row in extra)


def test_lengths_and_depth_are_kept():
    env = Expressions(library(["add", "sin"], ["x", "y"]), max_length=7, min_length=4, max_depth=3)
    found = enumerate_all(env)
    assert found and {len(row) for row in found} <= set(range(4, 8))
    depths = [max(len(above) + 1 for _, above, _ in within(row, env.library)) for row in found]
    assert max(depths) == 3


def test_constants_are_counted_and_never_idle():
    env = Expressions(library("default", ["x"], ["1"], True), max_length=15, max_constants=2)
    actions, _ = walk(env, 500, 3)
    for design in env.decode(actions):
        names = [env.library.names[t] for t in design.tokens]
        assert names.count("c") <= 2 and design.tokens != (env.library.constant_id,)
        stops = ends(design.tokens, env.library)
        for at, token in enumerate(design.tokens):
            args = [at + 1, stops[at + 1]][: env.library.arities[token]] if token < 10 else []
            fixed = [design.tokens[a] >= env.library.first_literal for a in args]
            assert not fixed or not all(fixed), design.text


def test_parent_and_sibling_are_seen():
    lib = library(["sub", "sin"], ["x"])
    env = Expressions(lib, max_length=9)
    A = len(lib)
    seen = retrace(env, [[0, 1, 2, 2]]).observations[0]  # sub(sin(x), x)
    pairs = [(int(o[: A + 1].argmax()), int(o[A + 1 : 2 * A + 2].argmax())) for o in seen]
    assert pairs == [(A, A), (0, A), (1, A), (0, 1)]


def test_encode_gives_the_tokens_back_in_any_spelling():
    env = Expressions(DEFAULT, max_length=15)
    actions, _ = walk(env, 100, 1)
    designs = env.decode(actions)
    assert env.encode(designs) == [list(d.tokens) for d in designs]
    again = env.encode(designs, np.random.default_rng(0))
    assert [d.key for d in env.decode(again)] == [d.key for d in designs]
    assert again != env.encode(designs)


def test_encode_refuses_what_the_mask_does_not_write():
    env = Expressions(DEFAULT, max_length=6)
    texts = ["sin(x)", "sin(cos(x))", "tanh(x)", "x*y + x*y + x", "3.5*x", "log(exp(x))"]
    found = env.encode([parse(text, DEFAULT) for text in texts])
    assert [row is not None for row in found] == [True, False, False, False, True, False]


def test_rows_of_any_shape_are_judged_without_harm():
    env = Expressions(DEFAULT, max_length=6)
    x = DEFAULT.first_variable
    rows = [[0] * 6, [0] * 30, [x], [x, x], [0, x], [8, x], [0, 0, 0, 0, x, x, x, x, x], []]
    assert env.legal(rows) == [False, False, True, False, False, True, False, False]
    assert env.legal([]) == []


def test_lengths_that_hold_nothing_are_refused():
    with pytest.raises(InputError, match="1 <= min_length <= max_length"):
        Expressions(DEFAULT, max_length=3, min_length=4)


@pytest.mark.parametrize("edit", [subtree, point, hoist, insertion])
def test_mutations_give_complete_expressions(edit):
    rng = np.random.default_rng(0)
    row = list(parse("sin(x*y) + 2.5*x", DEFAULT).tokens)
    lib = DEFAULT.extended()
    children = [edit(row, lib, rng) for _ in range(60)]
    assert all(ends(child, lib)[0] == len(child) for child in children)
    assert sum(child != row for child in children) > 20


def test_crossover_takes_a_subtree_of_the_other():
    lib = library(["add"], ["x", "y"])
    rng = np.random.default_rng(0)
    children = {tuple(crossover([0, 1, 1], [2], lib, rng)) for _ in range(40)}
    assert children == {(2,), (0, 2, 1), (0, 1, 2)}


def test_other_spellings_swap_commuting_operands_only():
    lib = library(["add", "sub"], ["x", "y"])
    rng = np.random.default_rng(0)
    found = {tuple(respell([0, 2, 1, 2, 3], lib, rng)) for _ in range(40)}
    assert found == {(0, 2, 1, 2, 3), (0, 1, 2, 3, 2)}


def test_the_proposer_keeps_its_promises():
    env = Expressions(DEFAULT, max_length=12)
    actions, _ = walk(env, 40, 5)
    parents = list({d.key: d for d in env.decode(actions)}.values())
    genetic = Genetic(env)
    check_proposer(genetic, parents)
    children = genetic(parents, 200, np.random.default_rng(1))
    assert len(children) > 150 and all(env.legal([d.tokens for d in children]))
    assert len({d.key for d in [*parents, *children]}) == len(parents) + len(children)
    assert genetic([expression([DEFAULT.first_variable], DEFAULT)], 5, np.random.default_rng(0))


def test_tokens_are_the_actions():
    assert list(itertools.chain(DEFAULT.names[-5:])) == ["cos", "x", "y", "2", "c"]
    assert Expressions(DEFAULT).num_actions == len(DEFAULT) == 14
