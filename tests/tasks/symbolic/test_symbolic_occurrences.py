"""How often variables stand: the mask against enumeration without it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.testing import check_environment, walk
from tasks.symbolic.language.library import Library, library
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.occurrences import occurrences
from tasks.symbolic.mask.rules import undefined
from tasks.symbolic.tables.table import Table, make_table
from tasks.symbolic.task import task

FREE = {"nesting": (), "inverses": (), "distinct": (), "idle_constants": True}
SMALL = library(["add", "sin"], ["x", "y"])
WITH = library(["mul", "exp"], ["x", "y"], (), True)


def named(lib: Library) -> Table:
    """Return a table with the library's variables."""
    x = np.random.default_rng(0).uniform(1, 2, (9, len(lib.variables)))
    return make_table(x, x.sum(1) ** 2, list(lib.variables))


def enumerated(env: Expressions) -> set[tuple[int, ...]]:
    """Return every expression the mask writes, breadth first."""
    rows = torch.zeros(1, 0, dtype=torch.int64)
    state, out = env.reset(1, torch.device("cpu")), set()
    for _ in range(env.max_steps):
        parent, action = env.mask(state).nonzero(as_tuple=True)
        state = type(state)(*(getattr(state, f)[parent] for f in state.__dataclass_fields__))
        rows = torch.cat([rows[parent], action.unsqueeze(1)], 1)
        state = env.step(state, action)
        done = env.done(state)
        out |= {tuple(row) for row in rows[done].tolist()}
        rows = rows[~done]
        state = type(state)(*(getattr(state, f)[~done] for f in state.__dataclass_fields__))
    assert not len(rows)
    return out


@pytest.mark.parametrize("lib", [SMALL, WITH])
@pytest.mark.parametrize(
    ("least", "most"),
    [({"x": 2}, {}), ({}, {"x": 1}), ({"x": 1, "y": 2}, {"x": 1}), ({"y": 3}, {"y": 3, "x": 0}),
     ({}, {"x": 1, "y": 1}), ({"x": 4}, {"y": 0})],
)  # fmt: skip
def test_the_mask_writes_what_keeps_the_limits_and_nothing_else(lib, least, most) -> None:
    limits = occurrences(least, most, named(lib))
    settings = {"max_length": 7, "max_constants": 2, **FREE}
    env = Expressions(lib, occurrences=limits, **settings)

    def keeps(row: tuple[int, ...]) -> bool:
        return all(low <= row.count(lib.leaf_ids[n]) <= high for n, low, high in limits)

    wanted = {row for row in enumerated(Expressions(lib, **settings)) if keeps(row)}
    assert enumerated(env) == wanted and wanted
    everything = sorted(enumerated(Expressions(lib, **settings)))
    assert env.legal(everything) == [row in wanted for row in everything]


def test_it_is_an_environment_and_its_designs_keep_the_limits() -> None:
    lib = library("default", ["x", "y", "z"], ["2"], True)
    limits = occurrences({"x": 2, "z": 1}, {"y": 1}, named(lib))
    env = Expressions(lib, max_length=14, occurrences=limits)
    check_environment(env)
    designs = env.decode(walk(env, 300, 0)[0])
    for design in designs:
        assert design is not None
        counts = [design.tokens.count(lib.leaf_ids[name]) for name in "xyz"]
        assert counts[0] >= 2 and counts[1] <= 1 and counts[2] >= 1


@pytest.mark.parametrize(
    ("least", "most", "longest", "told"),
    [({"w": 1}, {}, 9, "no input is called 'w'"), ({"x": 3}, {"x": 2}, 9, "at most 2"),
     ({"x": 4, "y": 2}, {}, 9, "6 times in all"), ({}, {"x": 0, "y": 0}, 9, "at all")],
)  # fmt: skip
def test_limits_that_nothing_keeps_are_refused(least, most, longest, told) -> None:
    with pytest.raises(InputError, match=told):
        limits = occurrences(least, most, named(SMALL))
        Expressions(SMALL, max_length=longest, occurrences=limits)


def test_functions_that_the_data_rule_out_are_not_written_of_the_column() -> None:
    x = np.array([[-1.0, 2.0], [0.5, 3.0]])
    lib = library(["add", "log", "sqrt", "asin"], ["x", "y"])
    pairs = undefined(lib, x)
    assert pairs == (("log", "x"), ("sqrt", "x"), ("asin", "y"))
    env = Expressions(lib, max_length=4, undefined=pairs)
    found = enumerated(env)
    ids = {name: i for i, name in enumerate(lib.names)}
    wanted = {("log", "x"), ("sqrt", "x"), ("asin", "y")}
    below = {(lib.names[a], lib.names[b]) for row in found for a, b in pairwise(row)}
    assert not wanted & below and ("log", "y") in below and (ids["log"], ids["y"]) in found


def test_limits_are_given_by_header() -> None:
    made = task(data="planets")
    assert made.environment.occurrences == ()
    name = made.environment.library.variables[0]
    header = made.symbols.get(name, name)
    assert task(data="planets", at_most={header: 1}).environment.occurrences[0][::2] == (name, 1)
