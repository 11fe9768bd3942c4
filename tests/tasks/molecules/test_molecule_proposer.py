import numpy as np
import pytest
from rdkit import Chem

from designer.errors import InputError
from designer.testing import check_proposer, walk
from tasks.molecules import edits
from tasks.molecules.design import parse
from tasks.molecules.graph import MolecularGraph
from tasks.molecules.proposer import Genetic, unwanted_in
from tasks.molecules.task import starters

PARENTS = [parse(smiles) for smiles, _ in starters()[:40]]


def test_contract() -> None:
    check_proposer(Genetic(), PARENTS)
    check_proposer(Genetic(max_atoms=40, flat=False, plausible=False), PARENTS[:1])


def test_children_keep_the_limits(capfd: pytest.CaptureFixture[str]) -> None:
    env = MolecularGraph(24, 6)
    proposer = Genetic(24, 6, ring_sizes=(5, 6), max_rings=4, environment=env)
    children = proposer(PARENTS, 150, np.random.default_rng(3))
    assert len(children) > 50
    assert len({child.key for child in children}) == len(children)
    assert not {child.key for child in children} & {parent.key for parent in PARENTS}
    for child in children:
        rings = child.mol.GetRingInfo().AtomRings()
        assert 6 <= child.complexity <= 24 and len(rings) <= 4
        assert {len(ring) for ring in rings} <= {5, 6}
        assert parse(child.key) == child and "@" not in child.key
    assert None not in env.encode(children)
    assert capfd.readouterr().err == ""  # RDKit's messages about rejected children


def test_search_from_nothing_finds_drug_like_molecules() -> None:
    from rdkit.Chem import QED

    env, rng = MolecularGraph(min_atoms=8), np.random.default_rng(0)
    rows = walk(env, 64, seed=0)[0].tolist()
    found = {d.key: (QED.qed(d.mol), d) for d in env.decode(rows) if d is not None}
    before = max(score for score, _ in found.values())
    for _ in range(12):
        best = sorted(found.values(), key=lambda pair: -pair[0])[:60]
        for child in Genetic()([d for _, d in best], 40, rng):
            found.setdefault(child.key, (QED.qed(child.mol), child))
    after = max(score for score, _ in found.values())
    assert before < 0.85 < after


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="crossover"):
        Genetic(crossover=1.5)
    with pytest.raises(InputError, match="greed"):
        Genetic(greed=0)
    with pytest.raises(InputError, match="depth = 3: expected 1 to surplus = 2"):
        Genetic(surplus=2, depth=3)


def test_three_membered_rings_are_not_fused_to_aromatic_ones() -> None:
    """Cyclopropane and epoxide beside a benzene ring are wanted, on its bonds they are not."""
    for smiles in ("c1ccc(C2CC2)cc1", "C1CC12CCc1ccccc12", "C1C2c3ccccc3CC12", "C1Cc2ccccc21"):
        assert unwanted_in(parse(smiles).mol) == ()
    for smiles in ("c1ccc2c(c1)C2", "c1ccc2c(c1)O2", "Cc1nc2c(s1)N2", "c1cc2c(cc1F)C2C"):
        assert unwanted_in(parse(smiles).mol) == ("[a;r3]",)
    parents = [parse("c1ccc2c(c1)C2"), parse("CCc1ccc2c(c1)O2")]
    for child in Genetic(ring_sizes=(3, 5, 6))(parents, 60, np.random.default_rng(0)):
        assert not child.mol.HasSubstructMatch(Chem.MolFromSmarts("a1a*1"))


def test_halogens_hang_on_carbon() -> None:
    """On nitrogen they react, aromatic or not; on the carbon beside it they are wanted."""
    for smiles in ("Clc1ccncc1", "Fc1ccc[nH]1", "Cn1cccc1F"):
        assert unwanted_in(parse(smiles).mol) == ()
    for smiles in ("Brn1cccc1", "CN(C)Cl", "CSF"):
        assert unwanted_in(parse(smiles).mol) == ("[#7,#8,#16][F,Cl,Br,I]",)


@pytest.mark.parametrize("change", [edits.append_atom, edits.change_element])
def test_every_element_comes_in(change: edits.Edit) -> None:
    """Also the rare ones, P and Br; no atom is given more bonds than it carries."""
    rng, found = np.random.default_rng(0), set()
    for _ in range(1500):
        mol = edits.editable(parse("CC(C)(C)C(=O)NCC").mol)
        assert change(mol, rng)
        done = mol.GetMol()
        assert Chem.SanitizeMol(done, catchErrors=True) == Chem.SANITIZE_NONE
        found |= {atom.GetAtomicNum() for atom in done.GetAtoms()}
    assert found == set(edits.ELEMENTS)


def test_rings_are_reshaped() -> None:
    """Every result is an aromatic ring of 5 or 6 with what hung on it; fused rings stay."""
    rng, found = np.random.default_rng(0), set()
    for _ in range(150):
        mol = edits.editable(parse("CC1CCC(=O)N(CC)C1").mol)
        Chem.FastFindRings(mol)
        mol.UpdatePropertyCache(strict=False)
        assert edits.reshape_ring(mol, rng)
        done = mol.GetMol()
        Chem.SanitizeMol(done)
        assert all(atom.GetIsAromatic() for atom in done.GetAtoms() if atom.IsInRing())
        assert Chem.GetMolFrags(done) == (tuple(range(done.GetNumAtoms())),)
        found.add(Chem.MolToSmiles(done))
    assert {"CCc1cccc(C)c1", "CCn1ccc(C)c1"} <= found and len(found) > 20
    fused = edits.editable(parse("c1ccc2ccccc2c1").mol)
    Chem.FastFindRings(fused)
    assert not edits.reshape_ring(fused, rng)
