"""Small real inputs: tables, sequences, molecules. `README.md` gives sources and licences."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def path(name: str) -> Path:
    """Return where a shipped file lies, for example `path("planets.csv")`.

    Works in a clone and from an installed wheel. Raises FileNotFoundError for other names.
    """
    found = Path(str(files(__name__))) / name
    if not found.exists():
        raise FileNotFoundError(f"no shipped file {name!r} in {found.parent}")
    return found
