"""The script at the root: plain sh, clear about what it does and what went wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(
    *arguments: str, script: Path = ROOT / "run", **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(script), *arguments],
        env=os.environ | env,
        capture_output=True,
        text=True,
    )


def test_it_says_what_it_can_do() -> None:
    done = run()
    assert done.returncode == 0
    for command in ("demo", "test", "check"):
        assert f"\n  {command} " in done.stdout
    wrong = run("tset")
    assert wrong.returncode == 2 and "usage: ./run" in wrong.stderr


def test_without_a_fit_python_it_says_what_to_install(tmp_path: Path) -> None:
    """A copy far from any .venv, on a machine whose only Pythons are too old."""
    for name in ("run", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cksum", "sed", "uname", "rm"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    for name in ("python3", "python"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    done = run("test", script=tmp_path / "run", PATH=str(tools), PYTHON="")
    assert done.returncode == 3
    assert "no Python 3.11 or newer" in done.stderr and "PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_constraints_pin_what_the_project_needs() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {line.split(">=")[0] for line in wanted} <= set(pins)
    assert "torch>=2.9" in project["dependencies"]
