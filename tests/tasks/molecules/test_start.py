import csv
import gzip
from pathlib import Path

import pytest

from cli.main import invoke
from designer.errors import InputError
from tasks.molecules.task import known

SMALL = ["--quiet", "--set", "campaign.batch_size=16", "--set", "campaign.proposals=8",
         "--set", "policy.hidden=16", "--set", "campaign.keep=200"]  # fmt: skip
WHOLE = gzip.compress(b"CCO\n" * 1000, mtime=0)
DRUGS = ["CC(=O)Oc1ccccc1C(=O)O", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "CC(=O)Nc1ccc(O)cc1"]


def run(tmp_path: Path, name: str, steps: int, *more: str) -> list[dict[str, str]]:
    arguments = ["molecule", "qed", "--out", str(tmp_path / name), *SMALL, *more]
    assert invoke([*arguments, "--set", f"campaign.steps={steps}"]) == 0
    with (tmp_path / name / "best.csv").open() as file:
        return list(csv.DictReader(file))


def test_given_molecules_are_judged_and_bred_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "start.smi"
    file.write_text("\n".join(f"{smiles} name {i}" for i, smiles in enumerate(DRUGS)) + "\n\n")
    found = {row["design"]: row for row in run(tmp_path, "one", 1, "--start", str(file))}
    assert all(found[smiles]["step"] == "0" for smiles in DRUGS)
    assert float(found[DRUGS[0]]["qed"]) == pytest.approx(0.550, abs=5e-4)  # QED paper's software
    assert max(int(row["evaluation"]) for row in found.values()) == len(found)  # all counted
    run(tmp_path, "two", 2, "--start", str(file))
    again = ["resume", str(tmp_path / "one"), "--quiet", "--set", "campaign.steps=2"]
    assert invoke(again) == 0
    texts = [(tmp_path / name / "best.csv").read_text() for name in ("one", "two")]
    assert texts[0] == texts[1]
    assert "start.smi" in (tmp_path / "one" / "manifest.json").read_text()


def test_a_hard_budget_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "start.csv"
    file.write_text("id,SMILES\n" + "".join(f"{n},{'C' * n}O\n" for n in range(1, 40)))
    found = run(tmp_path, "few", 3, "--start", str(file), "--budget", "30")
    assert len(found) == 30


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chembl.csv", 'ChEMBL ID;Name;Smiles\nCHEMBL545;"alcohol; pure";"CCO"\n'),
        ("pubchem.csv", "cid,canonical_smiles,xlogp\n702,CCO,-0.1\n"),
        ("zinc.tsv", "zinc_id\tsmiles\nZ1\tCCO\n"),
    ],
)
def test_tables_as_databases_write_them(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert [design.text for design in known(tmp_path / name)] == ["CCO"]


def test_a_table_with_two_columns_of_smiles_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("canonical_smiles,isomeric_smiles\nCCO,CCO\n")
    with pytest.raises(InputError, match=r"found canonical_smiles, isomeric_smiles; give one of"):
        known(tmp_path / "two.csv")


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("CCO\nC1CC\n", (), "start.smi:2: SMILES 'C1CC': RDKit rejects it: unclosed ring"),
        ("CCO.Cl\n", (), "start.smi:1: SMILES character 4 is '.': salts and mixtures are not "
         "accepted, give one fragment"),
        ("", (), "start.smi: is empty; expected one SMILES a line"),
        ("c1ccccc1C\nCCO\n", ("--scaffold", "c1ccccc1[*:1]"),
         "start.smi:2: CCO does not have the scaffold; leave it out"),
    ],
)  # fmt: skip
def test_bad_files(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    more: tuple[str, ...],
    message: str,
) -> None:
    file = tmp_path / "start.smi"
    file.write_text(content)
    assert invoke(["molecule", "qed", "--start", str(file), *more]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith(f"{tmp_path / message}\n")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"SMILES\n" + b"C" * 200_000, "field larger than field limit"),
        ("a.smi.gz", WHOLE[:-10], "ended before the end"),
        ("a.smi.gz", WHOLE[:12] + b"\xff" * 8 + WHOLE[20:], "while decompressing"),
        ("a.smi.gz", b"CCO\n", "Not a gzipped file"),
        ("a.smi", b"C\xff\n", "can't decode byte"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: cannot be read .*\(.*{why}"):
        known(tmp_path / name)
