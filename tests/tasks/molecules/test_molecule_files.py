"""The files for other programs, read back by RDKit."""

from __future__ import annotations

from pathlib import Path

from rdkit import Chem

from designer.memory import Found
from tasks.molecules.design import parse
from tasks.molecules.files import files

TEXTS = ["CC(C)Cc1ccc(cc1)C(C)C(=O)O", "C[C@H](N)C(=O)O"]


def test_they_are_read_back_as_written(tmp_path: Path) -> None:
    designs = [parse(text) for text in TEXTS]
    found = [
        Found(d.text, 0.5 - i, {"qed": 0.25 * i}, d.complexity, 7 + i, 30 + i, d.key, 0.5)
        for i, d in enumerate(designs)
    ]
    made = files(designs, found)
    path = tmp_path / "best.sdf"
    path.write_text(made["best.sdf"])
    back = list(Chem.SDMolSupplier(str(path)))
    assert [Chem.MolToSmiles(mol) for mol in back] == [d.smiles for d in designs]
    assert back[0].GetProp("scaffold") == "c1ccccc1" and back[1].GetProp("qed") == "0.25"
    assert back[1].GetProp("step") == "8" and back[0].GetProp("reward") == "0.5"
    lines = made["best.smi"].splitlines()
    assert [line.split()[0] for line in lines] == [d.smiles for d in designs]
    assert lines[0].endswith("rank-1_reward-0.5")


def test_nothing_measured_is_needed() -> None:
    made = files([parse("CCO")])
    assert made["best.smi"] == "CCO rank-1\n" and made["best.sdf"].count("$$$$") == 1
