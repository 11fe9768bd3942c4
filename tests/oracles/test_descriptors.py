"""Descriptors against RDKit's own functions, published figures and figures by hand."""

import math

import pytest
from drugs import Plain, drugs, values

from designer.errors import InputError
from designer.testing import check_oracle
from oracles import ORACLES, descriptors
from oracles.descriptors import PROPERTIES, Descriptor
from oracles.registry import resolve_oracle
from tasks.molecules.design import Molecule, parse

# A, celecoxib, sildenafil, osimertinib, sitagliptin: the published vectors
PUBLISHED_QED = (0.7369335974, 0.7541053298, 0.5534046105, 0.3105348061, 0.6216377743)


@pytest.mark.parametrize("name", PROPERTIES)
def test_keeps_the_contract(name: str) -> None:
    oracle = resolve_oracle(name)()
    assert oracle.name == name
    check_oracle(oracle, drugs())


def test_published_qed() -> None:
    assert values(descriptors.qed(), drugs()[:5]) == pytest.approx(PUBLISHED_QED, abs=1e-9)


def test_published_sitagliptin() -> None:
    """The descriptor targets of the published sitagliptin task."""
    molecule = [drugs()[4]]
    assert values(descriptors.logp(), molecule) == pytest.approx([2.0165], abs=5e-5)
    assert values(descriptors.tpsa(), molecule) == pytest.approx([77.04], abs=5e-3)


# aspirin, counted on paper
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("heavy_atoms", 13),
        ("mw", 180.159),
        ("rings", 1),
        ("aromatic_rings", 1),
        ("hbd", 1),
        ("hba", 3),
        ("fsp3", 1 / 9),
        ("tpsa", 63.60),
        ("rotatable_bonds", 2),
        ("stereo_centres", 0),
    ],
)
def test_aspirin(name: str, expected: float) -> None:
    aspirin = parse("CC(=O)Oc1ccccc1C(=O)O")
    assert values(Descriptor(name), [aspirin]) == pytest.approx([expected], abs=6e-4)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [("CC(N)C(=O)O", 1), ("C[C@H](N)C(=O)O", 1), ("OC(F)C(Cl)Br", 2), ("CC(C)O", 0)],
)
def test_stereo_centres_count_assigned_or_not(smiles: str, expected: int) -> None:
    assert values(descriptors.stereo_centres(), [parse(smiles)]) == [expected]


def test_same_value_whatever_the_spelling() -> None:
    from rdkit import Chem

    for design in drugs()[:5]:
        turned = Molecule(Chem.MolToSmiles(design.mol, doRandom=True))
        for name in PROPERTIES:
            oracle = Descriptor(name)
            assert values(oracle, [turned]) == pytest.approx(values(oracle, [design]), abs=1e-9)


def test_what_rdkit_cannot_measure_is_missing() -> None:
    from rdkit import Chem

    class Unsanitised(Plain):
        mol = Chem.MolFromSmiles("CC(=O)O", sanitize=False)

    measured = descriptors.rings()([drugs()[0], Unsanitised("CC(=O)O")])
    assert measured.columns["rings"][0] == 3.0 and math.isnan(measured.columns["rings"][1])
    assert list(measured.errors) == [1] and "RingInfo" in measured.errors[1]


def test_refuses_what_is_no_molecule() -> None:
    with pytest.raises(InputError, match=r"qed judges molecules, but row 1 is Plain 'x \+ 1'"):
        descriptors.qed()([drugs()[0], Plain("x + 1")])


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'logp'"):
        Descriptor("log_p")


def test_registered_and_renamed() -> None:
    assert set(PROPERTIES) <= set(ORACLES)
    assert list(descriptors.mw(name="mass")(drugs()[:1]).columns) == ["mass"]
