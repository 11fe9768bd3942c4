"""A CSV file as columns of cells: encoding, separators, headers and row lengths checked.

The file is read line by line into columns of eight bytes a number, so a million rows fit easily.
"""

from __future__ import annotations

import csv
import math
import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError
from designer.protocols import Floats

# beyond these a file is no table of measurements
MAX_BYTES, MAX_COLUMNS, MAX_CELLS, MAX_LINE = 800_000_000, 10_000, 100_000_000, 50_000_000
_PIECE = 10_000  # rows that are converted at once
_EMPTY = {"", "na", "n/a", "null", "none", "-"}
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}([,' ]\d{3})+(\.\d*)?")
_WIDE = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))

Piece = Floats | list[str]  # numbers, NaN where the cell is empty; or text, where one is no number


@dataclass(frozen=True, eq=False)
class Sheet:
    """Columns in pieces of `_PIECE` rows. `lines[r]` is the line of row r."""

    path: Path
    headers: list[str]
    columns: list[list[Piece]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)

    def is_text(self, at: int) -> bool:
        """Return True where no cell of the column is like a number, and one is not empty."""
        pieces = self.columns[at]
        if any(isinstance(piece, np.ndarray) and bool((piece == piece).any()) for piece in pieces):
            return False
        cells = [cell for piece in pieces if isinstance(piece, list) for cell in piece if cell]
        return bool(cells) and not any(map(_like_number, cells))

    def empty(self, at: int) -> NDArray[np.bool_]:
        """Return [rows] whether the column's cell is empty."""
        found = [
            np.isnan(piece) if isinstance(piece, np.ndarray) else np.array([not c for c in piece])
            for piece in self.columns[at]
        ]
        return np.concatenate(found)

    def texts(self, at: int, rows: NDArray[np.int64]) -> list[str]:
        """Return some cells of a column as text, for labels; numbers in one spelling."""
        pieces = (p.tolist() if isinstance(p, np.ndarray) else p for p in self.columns[at])
        cells = list(chain.from_iterable(pieces))
        return [_label(cells[row]) for row in rows.tolist()]

    def numbers(self, at: int, rows: NDArray[np.int64]) -> Floats:
        """Return some cells of a column as numbers; raises InputError at the first that is none."""
        out, wanted, start = np.empty(len(rows)), 0, 0
        for piece in self.columns[at]:
            ours = rows[wanted : int(np.searchsorted(rows, start + len(piece)))]
            if isinstance(piece, np.ndarray):
                out[wanted : wanted + len(ours)] = piece[ours - start]
            else:
                out[wanted : wanted + len(ours)] = [
                    self._number(at, row, piece[row - start]) for row in ours.tolist()
                ]
            wanted, start = wanted + len(ours), start + len(piece)
        return out

    def _number(self, at: int, row: int, cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and "_" not in cell:
            return value
        where = f"{self.path}:{self.lines[row]}: column {self.headers[at]!r}"
        if _THOUSANDS.fullmatch(cell):
            either = f" (or {cell.replace(',', '.')})" if _DECIMAL_COMMA.fullmatch(cell) else ""
            plain = re.sub("[,' ]", "", cell)
            raise InputError(f"{where}: {cell!r} groups its digits; write {plain}{either}")
        if _DECIMAL_COMMA.fullmatch(cell):
            raise InputError(f"{where} has a decimal comma in {cell!r}; write a decimal point")
        if cell.lower().lstrip("+-") in ("nan", "inf", "infinity"):
            raise InputError(f"{where} is {cell!r}; remove the row or leave the cell empty")
        if math.isinf(value):
            raise InputError(
                f"{where}: {cell!r} is too large for double precision; change its unit"
            )
        raise InputError(f"{where}: {cell!r} is no number; correct it or leave the cell empty")


def read_sheet(path: Path) -> Sheet:
    """Return the cells of a CSV file with a header line; raises InputError for any fault."""
    lines = _lines(path)
    blank, header = 0, ""
    for header in lines:
        if header.strip():
            break
        blank += 1
    if not header.strip():
        raise InputError(f"{path}: is empty; expected a header line and rows of numbers")
    _check_separator(path, header)
    reader = csv.reader(chain([header], lines), strict=True)
    rows = _rows(path, reader, blank)
    headers, line = next(rows)
    headers = [cell.strip() for cell in headers]
    _check_headers(path, headers, line)
    columns: list[list[Piece]] = [[] for _ in headers]
    held: list[list[str]] = []
    numbers = array("q")
    for row, line in rows:
        if len(row) != len(headers):
            raise InputError(
                f"{path}:{line}: {len(row)} cells, but the header has {len(headers)}; "
                "every row needs one cell a column (a decimal comma also splits a cell)"
            )
        held.append(row)
        numbers.append(line)
        if len(held) == _PIECE:
            _store(held, columns)
            if len(numbers) * len(headers) > MAX_CELLS:
                raise InputError(
                    f"{path}: has more than {MAX_CELLS:,} cells; keep fewer rows or columns"
                )
    _store(held, columns)
    if len(numbers) < 2:
        raise InputError(f"{path}: {len(numbers)} row(s) below the header; expected at least 2")
    return Sheet(path, headers, columns, numbers)


def _rows(path: Path, reader: Iterator[list[str]], blank: int) -> Iterator[tuple[list[str], int]]:
    """Yield the rows that are not blank, each with its line."""
    try:
        for row in reader:
            if any(cell and not cell.isspace() for cell in row):
                yield row, reader.line_num + blank  # type: ignore[attr-defined]
    except csv.Error as error:
        line = reader.line_num + blank  # type: ignore[attr-defined]
        raise InputError(f"{path}:{line}: not valid CSV: {error}; mend the quotes or separators "
                         "there") from error  # fmt: skip


def _store(held: list[list[str]], columns: list[list[Piece]]) -> None:
    """Move the rows into the columns."""
    for column, cells in zip(columns, zip(*held, strict=True), strict=False):
        column.append(_piece(cells))
    held.clear()


def _piece(cells: tuple[str, ...]) -> Piece:
    try:
        values = np.array(list(map(float, cells)))
        if np.isfinite(values).all() and "_" not in "".join(cells):
            return values
    except ValueError:
        pass
    texts = [_cell(cell) for cell in cells]
    try:
        values = np.array([float(text) if text else math.nan for text in texts])
    except ValueError:
        return texts
    filled = np.array([bool(text) for text in texts])
    plain = bool(np.isfinite(values[filled]).all()) and "_" not in "".join(texts)
    return values if plain else texts


def _cell(cell: str) -> str:
    text = cell.strip()
    return "" if text.lower() in _EMPTY else sys.intern(text)


def _label(cell: float | str) -> str:
    try:
        return f"{float(cell):.15g}"  # whether its piece of the column was all numbers or not
    except ValueError:
        return str(cell)


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of the file, with their ends."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{path}: has {size:,} bytes, at most {MAX_BYTES:,} are read; keep fewer rows"
            )
        with path.open("rb") as file:
            for mark, name in _WIDE:
                if file.peek(2).startswith(mark):
                    raise InputError(f"{path}: is {name} text; save it as UTF-8")
            number = 0
            while raw := file.readline(MAX_LINE + 1):
                number += 1
                yield _decoded(path, number, raw)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; give the CSV file in it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"data path {str(path)!r} cannot be used: {error}") from error


