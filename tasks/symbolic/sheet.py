"""A CSV file as text cells: encoding, separators, headers and row lengths checked."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from designer.errors import InputError
from designer.protocols import Floats

MAX_BYTES, MAX_COLUMNS = 100_000_000, 10_000  # beyond these a file is no table of measurements
_EMPTY = {"", "na", "n/a", "null", "none", "-"}
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_WIDE = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


@dataclass(frozen=True)
class Sheet:
    """Cells as text, stripped; an empty cell is an empty text. `lines[r]` is row r's line."""

    path: Path
    headers: list[str]
    rows: list[list[str]]
    lines: list[int]

    def is_text(self, at: int) -> bool:
        """Return True where no cell of the column is like a number, and one is not empty."""
        cells = [row[at] for row in self.rows if row[at]]
        return bool(cells) and not any(_like_number(cell) for cell in cells)


def read_sheet(path: Path) -> Sheet:
    """Return the cells of a CSV file with a header line; raises InputError for any fault."""
    text = _text(path)
    _check_separator(path, text)
    reader = csv.reader(_lines(text), strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not valid CSV: {error}; mend the quotes or "
                         "separators there") from error  # fmt: skip
    headers, body = rows[0], rows[1:]
    _check_headers(path, headers, lines[0])
    for row, line in zip(body, lines[1:], strict=True):
        if len(row) != len(headers):
            raise InputError(
                f"{path}:{line}: {len(row)} cells, but the header has {len(headers)}; "
                "every row needs one cell a column (a decimal comma also splits a cell)"
            )
    if len(body) < 2:
        raise InputError(f"{path}: {len(body)} row(s) below the header; expected at least 2")
    cells = [["" if cell.lower() in _EMPTY else cell for cell in row] for row in body]
    return Sheet(path, headers, cells, lines[1:])


def column(sheet: Sheet, at: int, rows: Sequence[int]) -> Floats:
    """Return one column as numbers [P]; raises InputError at the first cell that is not one."""
    return np.array([_number(sheet, at, row) for row in rows], dtype=np.float64)


def _number(sheet: Sheet, at: int, row: int) -> float:
    cell = sheet.rows[row][at]
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and "_" not in cell:
        return value
    where = f"{sheet.path}:{sheet.lines[row]}: column {sheet.headers[at]!r}"
    if _DECIMAL_COMMA.fullmatch(cell):
        raise InputError(f"{where} has a decimal comma in {cell!r}; write a decimal point")
    if cell.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise InputError(f"{where} is {cell!r}; remove the row or leave the cell empty")
    if math.isinf(value):
        raise InputError(f"{where}: {cell!r} is too large for double precision; change its unit")
    raise InputError(f"{where}: {cell!r} is no number; correct it or leave the cell empty")


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{path}: has {size:,} bytes, at most {MAX_BYTES:,} are read; keep fewer rows"
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; give the CSV file in it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"data path {str(path)!r} cannot be used: {error}") from error
    for mark, name in _WIDE:
        if raw.startswith(mark):
            raise InputError(f"{path}: is {name} text; save it as UTF-8")
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{path}:{line}: holds a NUL byte; save the file as UTF-8 CSV text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8") from None
    if not text.strip():
        raise InputError(f"{path}: is empty; expected a header line and rows of numbers")
    return text


def _lines(text: str) -> Iterator[str]:
    """Yield the lines with their ends, without a second copy of the text."""
    at = 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        yield text[at:end]
        at = end


def _check_separator(path: Path, text: str) -> None:
    header = next(line for line in _lines(text) if line.strip())
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
        return bool(_DECIMAL_COMMA.fullmatch(cell))
    return True
