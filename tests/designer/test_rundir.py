"""One run directory, one process; nothing is resumed on changed inputs."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from designer import files
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
    told = r"campaign\.toml: changed .*\(seed was 1, is 2\).*may change campaign\.budget"
    with pytest.raises(InputError, match=told):
        RunDirectory.reopen(tmp_path / "r")
    (tmp_path / "r" / "campaign.toml").write_text("seed = 1\n")
    data.unlink()
    with pytest.raises(InputError, match="is gone"):
        RunDirectory.reopen(tmp_path / "r")


def test_a_shipped_input_is_looked_up_where_designer_is_installed_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    for place in (before, now):
        (place / "priors").mkdir(parents=True)
        (place / "priors" / "p").write_text("weights")
    monkeypatch.setattr(files, "_data", lambda: before)
    inputs = {"prior": before / "priors" / "p"}
    RunDirectory.create(tmp_path / "r", "seed = 1\n", inputs).close()
    (before / "priors" / "p").unlink()
    monkeypatch.setattr(files, "_data", lambda: now)
    RunDirectory.reopen(tmp_path / "r").close()
    (now / "priors" / "p").write_text("others")
    with pytest.raises(InputError, match=r"now/priors/p: .* put the file of designer .* back"):
        RunDirectory.reopen(tmp_path / "r")


def test_limits_may_be_raised_in_the_file_and_nothing_else(tmp_path: Path) -> None:
    text = '[campaign]\nbudget = 10\n[[objective]]\nkind = "qed"\n'
    RunDirectory.create(tmp_path / "r", text, {}).close()
    file = tmp_path / "r" / "campaign.toml"
    file.write_text(text.replace("10", "20") + "[machine]\nworkers = 2\n")
    RunDirectory.reopen(tmp_path / "r").close()
    file.write_text(text.replace("qed", "logp"))
    with pytest.raises(InputError, match=r'objective\.0\.kind was "qed", is "logp"'):
        RunDirectory.reopen(tmp_path / "r")
    file.write_text("[campaign\n")
    with pytest.raises(InputError, match="cannot be read"):
        RunDirectory.reopen(tmp_path / "r")
    file.write_text(text)
    (tmp_path / "r" / "manifest.json").write_text('{"campaign": 3')
    with pytest.raises(InputError, match=r"manifest\.json: cannot be read"):
        RunDirectory.reopen(tmp_path / "r")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: cannot be written .*another --out"):
        RunDirectory.create(tmp_path / "file", "", {})
    (tmp_path / "r").mkdir()
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / "r" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="lock: cannot be written"):
        RunDirectory.create(tmp_path / "r", "", {})
    assert (tmp_path / "elsewhere").read_text() == "theirs"


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*args: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(InputError, match=r"cannot be locked .*local disk"):
        RunDirectory.create(tmp_path / "r", "", {})
