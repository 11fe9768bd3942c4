"""Dimensional analysis: units of columns as exponents, and which expressions balance.

A unit is a vector of exponents over the base units that occur (metres, seconds, ...). Constants
are dimensionless, or free to have whatever unit balances their expression.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designer.errors import InputError, nearest
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import Trees
from tasks.symbolic.mask.least import Least, least, projected

# how the unit of a value follows from its arguments
SAME = {"add", "sub", "min", "max", "neg", "abs"}
PRODUCT = {"mul": 1.0, "div": -1.0}
POWERS = {"square": 2.0, "cube": 3.0, "sqrt": 0.5, "inv": -1.0}
_CLOSE = 1e-4  # exponents that differ by less are equal
_DERIVED = {
    "N": "kg m s^-2", "J": "kg m^2 s^-2", "W": "kg m^2 s^-3", "Pa": "kg m^-1 s^-2", "Hz": "s^-1",
    "C": "A s", "V": "kg m^2 s^-3 A^-1", "F": "A^2 s^4 kg^-1 m^-2", "T": "kg s^-2 A^-1",
    "ohm": "kg m^2 s^-3 A^-2", "H": "kg m^2 s^-2 A^-2", "Wb": "kg m^2 s^-2 A^-1", "rad": "1",
}  # fmt: skip
_FACTOR = re.compile(r"([A-Za-z_%]+)(?:(?:\^|\*\*)?\(?([-+]?\d+(?:\.\d+)?(?:/0*[1-9]\d*)?)\)?)?")


@dataclass(frozen=True)
class Units:
    """Exponents of the inputs and of the target, over the same base units."""

    base: tuple[str, ...]
    variables: tuple[tuple[float, ...], ...]  # in the order of the library's variables
    target: tuple[float, ...] | None  # None: any
    free: bool = False  # whether constants may have any unit


def read_units(path: str | Path, names: Sequence[str], target: str, free: bool = False) -> Units:
    """Return the units in a CSV with the columns `name` and `unit`, one line a column.

    Lines about columns that are not in use are passed over. Raises InputError for a column
    without a unit, a unit that cannot be read, or units from which no product of powers of the
    inputs makes the target's.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as UTF-8 text: {error}") from None
    reader = csv.reader(io.StringIO(text))
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    if not rows or [cell.lower() for cell in rows[0][1][:2]] != ["name", "unit"]:
        raise InputError(f"{file}:1: expected the header line name,unit")
    given: dict[str, str] = {}
    for line, row in rows[1:]:
        if len(row) < 2 or row[0] in given:
            said = "stands twice" if row[0] in given else "has no unit"
            raise InputError(f"{file}:{line}: {row[0]!r} {said}; expected name,unit once a column")
        given[row[0]] = row[1]
        if row[0] in names or row[0] == target:
            _check(row[1], f"{file}:{line}")
    for name in (*names, target):
        if not given.get(name):
            hint = "" if name in given or not given else f" ({nearest(name, given)})"
            raise InputError(
                f"{file}: no unit for column {name!r}; write 1 where there is none{hint}"
            )
    return make_units([given[name] for name in names], given[target], free, names, target)


def _check(text: str, place: str) -> None:
    try:
        exponents(text)
    except InputError as problem:
        raise InputError(f"{place}: {problem}") from None


def make_units(
    variables: Sequence[str],
    target: str,
    free: bool = False,
    names: Sequence[str] = (),
    what: str = "the target",
) -> Units:
    """Return units from texts such as "kg m s^-2", "m/s" and "1"."""
    found = [exponents(text) for text in (*variables, target)]
    base = tuple(sorted({symbol for powers in found for symbol in powers}))
    rows = [tuple(powers.get(symbol, 0.0) for symbol in base) for powers in found]
    units = Units(base, tuple(rows[:-1]), rows[-1], free)
    if not free and not _reachable(units):
        listed = ", ".join(f"{n} [{u}]" for n, u in zip(names, variables, strict=False))
        raise InputError(
            f"no expression of {listed or 'the inputs'} has the unit [{target}] of {what}; mend "
            "a unit, add the column that is missing, or let constants have units (free_units)"
        )
    return units


def exponents(text: str) -> dict[str, float]:
    """Return the powers of base units that a unit's text says; raises InputError."""
    out: dict[str, float] = {}
    sign = 1.0
    rest = re.sub(r"\s*\^\s*", "^", text.replace("**", "^").replace("·", " ").replace("*", " "))
    for piece in re.findall(r"/(?!\d)|[^\s/]+(?:/\d+\)?)?", rest.strip()):
        if piece == "/":
            sign = -1.0  # what follows a bar is below it
            continue
        if piece in ("1", "-"):
            continue
        match = _FACTOR.fullmatch(piece)
        if match is None:
            raise InputError(f"unit {text!r}: cannot read {piece!r}; write for example kg m^2 s^-2")
        above, _, below = (match[2] or "1").partition("/")
        power = sign * float(above) / float(below or 1)
        parts = exponents(_DERIVED[match[1]]) if match[1] in _DERIVED else {match[1]: 1.0}
        for symbol, own in parts.items():
            out[symbol] = out.get(symbol, 0.0) + power * own
    return {symbol: power for symbol, power in out.items() if abs(power) > _CLOSE}


