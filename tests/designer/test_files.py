"""Files are whole, the old one or the new one, and on the disk before they take its place."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from designer import files
from designer.errors import DesignerError, DiskFullError, InputError


def test_content_is_on_the_disk_before_it_takes_the_others_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, move = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).name}")
        sync(handle)

    def moved(old: Any, new: Any) -> None:
        done.append(f"{Path(old).name} -> {Path(new).name}")
        move(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", moved)
    path = tmp_path / "a.txt"
    files.replace(path, "one\n")
    assert done == ["sync a.txt.tmp", "a.txt.tmp -> a.txt", f"sync {tmp_path.name}"]
    done.clear()
    files.replace(path, b"\xff", before=tmp_path / "b.txt")
    assert done[1:3] == ["a.txt -> b.txt", "a.txt.tmp -> a.txt"]
    assert path.read_bytes() == b"\xff" and (tmp_path / "b.txt").read_text() == "one\n"


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, DiskFullError), (errno.EROFS, InputError)]
)
def test_what_cannot_be_written_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[DesignerError]
) -> None:
    files.replace(tmp_path / "a", "old")

    def fails(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(expected, match="a: cannot be written"):
        files.replace(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_digest_is_that_of_all_bytes(tmp_path: Path) -> None:
    content = os.urandom((1 << 20) + 7)
    (tmp_path / "a").write_bytes(content)
    assert files.digest(tmp_path / "a") == sha256(content).hexdigest()
