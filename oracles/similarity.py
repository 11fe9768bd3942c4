"""Likeness to a known molecule, and the presence of a substructure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from designer.protocols import Measured
from oracles import parsing
from oracles.fingerprints import FINGERPRINTS, check, fingerprint
from oracles.rows import each, molecules


@dataclass(frozen=True)
class Similarity:
    """Tanimoto similarity to a target SMILES, 0 to 1; 1 for the same fingerprint.

    On counts it is the sum of the smaller over the sum of the larger counts. `fingerprint` is a
    name of `oracles.fingerprints`. Raises InputError for a target that RDKit does not read.
    """

    target: str
    fingerprint: str = "ecfp4"
    name: str = "similarity"

    def __post_init__(self) -> None:
        check(self.fingerprint, FINGERPRINTS)
        _target(self.target, self.fingerprint)

    @property
    def cheap(self) -> bool:
        """False for pharmacophores (20 ms) and paths (1 ms); the others cost 0.15 ms or less."""
        return self.fingerprint.removesuffix("_bits") not in ("phco", "path")

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N]."""
        from rdkit.DataStructs import TanimotoSimilarity

        wanted, make = _target(self.target, self.fingerprint), fingerprint(self.fingerprint)
        mols = molecules(self.name, designs)
        return each(self.name, mols, lambda mol: TanimotoSimilarity(make(mol), wanted))


@dataclass(frozen=True)
class Substructure:
    """1 where the molecule contains the SMARTS, else 0; `absent` turns it round."""

    smarts: str
    absent: bool = False
    name: str = "substructure"

    cheap = True

    def __post_init__(self) -> None:
        parsing.pattern(self.smarts, "smarts")

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N] of 0 and 1."""
        query = parsing.pattern(self.smarts, "smarts")
        mols = molecules(self.name, designs)
        return each(self.name, mols, lambda mol: mol.HasSubstructMatch(query) != self.absent)


@lru_cache
def _target(smiles: str, name: str) -> Any:
    return fingerprint(name)(parsing.molecule(smiles, "target"))
