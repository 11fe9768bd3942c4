"""`doctor`: a line a finding, a remedy where something is amiss, and the exit code of the worst."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cli import doctor
from cli.main import invoke
from designer.errors import DiskFullError

FOLD = """[campaign]
budget = 20
[task]
kind = "folding"
sequence = "HPHPPHHPHH"
[policy]
hidden = 8
[[objective]]
"""
MINE = """
def score(text: str):
    raise RuntimeError("no licence found")
def pair(text: str):
    return {"a": 1.0, "b": 2.0}
"""
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """Examine a campaign with that objective; return code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)

    def examine(objective: str, *options: str) -> tuple[int, str, str]:
        Path("c.toml").write_text(FOLD + objective)
        code = invoke(["doctor", "c.toml", *options])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return examine


def test_a_sound_campaign(said: Said) -> None:
    code, out, err = said('kind = "energy"\ncolumn = "fraction"\n')
    assert code == 0 and err == ""
    for line in (
        "ok     torch: ",
        "ok     runs: locks and a durable record work",
        "ok     limits: budget 20",
        "ok     oracle energy: 1 of 1 known designs measured",
        "ok     oracle time: 20 designs take about",
    ):
        assert line in out, line
    assert not list(Path().glob("run*")) and not list(Path().glob(".designer*"))


def test_faults_are_named_with_their_remedy_and_exit_code(said: Said) -> None:
    code, out, err = said('kind = "enrgy"\n')
    assert code == 3 and "AMISS  c.toml:9:1: unknown name 'enrgy'; did you mean 'energy'?" in out
    code, out, err = said('kind = "energy"\ncolumn = "fractoin"\n')
    assert code == 3 and "gave no column 'fractoin': did you mean 'fraction'?" in err
    code, out, err = said('kind = "mine.py:pair"\ncolumn = "c"\n', "--allow-plugins")
    assert code == 3 and "oracle 'pair' gave no column 'c'" in err
    code, out, err = said('kind = "mine.py:score"\n', "--allow-plugins")
    assert code == 4 and "0 of 1 known designs measured" in out
    why = "mine.py:3: RuntimeError: no licence found"
    assert f"remedy: it said: {why}; `designer score` tries it" in out
    assert "could not measure known designs" in err and "no licence found" in err
    code, out, err = said('kind = "mine.py:pair"\ncolumn = "a"\n')
    assert code == 3 and "--allow-plugins" in err


def test_the_exit_code_is_that_of_the_gravest_finding(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **named: Any) -> None:
        raise DiskFullError("the disk is full")

    monkeypatch.setattr("designer.store.Store.keep", full)
    code, out, err = said('kind = "enrgy"\n')
    assert code == DiskFullError.exit_code and "full" in err
    assert out.count("AMISS") == 2


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"torch": "1.2.3", "numpy": "3.0.0+local"}

    def version(name: str) -> str:
        if name in there:
            return there[name]
        raise PackageNotFoundError

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=2.9", "numpy>=1.26", "rdkit>=1"])
    found = {one.subject: one for one in doctor.installation()}
    assert found["torch"].said == "1.2.3, older than 2.9" and found["torch"].grave
    assert found["torch"].remedy == "pip install 'torch>=2.9'"
    assert found["rdkit"].said == "missing" and found["rdkit"].grave
    assert not found["numpy"].remedy
    assert found["molscore"].remedy and not found["molscore"].grave


def test_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    usage = SimpleNamespace(free=10_000_000)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)

    def none(*args: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    disk, runs = doctor.place()
    assert disk.said.startswith("0.0 GB free") and "--out" in disk.remedy and not disk.grave
    assert "cannot be locked" in runs.said and runs.grave
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_does_not_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    found = list(doctor.machine())[-1]
    assert found.subject == "cuda:0" and "does not compute" in found.said
    assert "--device cpu" in found.remedy
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert "TORCH=gpu" in list(doctor.machine())[-1].remedy
