"""What every oracle needs to turn N designs into N rows: one value a row, or the reason why not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, Sized
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from designer.errors import InputError, OracleError, nearest
from designer.plugins import told
from designer.protocols import Floats, Measured

D = TypeVar("D")


def each(name: str, designs: Sequence[D], measure: Callable[[D], float]) -> Measured:
    """Return one column [N]; where `measure` raises, NaN and the message in `errors`."""
    values = np.full(len(designs), np.nan)
    errors: dict[int, str] = {}
    for row, design in enumerate(designs):
        try:
            values[row] = measure(design)
        except Exception as error:  # a failed measurement is a missing value, whatever failed
            errors[row] = told(error)
    return Measured({name: values}, errors=errors)


def molecules(name: str, designs: Sequence[Any]) -> list[Any]:
    """Return the RDKit molecules [N]; raises InputError where a design is not a molecule."""
    mols = [getattr(design, "mol", None) for design in designs]
    for row, mol in enumerate(mols):
        if mol is None:
            found = f"{type(designs[row]).__name__} {str(getattr(designs[row], 'text', ''))[:60]!r}"
            raise InputError(f"{name} judges molecules, but row {row} is {found}")
    return mols


def answer(
    said: object, count: int, source: str, name: str, endpoints: Sequence[str] = ()
) -> Measured:
    """Return what foreign code answered for N designs; None and NaN are unmeasured.

    `said` is a sequence of `count` numbers (one column: the only endpoint, or `name`), or a
    mapping of column names to such sequences, of which the `endpoints` are taken where these are
    given. Raises OracleError that names `source`, what came back and what was expected.
    """
    if not isinstance(said, Mapping):
        if len(endpoints) > 1:
            wanted = ", ".join(endpoints)
            raise OracleError(f"{source} returned {_shown(said)}, expected columns {wanted}")
        said = {endpoints[0] if endpoints else name: said}
    if not said:
        raise OracleError(f"{source} returned no columns, expected at least one")
    for wanted in endpoints:
        if wanted not in said:
            raise OracleError(f"{source} returned no column {wanted!r}; {nearest(wanted, said)}")
    names = endpoints or tuple(said)
    columns = {str(key): _column(said[key], count, source, str(key)) for key in names}
    gaps = {int(row) for values in columns.values() for row in np.flatnonzero(np.isnan(values))}
    errors = dict.fromkeys(sorted(gaps), f"{source} returned NaN")
    return Measured(columns, errors=errors)


def streamed(
    ask: Callable[[Sequence[D]], Measured], asked: Sequence[D], size: int = 1
) -> Iterator[tuple[list[int], Measured]]:
    """Yield the answer of each call for `size` designs (0: all) as it comes.

    It is on record before the next is asked: a kill costs one call, not a batch.
    """
    step = size or max(1, len(asked))
    for start in range(0, len(asked), step):
        part = asked[start : start + step]
        yield list(range(start, start + len(part))), ask(part)


def failure(count: int, why: str) -> Measured:
    """Return N rows that failed for one reason; who puts answers together knows the columns."""
    return Measured({}, errors=dict.fromkeys(range(count), why))


def _column(said: object, count: int, source: str, name: str) -> Floats:
    expected = f"expected {count} number{'s' * (count != 1)}, one a design in order"
    where = f"in column {name!r}"
    unordered = isinstance(said, (str, bytes, Mapping, Set)) or getattr(said, "shape", None) == ()
    if unordered or not isinstance(said, Iterable):
        raise OracleError(f"{source} returned {_shown(said)} {where}, {expected}")
    values = list(islice(said, count + 1))
    if len(values) != count:
        total = len(said) if isinstance(said, Sized) else len(values)
        text = f"{total} value{'s' * (total != 1)} for {count} designs {where}, {expected}"
        raise OracleError(f"{source} returned {text}")
    return np.array([_number(value, source, row) for row, value in enumerate(values)], np.float64)


def _number(value: object, source: str, row: int) -> float:
    """Return a float; None becomes NaN, and inf stays. Text and complex numbers are refused."""
    if value is None:
        return math.nan
    try:
        if isinstance(value, (str, bytes, complex)) or getattr(value, "shape", ()) != ():
            raise TypeError
        return float(value)  # type: ignore[arg-type]
    except Exception:  # `value` may be anything, and so may what it raises
        text = f"{_shown(value)} in row {row}, expected a number (NaN where it failed)"
        raise OracleError(f"{source} returned {text}") from None


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
