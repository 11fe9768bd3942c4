"""One file holds a run's whole state: tensors and plain data, without pickle.

The plain data travels as JSON in the safetensors header, together with a SHA-256 over
everything, so one rename replaces all of it. The checkpoint before is kept beside it: a torn or
altered file is noticed and the previous one is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer import files
from designer.errors import InputError

# of what `Campaign.state` and `Teacher.state` hold: another number with every change of it
FORMAT = 7
NAME, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"


def save(directory: Path, state: Mapping[str, Any]) -> None:
    """Write the state (nested dicts, lists, tensors, arrays, JSON values) atomically.

    Raises DiskFullError when there is no room; the last checkpoint is intact then.
    """
    from safetensors.torch import save as to_bytes

    tensors: dict[str, Tensor] = {}
    text = json.dumps({"format": FORMAT, "state": _flatten(state, tensors, "")})
    digest = _digest(text, tensors)
    payload = to_bytes(tensors, metadata={"state": text, "sha256": digest})
    files.replace(directory / NAME, payload, before=directory / PREVIOUS)


def load(directory: Path) -> dict[str, Any] | None:
    """Return the newest intact state, or None where no checkpoint was written.

    Raises InputError where files exist and none of them is intact, or of the present format.
    """
    broken = []
    for path in (directory / NAME, directory / PREVIOUS):
        if not path.exists():
            continue
        held = _read(path)
        if held is not None:
            return _present(path, *held)
        broken.append(path.name)
    if broken:
        raise InputError(
            f"{directory}: {' and '.join(broken)} cannot be read (torn or altered); "
            f"{_remedy(directory)}"
        )
    return None


def _present(path: Path, found: int, state: dict[str, Any]) -> dict[str, Any]:
    if found != FORMAT:
        raise InputError(
            f"{path}: a state of format {found}, and this version of designer reads {FORMAT}; "
            f"{_remedy(path.parent)}"
        )
    return state


def _remedy(directory: Path) -> str:
    """Return how to begin again where a state is of no use; a run's evaluations still are."""
    away = f"move {directory / 'checkpoint*.safetensors'} away"
    if not (directory / "campaign.sqlite").exists():
        return f"{away} and start again"
    return (
        f"{away} and run `designer resume {directory}`: it begins again at the first step, and "
        "no evaluation in campaign.sqlite is paid for again"
    )


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors: equal runs have equal fingerprints."""
    return _digest("", tensors)


def _read(path: Path) -> tuple[int, dict[str, Any]] | None:
    """Return a file's format and state; None where it is not intact."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = header["state"]
        if header["sha256"] != _digest(text, tensors):
            return None
        held = json.loads(text)
        if "format" not in held:  # formats were not numbered at first
            return 1, {}
        return int(held["format"]), _restore(held["state"], tensors)
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
