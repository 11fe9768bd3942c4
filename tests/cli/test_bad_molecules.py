"""What the molecule commands say of bad lines, and of a web service that goes away."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webservice import Service

from cli.main import invoke

LINES = {
    "CCO.[Na]": "SMILES character 4 is '.': salts and mixtures are not accepted, give one fragment",
    "C" * 10_000: "SMILES of 10000 characters: at most 4000 are accepted",
    "C1CC1" * 700: "SMILES of 2100 atoms and 700 rings: at most 500 atoms and 100 rings are "
    "accepted",
    "C1CC": "SMILES 'C1CC': RDKit rejects it: unclosed ring",
    "C[Xx]": "SMILES 'C[Xx]': RDKit rejects it: syntax error at character 3",
    "CN(C)(C)C": "SMILES 'CN(C)(C)C': RDKit rejects it: Explicit valence for atom # 1 N, 4, is "
    "greater than permitted",
}  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda text: text[:12])
def test_a_bad_line_is_named(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "in.smi"
    file.write_text(f"CCO\n{line}\n")
    assert invoke(["score", "heavy_atoms", str(file)]) == 3
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"designer: {file}:2: {LINES[line]}\n"


def test_which_of_several_columns_is_shown_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.smi"
    file.write_text("CCO\n")
    code = tmp_path / "mine.py"
    code.write_text("def f(text: str):\n    return {'size': len(text), 'first': 1.5}\n")
    command = ["score", f"{code}:f", str(file)]
    assert invoke(command) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("3.0\tCCO\n", "of the columns size, first: size\n")
    assert invoke([*command, "--set", 'objective.0.endpoints=["first"]']) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("1.5\tCCO\n", "")


def test_files_of_molecules_are_scored_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named, table = tmp_path / "best.smi", tmp_path / "hits.csv"
    named.write_text("CCO 1\nc1ccccc1\tbenzene\n")
    table.write_text("rank,SMILES\n1,CCO\n2,c1ccccc1\n")
    packed = tmp_path / "best.smi.gz"
    packed.write_bytes(gzip.compress(named.read_bytes()))
    for file in (named, table, packed):
        assert invoke(["score", "heavy_atoms", str(file)]) == 0
        assert capsys.readouterr().out == "3.0\tCCO\n6.0\tc1ccccc1\n"
    table.write_text("rank,SMILES\n1,CCO\n2,C1CC\n")
    assert invoke(["score", "heavy_atoms", str(table)]) == 3
    assert capsys.readouterr().err.startswith(f"designer: {table}:3: SMILES 'C1CC'")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_designs(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.smi"
    file.write_text(content)
    assert invoke(["score", "heavy_atoms", str(file)]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"designer: {file}: holds no designs; expected one a line\n"


def test_skip_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "in.smi"
    file.write_text("CCO\nC1CC\n\nc1ccccc1\nCC.O\n")
    assert invoke(["score", "heavy_atoms", str(file), "--skip"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["3.0\tCCO", "nan\tC1CC", "6.0\tc1ccccc1", "nan\tCC.O"]
    assert [line.split(": ")[0] for line in said.err.splitlines()] == [f"{file}:2", f"{file}:5"]
    assert invoke(["score", "heavy_atoms", str(file), "--skip", "--json"]) == 0
    said = capsys.readouterr()
    results = json.loads(said.out)["results"]
    assert [row["values"] for row in results] == [{"heavy_atoms": n} for n in (3, None, 6, None)]
    assert [row["design"] for row in results] == ["CCO", "C1CC", "c1ccccc1", "CC.O"]
    assert [row["error"] is None for row in results] == [True, False, True, False]


def failing(left: int) -> Service:
    """Answers `left` requests with the lengths of the texts, then refuses every one."""
    service = Service()

    def reply(asked: Any) -> tuple[int, str]:
        if len(service.asked) > left:
            return 503, ""
        return 200, json.dumps([len(text) / 50 for text in asked["designs"]])

    service.reply = reply
    return service


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Service]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made: list[Service] = []
    yield made
    for service in made:
        service.close()


def campaign(folder: Path, url: str) -> str:
    file = folder / "c.toml"
    file.write_text(
        '[campaign]\nbatch_size = 8\nsteps = 30\n[task]\nkind = "molecules"\nmax_atoms = 12\n'
        '[policy]\nhidden = 8\n[[objective]]\nkind = "rest"\n'
        f'url = "{url}"\nretries = 1\nbackoff = 0.0\n'
    )
    return str(file)


def test_a_service_that_is_down_at_the_start(
    services: list[Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    services.append(failing(0))
    file = campaign(tmp_path, services[0].url)
    assert invoke(["run", file, "--allow-plugins", "--quiet", "--out", str(tmp_path / "r")]) == 4
    said = capsys.readouterr().err
    assert "could not measure known designs" in said and "503" in said
    assert said.count("\n") == 1


def test_a_service_that_goes_away(
    services: list[Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    services.append(failing(5))  # the call before the first step, and four batches
    file = campaign(tmp_path, services[0].url)
    out = str(tmp_path / "r")
    assert invoke(["run", file, "--allow-plugins", "--json", "--quiet", "--out", out]) == 4
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "evaluations failed (limit 50%); the last one said:" in said.err and "503" in said.err
    told = json.loads(said.out)
    assert told["stopped"] == "failed" and told["best"]
    values = [found["scores"]["rest"] for found in told["best"]]
    assert min(values) > 0  # no failure became 0
    with (tmp_path / "r" / "best.csv").open() as held:
        rows = list(csv.DictReader(held))
    assert rows and {"design", "reward", "rest", "step", "evaluation", "scaffold"} <= set(rows[0])
