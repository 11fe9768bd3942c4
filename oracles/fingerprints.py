"""Fingerprints by name: sparse ones for similarity, folded matrices for learned models.

`ecfp4`, `ecfp6`, `fcfp4`, `fcfp6` (Morgan, Rogers & Hahn 2010), `ap` (atom pairs up to 10 bonds
apart), `tt` (topological torsions) and `path` (RDKit paths) count how often a feature occurs, in
an unfolded space; with `_bits` they only say whether it occurs, folded into 2048 bits. Folding
makes unlike molecules look alike: published benchmarks use the unfolded counts. `phco` is the
two-dimensional pharmacophore of Gobbi & Poppinger (1998), bits only, about 20 ms a molecule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError, nearest

SIZE = 2048
COUNTED = ("ecfp4", "ecfp6", "fcfp4", "fcfp6", "ap", "tt", "path")
FOLDED = (*COUNTED, *(f"{name}_bits" for name in COUNTED))  # have a matrix form
FINGERPRINTS = (*FOLDED, "phco")

Fingerprint = Callable[[Any], Any]


def check(name: str, known: Sequence[str]) -> None:
    """Raise InputError where `name` is not one of the `known` fingerprints."""
    if name not in known:
        raise InputError(f"unknown fingerprint {name!r}; {nearest(name, known)}")


@lru_cache
def fingerprint(name: str) -> Fingerprint:
    """Return the function from an RDKit molecule to its RDKit fingerprint."""
    check(name, FINGERPRINTS)
    if name == "phco":
        return _pharmacophore()
    kind, bits = name.removesuffix("_bits"), name.endswith("_bits")
    make = _generator(kind, SIZE)
    return make.GetFingerprint if bits else make.GetSparseCountFingerprint  # type: ignore[no-any-return]


def matrix(name: str, mols: Sequence[Any], size: int = SIZE) -> NDArray[np.float32]:
    """Return features [N, size] float32 of molecules: folded counts, or bits for `_bits`."""
    check(name, FOLDED)
    make = _generator(name.removesuffix("_bits"), size)
    row = make.GetFingerprintAsNumPy if name.endswith("_bits") else make.GetCountFingerprintAsNumPy
    out = np.zeros((len(mols), size), dtype=np.float32)
    for i, mol in enumerate(mols):
        out[i] = row(mol)
    return out


@lru_cache
def _generator(kind: str, size: int) -> Any:
    from rdkit.Chem import rdFingerprintGenerator as generators  # noqa: N813

    if kind == "ap":
        return generators.GetAtomPairGenerator(maxDistance=10, fpSize=size)
    if kind == "tt":
        return generators.GetTopologicalTorsionGenerator(fpSize=size)
    if kind == "path":
        return generators.GetRDKitFPGenerator(fpSize=size)
    invariants = generators.GetMorganFeatureAtomInvGen() if kind[0] == "f" else None
    radius = int(kind[-1]) // 2  # the figure in ECFP4 is a diameter
    if invariants is None:
        return generators.GetMorganGenerator(radius=radius, fpSize=size)
    return generators.GetMorganGenerator(
        radius=radius, fpSize=size, atomInvariantsGenerator=invariants
    )


def _pharmacophore() -> Fingerprint:
    from rdkit.Chem.Pharm2D import Generate, Gobbi_Pharm2D

    make: Any = Generate.Gen2DFingerprint  # untyped in RDKit
    return lambda mol: make(mol, Gobbi_Pharm2D.factory)
