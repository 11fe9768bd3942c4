"""An oracle for other programs: REINVENT4's protocol there and back."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path

import pytest

from cli.main import invoke
from oracles.program import Program
from tasks.molecules.design import parse

DRUG = "CC(C)Cc1ccc(cc1)C(C)C(=O)O"


def test_every_line_has_its_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{DRUG}\nC1CC\n\nCCO\n"))
    assert invoke(["score", "perindopril_mpo", "--serve", "reinvent4"]) == 0
    printed = capsys.readouterr()
    said = json.loads(printed.out)
    assert said["version"] == 1
    values = said["payload"]["perindopril_mpo"]
    assert [math.isnan(v) for v in values] == [False, True, True, False]
    assert said["payload"]["predictions"][0] == values[0] > 0.05
    assert said["payload"]["perindopril_mpo.aromatic_rings"][0] == 1.0
    assert "line 2: not measured" in printed.err


def test_there_and_back(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "score", "qed", "--serve", "reinvent4"]
    oracle = Program(tuple(command), endpoints=("qed",), folder=Path(__file__).parents[2])
    designs = [parse(DRUG), parse("CCO")]
    found = oracle(designs).columns["qed"]
    assert found.tolist() == pytest.approx([0.8216, 0.4068], abs=1e-3)


def test_other_protocols(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["score", "qed", "--serve", "reinvent3"]) == 3
    assert "reinvent4" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--serve", "reinvent4"]])
def test_bytes_that_are_no_text(
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "a.smi"
    file.write_bytes(b"CC\xff\n")
    for source in (str(file), "-"):
        with file.open(encoding="utf-8") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            assert invoke(["score", "qed", source, *more]) == 3
        assert "not UTF-8 text" in capsys.readouterr().err


def test_what_user_code_prints_does_not_mix_with_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "def f(text: str):\n    print('asked')\n    return len(text)\n"
    Path("loud.py").write_text(code)
    Path("a.smi").write_text("CCO\n")
    small = ("--quiet", "--set", "policy.hidden=8")
    for words in (
        ("score", "loud.py:f", "a.smi"),
        ("score", "loud.py:f", "a.smi", "--serve", "reinvent4"),
        ("molecule", "loud.py:f", "--budget", "4", "--json", "--preset", "scratch", *small),
    ):
        assert invoke(list(words)) == 0
        said = capsys.readouterr()
        assert len(said.out.splitlines()) == 1, said.out
        assert "asked" in said.err


def test_a_run_leaves_files_of_molecules(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert invoke(["molecule", "median1", "--budget", "30", "--out", str(out), "--quiet"]) == 0
    assert (out / "best.smi").read_text().count("\n") == 10
    assert "<median1.camphor>" in (out / "best.sdf").read_text()
