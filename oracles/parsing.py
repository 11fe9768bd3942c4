"""SMILES and SMARTS that a person wrote into a setting, read with a reason when they are wrong."""

from __future__ import annotations

import re
from typing import Any

from designer.errors import InputError

MAX_LENGTH = 2000  # characters; RDKit takes seconds on longer ones made of rings


def molecule(smiles: str, what: str) -> Any:
    """Return the RDKit molecule of a SMILES; raises InputError with RDKit's reason."""
    from rdkit import Chem

    return _read(smiles, what, "SMILES", Chem.MolFromSmiles)


def pattern(smarts: str, what: str) -> Any:
    """Return the RDKit query of a SMARTS; raises InputError with RDKit's reason."""
    from rdkit import Chem

    return _read(smarts, what, "SMARTS", Chem.MolFromSmarts)


def _read(text: str, what: str, kind: str, parse: Any) -> Any:
    from rdkit import rdBase

    if not text.strip():
        raise InputError(f"{what} is empty, expected a {kind}")
    if any(c.isspace() for c in text.strip()):
        raise InputError(f"{what} {text!r} holds blanks, expected one {kind}")
    if len(text) > MAX_LENGTH:
        raise InputError(f"{what} has {len(text)} characters, at most {MAX_LENGTH} are read")
    # RDKit before 2025 cannot hand its messages over, only keep quiet
    with getattr(rdBase, "CaptureErrorLog", rdBase.BlockLogs)() as log:
        mol = parse(text.strip())
    if mol is None or not mol.GetNumAtoms():
        reason = _reason(getattr(log, "messages", ""))
        raise InputError(f"{what} {text!r} is not a {kind} that RDKit reads: {reason}")
    return mol


def _reason(messages: str) -> str:
    """Return RDKit's messages as one line: what is wrong, and the position where it says so."""
    lines = [re.sub(r"^\[[\d:]+\] ", "", line) for line in messages.splitlines()]
    what = re.sub(r"^SMI?[LA]\w+ Parse Error: ", "", lines[0]) if lines else ""
    what = re.split(r" (?:while parsing|for input)\b", what)[0].strip()
    place = re.search(r"around position (\d+)", messages)
    return f"{what or 'it cannot be parsed'}" + (f" at character {place[1]}" if place else "")
