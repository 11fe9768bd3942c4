"""One oracle call, made safe: what comes back is validated, what raises becomes unmeasured.

An exception is a missing measurement, never a value. A batch that raises is called again one
design at a time, so that only the guilty rows are lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from designer.errors import DesignerError, OracleError
from designer.plugins import told
from designer.protocols import Floats, Measured, Oracle

Arrival = tuple[Sequence[int], Measured]  # rows, and what was measured of them


@dataclass(frozen=True)
class Answer:
    """A validated answer for N designs, in order."""

    columns: dict[str, Floats]  # raw values [N], NaN = failed
    designs: list[Any]  # [N] completed where measuring completed them
    errors: dict[int, str]  # row -> why it failed
    attempts: dict[int, int] = field(default_factory=dict)  # row -> tries, where more than 1


def call(oracle: Oracle[Any], designs: Sequence[Any]) -> Answer:
    """Return the oracle's validated answer; raises OracleError where the contract is broken."""
    given = list(designs)
    try:
        return validated(oracle.name, oracle(given), given)
    except DesignerError:
        raise
    except (Exception, SystemExit) as error:  # a script's `exit()` must not end the run
        if len(given) == 1:
            return Answer({oracle.name: np.array([np.nan])}, given, {0: told(error)})
    singles = [call(oracle, [design]) for design in given]
    return joined([([row], part) for row, part in enumerate(singles)], given, oracle.name)


def stream(oracle: Oracle[Any], designs: Sequence[Any]) -> Iterator[tuple[list[int], Answer]]:
    """Yield validated answers as they arrive: all at once where the oracle has no `stream`.

    Raises OracleError where a row comes twice, or not at all.
    """
    if not hasattr(oracle, "stream"):
        yield list(range(len(designs))), call(oracle, designs)
        return
    due = set(range(len(designs)))
    try:
        for rows, measured in oracle.stream(designs):
            if not due.issuperset(rows) or len(set(rows)) != len(rows):
                raise OracleError(f"oracle {oracle.name!r} answered for rows {list(rows)} unasked")
            due -= set(rows)
            yield list(rows), validated(oracle.name, measured, [designs[row] for row in rows])
    except DesignerError:
        raise
    except (Exception, SystemExit):
        for row in sorted(due):
            yield [row], call(oracle, [designs[row]])
        return
    if due:
        raise OracleError(f"oracle {oracle.name!r} gave no answer for row {min(due)}")


def joined(
    parts: Sequence[tuple[Sequence[int], Answer]],
    designs: Sequence[Any],
    name: str,
    endpoints: Sequence[str] = (),
) -> Answer:
    """Put answers for some rows together, in the order of `designs`.

    What failed throughout may not know the names of the columns: NaN in those of the others, or
    where nobody knows them in `endpoints`, by default one column called `name`.
    """
    knowing = [part for rows, part in parts if len(part.errors) < len(rows)]
    for part in knowing:
        if part.columns.keys() != knowing[0].columns.keys():
            one, other = (", ".join(answer.columns) for answer in (knowing[0], part))
            raise OracleError(
                f"oracle {name!r} gave columns {one} at first and {other} later; give the same "
                "ones for every design"
            )
    told = (n for part in knowing for n in part.columns)
    names = dict.fromkeys(told) or dict.fromkeys(endpoints or (name,))
    columns: dict[str, Floats] = {n: np.full(len(designs), np.nan) for n in names}
    done, errors, attempts = list(designs), {}, {}
    for rows, part in sorted(parts, key=lambda one: one[0][0] if one[0] else -1):
        for n in names:
            if n in part.columns:
                columns[n][list(rows)] = part.columns[n]
        for i, row in enumerate(rows):
            done[row] = part.designs[i]
        errors.update({rows[i]: why for i, why in part.errors.items()})
        attempts.update({rows[i]: tries for i, tries in part.attempts.items()})
    return Answer(columns, done, errors, attempts)


def gathered(
    parts: Iterator[Arrival], designs: Sequence[Any], name: str, endpoints: Sequence[str] = ()
) -> Measured:
    """Return arrivals as one answer, in the order of `designs`; see `joined`."""
    answers = [
        (rows, validated(name, given, [designs[row] for row in rows])) for rows, given in parts
    ]
    whole = joined(answers, designs, name, endpoints)
    same = all(one is other for one, other in zip(whole.designs, designs, strict=True))
    return Measured(whole.columns, None if same else whole.designs, whole.errors, whole.attempts)


def validated(name: str, result: Any, designs: list[Any]) -> Answer:
    """Return an oracle's result as an answer for N designs; raises OracleError."""
    measured = result if isinstance(result, Measured) else Measured({name: result})
    columns = {
        column: _numbers(name, column, values, len(designs))
        for column, values in measured.columns.items()
    }
    done = designs if measured.designs is None else list(measured.designs)
    if len(done) != len(designs):
        raise OracleError(
            f"oracle {name!r}: {len(designs)} designs went in and {len(done)} came back; "
            "return one a row, in order"
        )
    return Answer(columns, done, dict(measured.errors), dict(measured.attempts))


def _numbers(oracle: str, column: str, values: Any, count: int) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OracleError(
            f"oracle {oracle!r}, column {column!r}: expected {count} numbers, got "
            f"{type(values).__name__} {str(values)[:60]!r}"
        ) from None
    if array.shape != (count,):
        raise OracleError(
            f"oracle {oracle!r}, column {column!r}: {count} designs went in and values of shape "
            f"{array.shape} came back; return one number a design, in order (NaN = failed)"
        )
    return array
