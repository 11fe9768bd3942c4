"""A CSV as numbers, with every fault told in one line: file, line, column, remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np

from designer.errors import InputError, nearest
from designer.protocols import Floats
from tasks.symbolic.names import safe_names
from tasks.symbolic.sheet import Sheet, column, read_sheet


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers to explain: y by the columns of x, over P rows (points) and V inputs."""

    x: Floats  # [P, V]
    y: Floats  # [P]
    variables: tuple[str, ...]  # safe names of the inputs
    target: str  # header of y
    symbols: dict[str, str]  # stand-in -> header, where a header is no safe name
    weights: Floats | None = None  # [P], not negative, mean 1
    notes: tuple[str, ...] = ()  # what was left out, for people to read

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change with any number in it."""
        parts = [self.x.tobytes(), self.y.tobytes(), repr(self.variables).encode()]
        parts.append(b"" if self.weights is None else self.weights.tobytes())
        return blake2b(b"\0".join(parts), digest_size=8).hexdigest()


def make_table(
    x: Floats, y: Floats, headers: Sequence[str], target: str = "y", weights: Floats | None = None
) -> Table:
    """Return a table from arrays; raises InputError where no expression could be fitted to it."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.shape != (len(x),) or x.shape[1] != len(headers):
        raise InputError(
            f"x is {x.shape}, y is {y.shape}, with {len(headers)} headers; "
            "expected [rows, inputs], [rows], and one header an input"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("x or y holds NaN or infinity; take those rows out")
    if len(y) < 2 or bool((y == y[0]).all()):
        raise InputError(f"target {target!r} has fewer than two different values; nothing to fit")
    names, symbols = safe_names(headers)
    return Table(x, y, names, target, symbols, _scaled(weights, len(y), "the weights"))


def read_table(
    path: str | Path,
    target: str | None = None,
    weights: str | None = None,
    missing: Literal["drop", "refuse"] = "drop",
) -> Table:
    """Return the table in a CSV file with a header line; `target` None means the last column.

    Rows with an empty cell are dropped and counted in `notes`, or refused. Columns without any
    number (labels) are left out, and noted too. Raises InputError for everything else.
    """
    if missing not in ("drop", "refuse"):
        raise InputError(f"missing is {missing!r}; expected 'drop' or 'refuse'")
    sheet = read_sheet(Path(path))
    notes: list[str] = []
    y_at = len(sheet.headers) - 1 if target is None else _find(sheet, target, "target")
    w_at = None if weights is None else _find(sheet, weights, "weight")
    labels = [i for i in range(len(sheet.headers)) if sheet.is_text(i)]
    for place, what in ((y_at, "target"), (w_at, "weight")):
        if place in labels:
            raise InputError(
                f"{sheet.path}: {what} column {sheet.headers[place]!r} is text; "
                "choose a column of numbers"
            )
    if labels:
        notes.append("text columns left out: " + ", ".join(sheet.headers[i] for i in labels))
    x_at = [i for i in range(len(sheet.headers)) if i not in (y_at, w_at, *labels)]
    if not x_at:
        raise InputError(
            f"{sheet.path}: no column is left to explain {sheet.headers[y_at]!r} by; "
            "add at least one numeric column (or choose another target)"
        )
    kept = _kept_rows(sheet, [*x_at, y_at, *([] if w_at is None else [w_at])], missing, notes)
    x = np.stack([column(sheet, i, kept) for i in x_at], axis=1)
    y = column(sheet, y_at, kept)
    _check_target(sheet, y_at, y)
    names, symbols = safe_names([sheet.headers[i] for i in x_at])
    w = None if w_at is None else column(sheet, w_at, kept)
    scaled = _scaled(w, len(y), f"{sheet.path}: weight column {weights!r}")
    return Table(x, y, names, sheet.headers[y_at], symbols, scaled, tuple(notes))


def _find(sheet: Sheet, name: str, what: str) -> int:
    if name not in sheet.headers:
        raise InputError(
            f"{sheet.path}: no column {name!r} for the {what}: {nearest(name, sheet.headers)}"
        )
    return sheet.headers.index(name)


def _kept_rows(sheet: Sheet, used: list[int], missing: str, notes: list[str]) -> list[int]:
    """Return the rows without an empty cell in the used columns."""
    kept = []
    for at, row in enumerate(sheet.rows):
        empty = [i for i in used if not row[i]]
        if not empty:
            kept.append(at)
        elif missing == "refuse":
            raise InputError(
                f"{sheet.path}:{sheet.lines[at]}: column {sheet.headers[empty[0]]!r} is empty; "
                "fill it in, remove the row, or let missing = 'drop'"
            )
    dropped = len(sheet.rows) - len(kept)
    if dropped:
        notes.append(f"{dropped} of {len(sheet.rows)} rows dropped: empty cells")
    if len(kept) < 2:
        raise InputError(
            f"{sheet.path}: {len(kept)} complete row(s) of numbers; expected at least 2"
        )
    return kept


def _check_target(sheet: Sheet, at: int, y: Floats) -> None:
    if bool((y == y[0]).all()):
        raise InputError(
            f"{sheet.path}: target column {sheet.headers[at]!r} is {y[0]:g} in every row; "
            "choose a target that varies"
        )


def _scaled(weights: Floats | None, rows: int, what: str) -> Floats | None:
    if weights is None:
        return None
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (rows,) or not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise InputError(f"{what}: expected one finite number a row, none negative, not all 0")
    scaled: Floats = w * (rows / w.sum())
    return scaled
