"""Oracles by name: short, `module:attribute`, or `path/to/file.py:name`.

What a user's file names may be an oracle class (its fields become settings), a finished oracle
(an instance with `name`, `cheap` and a call), a plain function of `list[str]`, or an object that
judges texts as other packages have them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from designer.errors import InputError
from designer.plugins import is_file, resolve
from designer.protocols import Oracle
from oracles import ORACLES
from oracles.python import PythonFunction, takes_one, takes_texts

Maker = Callable[..., Any]  # settings in, an oracle out


def resolve_oracle(
    spec: str,
    *,
    allow_plugins: bool = False,
    base: Path | None = None,
    registry: Mapping[str, str] | None = None,
) -> Maker:
    """Return the callable whose keyword arguments are the oracle's settings.

    `registry` is ORACLES or PENALTIES. Raises InputError; see `designer.plugins.resolve`.
    """
    known = ORACLES if registry is None else registry
    found = resolve(spec, known, allow_plugins=allow_plugins, base=base)
    if spec in known or spec in known.values():
        return found
    if isinstance(found, type):
        _check_class(spec, found)
        return found
    if is_oracle(found):
        return lambda: found
    if inspect.isroutine(found) or judges_texts(found):
        return _wrapping(_anchored(spec, base))
    raise InputError(
        f"{spec!r} is a {type(found).__name__} without `name` and `cheap`; expected an oracle "
        "class, an oracle, or a function of list[str]; where its call judges texts, annotate the "
        "parameter `list[str]`, or `str` for one at a time"
    )


def judges_texts(value: object) -> bool:
    """Return whether an object judges text: TDC's oracles, GuacaMol's functions, or one text."""
    asked = any(hasattr(value, name) for name in ("score_list", "score", "evaluator_func"))
    asked = asked or (callable(value) and (takes_one(value) or takes_texts(value)))
    return asked and not isinstance(value, type)


def is_oracle(value: object) -> bool:
    """Return whether a value looks like a finished oracle."""
    named = isinstance(getattr(value, "name", None), str)
    return callable(value) and named and isinstance(getattr(value, "cheap", None), bool)


def _check_class(spec: str, found: type) -> None:
    """Raise InputError for a class whose objects cannot be called: it is no oracle's."""
    if any("__call__" in vars(owner) for owner in found.__mro__):
        return
    raise InputError(
        f"{spec!r} is a class whose objects cannot be called: no oracle's; where they have "
        f"`score`, make one in that file, judge = {found.__name__}(...), and name it instead"
    )


def _wrapping(source: str) -> Maker:
    def wrapped(name: str = "", endpoints: tuple[str, ...] = ()) -> Oracle[Any]:
        """A plain function as an oracle; see `oracles.python`."""
        return PythonFunction(source, name, endpoints)

    return wrapped


def _anchored(spec: str, base: Path | None) -> str:
    """Return the spec with an absolute path, so that it means the same file everywhere."""
    if not is_file(spec):
        return spec
    place, name = spec.rsplit(":", 1)
    return f"{((base or Path()) / Path(place).expanduser()).resolve()}:{name}"
