"""A run's directory: one process at a time, everything that happened, and the way back.

campaign.toml           the resolved campaign file
manifest.json           versions, seed, device, SHA-256 of the campaign and of its inputs
campaign.sqlite         evaluations, designs, metrics (see `designer.store`)
checkpoint.safetensors  the last state (see `designer.checkpoint`)
lock                    held while a process works here; names it
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import socket
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from designer import checkpoint, files
from designer.errors import DesignerError, InputError, LockedError
from designer.store import Store

# what a resumed run may change: limits and means, nothing that its results depend on
FREE = (
    *("campaign.budget", "campaign.time", "campaign.steps", "campaign.target"),
    *("campaign.patience", "campaign.checkpoint_every", "campaign.max_failure_rate"),
    "campaign.grace",
    *("machine.workers", "machine.threads", "machine.device"),  # bit-identical on one device
)


class RunDirectory:
    """An open, locked run directory. Use `create` or `reopen`, and close it (or `with`)."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self._lock = path, lock
        self.store = Store(path / "campaign.sqlite")

    @classmethod
    def create(
        cls, path: Path, campaign: str, inputs: Mapping[str, Path], **facts: Any
    ) -> RunDirectory:
        """Return a new run directory holding the campaign text and a manifest.

        Raises LockedError where a process works there, InputError where a run is there already.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise files.unwritable(path, error) from None
        lock = _lock(path)
        if (path / "manifest.json").exists():
            os.close(lock)
            raise InputError(
                f"{path}: holds a run already; continue it with `designer resume {path}` or "
                "choose another --out"
            )
        manifest = {
            "versions": _versions(),
            "platform": platform.platform(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "campaign": campaign,  # a copy, to say what was changed in the file
            "inputs": {name: [files.portable(p), files.digest(p)] for name, p in inputs.items()},
        } | facts
        try:
            files.replace(path / "campaign.toml", campaign)
            files.replace(path / "manifest.json", json.dumps(manifest, indent=2) + "\n")
            return cls(path, lock)
        except DesignerError:
            os.close(lock)
            raise

    @classmethod
    def reopen(cls, path: Path) -> RunDirectory:
        """Return an existing run directory, after checking that its inputs are unchanged.

        Raises InputError where there is no run or an input changed, LockedError where a process
        works there.
        """
        if not (path / "manifest.json").exists():
            raise InputError(f"{path}: no run there (no manifest.json); see `designer run --help`")
        lock = _lock(path)
        try:
            _unchanged(path)
            return cls(path, lock)
        except DesignerError:
            os.close(lock)
            raise

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint atomically; raises DiskFullError with the last one intact."""
        checkpoint.save(self.path, state)

    def load(self) -> dict[str, Any] | None:
        """Return the last intact checkpoint, or None where there is none yet."""
        return checkpoint.load(self.path)

    def write(self, name: str, text: str) -> Path:
        """Write an export beside the record, atomically, and return its path."""
        files.replace(self.path / name, text)
        return self.path / name

    def withdraw(self) -> None:
        """Let a run that never began be none, so that another may be created here."""
        (self.path / "manifest.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the record and let other processes in."""
        self.store.close()
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> RunDirectory:
        """Return itself: `with RunDirectory.create(...) as run:`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()


def _lock(path: Path) -> int:
    """Return the descriptor of the held lock; the kernel frees it when the process dies.

    So a lock cannot be stale: the file stays, what counts is whether a living process holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        handle = os.open(path / "lock", flags, 0o644)
    except OSError as error:
        raise files.unwritable(path / "lock", error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise LockedError(
                f"{path}: in use by {holder}; wait for it, or choose another --out"
            ) from None
        raise InputError(
            f"{path}: cannot be locked ({error.strerror}); put the run on a local disk with --out"
        ) from None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
    except OSError as error:
        os.close(handle)
        raise files.unwritable(path / "lock", error) from None
    return handle


def _unchanged(path: Path) -> None:
    manifest = _manifest(path / "manifest.json")
    file = path / "campaign.toml"
    try:
        changes = differences(manifest["campaign"], file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # no text, or no TOML
        raise InputError(f"{file}: cannot be read ({error}); put the run's file back") from None
    refuse(changes, str(file))
    for name, (told, digest) in manifest["inputs"].items():
        place = files.meant(told)
        if not place.exists():
            raise InputError(f"{place}: the run's {name} is gone; put it back to resume")
        if files.digest(place) != digest:
            version = manifest.get("versions", {}).get("designer", "of then")
            old = "old file" if told == str(place) else f"file of designer {version}"
            raise InputError(
                f"{place}: the run's {name} changed since the run began; put the {old} back, "
                "or start a new run"
            )


def differences(before: str, after: str) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two TOML texts: dotted name -> value before, value after.

    Raises ValueError where one of them is not TOML.
    """
    old, new = (_flat(tomllib.loads(text)) for text in (before, after))
    names = sorted(old.keys() | new.keys())
    return {n: (old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)}


def refuse(changes: Mapping[str, tuple[Any, Any]], where: str) -> None:
    """Raise InputError where a change would make a resumed run another run."""
    fixed = [name for name in changes if name not in FREE]
    if fixed:
        told = "; ".join(
            f"{n} was {_shown(changes[n][0])}, is {_shown(changes[n][1])}" for n in fixed
        )
        raise InputError(
            f"{where}: changed since the run began ({told}); a resumed run may change "
            f"{', '.join(FREE)}: undo the rest, or start a new run"
        )


def _flat(tree: Any, name: str = "") -> dict[str, Any]:
    if isinstance(tree, dict):
        parts = tree.items()
    elif isinstance(tree, list) and any(isinstance(one, dict) for one in tree):
        parts = enumerate(tree)  # type: ignore[assignment]
    else:
        return {name: tree}
    flat: dict[str, Any] = {}
    for key, value in parts:
        flat |= _flat(value, f"{name}.{key}" if name else str(key))
    return flat


def _shown(value: Any) -> str:
    return "not there" if value is None else json.dumps(value, default=str)[:60]


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(manifest["campaign"], str) and isinstance(manifest["inputs"], dict):
            return dict(manifest)
        raise ValueError("not a manifest")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); the run cannot be resumed without it, but its "
            "evaluations in campaign.sqlite are intact"
        ) from None


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in ("designer", "torch", "numpy", "rdkit", "sympy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
