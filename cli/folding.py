"""`designer fold`: one sequence, every record of a FASTA file, or a sequence for a given fold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.options import Options
from cli.presets import fold, is_taught, shipped
from cli.session import start
from cli.several import each
from designer.config import Document
from designer.errors import InputError

if TYPE_CHECKING:
    from tasks.folding.energy import Matrix

_NAME = 255  # characters a file's name may have
_FASTA = (".fa", ".faa", ".fas", ".fasta", ".seq", ".txt")


def fold_all(
    text: str, lattice: str, energy: str, target_energy: float | None, options: Options
) -> None:
    """Fold the sequence, or each record of the file, that `text` is, and print what was found.

    Several records are checked before the first is folded; with --json they give one object
    {"results": [...]}, with --out each its own directory there.
    """
    known = _known(energy)
    path = Path(text[:_NAME])  # a chain longer than any file's name is no file
    if text and path.is_dir():
        raise InputError(f"{path}: a directory; give a FASTA file, or the letters of a chain")
    named = path.suffix.lower() in _FASTA or len(path.parts) > 1  # as no chain is written
    if len(text) > _NAME or not (named or path.is_file()):
        return start(campaign_of(text, lattice, energy, target_energy, options), options)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected FASTA records, or give the letters")
    from tasks.folding.fasta import read_fasta

    records = read_fasta(path, known.alphabet)
    documents = [
        campaign_of(record.sequence, lattice, energy, target_energy, options) for record in records
    ]
    if len(documents) == 1:
        return start(documents[0], options)
    each(documents, [record.name for record in records], options, "folding")


def _known(energy: str) -> Matrix:
    """Return the contact energy; raises InputError for a name or a file that cannot be used."""
    from tasks.folding.energy import matrix_named

    try:
        return matrix_named(energy)
    except InputError as problem:
        raise InputError(f"--energy: {problem}") from None


def campaign_of(
    sequence: str, lattice: str, energy: str, target_energy: float | None, options: Options
) -> Document:
    """Return the campaign that folds a chain, from the shipped prior where there is one."""
    document = fold(sequence, lattice, energy)
    if target_energy is not None:
        document.override(("task", "target_energy"), target_energy, "--target-energy")
    prior = _taught(lattice, energy, options)
    key = "prior.run="
    own = [text for text in options.assignments or [] if text.startswith(key)]
    if own and is_taught(own[-1].removeprefix(key)):
        document.data.pop("policy", None)  # a taught prior brings the sizes of its network
    if prior is not None:
        document.override(("prior",), {"run": prior}, "the prior that is shipped")
    return document


def _taught(lattice: str, energy: str, options: Options) -> str | None:
    """Return the shipped prior from which the policy begins; None where there is none for this
    energy, or where the options say what the network, its start or its view is to be."""
    name, said = f"folds_{lattice}", options.assignments or []
    own = any(text.startswith(("policy.", "prior.", "task.window")) for text in said)
    return None if own or energy != "hp" or not is_taught(name) else name


def design(target: str, lattice: str, energy: str, wishes: dict[str, Any]) -> Document:
    """Return the campaign that designs a sequence for a fold."""
    from tasks.folding.maps import LONGEST_EXACT

    _known(energy)
    document = shipped("fold_design")
    named = str(Path(energy).absolute()) if Path(energy).is_file() else energy
    document.override(("task", "target"), target, "--design")
    document.override(("task", "lattice"), lattice, "--lattice")
    document.override(("task", "matrix"), named, "--energy")
    for name, value in wishes.items():
        if value is not None:
            document.override(("task", name), value, f"--{name}")
    exact = lattice == "square" and energy == "hp" and len(target.strip()) < LONGEST_EXACT
    kind = "unique_fold" if exact else "folded_gap"
    document.override(("objective",), [{"kind": kind, "column": "margin"}], "--design")
    return document
