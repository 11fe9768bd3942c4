"""Sequences: HP strings, proteins in the 20-letter code, and strings over a user's alphabet.

A string of H and P only is an HP string. Anything else in the 20-letter code is a protein; its
hydrophobic residues, in the contact energies that know only H and P, are A, C, F, I, L, M, V, W
and Y (the mapping that the published HP strings of real proteins follow), all others are polar.
"""

from __future__ import annotations

from designer.errors import InputError
from tasks.folding.lattices import LONGEST

HYDROPHOBIC = frozenset("ACFILMVWY")
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
SHORTEST = 3


def parse_sequence(text: str, alphabet: str = "HP") -> str:
    """Return the sequence in upper case, without surrounding blanks, checked.

    `alphabet` is that of the contact energy; a protein may also be given where it is "HP".
    Raises InputError: a letter outside the alphabet (with its position), fewer than 3 or more
    than 1000 residues, an HP string where residues are wanted.
    """
    sequence = text.strip().upper()
    _check_length(sequence)
    letters = set(sequence)
    if alphabet == "HP" and not letters <= set("HP"):
        _check_letters(sequence, RESIDUES, "H and P, or the 20 residues " + RESIDUES)
        return sequence
    if letters <= set("HP") and set(alphabet) == set(RESIDUES):
        raise InputError(
            f"sequence {shortened(sequence)} has only H and P, which is an HP string; this contact "
            "energy needs the 20-letter code, or take the matrix 'hp'"
        )
    _check_letters(sequence, alphabet, f"one of {alphabet}")
    return sequence


def types(sequence: str, alphabet: str) -> list[int]:
    """Return each residue's index in the alphabet; proteins are mapped where it is "HP"."""
    if alphabet == "HP":
        sequence = hp_string(sequence)
    return [alphabet.index(letter) for letter in sequence]


def hp_string(sequence: str) -> str:
    """Return the H/P string of a sequence; a letter that is no residue counts as polar."""
    if set(sequence) <= set("HP"):
        return sequence
    return "".join("H" if letter in HYDROPHOBIC else "P" for letter in sequence)


def shortened(sequence: str, width: int = 24) -> str:
    """Return the sequence for a message: its beginning, and its length where it is long."""
    if len(sequence) <= width:
        return repr(sequence)
    return f"{sequence[:width]!r}... ({len(sequence)} residues)"


def _check_length(sequence: str) -> None:
    count = len(sequence)
    if count < SHORTEST:
        what = "no residue" if count == 0 else f"{count} residue{'s' * (count > 1)}"
        raise InputError(
            f"sequence {sequence!r} has {what}; a chain that can fold has at least {SHORTEST}"
        )
    if count > LONGEST:
        raise InputError(
            f"sequence {shortened(sequence)} is too long; the limit is {LONGEST} residues, as far "
            f"as packed coordinates reach (and the energies of all its pairs take "
            f"{8e-6 * count * count:,.0f} MB); fold a part of it"
        )


def _check_letters(sequence: str, alphabet: str, expected: str) -> None:
    for position, letter in enumerate(sequence, start=1):
        if letter not in alphabet:
            raise InputError(
                f"sequence {shortened(sequence)}: letter {letter!r} at position {position}, "
                f"expected {expected}"
            )
