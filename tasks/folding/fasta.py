"""Several sequences in one file: FASTA records, or plain letters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from designer.errors import InputError
from tasks.folding.sequence import parse_sequence


@dataclass(frozen=True)
class Record:
    """One sequence of a file; `line` is where it begins."""

    name: str
    sequence: str
    line: int


def read_fasta(path: Path, alphabet: str = "HP") -> list[Record]:
    """Return the records of a FASTA file, checked as `parse_sequence` does, in order.

    A line that begins with ">" names a record, ";" is a comment, the letters of a record may
    stand on several lines and end with "*". A file without ">" is one record. Raises InputError
    with file, line and record: no text, a record without letters or with a letter that is none
    of the alphabet's (and does not stand for a residue where that is "HP").
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; expected FASTA records") from error
    names: list[tuple[str, int]] = []
    letters: list[list[str]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(";"):
            continue
        if text.startswith(">") or not names:
            title = text[1:].strip() if text.startswith(">") else path.stem
            names.append((title.split()[0] if title else f"record {len(names) + 1}", number))
            letters.append([])
        if not text.startswith(">"):
            letters[-1].append("".join(text.split()))
    if not names:
        raise InputError(f"{path}: no sequence, expected FASTA records or a line of letters")
    return [
        _record(path, name, line, "".join(parts).removesuffix("*"), alphabet)
        for (name, line), parts in zip(names, letters, strict=True)
    ]


def _record(path: Path, name: str, line: int, text: str, alphabet: str) -> Record:
    try:
        return Record(name, parse_sequence(text, alphabet), line)
    except InputError as error:
        raise InputError(f"{path}:{line}: record {name!r}: {error}") from None