def _decoded(path: Path, number: int, raw: bytes) -> str:
    if b"\0" in raw:
        raise InputError(f"{path}:{number}: holds a NUL byte; save the file as UTF-8 CSV text")
    if len(raw) > MAX_LINE:
        raise InputError(
            f"{path}:{number}: is longer than {MAX_LINE:,} bytes; expected one row a line"
        )
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}:{number}: is not UTF-8 text; save it as UTF-8") from None


def _check_separator(path: Path, header: str) -> None:
    if header.count(",") >= MAX_COLUMNS:
        raise InputError(
            f"{path}:1: has {header.count(',') + 1:,} columns, at most {MAX_COLUMNS:,} are read; "
            "keep the target and its likely inputs"
        )
    if "," in header:
        return
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if sign in header:
            raise InputError(f"{path}:1: is separated by {name}; save it with commas "
                             "(and decimal points)")  # fmt: skip
    if header.startswith("#"):
        raise InputError(f"{path}:1: is a comment; begin with the line of column names")
    raise InputError(
        f"{path}:1: has a single column; expected a target and at least one input, with commas"
    )


def _check_headers(path: Path, headers: list[str], line: int) -> None:
    for place, header in enumerate(headers, 1):
        if not header:
            raise InputError(f"{path}:{line}: column {place} has no header; name it")
        if header in headers[: place - 1]:
            first = headers.index(header) + 1
            raise InputError(
                f"{path}:{line}: columns {first} and {place} are both named {header!r}; rename one"
            )
    if all(_like_number(header) for header in headers):
        raise InputError(
            f"{path}:{line}: the first line holds numbers; put a line with column names above it"
        )


def _like_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return bool(_DECIMAL_COMMA.fullmatch(cell) or _THOUSANDS.fullmatch(cell))
    return True
