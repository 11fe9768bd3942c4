"""Units: texts, the whole-tree check against a plain recursion, the mask, the message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.testing import check_environment, walk
from tasks.symbolic.language.library import Library, library
from tasks.symbolic.language.trees import pack, read
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.units import exponents, fits_target, make_units, read_units, unit_tables
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.tables.table import make_table

TOKENS = library(
    ["add", "sub", "mul", "div", "sqrt", "square", "exp"], ["v", "t", "s"], ["2"], constant=True
)
UNITS = make_units(["m/s", "s", "m"], "m")


@pytest.mark.parametrize(
    ("text", "powers"),
    [
        ("kg m^2 s^-2", {"kg": 1, "m": 2, "s": -2}),
        ("m/s^2", {"m": 1, "s": -2}),
        ("J", {"kg": 1, "m": 2, "s": -2}),
        ("1", {}),
        ("m^(1/2)", {"m": 0.5}),
        ("N s / kg", {"m": 1, "s": -1}),
    ],
)
def test_texts_are_exponents(text: str, powers: dict[str, float]) -> None:
    assert exponents(text) == powers


def unit_of(row: list[int], tokens: Library, free: bool) -> tuple[list[int], object]:
    """Return what is left of the row, and its unit: a pair, "free", or None where none fits."""
    name, rest = tokens.names[row[0]], row[1:]
    own = {"v": (1.0, -1.0), "t": (0.0, 1.0), "s": (1.0, 0.0)}
    if name in own:
        return rest, own[name]
    if name in ("2", "c"):
        return rest, "free" if free and name == "c" else (0.0, 0.0)
    rest, a = unit_of(rest, tokens, free)
    b: object = "none"
    if tokens.arities[row[0]] == 2:
        rest, b = unit_of(rest, tokens, free)
    if a is None or b is None:
        return rest, None
    if name in ("add", "sub"):
        if a == "free" or b == "free":
            return rest, b if a == "free" else a
        return rest, a if a == b else None
    if name == "exp":
        return rest, (0.0, 0.0) if a in ("free", (0.0, 0.0)) else None
    if a == "free" or b == "free":
        return rest, "free"
    assert isinstance(a, tuple)
    if name in ("sqrt", "square"):
        power = 0.5 if name == "sqrt" else 2.0
        return rest, (a[0] * power, a[1] * power)
    assert isinstance(b, tuple)
    sign = 1 if name == "mul" else -1
    return rest, (a[0] + sign * b[0], a[1] + sign * b[1])


@pytest.mark.parametrize("free", [False, True])
def test_the_check_agrees_with_a_recursion(free: bool) -> None:
    units = make_units(["m/s", "s", "m"], "m", free)
    assert units.base == ("m", "s")
    env = Expressions(TOKENS, max_length=9)
    actions, _ = walk(env, 3000, seed=0)
    rows = [list(d.tokens) for d in env.decode(actions) if d is not None]
    found = fits_target(read(pack(rows), TOKENS), unit_tables(units, TOKENS, torch.device("cpu")))
    expected = [unit_of(row, TOKENS, free)[1] in ("free", (1.0, 0.0)) for row in rows]
    assert found.tolist() == expected
    assert 10 < sum(expected) < len(expected) - 10


def test_the_mask_keeps_its_promises_and_balances_more_often() -> None:
    plain, env = Expressions(TOKENS, max_length=12), Expressions(TOKENS, 12, units=UNITS)
    check_environment(env)
    shares = []
    for one in (plain, env):
        actions, _ = walk(one, 2000, seed=1)
        # rows that do not balance are no design here, whoever wrote them
        shares.append(sum(d is not None for d in env.decode(actions)) / 2000)
    assert shares[1] > 1.3 * shares[0] > 0


def test_what_is_balanced_and_short_is_never_masked() -> None:
    env = Expressions(TOKENS, 5, units=UNITS, max_constants=0)
    free = Expressions(TOKENS, 5, max_constants=0)
    actions, _ = walk(free, 4000, seed=2)
    rows = list({d.tokens for d in free.decode(actions) if d is not None})
    good = [row for row in rows if unit_of(list(row), TOKENS, False)[1] == (1.0, 0.0)]
    assert len(good) > 10 and all(env.legal(good))


def test_units_that_cannot_balance_are_told() -> None:
    with pytest.raises(InputError, match=r"no expression of a \[m\], b \[s\] has the unit \[kg\]"):
        make_units(["m", "s"], "kg", names=["a", "b"])
    assert make_units(["m", "s"], "kg", free=True).free


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "header line name,unit"),
        ("name,unit\nx,m\nyy,m\n", "no unit for column 'y'.*did you mean 'yy'"),
        ("name,unit\nx,m\n", "no unit for column 'y'; write 1"),
        ("name,unit\nx,m\ny,\n", "no unit for column 'y'; write 1"),
        ("name,unit\n\nx,m$\ny,m\n", r"u.csv:3: unit 'm\$': cannot read 'm\$'"),
        ("name,unit\nx,m^(1/0)\ny,m\n", "u.csv:2: .*cannot read"),
        ("name,unit\nx,m\ny,m\nx,s\n", "u.csv:4: 'x' stands twice"),
        ("name,unit\nx\ny,m\n", "u.csv:2: 'x' has no unit"),
    ],
)
def test_faults_in_a_units_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "u.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_units(file, ["x"], "y")


def test_one_file_of_units_serves_whichever_columns_are_in_use(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    file.write_text("name,unit\nrun,any text\ns,m\nt,s\nv,m/s\n")
    assert read_units(file, ["s", "t"], "v") == make_units(["m", "s"], "m/s")
    assert read_units(file, ["v", "t"], "s") == make_units(["m/s", "s"], "m")


def test_evolution_obeys_units() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 3, size=(40, 3))
    env = Expressions(TOKENS, 12, units=UNITS)
    table = make_table(x, x[:, 0] * x[:, 1] + 0.5 * x[:, 2], ["v", "t", "s"])
    evolution = Evolution(env, table, population=100, generations=3, blocks=500)
    found = evolution([], 30, rng)
    assert found
    assert all(unit_of(list(d.tokens), d.library, False)[1] == (1.0, 0.0) for d in found)
