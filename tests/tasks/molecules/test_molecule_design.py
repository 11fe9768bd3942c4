import math
import pickle
import time

import pytest

from designer.errors import InputError
from designer.protocols import Design
from tasks.molecules.design import Molecule, from_mol, parse
from tasks.molecules.task import starters

# A sheet of rings that RDKit reads, and writes as something that it does not read.
UNREADABLE = (
    "c1cc2cc3cc4cc5cccc6c5c5c4c4c3c3c2c(c1)c1ccc2c7c1c3c1c4c3c5c4c6ccc5c4c4c3c3c1c7c1c6c2ccc2c6c6"
    "c7c1c3c1c4c3c5ccc4c3c3c1c7c1c5c6c6c2cccc6cc5cc2c1c3c1c4cccc1c2"
)


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
        ("C1CC", "unclosed ring"),
        ("C==C", "syntax error at character 3"),
        ("C[Xx]", "syntax error at character 3"),
        ("c1" + "c" * 489 + "c1", "kekulize.*[.]{3}$"),
        (UNREADABLE, "cannot read back"),
    ],
)
def test_what_rdkit_rejects_is_explained_in_one_line(
    text: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=why) as error:
        parse(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 350
    assert capfd.readouterr().err == ""  # RDKit writes to the process's own stderr


@pytest.mark.parametrize("bomb", [
    "C1CC1" * 4000, "C(" * 100_000, "C" * 1_000_000, "C1CC1" * 700, "C" * 10_000, "C(" * 5000,
    "C%11" * 900,
])  # fmt: skip
def test_bombs_never_reach_rdkit(bomb: str) -> None:
    fastest = math.inf
    for _ in range(5):
        started = time.process_time()
        with pytest.raises(InputError, match="at most"):
            parse(bomb)
        fastest = min(fastest, time.process_time() - started)
    assert fastest < 0.01


def test_starters_are_canonical_distinct_and_named() -> None:
    from rdkit import Chem

    lines = starters()
    assert len({smiles for smiles, _ in lines}) == len(lines) >= 500
    for smiles, name in lines:
        mol = Chem.MolFromSmiles(smiles)
        assert name and mol is not None and from_mol(mol) == Molecule(smiles)
