"""Measurements that are kept, a JSON value a line: a bench that was interrupted goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from designer.errors import InputError

T = TypeVar("T")


def read(file: Path | None, make: Callable[[Any], T]) -> list[T]:
    """Return what `make` makes of each line; nothing where there is no file yet.

    Raises InputError where a line is not what such a file holds.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file and file.exists() else []
        return [make(json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(f"{file}: not a file of runs ({error}); name another one") from error


def keep(file: Path | None, value: Any) -> None:
    """Add a line."""
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(value) + "\n")
