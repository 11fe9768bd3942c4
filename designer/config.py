"""A TOML table becomes the keyword arguments of one callable, or an error with its place.

`kind` names the callable; every other key is one of its parameters, checked by pydantic against
the very signature that is called. There is no interpolation, no include and no hidden default.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from designer import signature
from designer.blame import accused
from designer.errors import ConfigError, InputError, nearest
from designer.files import located
from designer.toml import Keys, positions

MAX_BYTES = 1_000_000  # of a campaign file
_DOTTED = re.compile(r"(?:[\w-]+ ?\. ?){40}")  # slow to read, and no setting is that deep


class Document:
    """A campaign's tables, and where each of their keys was written.

    `name` is what messages call the document; `places` maps the path of a key to its place, such
    as `fold.toml:3:1` or `--lattice`; relative file names are relative to `base`.
    """

    def __init__(
        self,
        data: dict[str, Any],
        name: str = "campaign",
        places: Mapping[Keys, str] | None = None,
        base: Path | None = None,
    ) -> None:
        self.data = data
        self.name = name
        self.places = dict(places or {})
        self.base = base or Path.cwd()
        self.files: dict[str, Path] = {}  # files that building read: they belong to the run

    def place(self, path: Keys) -> str:
        """Return where `path`, or the nearest table around it, was written."""
        for depth in range(len(path), 0, -1):
            if path[:depth] in self.places:
                return self.places[path[:depth]]
        return self.name

    def error(self, path: Keys, message: str) -> ConfigError:
        """Return an error that begins with the place of `path`."""
        place = self.place(path)
        return ConfigError(f"{place}: {message}" if place else message)

    def table(self, path: Keys, default: Any = None) -> Any:
        """Return what stands at `path`, or `default` where nothing does."""
        found: Any = self.data
        key: Any
        for key in path:
            missing = isinstance(found, dict) and key not in found
            missing |= isinstance(found, list) and not (isinstance(key, int) and key < len(found))
            if missing or not isinstance(found, dict | list):
                return default
            found = found[key]
        return found

    def tables(self, path: Keys) -> list[Keys]:
        """Return the path of each of the `[[...]]` tables at `path`; raises ConfigError for what
        is no array of tables."""
        found, name = self.table(path, []), show(path)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self.error(path, f"{name} is {_say(found)}, expected [[{name}]] tables")
        return [(*path, i) for i in range(len(found))]

    def known(self, names: Iterable[str]) -> None:
        """Raise ConfigError at the first top-level table that is none of `names`."""
        names = list(names)
        for key in self.data:
            if key not in names:
                raise self.error((key,), f"unknown table [{key}]; {nearest(key, names)}")

    def override(self, path: Keys, value: Any, place: str) -> None:
        """Set one value, creating the tables around it; `place` is what messages will name."""
        found: Any = self.data
        for depth, key in enumerate(path[:-1]):
            if isinstance(found, list):
                found = _element(found, key, place)
            else:
                found = found.setdefault(key, {})
            if not isinstance(found, dict | list):
                raise InputError(f"{place}: {show(path[: depth + 1])} is a value, not a table")
        if isinstance(found, list):
            _element(found, path[-1], place)
            found[int(path[-1])] = value
        else:
            found[path[-1]] = value
        for known in [p for p in self.places if p[: len(path)] == path]:
            del self.places[known]
        self.places[path] = place

    def build(
        self,
        path: Keys,
        make: Callable[..., Any],
        injected: Mapping[str, Any] | None = None,
        *,
        leave: Collection[str] = (),
    ) -> Any:
        """Return `make(**table)` for the table at `path`, without `kind` and the keys to `leave`.

        `injected` values win over the table for the parameters that `make` has; the others are
        ignored. Relative values of parameters annotated with `Path` are taken from `base`.
        Raises ConfigError, naming the place, for unknown, missing and unsuitable values.
        """
        table = self.table(path, {})
        if not isinstance(table, dict):
            raise self.error(path, f"{show(path)} is {_say(table)}, expected a table")
        given = {key: value for key, value in table.items() if key not in ("kind", *leave)}
        parameters = signature.parameters(make)
        inside = {name: v for name, v in (injected or {}).items() if name in parameters}
        settable = {name: p for name, p in parameters.items() if name not in inside}
        hints = signature.hints(make, settable)
        for key in given:
            if key not in settable:
                hint = nearest(key, [*settable, *leave])
                raise self.error((*path, key), f"unknown key {key!r} in {show(path)}; {hint}")
        for name, value in given.items():
            if _is_path(hints[name], value):
                with self.blamed((*path, name)):
                    file = located(value, self.base).resolve()
                named = os.path.exists(file) or re.search(r"[/\\.]", value)
                if named:  # else it may be a short name
                    table[name] = given[name] = str(file)
                if os.path.isfile(file):
                    self.files[show((*path, name))] = file
        values = self._validated(path, given, settable, hints)
        with self.blamed(path):
            return make(**values, **inside)

    @contextmanager
    def blamed(self, path: Keys) -> Iterator[None]:
        """Give every InputError raised inside the place of `path`, or of the key it names."""
        try:
            yield
        except ConfigError:
            raise
        except InputError as problem:
            raise self.error(
                (*path, *accused(self.table(path, {}), str(problem))), str(problem)
            ) from None

    def _validated(
        self,
        path: Keys,
        given: Mapping[str, Any],
        settable: Mapping[str, inspect.Parameter],
        hints: Mapping[str, Any],
    ) -> dict[str, Any]:
        from pydantic import ValidationError

        values: dict[str, Any] = {}
        for name, parameter in settable.items():
            if name in given:
                odd = signature.infinite(hints[name], parameter.default, given[name])
                if odd is not None:
                    key = show((*path, name))
                    raise self.error((*path, name), f"{key} is {odd}, expected a finite number")
                try:
                    values[name] = signature.converted(hints[name], given[name])
                except ValidationError as problem:
                    raise self._refused((*path, name), given[name], problem.errors()) from None
                except TypeError as problem:
                    raise self.error((*path, name), f"{name!r} {problem}") from None
            elif parameter.default is inspect.Parameter.empty:
                kind = signature.type_name(hints[name])
                key = show((*path, name))
                raise self.error(path, f"{key} ({kind}) is missing; add it, or --set {key}=VALUE")
        return values

    def _refused(self, path: Keys, value: Any, problems: list[Any]) -> ConfigError:
        problem = problems[0]
        deep: Keys = path
        for part in problem["loc"]:  # a union's location also names the type that was tried
            if self.table((*deep, part), _ABSENT) is not _ABSENT:
                deep, value = (*deep, part), self.table((*deep, part))
        if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            return self.error((*deep, problem["loc"][-1]), f"unknown key {problem['loc'][-1]!r}")
        reason = re.sub(r"^(Input|Value error,) ?", "", problem["msg"]).strip()
        return self.error(deep, f"{show(deep)} is {_say(value)}, {reason}")


_ABSENT = object()


def load(path: str | Path) -> Document:
    """Return the document in a TOML file. Raises ConfigError with file, line and column."""
    file = Path(path)
    try:
        if file.is_file() and file.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{file}: has more than {MAX_BYTES:,} bytes: no campaign file")
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; `designer init KIND` writes one") from None
    except IsADirectoryError:
        raise InputError(f"{file}: a directory, expected a campaign file (TOML)") from None
    except UnicodeDecodeError as problem:
        raise ConfigError(
            f"{file}: not UTF-8 text (byte {problem.start}); save it as UTF-8"
        ) from None
    except OSError as problem:
        raise InputError(f"{file}: cannot be read: {problem.strerror}") from None
    return parse(text, str(file), file.resolve().parent)


def parse(text: str, name: str = "campaign", base: Path | None = None) -> Document:
    """Return the document in a TOML text; see `load`."""
    text = text.replace("\r\n", "\n")
    try:
        data: Any = None if _DOTTED.search(text) else tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(_syntax(name, text, str(problem))) from None
    except RecursionError:
        data = None
    if data is None or _deep(data):
        raise ConfigError(f"{name}: is nested too deeply to be a campaign file")
    places = {path: f"{name}:{line}:{column}" for path, (line, column) in positions(text).items()}
    return Document(data, name, places, base)


def _deep(tree: Any, most: int = 20) -> bool:
    """Return whether tables and lists are nested deeper than any setting needs."""
    if most == 0:
        return True
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return any(_deep(part, most - 1) for part in parts)


def assignment(text: str) -> tuple[Keys, Any]:
    """Return the path and value of a command line `a.b=value`; a bare word is text."""
    name, equals, raw = text.partition("=")
    if not equals or not name.strip():
        raise InputError(f"--set {text}: expected KEY=VALUE, such as --set campaign.batch_size=256")
    path = tuple(int(p) if re.fullmatch("[0-9]{1,9}", p) else p for p in name.strip().split("."))
    try:
        return path, tomllib.loads(f"x = {raw}")["x"]
    except tomllib.TOMLDecodeError:
        return path, raw.strip()


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return `first` with the values of `second` over it, table by table; lists are replaced."""
    result = copy.deepcopy(dict(first))
    for key, value in second.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def show(path: Keys) -> str:
    """Return how messages and `--set` write a path: `campaign.seed`, `objective.0.kind`."""
    return ".".join(str(key) for key in path)


def _is_path(hint: Any, value: Any) -> bool:
    """Return whether a value is text that may name a file."""
    may = isinstance(value, str) and signature.takes_path(hint)
    return may and value not in signature.named(hint)


def _element(items: list[Any], key: Any, place: str) -> Any:
    if not isinstance(key, int) or not 0 <= key < len(items):
        raise InputError(f"{place}: {key!r} is none of the {len(items)} entries, numbered from 0")
    return items[key]


def _say(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    odd = isinstance(value, float) and not math.isfinite(value)
    text = str(value) if odd else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _syntax(name: str, text: str, problem: str) -> str:
    match = re.search(r"\s*\(at line (\d+), column (\d+)\)$", problem)
    if match:
        said = problem[: match.start()]
        if said == r"Illegal character '\n'":
            said = "the line ends within a text; close it with a quotation mark"
        return f"{name}:{match[1]}:{match[2]}: {said}"
    reason = re.sub(r"\s*\(at end of document\)$", "", problem)
    last = text.count("\n") + 1
    return f"{name}:{last}:{len(text.rpartition(chr(10))[2]) + 1}: {reason} at the end of the file"
