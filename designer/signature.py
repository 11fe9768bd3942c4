"""What a callable accepts: its parameters, their resolved annotations, and values made to fit.

Works on functions and on dataclasses alike; only the annotations asked for are resolved, since
others may name types that are imported for type checkers alone.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

Unbounded = Annotated[float, "unbounded"]  # a number that may be inf, which means: no limit


def parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that can be given by keyword."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(make).parameters
    return {name: p for name, p in found.items() if p.kind in kinds}


def hints(make: Callable[..., Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the annotation of each of `names`, resolved; `Any` where there is none."""
    result: dict[str, Any] = dict.fromkeys(names, Any)
    for written, module in _annotated(make):
        wanted = {name: hint for name, hint in written.items() if name in result}
        holder = types.SimpleNamespace(__annotations__=wanted)
        scope = vars(sys.modules[module]) if module in sys.modules else {}
        result |= typing.get_type_hints(holder, scope, include_extras=True)
    return result


def converted(hint: Any, value: Any) -> Any:
    """Return the value as the annotation wants it: a list as a tuple, text as a path.

    Text is never taken for a number nor a number for text. Raises pydantic's ValidationError,
    and TypeError where no value of a file can fit the annotation.
    """
    from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter

    forbid = ConfigDict(extra="forbid", allow_inf_nan=True)
    try:
        adapter = TypeAdapter(hint, config=None if _has_config(hint) else forbid)
    except PydanticSchemaGenerationError:
        raise TypeError(f"is set by the program ({type_name(hint)}), not by a file") from None
    # JSON's strict mode: no text for numbers, but lists for tuples and text for paths
    return adapter.validate_json(json.dumps(value, default=str), strict=True)


def infinite(hint: Any, default: Any, value: Any) -> float | None:
    """Return what is no finite number in a value, at any depth; None where all may stay.

    inf is meant where the default is infinite or the annotation is `Unbounded`; nan never is.
    """
    if isinstance(value, dict | list):
        parts = list(value.values()) if isinstance(value, dict) else value
        found = (infinite(hint, default, part) for part in parts)
        return next((one for one in found if one is not None), None)
    if not isinstance(value, float) or math.isfinite(value):
        return None
    meant = hint == Unbounded or (isinstance(default, float) and math.isinf(default))
    return None if meant and not math.isnan(value) else value


def takes_path(hint: Any) -> bool:
    """Return whether the annotation is, or may be, a `pathlib.Path`."""
    return hint is Path or any(takes_path(part) for part in typing.get_args(hint))


def named(hint: Any) -> set[Any]:
    """Return the words that the annotation names (`Literal`): these are never paths."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return set(parts)
    return {word for part in parts for word in named(part)}


def type_name(hint: Any) -> str:
    """Return an annotation as a message shows it."""
    hint = float if hint == Unbounded else hint
    text = hint.__name__ if isinstance(hint, type) else str(hint)
    return text.replace("typing.", "").replace("pathlib.", "").replace("NoneType", "None")


def _annotated(make: Callable[..., Any]) -> list[tuple[dict[str, Any], str]]:
    if not isinstance(make, type):
        return [(make.__annotations__, make.__module__)]
    if "__dataclass_fields__" not in vars(make) and "__init__" in vars(make):
        return [(vars(make)["__init__"].__annotations__, make.__module__)]
    owners = [owner for owner in reversed(make.__mro__) if owner is not object]
    return [(vars(owner).get("__annotations__", {}), owner.__module__) for owner in owners]


def _has_config(hint: Any) -> bool:
    """Return whether pydantic takes the annotation's own settings and refuses any given."""
    return hasattr(hint, "__dataclass_fields__") or hasattr(hint, "__pydantic_fields__")
