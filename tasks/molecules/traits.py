"""What a model of molecules sees: substructures, pairs of atoms and of features, and traits.

All of it is what a chemist would tabulate before any measurement; none of it is an oracle's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mol = Any
WIDTH = 4096  # bits that counts are folded to
HIGHEST = 8  # a substructure counts so often at most
PAIRS: dict[str, Any] = {"maxDistance": 10, "countSimulation": True, "fpSize": WIDTH}
ELEMENTS = ("C", "H", "N", "O", "F", "P", "S", "Cl", "Br", "I")
PROPERTIES = (  # names of RDKit, computed together
    "NumHeavyAtoms", "NumRings", "NumAromaticRings", "NumAliphaticRings", "lipinskiHBD",
    "lipinskiHBA", "FractionCSP3", "tpsa", "CrippenClogP",
)  # fmt: skip
TRAITS = len(ELEMENTS) + len(PROPERTIES)


def fingerprints(mols: Sequence[Mol]) -> NDArray[np.float32]:
    """Return [N, WIDTH] zeros and ones: a substructure (ECFP4) found n times sets n bits."""
    bits = np.zeros((len(mols), WIDTH), dtype=np.float32)
    for row, mol in enumerate(mols):
        found = _substructures().GetSparseCountFingerprint(mol).GetNonzeroElements()
        places = [
            (name * 2654435761 + again * 2246822519 >> 7) % WIDTH
            for name, count in found.items()
            for again in range(min(count, HIGHEST))
        ]
        bits[row, places] = 1.0
    return bits


def pairs(mols: Sequence[Mol]) -> NDArray[np.float32]:
    """Return [N, WIDTH] zeros and ones: kinds of atoms so many bonds apart, 1, 2, 4, 8 times."""
    return _bits(_pairs(), mols)


def features(mols: Sequence[Mol]) -> NDArray[np.float32]:
    """Return [N, WIDTH] as `pairs`, of pharmacophoric features instead of kinds of atoms.

    A feature is what an atom may do: donor, acceptor, aromatic, halogen, base, acid (those of
    FCFP, Rogers & Hahn 2010), or none. Two molecules may share all of it and few substructures.
    """
    return _bits(_features(), mols)


def traits(mols: Sequence[Mol]) -> NDArray[np.float64]:
    """Return [N, TRAITS]: atoms of each of `ELEMENTS`, then `PROPERTIES`, in RDKit's units."""
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    rows = np.zeros((len(mols), TRAITS))
    for row, mol in enumerate(mols):
        for name, count in re.findall(r"([A-Z][a-z]?)(\d*)", CalcMolFormula(mol)):
            if name in ELEMENTS:
                rows[row, ELEMENTS.index(name)] = int(count or 1)
        rows[row, len(ELEMENTS) :] = list(_properties().ComputeProperties(mol))
    return rows


def _bits(generator: Any, mols: Sequence[Mol]) -> NDArray[np.float32]:
    rows = [generator.GetFingerprintAsNumPy(mol) for mol in mols]
    return np.array(rows, dtype=np.float32).reshape(-1, WIDTH)


@lru_cache(maxsize=1)
def _substructures() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=2)


@lru_cache(maxsize=1)
def _pairs() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetAtomPairGenerator(**PAIRS)


@lru_cache(maxsize=1)
def _features() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    kinds = rdFingerprintGenerator.GetMorganFeatureAtomInvGen()
    return rdFingerprintGenerator.GetAtomPairGenerator(**PAIRS, atomInvariantsGenerator=kinds)


@lru_cache(maxsize=1)
def _properties() -> Any:
    from rdkit.Chem.rdMolDescriptors import Properties

    return Properties(PROPERTIES)
