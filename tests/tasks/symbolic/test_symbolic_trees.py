"""Batched reading and evaluation against plain recursive Python, one expression at a time."""

import math

import numpy as np
import pytest
import torch

from designer.testing import walk
from tasks.symbolic.fit.fitting import evaluate
from tasks.symbolic.fit.graph import build
from tasks.symbolic.language.expression import ExpressionBatch
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.trees import PAD, closed, keys, pack, read
from tasks.symbolic.mask.environment import Expressions

KNOWN_KEYS = {
    "x*y + sin(x)": "da893d53d709ebb50851daeccbf21fe8*1+0",
    "y/(x - 2)": "9290e9805f40b2b391dcea1a755ba66e*1+0",
    "2.5*x + c": "a4e76e49bde470037b4c5e4012fdfd7f*1+0",
}
LIBRARY = library("all", ["x", "y"], ["2", "0.5", "pi"], True)
PLAIN = {
    "where": lambda a, b: np.where(a > 0, b, 0 * a),
    "unless": lambda a, b: np.where(a <= 0, b, 0 * a),
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "div": np.divide, "pow": np.power, "min": np.minimum, "max": np.maximum,
    "neg": np.negative, "inv": lambda a: np.divide(1.0, a), "sqrt": np.sqrt, "square": np.square,
    "cube": lambda a: a**3, "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "abs": np.abs,
}  # fmt: skip


def rows(count, seed=0, lib=LIBRARY, max_length=16):
    env = Expressions(lib, max_length=max_length, max_constants=3)
    actions, _ = walk(env, count, seed)
    return [list(d.tokens) for d in env.decode(actions)]


def plain(row, lib, x, constants):
    """Evaluate one prefix sequence by recursion; returns the values and the rest."""
    name, rest = lib.names[row[0]], row[1:]
    if row[0] < lib.first_variable:
        args = []
        for _ in range(lib.arities[row[0]]):
            value, rest = plain(rest, lib, x, constants)
            args.append(value)
        return PLAIN[name](*args), rest
    if row[0] == lib.constant_id:
        return np.full(len(x), constants.pop(0)), rest
    if row[0] >= lib.first_literal:
        return np.full(len(x), {"pi": math.pi}.get(name) or float(name)), rest
    return x[:, lib.variables.index(name)], rest


def canonical(row, lib):
    """Return a form that is equal for expressions equal up to order and grouping."""
    name, rest = lib.names[row[0]], row[1:]
    args = []
    for _ in range(lib.arities[row[0]]):
        arg, rest = canonical(rest, lib)
        args.append(arg)
    if name in ("add", "mul", "min", "max"):
        flat = []
        for arg in args:
            flat += arg[1] if arg[0] == name else [arg]
        return (name, sorted(flat, key=repr)), rest
    return (name, args), rest


def test_values_equal_those_of_plain_recursion():
    some = rows(400)
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (13, 2))
    given = rng.normal(size=(len(some), 3))
    got = evaluate(pack(some), LIBRARY, torch.from_numpy(x), torch.from_numpy(given)).numpy()
    with np.errstate(all="ignore"):
        pairs = list(zip(some, given, strict=True))
        wanted = np.array([plain(r, LIBRARY, x, list(c))[0] for r, c in pairs])
        near = np.array([plain(r, LIBRARY, x * (1 + 1e-15), list(c))[0] for r, c in pairs])
    # the sine of 1e9 has no digits to compare: left out where x's last digit already moves it
    steady = np.isclose(wanted, near, rtol=1e-12, equal_nan=True)
    assert steady.mean() > 0.95
    assert len({LIBRARY.names[t] for r in some for t in r}) == len(LIBRARY)
    np.testing.assert_allclose(got[steady], wanted[steady], rtol=1e-9, atol=1e-14)


def test_keys_are_equal_exactly_where_order_and_grouping_alone_differ():
    lib = library(["add", "mul", "sub", "sin"], ["x", "y"])
    some = rows(3000, lib=lib, max_length=7)
    by_key, by_form = {}, {}
    for row, key in zip(some, keys(read(pack(some), lib)), strict=True):
        form = repr(canonical(row, lib)[0])
        assert by_key.setdefault(key, form) == form
        assert by_form.setdefault(form, key) == key
    assert len(by_key) == len(by_form) > 300
    assert len({tuple(row) for row in some}) > len(by_form)  # some spellings did differ


def test_a_key_is_the_same_in_every_library_and_every_batch():
    small = library(["mul", "sin"], ["x", "y"], (), True)
    large = library("all", ["y", "x"], ["3"], True)
    names = ["mul", "sin", "x", "mul", "c", "y"]
    one = keys(read(pack([[small.names.index(n) for n in names]]), small))[0]
    two = keys(read(pack([[large.names.index(n) for n in names], [24] * 1]), large))[0]
    assert one == two


def test_equal_subexpressions_are_one_node_across_the_batch():
    lib = library(["add", "sin"], ["x", "y"], (), True)
    add, sin, x, y, c = range(5)
    batch = [[sin, add, x, y], [add, sin, add, y, x, x], [add, c, x], [add, c, x]]
    graph = build(read(pack(batch), lib), lib)
    # x, y, x+y, sin(x+y), that + x; and two constants with their two sums
    assert (graph.size, graph.static) == (9, 5)


def test_closed_finds_the_first_complete_expression():
    lib = library(["add", "sin"], ["x"])
    rows_ = [[2, 0, 0], [1, 2, 2], [0, 2, 2], [0, 2, 0], [1, 1, 1], [PAD, 2, 2], [7, 2, 2]]
    assert closed(torch.tensor(rows_), lib).tolist() == [1, 2, 3, 0, 0, 0, 0]


def test_a_batch_makes_designs_lazily_and_only_from_complete_rows():
    lib = library(["add", "sin"], ["x"], (), True)
    batch = ExpressionBatch(torch.tensor([[0, 2, 3], [0, 0, 0], [2, 0, 0]]), lib)
    assert batch[0].text == "x + c0" and batch[1] is None and batch[2].tokens == (2,)
    assert batch[0] is batch[0] and batch[-1] is batch[2] and len(batch[1:]) == 2
    assert [d is None for d in batch] == [False, True, False]
    with pytest.raises(IndexError):
        batch[3]
    assert list(ExpressionBatch(torch.zeros(0, 3, dtype=torch.int64), lib)) == []


def test_keys_are_the_same_in_every_version():
    # recorded in stores: a run that is resumed must know its designs again
    lib = library("all", ["x", "y"], ["2"], True)
    for text, key in KNOWN_KEYS.items():
        assert parse(text, lib).key == key


def test_rows_that_are_no_expressions_are_read_without_harm():
    rng = np.random.default_rng(0)
    wild = torch.from_numpy(rng.integers(-1, len(LIBRARY) + 3, size=(500, 12)))
    trees = read(wild, LIBRARY)
    assert int(trees.first.max()) < 12 and int(trees.second.max()) < 12
    assert (trees.height[(trees.tokens < 0) | (trees.tokens >= len(LIBRARY))] == 0).all()
