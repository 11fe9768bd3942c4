"""SMILES and SMARTS that a person wrote into a setting, read with a reason when they are wrong."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from designer.errors import InputError
from tasks.molecules.complaints import listening, told

MAX_LENGTH = 2000  # characters; RDKit takes seconds on longer ones made of rings


def molecule(smiles: str, what: str) -> Any:
    """Return the RDKit molecule of a SMILES; raises InputError with RDKit's reason."""
    from rdkit import Chem

    return _read(smiles, what, "SMILES", Chem.MolFromSmiles)


@lru_cache
def pattern(smarts: str, what: str) -> Any:
    """Return the RDKit query of a SMARTS; raises InputError with RDKit's reason."""
    from rdkit import Chem

    return _read(smarts, what, "SMARTS", Chem.MolFromSmarts)


def _read(text: str, what: str, kind: str, parse: Any) -> Any:
    if not text.strip():
        raise InputError(f"{what} is empty, expected a {kind}")
    if any(c.isspace() for c in text.strip()):
        raise InputError(f"{what} {text!r} holds blanks, expected one {kind}")
    if len(text) > MAX_LENGTH:
        raise InputError(f"{what} has {len(text)} characters, at most {MAX_LENGTH} are read")
    with listening() as log:
        mol = parse(text.strip())
    if mol is None or not mol.GetNumAtoms():
        raise InputError(f"{what} {text!r} is not a {kind} that RDKit reads: {told(log)}")
    return mol
