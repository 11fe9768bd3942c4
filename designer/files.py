"""Files that are written whole or not at all, and told apart by what is in them."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from pathlib import Path

import data
from designer.errors import DesignerError, DiskFullError, InputError

SHIPPED = "shipped:"  # before the name of a file in the package `data`
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # no room, no quota, a failing disk


def located(text: str, base: Path | None = None) -> Path:
    """Return the path that a text names: `~` is a home, and the rest is taken from `base`.

    Raises InputError where no file can have that name.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise InputError(f"{text!r}: nobody of that name has a home here") from None
    if "\0" in text:
        raise InputError(f"{text!r} can be no file's name: it holds the character 0")
    return path if base is None else base / path


def portable(path: Path) -> str:
    """Return how a run remembers a file: a shipped one by its place in the package `data`."""
    root, path = _data(), path.resolve()
    return SHIPPED + path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def meant(told: str) -> Path:
    """Return the file that `portable` told of, wherever designer is installed now."""
    return _data() / told.removeprefix(SHIPPED) if told.startswith(SHIPPED) else Path(told)


def _data() -> Path:
    return data.path("").resolve()


def replace(path: Path, content: bytes | str, before: Path | None = None) -> None:
    """Make `content` (text as UTF-8) all that a file holds, also after a power cut.

    What it held until now goes `before`, where that is given. Raises DiskFullError where there is
    no room and InputError where the place cannot be written; the old content is intact then.
    """
    partial = path.with_name(path.name + ".tmp")
    try:
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None and path.exists():
            os.replace(path, before)
        os.replace(partial, path)
        _sync(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> DesignerError:
    """Return what is said when a file of a run cannot be written."""
    why = error.strerror or str(error)
    if error.errno in FULL:
        return DiskFullError(
            f"{path}: cannot be written ({why}); free some space (or quota) and run "
            f"`designer resume {path.parent}`: what was recorded before is intact"
        )
    return InputError(f"{path}: cannot be written ({why}); name another --out")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    total = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _sync(directory: Path) -> None:
    """Make a rename itself durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