def _reachable(units: Units) -> bool:
    """Return whether a product of powers of the inputs has the target's unit."""
    if units.target is None or not units.base:
        return True
    inputs, target = np.array(units.variables).T, np.array(units.target)
    powers, *_ = np.linalg.lstsq(inputs, target, rcond=None)
    return bool(np.abs(inputs @ powers - target).max() < _CLOSE)


@dataclass(frozen=True)
class UnitTables:
    """Units and operators as tensors; A tokens, U base units."""

    own: Tensor  # [A + 1, U] of leaves
    free: Tensor  # [A + 1] bool, constants of any unit
    same: Tensor  # [A + 1] bool
    product: Tensor  # [A + 1] 1 for a product, -1 for a quotient, else 0
    power: Tensor  # [A + 1] of the argument, 0 where it is no power
    plain: Tensor  # [A + 1] bool, arguments and value without unit
    target: Tensor | None  # [U]
    host: tuple[NDArray[Any], ...]  # own, free, kinds and factors, for the compiled pass
    operands: Tensor  # [A + 1] of each token
    single: Tensor  # [A + 1] each leaf's unit as one number
    goal: Tensor  # the target's, inf for any
    least: Least  # what is known of the units of short expressions


@lru_cache(maxsize=64)
def unit_tables(
    units: Units, library: Library, device: torch.device, longest: int = 1
) -> UnitTables:
    """Return the tables on a device, made once. `longest` is that of an expression, in tokens."""
    A, U = len(library), len(units.base)
    own = torch.zeros(A + 1, U, dtype=torch.float64)
    first = library.first_variable
    if U:
        own[first : library.first_literal] = torch.tensor(units.variables, dtype=torch.float64)
    names = [o.name for o in library.operators] + [""] * (A + 1 - first)
    free = torch.zeros(A + 1, dtype=torch.bool)
    free[library.constant_id :] = units.free
    free[A] = False
    known = {"", *SAME, *PRODUCT, *POWERS}
    parts = UnitTables(
        own=own,
        free=free,
        same=torch.tensor([n in SAME for n in names]),
        product=torch.tensor([PRODUCT.get(n, 0.0) for n in names], dtype=torch.float64),
        power=torch.tensor([POWERS.get(n, 0.0) for n in names], dtype=torch.float64),
        plain=torch.tensor([n not in known for n in names]),
        target=None if units.target is None else torch.tensor(units.target, dtype=torch.float64),
        host=(),
        operands=torch.tensor([*library.arities, 0]),
        single=torch.from_numpy(projected(own.numpy())),
        goal=torch.tensor(_goal(units), dtype=torch.float64),
        least=_least(units, library, own, longest, device),
    )
    plain, power = parts.plain.long() * 4, (parts.power != 0).long() * 3
    kinds = parts.same.long() + (parts.product != 0).long() * 2 + power + plain
    host = (own, free, kinds, parts.product + parts.power)
    parts_ = vars(parts).items()
    moved: dict[str, Any] = {n: it.to(device) for n, it in parts_ if isinstance(it, Tensor)}
    return replace(parts, **moved, host=tuple(each.numpy() for each in host))


def _goal(units: Units) -> float:
    return torch.inf if units.target is None else float(projected(np.array(units.target)))


def _least(
    units: Units, library: Library, own: Tensor, longest: int, device: torch.device
) -> Least:
    """Return how few tokens each unit takes."""
    names = {operator.name: operator.arity for operator in library.operators}
    leaves = projected(own[library.first_variable : len(library)].numpy())
    plain = [n for name, n in names.items() if name not in {*SAME, *PRODUCT, *POWERS}]
    signs = {PRODUCT[name] for name in names if name in PRODUCT}
    powers = [POWERS[name] for name in names if name in POWERS]
    loose = units.free and library.constant
    made = least(leaves, signs, powers, min(plain, default=0), longest, loose)
    return replace(made, **{name: it.to(device) for name, it in vars(made).items()})


def equal(a: Tensor, b: Tensor) -> Tensor:
    """Return [...] whether two units [..., U] are the same."""
    return ((a - b).abs() < _CLOSE).all(-1)


def balance(trees: Trees, table: UnitTables) -> tuple[Tensor, Tensor, Tensor]:
    """Return units [L, N, U], [L, N] whether any unit would do, and [N] whether all balances.

    The target's unit is not looked at here (see `fits_target`).
    """
    from tasks.symbolic.mask.balancing import balance_rows

    rows, device = trees.tokens.cpu().numpy(), trees.tokens.device
    unit = np.empty((*rows.shape, table.own.shape[1]))
    free, good = np.empty(rows.shape, dtype=np.bool_), np.empty(rows.shape[1], dtype=np.bool_)
    links = (trees.first.cpu().numpy(), trees.second.cpu().numpy())
    own, loose, kinds, factors = table.host
    balance_rows(rows, *links, own, loose, kinds, factors, _CLOSE, unit, free, good)
    return (
        torch.from_numpy(unit).to(device),
        torch.from_numpy(free).to(device),
        torch.from_numpy(good).to(device),
    )


def fits_target(trees: Trees, table: UnitTables) -> Tensor:
    """Return [N] bool, whether the expressions balance and have the target's unit."""
    unit, free, good = balance(trees, table)
    return good if table.target is None else good & (free[0] | equal(unit[0], table.target))
