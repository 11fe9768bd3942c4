"""The design of this task: a molecule, known by its canonical SMILES."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from designer.errors import InputError
from tasks.molecules.complaints import reason_of
from tasks.molecules.tokens import tokenize

Mol = Any  # rdkit.Chem.Mol, which is loaded only where it is used


@dataclass(frozen=True)
class Molecule:
    """A sanitised molecule of one fragment. Equal molecules have equal canonical SMILES.

    Make one with `parse` or `from_mol`, which canonicalise; `smiles` is trusted here.
    """

    smiles: str

    @property
    def key(self) -> str:
        """Canonical SMILES."""
        return self.smiles

    @property
    def text(self) -> str:
        """Canonical SMILES."""
        return self.smiles

    @cached_property
    def mol(self) -> Mol:
        """The RDKit molecule, parsed when first asked for; not part of equality."""
        from rdkit import Chem

        return Chem.MolFromSmiles(self.smiles)

    @cached_property
    def complexity(self) -> int:
        """The number of heavy atoms."""
        return int(self.mol.GetNumHeavyAtoms())

    @cached_property
    def scaffold(self) -> str:
        """Bemis-Murcko scaffold as SMILES (J. Med. Chem. 39:2887, 1996); "" without rings."""
        from rdkit import Chem
        from rdkit.Chem.Scaffolds import MurckoScaffold

        if self.mol.GetRingInfo().NumRings() == 0:
            return ""
        scaffold: Mol = MurckoScaffold
        return str(Chem.MolToSmiles(scaffold.GetScaffoldForMol(self.mol)))

    def __reduce__(self) -> tuple[Any, tuple[str, bytes | None]]:
        """Travel to worker processes with the molecule, where it is parsed already."""
        kept = self.__dict__.get("mol")
        return _arrived, (self.smiles, None if kept is None else kept.ToBinary())


def _arrived(smiles: str, binary: bytes | None) -> Molecule:
    """Return the design that was sent; its atoms stand in the same order as before."""
    if binary is None:
        return Molecule(smiles)
    from rdkit import Chem

    return with_mol(smiles, Chem.Mol(binary))  # type: ignore[call-overload]


def with_mol(smiles: str, mol: Mol) -> Molecule:
    """Return the design of a canonical SMILES and the molecule that it was written from."""
    design = Molecule(smiles)
    design.__dict__["mol"] = mol
    return design


def from_mol(mol: Mol) -> Molecule | None:
    """Return the design of a sanitised RDKit molecule; None where RDKit can't read its own text.

    The text is read back until it stands still (writing is not always idempotent), and the
    molecule kept is the one read from it: atom order, and so the last bits of a descriptor and
    the choices of a proposer, depend on the text alone and are the same after a resume.
    """
    from rdkit import Chem

    smiles = str(Chem.MolToSmiles(mol))
    for _ in range(5):
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            return None
        again = str(Chem.MolToSmiles(mol))
        if again == smiles:
            break
        smiles = again
    return with_mol(smiles, Chem.MolFromSmiles(smiles) if again != smiles else mol)


def read(smiles: str) -> Molecule | None:
    """Return the design of a SMILES of modest size, None where RDKit rejects it; no messages."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        return None if mol is None or not mol.GetNumAtoms() else from_mol(mol)


def parse(text: str) -> Molecule:
    """Return the molecule that a SMILES text means.

    Raises InputError for salts and mixtures, for texts too large for RDKit (limits before it
    sees them), and for what RDKit rejects, with its reason.
    """
    text = text.strip()
    tokenize(text)
    design = read(text)
    if design is None:
        raise InputError(f"SMILES {_short(text)!r}: {reason_of(text)}")
    return design


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
