"""Two things wanted at once leave a front."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cli.main import invoke

CAMPAIGN = """
[campaign]
budget = 60
batch_size = 32
[task]
kind = "molecules"
[[objective]]
kind = "qed"
[[objective]]
kind = "median1"
"""


def test_the_front_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "a.toml", tmp_path / "run"
    file.write_text(CAMPAIGN)
    assert invoke(["run", str(file), "--out", str(out)]) == 0
    assert "hypervolume" in capsys.readouterr().err
    rows = list(csv.DictReader((out / "pareto.csv").read_text().splitlines()))
    qed = [float(row["qed"]) for row in rows]
    median = [float(row["median1"]) for row in rows]
    assert qed == sorted(qed, reverse=True) and median == sorted(median)
    assert [float(row["wanted_2"]) for row in rows] == median


def test_what_breaks_a_constraint_is_on_no_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "a.toml", tmp_path / "run"
    file.write_text(CAMPAIGN + '[[constraint]]\nkind = "sa"\nat_most = 4.0\n')
    assert invoke(["run", str(file), "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "pareto.csv").read_text().splitlines()))
    assert rows and all(float(row["sa"]) <= 4.0 for row in rows)


def test_where_nothing_is_recorded_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "a.toml", tmp_path / "run"
    cheap = CAMPAIGN.replace('"qed"', '"tpsa"').replace('"median1"', '"fsp3"')
    file.write_text(cheap.replace("60", "8").replace("32", "8"))
    assert invoke(["run", str(file), "--out", str(out)]) == 0
    assert "no pareto.csv: all oracles are cheap" in capsys.readouterr().err


def test_a_volume_that_takes_long_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.pareto.MOST_POINTS", 0)
    file, out = tmp_path / "a.toml", tmp_path / "run"
    file.write_text(CAMPAIGN.replace("60", "8").replace("32", "8"))
    assert invoke(["run", str(file), "--out", str(out)]) == 0
    assert "left out" in capsys.readouterr().err and (out / "pareto.csv").exists()
