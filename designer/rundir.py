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
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from designer import checkpoint
from designer.errors import DiskFullError, InputError, LockedError
from designer.store import Store


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
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        if (path / "manifest.json").exists():
            os.close(lock)
            raise InputError(
                f"{path}: holds a run already; continue it with `designer resume {path}` or "
                "choose another --out"
            )
        _write(path / "campaign.toml", campaign)
        manifest = {
            "versions": _versions(),
            "platform": platform.platform(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "campaign": sha256(campaign.encode()).hexdigest(),
            "inputs": {name: [str(p.resolve()), _digest(p)] for name, p in inputs.items()},
        } | facts
        _write(path / "manifest.json", json.dumps(manifest, indent=2) + "\n")
        return cls(path, lock)

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
        except InputError:
            os.close(lock)
            raise
        return cls(path, lock)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint atomically; raises DiskFullError with the last one intact."""
        checkpoint.save(self.path, state)

    def load(self) -> dict[str, Any] | None:
        """Return the last intact checkpoint, or None where there is none yet."""
        return checkpoint.load(self.path)

    def write(self, name: str, text: str) -> Path:
        """Write an export beside the record, atomically, and return its path."""
        _write(self.path / name, text)
        return self.path / name

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
    """Return the descriptor of the held lock; the kernel frees it when the process dies."""
    handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise LockedError(
            f"{path}: in use by {holder}; wait for it, or choose another --out"
        ) from None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
    return handle


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".tmp")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"{path}: the disk is full; free some space and try again"
            ) from None
        raise


def _unchanged(path: Path) -> None:
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    campaign = (path / "campaign.toml").read_text(encoding="utf-8")
    if sha256(campaign.encode()).hexdigest() != manifest["campaign"]:
        raise InputError(
            f"{path / 'campaign.toml'}: changed since the run began; undo the change, or start a "
            f"new run with `designer run {path / 'campaign.toml'}`"
        )
    for name, (file, digest) in manifest["inputs"].items():
        if not Path(file).exists():
            raise InputError(f"{file}: the run's {name} is gone; put it back to resume")
        if _digest(Path(file)) != digest:
            raise InputError(
                f"{file}: the run's {name} changed since the run began; put the old file back, "
                "or start a new run"
            )


def _digest(path: Path) -> str:
    total = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in ("designer", "torch", "numpy", "rdkit", "sympy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
