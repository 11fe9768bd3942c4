"""Why RDKit rejects a text, in one short line."""

from __future__ import annotations

import re
from typing import Any

LONGEST = 200  # characters of RDKit's words that are passed on


def listening() -> Any:
    """Return a context in which RDKit is quiet, and what it says is kept for `told`."""
    from rdkit import rdBase

    # RDKit before 2025 cannot hand its messages over, only keep quiet
    return getattr(rdBase, "CaptureErrorLog", rdBase.BlockLogs)()


def told(log: Any) -> str:
    """Return why a parser of RDKit rejected a text, and the character where it says so."""
    messages: str = getattr(log, "messages", "")
    lines = [re.sub(r"^\[[\d:]+\] ", "", line) for line in messages.splitlines()]
    what = re.sub(r"^SMI?[LA]\w+ Parse Error: ", "", lines[0]) if lines else ""
    what = re.split(r" (?:while parsing|for input)\b", what)[0].strip()
    if not what:
        return "it cannot be parsed; check that every branch and ring number is closed"
    place = re.search(r"around position (\d+)", messages)
    return _short(what) + (f" at character {place[1]}" if place else "")


def reason_of(smiles: str) -> str:
    """Return why RDKit makes no molecule of a SMILES."""
    from rdkit import Chem

    with listening() as log:
        mol = Chem.MolFromSmiles(smiles, sanitize=False)
    if mol is None:
        return f"RDKit rejects it: {told(log)}"
    with listening():
        problems = [problem.Message() for problem in Chem.DetectChemistryProblems(mol)]
    if problems:
        return f"RDKit rejects it: {_short(' '.join(problems[0].split()))}"
    return "RDKit cannot read back what it writes of it"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
