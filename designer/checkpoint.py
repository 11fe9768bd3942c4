"""One file holds a run's whole state: tensors and plain data, without pickle.

The plain data travels as JSON in the safetensors header, together with a SHA-256 over
everything, so one rename replaces all of it. The checkpoint before is kept beside it: a torn or
altered file is noticed and the previous one is used.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer.errors import DesignerError, DiskFullError, InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # no room, no quota, a failing disk
NAME, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"


def save(directory: Path, state: Mapping[str, Any]) -> None:
    """Write the state (nested dicts, lists, tensors, arrays, JSON values) atomically.

    Raises DiskFullError when there is no room; the last checkpoint is intact then.
    """
    from safetensors.torch import save as to_bytes

    tensors: dict[str, Tensor] = {}
    text = json.dumps(_flatten(state, tensors, ""))
    digest = _digest(text, tensors)
    payload = to_bytes(tensors, metadata={"state": text, "sha256": digest})
    target, previous, partial = directory / NAME, directory / PREVIOUS, directory / (NAME + ".tmp")
    try:
        with partial.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.replace(target, previous)
        os.replace(partial, target)
        _sync(directory)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(partial, error) from None


def load(directory: Path) -> dict[str, Any] | None:
    """Return the newest intact state, or None where no checkpoint was written.

    Raises InputError where files exist and none of them is intact.
    """
    broken = []
    for path in (directory / NAME, directory / PREVIOUS):
        if not path.exists():
            continue
        state = _read(path)
        if state is not None:
            return state
        broken.append(path.name)
    if broken:
        raise InputError(
            f"{directory}: {' and '.join(broken)} cannot be read (torn or altered); start again "
            "with --out on another directory: the evaluations in campaign.sqlite are intact"
        )
    return None


def unwritable(path: Path, error: OSError) -> DesignerError:
    """Return what is said when a file of a run cannot be written."""
    why = error.strerror or str(error)
    if error.errno in FULL:
        return DiskFullError(
            f"{path}: cannot be written ({why}); free some space (or quota) and run "
            f"`designer resume {path.parent}`: what was recorded before is intact"
        )
    return InputError(f"{path}: cannot be written ({why}); name another --out")


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors: equal runs have equal fingerprints."""
    return _digest("", tensors)


def _read(path: Path) -> dict[str, Any] | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = header["state"]
        if header["sha256"] != _digest(text, tensors):
            return None
        return _restore(json.loads(text), tensors)  # type: ignore[no-any-return]
    except (SafetensorError, KeyError, ValueError, OSError):
        return None


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    total = sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():  # an empty one has strides that cannot be viewed as bytes
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _flatten(tree: Any, tensors: dict[str, Tensor], path: str) -> Any:
    """Return `tree` as JSON; tensors move to `tensors` and leave their name behind."""
    if isinstance(tree, np.ndarray):
        tree = torch.from_numpy(np.ascontiguousarray(tree))
        tensors[path] = tree.clone()
        return {"$array": path}
    if isinstance(tree, Tensor):
        tensors[path] = tree.detach().cpu().contiguous().clone()
        return {"$tensor": path}
    if isinstance(tree, Mapping):  # keys may be numbers (an optimiser's parameters)
        items = [[key, _flatten(value, tensors, f"{path}/{key}")] for key, value in tree.items()]
        return {"$items": items}
    if isinstance(tree, list | tuple):
        return [_flatten(value, tensors, f"{path}/{i}") for i, value in enumerate(tree)]
    if isinstance(tree, np.generic):
        return tree.item()
    return tree


def _restore(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_restore(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if "$tensor" in tree:
        return tensors[tree["$tensor"]]
    if "$array" in tree:
        return tensors[tree["$array"]].numpy()
    return {key: _restore(value, tensors) for key, value in tree["$items"]}


def _sync(directory: Path) -> None:
    """Make the rename itself durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
