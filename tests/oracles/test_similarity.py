"""Similarity against published figures and a count by hand; substructures; bad targets."""

import pytest
from drugs import VECTORS, Plain, drugs, values

from designer.errors import InputError
from designer.testing import check_oracle
from oracles.fingerprints import FINGERPRINTS, FOLDED, matrix
from oracles.similarity import Similarity, Substructure
from tasks.molecules.design import parse

ALBUTEROL = "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1"
MESTRANOL = "COc1ccc2[C@H]3CC[C@@]4(C)[C@@H](CC[C@@]4(O)C#C)[C@@H]3CCc2c1"
THIOTHIXENE = "CN(C)S(=O)(=O)c1ccc2Sc3ccccc3C(=CCCN4CCN(C)CC4)c2c1"
CAMPHOR, MENTHOL = "CC1(C)C2CCC1(C)C(=O)C2", "CC(C)C1CCC(C)CC1O"
TADALAFIL = "O=C1N(CC(N2C1CC3=C(C2C4=CC5=C(OCO5)C=C4)NC6=C3C=CC=C6)=O)C"
HOP = "CCCOc1cc2ncnc(Nc3ccc4ncsc4c3)c2cc1S(=O)(=O)C(C)(C)C"

# target, fingerprint, value at which the task is full, the five published values
PUBLISHED = [
    (VECTORS["celecoxib"], "ecfp4", 1.0,
     (0.1472868217, 1.0, 0.1642857143, 0.1513157895, 0.1666666667)),
    (THIOTHIXENE, "ecfp4", 1.0,
     (0.1739130435, 0.2093023256, 0.3014705882, 0.2193548387, 0.1338028169)),
    (ALBUTEROL, "fcfp4", 0.75,
     (0.2772277228, 0.198019802, 0.2279202279, 0.1717171717, 0.2179487179)),
    (MESTRANOL, "ap", 0.75,
     (0.19460881, 0.0640788663, 0.1590214067, 0.1103448276, 0.1418439716)),
]  # fmt: skip


@pytest.mark.parametrize(("target", "fingerprint", "full", "expected"), PUBLISHED)
def test_published(target: str, fingerprint: str, full: float, expected: list[float]) -> None:
    found = values(Similarity(target, fingerprint), drugs()[:5])
    assert [min(1.0, x / full) for x in found] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("targets", "fingerprint", "expected"),
    [
        ((CAMPHOR, MENTHOL), "ecfp4",
         (0.09722243534, 0.01767490804, 0.0647498771, 0.03002402884, 0.04449941595)),
        ((TADALAFIL, VECTORS["sildenafil"]), "ecfp6",
         (0.1225969029, 0.1296558183, 0.3623715377, 0.1407807657, 0.09724332767)),
    ],
)  # fmt: skip
def test_published_medians(
    targets: tuple[str, str], fingerprint: str, expected: list[float]
) -> None:
    one, two = (values(Similarity(t, fingerprint), drugs()[:5]) for t in targets)
    found = [(a * b) ** 0.5 for a, b in zip(one, two, strict=True)]
    assert found == pytest.approx(expected, abs=1e-9)


def test_published_hop() -> None:
    """deco_hop: the mean of a clipped pharmacophore similarity and three substructures."""
    parts = [
        [min(1.0, x / 0.85) for x in values(Similarity(HOP, "phco"), drugs()[:2])],
        values(Substructure("CS([#6])(=O)=O", absent=True), drugs()[:2]),
        values(Substructure("[#7]-c1ccc2ncsc2c1", absent=True), drugs()[:2]),
        values(Substructure("[#7]-c1n[c;h1]nc2[c;h1]c(-[#8])[c;h0][c;h1]c12"), drugs()[:2]),
    ]
    found = [sum(row) / 4 for row in zip(*parts, strict=True)]
    assert found == pytest.approx([0.5338365435, 0.5361811391], abs=1e-9)


def test_counts_by_hand() -> None:
    """Ethane counts 2 CH3 and one bond's surroundings; propane 2 CH3, a CH2 and theirs."""
    own = matrix("ecfp4", [parse("CC").mol, parse("CCC").mol]).sum(axis=1)
    shared = 2  # the CH3 atoms alone: all that is larger differs
    assert values(Similarity("CC"), [parse("CCC")]) == [shared / (own.sum() - shared)]
    assert values(Similarity("CC"), [parse("CC"), parse("O")]) == [1.0, 0.0]


@pytest.mark.parametrize("fingerprint", FINGERPRINTS)
def test_keeps_the_contract(fingerprint: str) -> None:
    oracle = Similarity("CC(=O)Oc1ccccc1C(=O)O", fingerprint)
    few = drugs()[5:12]
    check_oracle(oracle, few)
    found = values(oracle, few)
    assert all(0.0 <= x <= 1.0 for x in found) and found[2] == 1.0  # aspirin itself


def test_folded_bits_agree_with_a_count_of_sets() -> None:
    bits = matrix("ecfp4_bits", [d.mol for d in drugs()], 2048) > 0
    found = values(Similarity(VECTORS["A"], "ecfp4_bits"), drugs())
    expected = (bits & bits[0]).sum(1) / (bits | bits[0]).sum(1)
    assert found == pytest.approx(expected.tolist(), abs=1e-12)


@pytest.mark.parametrize("fingerprint", FOLDED)
def test_matrix_rows_do_not_depend_on_each_other(fingerprint: str) -> None:
    mols = [design.mol for design in drugs()[:5]]
    whole = matrix(fingerprint, mols, 512)
    assert whole.shape == (5, 512) and whole.any(axis=1).all()
    for row, mol in zip(whole, mols, strict=True):
        assert (matrix(fingerprint, [mol], 512)[0] == row).all()


def test_substructure() -> None:
    ring = Substructure("c1ccccc1")
    check_oracle(ring, drugs())
    few = [parse("CCO"), parse("Cc1ccccc1")]
    assert values(ring, few) == [0.0, 1.0]
    assert values(Substructure("c1ccccc1", absent=True), few) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("CC)C", r"target 'CC\)C' .*extra close parentheses"),
        ("C1CC", "unclosed ring"),
        ("c1cccc1", "kekulize"),
        ("C(C)(C)(C)(C)C", "valence"),
        ("", "target is empty"),
        ("CC OC", "holds blanks"),
        ("C" * 3000, "3000 characters"),
    ],
)
def test_bad_target_is_refused_with_a_reason(target: str, expected: str) -> None:
    from rdkit import rdBase

    if not hasattr(rdBase, "CaptureErrorLog") and target and len(target) < 20 and " " not in target:
        expected = "is not a SMILES that RDKit reads"
    with pytest.raises(InputError, match=expected):
        Similarity(target)


def test_dear_fingerprints_are_journalled() -> None:
    dear = {name for name in FINGERPRINTS if not Similarity("CCO", name).cheap}
    assert dear == {"phco", "path", "path_bits"}


def test_other_bad_settings() -> None:
    with pytest.raises(InputError, match="did you mean 'ecfp4'"):
        Similarity("CCO", "ecpf4")
    with pytest.raises(InputError, match=r"smarts .* is not a SMARTS"):
        Substructure("c1cc[")
    with pytest.raises(InputError, match="judges molecules"):
        Similarity("CCO")([Plain("CCO")])
