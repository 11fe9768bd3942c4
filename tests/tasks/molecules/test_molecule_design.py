import pickle
import time

import pytest

from designer.errors import InputError
from designer.protocols import Design
from tasks.molecules.design import Molecule, from_mol, parse
from tasks.molecules.task import starters


def test_equal_molecules_have_equal_keys() -> None:
    first, second = parse("OC(=O)c1ccccc1OC(C)=O"), parse("CC(=O)Oc1ccccc1C(O)=O")
    assert first == second and first.key == second.key == "CC(=O)Oc1ccccc1C(=O)O"
    assert isinstance(first, Design)
    assert first.complexity == 13
    assert first.scaffold == "c1ccccc1" and parse("CCO").scaffold == ""


def test_a_molecule_travels_with_what_was_parsed() -> None:
    """Descriptors come out to the last bit as of the text; what is not parsed yet stays so."""
    from rdkit.Chem import QED, Descriptors

    assert "mol" not in vars(pickle.loads(pickle.dumps(Molecule("CCO"))))
    for smiles, _ in starters()[:40]:
        design = parse(smiles)
        again = pickle.loads(pickle.dumps(design))
        assert again == design and "mol" in vars(again)
        for value in (QED.qed, Descriptors.BertzCT, Descriptors.MolLogP):
            assert value(again.mol) == value(Molecule(design.text).mol)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("CC.Cl", "salts and mixtures"),
        ("C(C)(C)(C)(C)C", "valence"),
        ("c1cccc1", "kekulize"),
        ("C1CC", "every branch and ring number"),
    ],
)
def test_what_rdkit_rejects_is_explained_in_one_line(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as error:
        parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bomb", ["C1CC1" * 4000, "C(" * 100_000, "C" * 1_000_000, "C1CC1" * 700])
def test_bombs_never_reach_rdkit(bomb: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InputError):
        parse(bomb)
    assert time.perf_counter() - started < 0.01


def test_starters_are_canonical_distinct_and_named() -> None:
    from rdkit import Chem

    lines = starters()
    assert len({smiles for smiles, _ in lines}) == len(lines) >= 500
    for smiles, name in lines:
        mol = Chem.MolFromSmiles(smiles)
        assert name and mol is not None and from_mol(mol) == Molecule(smiles)
