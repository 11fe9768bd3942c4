"""One run directory, one process; nothing is resumed on changed inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from designer.errors import InputError, LockedError
from designer.rundir import RunDirectory


def test_second_process_is_refused_and_named(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "r", "seed = 1\n", {}) as run:
        with pytest.raises(LockedError, match=r"in use by process \d+ on .*choose another"):
            RunDirectory.reopen(run.path)
        with pytest.raises(LockedError):
            RunDirectory.create(run.path, "", {})
    RunDirectory.reopen(tmp_path / "r").close()  # free again
    with pytest.raises(InputError, match="designer resume"):
        RunDirectory.create(tmp_path / "r", "", {})
    with pytest.raises(InputError, match="no run there"):
        RunDirectory.reopen(tmp_path / "nowhere")


def test_a_changed_input_is_refused_by_name(tmp_path: Path) -> None:
    data = tmp_path / "d.csv"
    data.write_text("x,y\n1,2\n")
    RunDirectory.create(tmp_path / "r", "seed = 1\n", {"data": data}).close()
    data.write_text("x,y\n1,3\n")
    with pytest.raises(InputError, match=r"d\.csv: the run's data changed"):
        RunDirectory.reopen(tmp_path / "r")
    data.write_text("x,y\n1,2\n")
    (tmp_path / "r" / "campaign.toml").write_text("seed = 2\n")
    with pytest.raises(InputError, match=r"campaign\.toml: changed"):
        RunDirectory.reopen(tmp_path / "r")
    (tmp_path / "r" / "campaign.toml").write_text("seed = 1\n")
    data.unlink()
    with pytest.raises(InputError, match="is gone"):
        RunDirectory.reopen(tmp_path / "r")


RACER = """
import sys, time
from pathlib import Path
from designer.errors import DesignerError
from designer.rundir import RunDirectory
try:
    run = RunDirectory.create(Path(sys.argv[1]), "seed = 1\\n", {})
except DesignerError as error:
    print(type(error).__name__)
else:
    print("won", flush=True)
    time.sleep(3)
"""


def test_racing_starts_have_one_winner(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACER, str(tmp_path / "r")]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = [process.communicate()[0].strip() for process in racers]
    assert said.count("won") == 1
    assert set(said) <= {"won", "LockedError", "InputError"}
