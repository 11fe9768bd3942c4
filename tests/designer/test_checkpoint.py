"""One file, atomic, without pickle; a torn one is noticed and the previous one is used."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from designer import checkpoint
from designer.errors import DiskFullError, InputError


def state(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "tensors": {"w": torch.randn(3, 4), "empty": torch.zeros(0), "scalar": torch.tensor(2.5)},
        "adam": {0: {"step": torch.tensor(1.0)}, 1: {}},
        "array": np.array([-5, 2**62]),
        "list": [1, [2, None, True], "text", 0.1 + 0.2],
        "big": {"state": 2**120 + 1},
    }


def test_round_trip_is_exact(tmp_path: Path) -> None:
    before = state(3)
    checkpoint.save(tmp_path, before)
    after = checkpoint.load(tmp_path)
    assert after is not None
    assert torch.equal(after["tensors"]["w"], before["tensors"]["w"])
    assert after["tensors"]["scalar"].shape == () and after["tensors"]["empty"].shape == (0,)
    assert list(after["adam"]) == [0, 1] and after["adam"][0]["step"] == 1.0
    np.testing.assert_array_equal(after["array"], before["array"])
    assert after["list"] == before["list"] and after["big"] == before["big"]
    assert checkpoint.load(tmp_path / "nowhere") is None


def test_optimiser_and_generators_round_trip(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    adam.step()
    generator, rng = torch.Generator().manual_seed(1), np.random.default_rng(1)
    checkpoint.save(
        tmp_path,
        {"adam": adam.state_dict(), "torch": generator.get_state(), "rng": rng.bit_generator.state},
    )
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    adam.load_state_dict(loaded["adam"])
    other = torch.Generator()
    other.set_state(loaded["torch"])
    assert torch.equal(torch.rand(5, generator=other), torch.rand(5, generator=generator))
    fresh = np.random.default_rng(9)
    fresh.bit_generator.state = loaded["rng"]
    assert fresh.random() == rng.random()


def test_a_torn_or_altered_file_falls_back_to_the_one_before(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, state(1))
    checkpoint.save(tmp_path, state(2))
    path = tmp_path / checkpoint.NAME
    whole = path.read_bytes()
    for cut in [0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:cut])
        loaded = checkpoint.load(tmp_path)
        assert loaded is not None and loaded["step"] == 1
    for place in np.linspace(0, len(whole) - 1, 60).astype(int):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        path.write_bytes(bytes(flipped))
        loaded = checkpoint.load(tmp_path)
        assert loaded is not None and loaded["step"] == 1, f"byte {place}"
    (tmp_path / checkpoint.PREVIOUS).write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read"):
        checkpoint.load(tmp_path)


def test_a_state_of_another_format_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save

    checkpoint.save(tmp_path, state(1))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
        checkpoint.save(tmp_path, state(2))
    found, ours = checkpoint.FORMAT + 1, checkpoint.FORMAT
    told = (
        rf"format {found}, and this version of designer reads {ours}; "
        r"move .*checkpoint\*\.safetensors away"
    )
    with pytest.raises(InputError, match=told + " and start again"):
        checkpoint.load(tmp_path)
    (tmp_path / "campaign.sqlite").write_bytes(b"")
    with pytest.raises(InputError, match=r"designer resume .* is paid for again"):
        checkpoint.load(tmp_path)
    # as it was before formats were numbered
    text, tensors = '{"$items": [["step", 3]]}', {"w": torch.ones(2)}
    digest = checkpoint._digest(text, tensors)
    old = save(tensors, metadata={"state": text, "sha256": digest})
    (tmp_path / checkpoint.NAME).write_bytes(old)
    with pytest.raises(InputError, match="format 1, and"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    checkpoint.save(tmp_path, state(1))
    with monkeypatch.context() as patch:

        def full(*args: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, call, full)
        with pytest.raises(DiskFullError, match="designer resume"):
            checkpoint.save(tmp_path, state(2))
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None and loaded["step"] == 1
    assert not list(tmp_path.glob("*.tmp"))


def test_nan_survives_and_the_fingerprint_tells_runs_apart(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"x": math.nan})
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None and math.isnan(loaded["x"])
    one, two = {"w": torch.ones(2)}, {"w": torch.tensor([1.0, 1.0 + 1e-7])}
    assert checkpoint.fingerprint(one) == checkpoint.fingerprint({"w": torch.ones(2)})
    assert checkpoint.fingerprint(one) != checkpoint.fingerprint(two)
