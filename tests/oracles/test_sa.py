"""The SA score equals RDKit's contributed script; the table is read and never run."""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drugs import drugs, values

from designer.errors import InputError
from designer.testing import check_oracle
from oracles.sa import SyntheticAccessibility, fragment_scores, read_table, sa_score


@pytest.fixture(scope="module")
def contributed() -> Any:
    """RDKit's own script."""
    from rdkit import RDConfig

    folder = str(Path(RDConfig.RDContribDir) / "SA_Score")
    sys.path.insert(0, folder)
    try:
        import sascorer
    finally:
        sys.path.remove(folder)
    return sascorer


HARD = (
    "C12C3C4C1C5C2C3C45",  # cubane
    "CC1=C2C(C(=O)C3(C(CC4C(C3C(C(C2(C)C)(CC1OC(=O)C(C(C5=CC=CC=C5)NC(=O)C6=CC=CC=C6)O)O)"
    "OC(=O)C7=CC=CC=C7)(CO4)OC(=O)C)O)C)OC(=O)C",  # paclitaxel
    "C1CC2(C1)C13CC4CC(C1)(C2)CC3(F)C4[Si]",  # nothing anybody has made
    "C1CCCCCCCCCCC2(C1)CCCCCCCCCCC2",  # two macrocycles
)


def many() -> list[Any]:
    """Return a few hundred molecules: the known ones and RDKit's substituted variants."""
    from rdkit import Chem

    cores = [d.mol for d in drugs()] + [Chem.MolFromSmiles(smiles) for smiles in HARD]
    groups = ("C", "O", "N", "F", "Cl", "C(=O)O", "C#N", "c1ccccc1", "C1CC1", "[C@H](F)Cl")
    found: dict[str, Any] = {Chem.MolToSmiles(mol): mol for mol in cores}
    hydrogen = Chem.MolFromSmarts("[#6;H1,H2,H3]")
    for core in cores:
        for group in groups:
            for index in core.GetSubstructMatches(hydrogen)[:3]:
                joined = Chem.RWMol(Chem.CombineMols(core, Chem.MolFromSmiles(group)))
                joined.AddBond(index[0], core.GetNumAtoms(), Chem.BondType.SINGLE)
                mol = Chem.MolFromSmiles(Chem.MolToSmiles(joined))
                if mol is not None:
                    found[Chem.MolToSmiles(mol)] = mol
    return list(found.values())


def test_equals_the_contributed_script(contributed: Any) -> None:
    mols = many()
    assert len(mols) > 300
    expected = [contributed.calculateScore(mol) for mol in mols]
    assert [sa_score(mol) for mol in mols] == pytest.approx(expected, abs=1e-9)
    assert min(expected) < 1.5 and max(expected) > 6.0  # the comparison covers the scale


def test_keeps_the_contract() -> None:
    check_oracle(SyntheticAccessibility(), drugs())
    assert all(1.0 <= x <= 10.0 for x in values(SyntheticAccessibility(), drugs()))


def test_no_atoms_is_missing() -> None:
    from rdkit import Chem

    with pytest.raises(ValueError, match="without atoms"):
        sa_score(Chem.Mol())


def test_table_is_whole() -> None:
    ids, scores = fragment_scores()
    assert len(ids) == len(scores) == 705_292 and (np.diff(ids) > 0).all()


def test_reads_what_pickle_writes() -> None:
    table = [[-1.5, 7, 3], [0.25, 4_000_000_000]]
    ids, scores = read_table(pickle.dumps(table, protocol=0), "small")
    assert ids.tolist() == [3, 7, 4_000_000_000] and scores.tolist() == [-1.5, -1.5, 0.25]


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("unpickled",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Payload(), protocol=0),
        pickle.dumps([Payload()], protocol=0),
        pickle.dumps([[1.5, 3], Payload()], protocol=0),
        pickle.dumps([[1.5, 3]], protocol=4),
        pickle.dumps([[1.5, 3]], protocol=0)[:-1],
        pickle.dumps([["1.5", 3]], protocol=0),
        pickle.dumps([], protocol=0),
        b"",
    ],
)
def test_anything_else_is_refused_and_not_run(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"table.pkl: not a table of fragment scores \(byte \d+\)"):
        read_table(content, "table.pkl")
    assert capsys.readouterr().out == ""
