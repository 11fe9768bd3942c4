import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdFingerprintGenerator, rdMolDescriptors
from rdkit.DataStructs import TanimotoSimilarity

from tasks.molecules import traits
from tasks.molecules.design import parse
from tasks.molecules.task import starters

MOLS = [parse(smiles).mol for smiles, _ in starters()[:50]]


def test_fingerprints_are_the_counts() -> None:
    """Tanimoto of the bits is RDKit's of the counts, but for places that two names share."""
    bits = traits.fingerprints(MOLS)
    both = bits @ bits.T
    ours = both / (bits.sum(1)[:, None] + bits.sum(1) - both)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2)
    theirs = [generator.GetSparseCountFingerprint(mol) for mol in MOLS]
    exact = [[TanimotoSimilarity(a, b) for b in theirs] for a in theirs]
    off = ours - exact
    assert np.abs(off).max() < 0.08 and abs(off.mean()) < 0.01


def test_pairs_are_of_atoms_and_their_distance() -> None:
    ether, alcohol, again = traits.pairs([Chem.MolFromSmiles(s) for s in ("COCC", "CCCO", "OCCC")])
    assert (alcohol == again).all() and (ether != alcohol).any()
    assert traits.pairs([]).shape == (0, traits.WIDTH)


def test_features_are_what_atoms_may_do() -> None:
    """Fluorine and chlorine are halogens both; an alcohol is a donor, an ether is none."""
    texts = ("FCCc1ccccc1", "ClCCc1ccccc1", "OCCc1ccccc1", "COCc1ccccc1")
    mols = [Chem.MolFromSmiles(text) for text in texts]
    fluoride, chloride, alcohol, ether = traits.features(mols)
    assert (fluoride == chloride).all() and (traits.pairs(mols)[0] != traits.pairs(mols)[1]).any()
    assert (alcohol != ether).any() and (alcohol != fluoride).any()


def test_traits_are_those_of_rdkit() -> None:
    mol = Chem.MolFromSmiles("Fc1ccc(cc1Cl)C(=O)NCCBr")
    found = traits.traits([mol])[0]
    atoms = dict(zip(traits.ELEMENTS, found, strict=False))
    assert atoms == {
        "C": 9,
        "H": 8,
        "N": 1,
        "O": 1,
        "F": 1,
        "P": 0,
        "S": 0,
        "Cl": 1,
        "Br": 1,
        "I": 0,
    }
    rest = dict(zip(traits.PROPERTIES, found[len(traits.ELEMENTS) :], strict=True))
    assert rest["CrippenClogP"] == Crippen.MolLogP(mol)
    assert rest["tpsa"] == rdMolDescriptors.CalcTPSA(mol)
    assert rest["NumAromaticRings"] == 1 and rest["FractionCSP3"] == Descriptors.FractionCSP3(mol)
    assert traits.traits([]).shape == (0, traits.TRAITS)
