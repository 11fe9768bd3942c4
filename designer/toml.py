"""What `tomllib` lacks: where each key of a TOML text stands, and writing tables as TOML.

For positions the text is read by `tomllib` first, so the scanner may trust that it is valid and
only has to find its way: headers, dotted and quoted keys, inline tables, arrays over lines.
"""

from __future__ import annotations

import bisect
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

Keys = tuple[str | int, ...]
Position = tuple[int, int]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_GAP = re.compile(r"[ \t]*")
_KEY = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[A-Za-z0-9_-]+')
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def positions(text: str) -> dict[Keys, Position]:
    """Return the 1-based (line, column) of every key, table header and array element.

    `text` is valid TOML. Elements of arrays, of tables too, are numbered from 0 in the path.
    """
    return _Scanner(text).scan()


def dump(data: Mapping[str, Any]) -> str:
    """Return the TOML text of plain tables, lists and values; `parse` reads it back."""
    lines: list[str] = []
    _dump_table(data, (), lines)
    return "\n".join(lines).strip() + "\n"


class _Scanner:
    """A cursor over the text, and what it has seen."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: dict[Keys, Position] = {}
        self.lengths: dict[Keys, int] = {}  # arrays of tables seen so far
        self.lines = [0] + [m.end() for m in re.finditer(r"\n", text)]

    def scan(self) -> dict[Keys, Position]:
        table: Keys = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.found

    def _header(self) -> Keys:
        start, repeated = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if repeated else 1
        names = self._key()
        self._skip(_GAP)
        self.at += 2 if repeated else 1
        path: Keys = ()
        for name in names[:-1]:
            self._mark((*path, name), start)
            path = self._latest((*path, name))
        path = (*path, names[-1])
        self._mark(path, start)
        if repeated:
            self.lengths[path] = self.lengths.get(path, 0) + 1
        path = self._latest(path)
        self._mark(path, start)
        return path

    def _latest(self, path: Keys) -> Keys:
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip(_GAP)
            raw = self._take(_KEY)
            names.append(tomllib.loads(f"x = {raw}")["x"] if raw[0] in "\"'" else raw)
            self._skip(_GAP)
            if self.text[self.at] != ".":
                return names
            self.at += 1

    def _pair(self, table: Keys) -> None:
        start = self.at
        names = self._key()
        for depth in range(1, len(names) + 1):
            self._mark((*table, *names[:depth]), start)
        self.at += 1  # the equals sign
        self._skip(_GAP)
        self._value((*table, *names))

    def _value(self, path: Keys) -> None:
        first = self.text[self.at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        elif first in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: Keys) -> None:
        index = 0
        self._step_over()
        while self.text[self.at] != "]":
            self._mark((*path, index), self.at)
            self._value((*path, index))
            index += 1
            self._separator()
        self.at += 1

    def _inline(self, path: Keys) -> None:
        self._step_over()
        while self.text[self.at] != "}":
            self._pair(path)
            self._separator()
        self.at += 1

    def _step_over(self) -> None:
        self.at += 1
        self._skip(_BLANK)

    def _separator(self) -> None:
        self._skip(_BLANK)
        if self.text[self.at] == ",":
            self._step_over()

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, f"no TOML at offset {self.at}"  # tomllib accepted the text
        self.at = match.end()
        return match.group()

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _mark(self, path: Keys, offset: int) -> None:
        line = bisect.bisect_right(self.lines, offset)
        self.found.setdefault(path, (line, offset - self.lines[line - 1] + 1))


def _dump_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    inner = {k: v for k, v in table.items() if isinstance(v, dict) or _is_tables(v)}
    for key, value in table.items():
        if key not in inner and value is not None:
            lines.append(f"{_key(key)} = {_inline(value)}")
    for key, value in inner.items():
        here = (*path, _key(key))
        for one in [value] if isinstance(value, dict) else value:
            name = ".".join(here)
            lines += ["", f"[{name}]" if isinstance(value, dict) else f"[[{name}]]"]
            _dump_table(one, here, lines)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _inline(key)


def _inline(value: Any) -> str:
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(v) for v in value) + "]"
    return str(value)
