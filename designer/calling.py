"""One oracle call, made safe: what comes back is validated, what raises becomes unmeasured.

An exception is a missing measurement, never a value. A batch that raises is called again one
design at a time, so that only the guilty rows are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designer.errors import DesignerError, OracleError
from designer.protocols import Floats, Measured, Oracle


@dataclass(frozen=True)
class Answer:
    """A validated answer for N designs, in order."""

    columns: dict[str, Floats]  # raw values [N], NaN = failed
    designs: list[Any]  # [N] completed where measuring completed them
    errors: dict[int, str]  # row -> why it failed


def call(oracle: Oracle[Any], designs: Sequence[Any]) -> Answer:
    """Return the oracle's validated answer; raises OracleError where the contract is broken."""
    rows = list(designs)
    try:
        return _validated(oracle, oracle(rows), rows)
    except DesignerError:
        raise
    except Exception as error:
        if len(rows) == 1:
            reason = f"{type(error).__name__}: {error}"
            return Answer({oracle.name: np.array([np.nan])}, rows, {0: reason})
    return _joined([call(oracle, [design]) for design in rows], oracle.name)


def _joined(parts: Sequence[Answer], name: str) -> Answer:
    """Put single answers together; a failed one may not know the names of the columns."""
    names = {n: None for part in parts if not part.errors for n in part.columns} or {name: None}
    nan = np.array([np.nan])
    columns = {n: np.concatenate([part.columns.get(n, nan) for part in parts]) for n in names}
    errors = {row: part.errors[0] for row, part in enumerate(parts) if part.errors}
    return Answer(columns, [part.designs[0] for part in parts], errors)


def _validated(oracle: Oracle[Any], result: Any, designs: list[Any]) -> Answer:
    measured = result if isinstance(result, Measured) else Measured({oracle.name: result})
    columns = {
        name: _numbers(oracle.name, name, values, len(designs))
        for name, values in measured.columns.items()
    }
    done = designs if measured.designs is None else list(measured.designs)
    if len(done) != len(designs):
        raise OracleError(
            f"oracle {oracle.name!r}: {len(designs)} designs went in and {len(done)} came back; "
            "return one a row, in order"
        )
    return Answer(columns, done, dict(measured.errors))


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
