"""What every oracle needs to turn N designs into N rows: one value a row, or the reason why not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, Sized
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from designer.errors import InputError, OracleError, nearest
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
            errors[row] = reason(error)
    return Measured({name: values}, errors=errors)


def reason(error: BaseException) -> str:
    """Return the type and message of an error as one line of at most 300 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


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
    oracle: Callable[[Sequence[D]], Measured], designs: Sequence[D], size: int = 1
) -> Iterator[tuple[list[int], Measured]]:
    """Yield the answer of each call for `size` designs (0: all) as it comes.

    It is on record before the next is asked: a kill costs one call, not a batch.
    """
    for cut in cuts(len(designs), size):
        yield list(range(len(designs)))[cut], oracle(designs[cut])


def asked(
    ask: Callable[[list[str]], Measured],
    texts: list[str],
    size: int,
    name: str,
    endpoints: Sequence[str],
) -> Measured:
    """Return what `ask` says of N texts, `size` a call (0: all)."""
    parts = [texts[cut] for cut in cuts(len(texts), size)]
    return joined([ask(part) for part in parts], [len(part) for part in parts], name, endpoints)


def cuts(count: int, size: int) -> list[slice]:
    """Return the calls that ask for `count` designs, `size` at a time; 0 is all at once."""
    return [slice(i, i + (size or count)) for i in range(0, count, size or max(1, count))]


def failure(count: int, why: str) -> Measured:
    """Return N rows that failed for one reason, for `joined` to complete with columns."""
    return Measured({}, errors=dict.fromkeys(range(count), why))


def joined(
    parts: Sequence[Measured], sizes: Sequence[int], name: str, endpoints: Sequence[str] = ()
) -> Measured:
    """Return parts one after another; a failed part is NaN in every column.

    Raises OracleError where the parts that succeeded disagree about their columns.
    """
    kinds = [tuple(part.columns) for part in parts if part.columns]
    names = kinds[0] if kinds else tuple(endpoints) or (name,)
    for other in kinds:
        if set(other) != set(names):
            found = f"columns {', '.join(names)} at first and {', '.join(other)} later"
            raise OracleError(f"{name} returned {found}; expected the same ones always")
    rows = list(zip(parts, sizes, strict=True))
    columns = {
        key: np.concatenate(
            [np.zeros(0), *(part.columns.get(key, np.full(size, np.nan)) for part, size in rows)]
        )
        for key in names
    }
    starts = np.cumsum([0, *sizes])
    errors = {
        int(start) + row: why
        for start, part in zip(starts, parts, strict=False)
        for row, why in part.errors.items()
    }
    return Measured(columns, errors=errors)


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
