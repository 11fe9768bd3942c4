"""A CSV as numbers, with every fault told in one line: file, line, column, remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError, nearest
from designer.protocols import Floats
from tasks.symbolic.tables.names import safe_names
from tasks.symbolic.tables.sheet import Sheet, read_sheet

MOST_LABELS = 50  # kinds that a categorical column may tell apart


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
    category: str = ""  # header of the categorical column, if any
    labels: tuple[str, ...] = ()  # its C labels, in the order of their text
    groups: NDArray[np.int64] | None = field(default=None)  # [P] which label a row has

    @property
    def headers(self) -> tuple[str, ...]:
        """The inputs as the file calls them."""
        return tuple(self.symbols.get(name, name) for name in self.variables)

    @property
    def varies(self) -> bool:
        """Whether the target has two values or more in rows that weigh something."""
        y = self.y if self.weights is None else self.y[self.weights > 0]
        return len(y) > 0 and bool((y != y[0]).any())

    def rows(self, which: NDArray[np.int64]) -> Table:
        """Return some of the rows. Where none of them weighs anything, none is given a weight."""
        w = None if self.weights is None else self.weights[which]
        return replace(
            self,
            x=self.x[which],
            y=self.y[which],
            weights=w if w is None or not w.any() else w * (len(w) / w.sum()),
            groups=None if self.groups is None else self.groups[which],
        )

    def columns(self, which: Sequence[int]) -> Table:
        """Return some of the inputs, under the names they have."""
        names = tuple(self.variables[i] for i in which)
        symbols = {name: header for name, header in self.symbols.items() if name in names}
        x = np.ascontiguousarray(self.x[:, list(which)])
        return replace(self, x=x, variables=names, symbols=symbols)


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
    *,
    inputs: Sequence[str] = (),
    ignore: Sequence[str] = (),
    category: str | None = None,
) -> Table:
    """Return the table in a CSV file with a header line; `target` None means the last column.

    `inputs` are the columns to explain by, left out: all others but `ignore`. `category` is a
    column of labels. Rows with an empty cell are dropped and counted in `notes`, or refused.
    Columns without any number (labels) are left out, and noted too. Raises InputError for
    everything else.
    """
    if missing not in ("drop", "refuse"):
        raise InputError(f"missing is {missing!r}; expected 'drop' or 'refuse'")
    sheet = read_sheet(Path(path))
    notes: list[str] = []
    y_at = len(sheet.headers) - 1 if target is None else _find(sheet, target, "target")
    w_at = None if weights is None else _find(sheet, weights, "weight")
    c_at = None if category is None else _find(sheet, category, "category")
    _check_roles(sheet, {"target": y_at, "weights": w_at, "category": c_at})
    x_at = _inputs(sheet, {y_at, w_at, c_at}, inputs, ignore, notes)
    used = [*x_at, *(at for at in (y_at, w_at, c_at) if at is not None)]
    kept = _kept_rows(sheet, used, missing, notes)
    if len(x_at) > len(kept):
        raise InputError(
            f"{sheet.path}: {len(x_at)} inputs but only {len(kept)} rows: some would fit by "
            "chance; name the likely ones (--input, in a campaign file inputs = [...])"
        )
    y = sheet.numbers(y_at, kept)
    _check_target(sheet, y_at, y)
    x = np.empty((len(kept), len(x_at)))
    for place, at in enumerate(x_at):
        x[:, place] = sheet.numbers(at, kept)
    names, symbols = safe_names([sheet.headers[i] for i in x_at])
    w = None if w_at is None else sheet.numbers(w_at, kept)
    scaled = _scaled(w, len(y), f"{sheet.path}: weight column {weights!r}")
    table = Table(x, y, names, sheet.headers[y_at], symbols, scaled, tuple(notes))
    return table if c_at is None else _labelled(table, sheet, c_at, kept)


def _find(sheet: Sheet, name: str, what: str) -> int:
    if name not in sheet.headers:
        raise InputError(
            f"{sheet.path}: no column {name!r} for the {what}: {nearest(name, sheet.headers)}"
        )
    return sheet.headers.index(name)


def _check_roles(sheet: Sheet, roles: dict[str, int | None]) -> None:
    """Raise InputError for one column in two roles, or text where a number belongs."""
    given = {role: at for role, at in roles.items() if at is not None}
    for role, at in given.items():
        for other, theirs in given.items():
            if role < other and at == theirs:
                raise InputError(
                    f"{sheet.path}: column {sheet.headers[at]!r} cannot be both {role} and "
                    f"{other}; choose another for one of them"
                )
        if role != "category" and sheet.is_text(at):
            raise InputError(
                f"{sheet.path}: {role.removesuffix('s')} column {sheet.headers[at]!r} is text; "
                "choose a column of numbers"
            )


def _inputs(
    sheet: Sheet,
    taken: set[int | None],
    inputs: Sequence[str],
    ignore: Sequence[str],
    notes: list[str],
) -> list[int]:
    """Return the columns to explain by."""
    named = [_find(sheet, name, "input") for name in inputs]
    left_out = {_find(sheet, name, "columns to ignore") for name in ignore}
    for at in named:
        if at in taken:
            raise InputError(
                f"{sheet.path}: column {sheet.headers[at]!r} cannot be an input too; "
                "it has another role"
            )
        if sheet.is_text(at):
            raise InputError(
                f"{sheet.path}: input column {sheet.headers[at]!r} is text; "
                "choose columns of numbers, or make it the category"
            )
    others = named or range(len(sheet.headers))
    found = [i for i in others if i not in taken and i not in left_out]
    labels = [i for i in found if sheet.is_text(i)]
    if labels:
        notes.append("text columns left out: " + ", ".join(sheet.headers[i] for i in labels))
    found = [i for i in found if i not in labels]
    if not found:
        target = next(sheet.headers[i] for i in sorted(i for i in taken if i is not None))
        raise InputError(
            f"{sheet.path}: no column is left to explain {target!r} by; "
            "add at least one numeric column (or choose another target)"
        )
    return found


def _kept_rows(
    sheet: Sheet, used: Sequence[int], missing: str, notes: list[str]
) -> NDArray[np.int64]:
    """Return the rows without an empty cell in the used columns."""
    empty = np.zeros(len(sheet), dtype=bool)
    for at in used:
        empty |= sheet.empty(at)
    if missing == "refuse" and empty.any():
        row = int(empty.argmax())
        header = next(sheet.headers[at] for at in used if sheet.empty(at)[row])
        raise InputError(
            f"{sheet.path}:{sheet.lines[row]}: column {header!r} is empty; "
            "fill it in, remove the row, or let missing = 'drop'"
        )
    kept = np.flatnonzero(~empty)
    if empty.any():
        notes.append(f"{int(empty.sum()):,} of {len(sheet):,} rows dropped: empty cells")
    if len(kept) < 2:
        raise InputError(
            f"{sheet.path}: {len(kept)} complete row(s) of numbers; expected at least 2"
        )
    return kept


def _labelled(table: Table, sheet: Sheet, at: int, kept: NDArray[np.int64]) -> Table:
    """Return the table with a category."""
    header = sheet.headers[at]
    labels, groups = np.unique(np.array(sheet.texts(at, kept)), return_inverse=True)
    if len(labels) > MOST_LABELS:
        raise InputError(
            f"{sheet.path}: category column {header!r} has {len(labels):,} different labels, at "
            f"most {MOST_LABELS} can have constants of their own; group them, or leave it out"
        )
    counts = np.bincount(groups)
    if len(labels) < 2 or counts.min() < 2:
        few = str(labels[int(counts.argmin())])
        found = "only one label" if len(labels) < 2 else f"one row of {few!r}"
        raise InputError(
            f"{sheet.path}: category column {header!r} has {found}; constants of its own need "
            "two labels or more, with two rows or more each"
        )
    names = tuple(str(label) for label in labels)
    return replace(table, category=header, labels=names, groups=groups.astype(np.int64))


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
