"""Plug-ins by name: a short name, `module:attribute`, or `path/to/file.py:name`.

A registry is a visible dict of short names to "module:attribute" strings. Everything else is
code from outside it and runs only by consent (`--allow-plugins`, or a path that a person typed).
Registered plug-ins that start whatever a setting tells them to (an external program, a user's
function) are marked with `needs_consent` and refused in the same way.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, TypeVar

from designer.errors import InputError, nearest
from designer.files import located

Plugin = Callable[..., Any]
P = TypeVar("P", bound=Plugin)
_MARK = "__needs_consent__"
_PRIVATE = "_designer_"  # how the names of modules begin that are made of users' files


def needs_consent(plugin: P) -> P:
    """Mark a plug-in (class or function) whose settings name code; returns it unchanged."""
    setattr(plugin, _MARK, True)
    return plugin


def resolve(
    spec: str,
    registry: Mapping[str, str],
    *,
    allow_plugins: bool = False,
    base: Path | None = None,
) -> Plugin:
    """Return the callable that `spec` names; relative files are looked for in `base`.

    Raises InputError: an unknown name (the nearest one is offered), code from outside the
    registry without consent, a file or module that is missing or fails, a name that is not in
    it, or something that cannot be called.
    """
    found: Any = _look_up(spec, registry, allow_plugins, base)
    if getattr(found, _MARK, False) and not allow_plugins:
        what = "runs code (or asks a server) that its settings name"
        raise InputError(f"{spec!r} {what}; {_CONSENT}")
    judges = hasattr(found, "score") or hasattr(found, "score_list")
    if not callable(found) and not judges:
        kind = type(found).__name__
        raise InputError(f"{spec!r} is a value of type {kind}, expected a class or a function")
    made: Callable[..., Any] = found
    return made


_CONSENT = "if you trust it, add --allow-plugins (or name it on the command line)"


def _look_up(
    spec: str, registry: Mapping[str, str], allow_plugins: bool, base: Path | None
) -> object:
    if spec in registry:
        module, attribute = registry[spec].rsplit(":", 1)
        return _from_module(module, attribute, spec)
    if ":" not in spec:
        raise InputError(_unknown(spec, registry))
    place, name = spec.rsplit(":", 1)
    if not (allow_plugins or spec in registry.values()):
        raise InputError(f"{spec!r} is code from outside the registry; {_CONSENT}")
    if not name.isidentifier():
        raise InputError(f"{spec!r}: {name!r} is not a name, expected module:name or file.py:name")
    if is_file(spec):
        path = located(place, base)
        return _attribute(load_file(path), name, str(path))
    if not all(part.isidentifier() for part in place.split(".")):
        raise InputError(f"{spec!r}: {place!r} is no module; expected module:name or file.py:name")
    try:
        return _from_module(place, name, spec)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # as with a file
        raise InputError(f"{spec!r}: {type(error).__name__}: {error}") from error


def is_file(spec: str) -> bool:
    """Return whether `spec` has the form `path/to/file.py:name`."""
    return ":" in spec and spec.rsplit(":", 1)[0].endswith(".py")


def load_file(path: Path) -> ModuleType:
    """Return the module that a Python file makes, loaded once under a private name.

    The name holds the hash of path and content, so a changed file is loaded afresh, and nothing
    of the user's can hide, or be hidden by, an installed module. Raises InputError with the line.
    """
    path = path.resolve()
    try:
        source = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected a Python file") from error
    digest = sha256(bytes(path) + bytes(1) + source).hexdigest()[:16]
    name = f"{_PRIVATE}{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path, loader=_Fresh(name, str(path)))
    assert spec is not None and spec.loader is not None, "a loader was given"
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file raises is about that file
        del sys.modules[name]
        raise InputError(f"{_where(error, path)}: {type(error).__name__}: {error}") from error
    return module


class _Fresh(SourceFileLoader):
    """Compiles the file itself: a byte-code cache may be a second older than an edit."""

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.get_data(self.path), self.path)


def _where(error: BaseException, path: Path) -> str:
    """Return `file:line` of the innermost line in that file which led to the error."""
    trace = _innermost(error, lambda frame: frame.f_code.co_filename == str(path))
    written = error.lineno if isinstance(error, SyntaxError) else None
    line = written if trace is None else trace.tb_lineno
    return f"{path}:{line}" if line else str(path)


def told(error: BaseException) -> str:
    """Return what an error says as one line of at most 300 characters: its type and message, and
    first `file.py:line` where a user's file (see `load_file`) led to it."""
    said = " ".join(str(error).split())
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    trace = _innermost(error, _of_user)
    if trace is not None:
        text = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}: {text}"
    return text[:300]


def _of_user(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(_PRIVATE)


def _innermost(error: BaseException, ours: Callable[[FrameType], bool]) -> TracebackType | None:
    """Return the last of `ours` on the way from where an error was caught to where it arose."""
    trace, found = error.__traceback__, None
    while trace is not None:
        found = trace if ours(trace.tb_frame) else found
        trace = trace.tb_next
    return found


def _from_module(place: str, name: str, spec: str) -> object:
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise InputError(f"{spec!r} needs {error.name!r}, which is not installed") from error
        text = f"{spec!r}: no module {place!r} is installed; for a file write path/to/file.py:name"
        raise InputError(text) from error
    return _attribute(module, name, place)


def _attribute(module: ModuleType, name: str, place: str) -> object:
    try:
        return getattr(module, name)
    except AttributeError:
        own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise InputError(f"{place} has no {name!r}; {nearest(name, own)}") from None


def _unknown(spec: str, registry: Mapping[str, str]) -> str:
    if spec.endswith(".py"):
        return f"{spec!r} names a file but nothing in it, expected {spec}:name"
    return f"unknown name {spec!r}; {nearest(spec, registry)}"
