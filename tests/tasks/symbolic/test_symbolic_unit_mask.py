"""The units in the mask, by enumeration: what it lets through against what balances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from designer.errors import InputError
from tasks.symbolic.language.library import Library, library
from tasks.symbolic.language.trees import pack, read
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.units import Units, fits_target, make_units, unit_tables
from tasks.symbolic.search.bank import stock

CPU = torch.device("cpu")


def every(tokens: Library, longest: int) -> list[list[int]]:
    """Return all complete expressions of at most so many tokens."""
    by: list[list[list[int]]] = [[] for _ in range(longest + 1)]
    by[1] = [[t] for t, arity in enumerate(tokens.arities) if arity == 0]
    for size in range(2, longest + 1):
        for t, arity in enumerate(tokens.arities):
            if arity == 1:
                by[size] += [[t, *a] for a in by[size - 1]]
            for left in range(1, size - 1) if arity == 2 else ():
                by[size] += [[t, *a, *b] for a in by[left] for b in by[size - 1 - left]]
    return [row for rows in by for row in rows]


def written(env: Expressions) -> list[list[int]]:
    """Return all rows that the mask lets through, complete or cut at the longest length."""
    state, rows = env.reset(1, CPU), torch.zeros(1, 0, dtype=torch.int64)
    out: list[list[int]] = []
    while len(rows):
        done = state.open == 0
        out += [[t for t in row if t >= 0] for row in rows[done].tolist()]
        legal = env.mask(state) & ~done.unsqueeze(1)
        row, action = legal.nonzero(as_tuple=True)
        moved = {name: value[row] for name, value in vars(state).items()}
        state = env.step(type(state)(**moved), action)
        rows = torch.cat([rows[row], action.unsqueeze(1)], dim=1)
        if rows.shape[1] > env.max_length:
            break
    return out


LIBRARIES = {
    "products": (["mul", "div"], ["v", "t"], ["m s^-1", "s"], "m", 7, 1.0),
    "sums": (["add", "mul"], ["v", "t"], ["m s^-1", "s"], "m", 7, 1.0),
    "all kinds": (["sub", "div", "sqrt", "exp"], ["a", "b"], ["m^2", "m"], "m", 6, 1.0),
    "powers": (["mul", "div", "square"], ["a", "b"], ["m", "s"], "m^2 s^-1", 6, 1.0),
    "any": (["add", "mul", "exp"], ["a", "b"], ["m", "1"], "", 5, 1.6),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_the_mask_lets_through_is_what_balances(name: str) -> None:
    operators, variables, given, target, longest, most = LIBRARIES[name]
    tokens = library(operators, variables)
    units = make_units(given, target or "1")
    if not target:
        units = Units(units.base, units.variables, None)
    env = Expressions(
        tokens, longest, nesting=(), inverses=(), distinct=(), idle_constants=True, units=units
    )
    rows = every(tokens, longest)
    fits = fits_target(read(pack(rows), tokens), unit_tables(units, tokens, CPU)).tolist()
    good = {tuple(row) for row, fine in zip(rows, fits, strict=True) if fine}
    got = {tuple(row) for row in written(env)}
    assert len(good) >= 8
    assert good <= got  # nothing that balances is masked
    assert len(got) <= most * len(good)


def test_units_within_sums_and_functions_hold_as_they_are_written() -> None:
    tokens = library(["add", "mul", "div", "sqrt", "exp"], ["v", "t", "s"])
    env = Expressions(tokens, 12, units=make_units(["m/s", "s", "m"], "m"))
    ids = {name: t for t, name in enumerate(tokens.names)}

    def allowed(text: str) -> set[str]:
        state = env.reset(1, CPU)
        for word in text.split():
            state = env.step(state, torch.tensor([ids[word]]))
        return {tokens.names[t] for t in env.mask(state)[0].nonzero().squeeze(1).tolist()}

    leaves = {"v", "t", "s"}
    assert allowed("mul v") & leaves == {"t"}
    assert allowed("mul mul v t") & leaves == set()  # what is left has no unit
    assert allowed("mul add v v") & leaves == {"t"}
    assert allowed("mul add v") & leaves == {"v"}
    assert allowed("mul div s t") & leaves == {"t"}
    assert allowed("mul add div s t") & leaves == {"v"}
    assert allowed("mul exp div s s") & leaves == {"s"}
    assert allowed("sqrt mul s") & leaves == {"s"}
    assert allowed("div mul s v") & leaves == {"v"}
    assert "exp" not in allowed("add s") and "exp" in allowed("mul s")


def test_a_target_that_is_out_of_reach_is_told() -> None:
    units = make_units(["m", "s"], "m^2 s")
    with pytest.raises(InputError, match="no expression of at most 4 tokens has the target's unit"):
        Expressions(library(["mul", "add"], ["a", "b"]), 4, units=units)
    Expressions(library(["mul", "add"], ["a", "b"]), 5, units=units)
    with pytest.raises(InputError, match="no expression of at most 9 tokens"):
        Expressions(library(["add", "exp"], ["a", "b"]), 9, units=units)


@pytest.mark.parametrize("target", ["m", "m^2 s^-1", "1", "s^-1", "m s^-2"])
def test_no_block_of_the_targets_unit_is_masked(target: str) -> None:
    tokens = library(["add", "mul", "div", "inv", "neg", "cube", "sqrt", "max"], ["v", "t", "s"])
    env = Expressions(tokens, 9, units=make_units(["m/s", "s", "m"], target))
    assert env.units is not None and env.units.target is not None
    bank = stock(env, np.random.default_rng(0).uniform(1, 3, (12, 3)), 1500)
    assert bank.units is not None
    mine = (np.abs(bank.units - np.array(env.units.target)) < 1e-6).all(1)
    rows = [[t for t in row if t >= 0] for row in bank.rows.tokens[mine].tolist()]
    assert len(rows) > 5 and all(env.legal(rows))
