"""The design: a chain in one fold, written as one letter a bond."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from designer.errors import InputError
from tasks.folding.energy import coordinates
from tasks.folding.lattices import Flags, Ints, Lattice, lattice_named
from tasks.folding.sequence import hp_string


@dataclass(frozen=True)
class Fold:
    """A self-avoiding walk of a sequence on a lattice.

    Folds that a symmetry of the lattice turns into each other have one key. Where the sequence
    reads the same backwards, so do a walk and its reverse.
    """

    sequence: str
    lattice: str
    letters: str  # one a bond, see `tasks.folding.lattices`

    @cached_property
    def key(self) -> str:
        """Lattice, sequence and the first form, in the alphabet's order, of all images."""
        form = canonical(self.letters, self.lattice)
        if self.sequence == self.sequence[::-1]:
            form = min(form, canonical(reverse(self.letters, self.lattice), self.lattice))
        return f"{self.lattice} {self.sequence} {form}"

    @property
    def text(self) -> str:
        """The letters of the bonds."""
        return self.letters

    @property
    def complexity(self) -> int:
        """The number of residues."""
        return len(self.sequence)

    @cached_property
    def coordinates(self) -> Ints:
        """[L, 3] the lattice points of the residues; the first is the origin."""
        lattice = lattice_named(self.lattice)
        return coordinates(numbers(self.letters, lattice), lattice)

    @property
    def sticky(self) -> Flags:
        """[L] True where the residue is hydrophobic."""
        return np.array([letter == "H" for letter in hp_string(self.sequence)], dtype=bool)

    @property
    def contacts(self) -> Ints:
        """[K, 2] the pairs of hydrophobic residues that touch without being bonded."""
        touching = np.triu(self.touching, 2)
        return np.argwhere(touching & self.sticky[:, None] & self.sticky[None, :])

    @property
    def touching(self) -> Flags:
        """[L, L] True where two residues lie on neighbouring points."""
        lattice = lattice_named(self.lattice)
        cells = lattice.pack(self.coordinates)
        return lattice.adjacent(cells[:, None] - cells[None, :])


def parse_fold(text: str, sequence: str, lattice: str) -> Fold:
    """Return the fold of the sequence with these letters; raises InputError.

    A letter that the lattice does not have, too few or many bonds, or a walk that meets itself.
    """
    letters = text.strip().upper()
    known = lattice_named(lattice).letters
    for position, letter in enumerate(letters, start=1):
        if letter not in known:
            raise InputError(
                f"fold {letters[:40]!r}: letter {letter!r} at position {position}, expected one "
                f"of {known} (the {lattice} lattice)"
            )
    if len(letters) != len(sequence) - 1:
        raise InputError(
            f"fold {letters[:40]!r} has {len(letters)} bonds, expected {len(sequence) - 1} for "
            f"{len(sequence)} residues"
        )
    fold = Fold(sequence, lattice, letters)
    meeting = first_meeting(fold.coordinates)
    if meeting is not None:
        i, j = meeting
        raise InputError(
            f"fold {letters[:40]!r} meets itself: residues {i + 1} and {j + 1} lie on one point; "
            "a fold is a self-avoiding walk"
        )
    return fold


def first_meeting(points: Ints) -> tuple[int, int] | None:
    """Return the first two residues of points [L, 3] that share a point, or None."""
    seen: dict[tuple[int, ...], int] = {}
    for residue, point in enumerate(map(tuple, points.tolist())):
        if point in seen:
            return seen[point], residue
        seen[point] = residue
    return None


def numbers(letters: str, lattice: Lattice) -> Ints:
    """Return the letters' numbers [L - 1]."""
    return _numbers(lattice.name)[np.frombuffer(letters.encode("ascii"), dtype=np.uint8)]


@lru_cache(maxsize=8)
def _numbers(name: str) -> Ints:
    table = np.full(128, -1, dtype=np.int64)
    table[[ord(letter) for letter in lattice_named(name).letters]] = range(
        len(lattice_named(name).letters)
    )
    return table


def spelled(letters: Ints, lattice: Lattice) -> list[str]:
    """Return letters' numbers [N, L - 1] as N texts."""
    alphabet = np.frombuffer(lattice.letters.encode("ascii"), dtype=np.uint8)
    text, width = alphabet[letters].tobytes().decode("ascii"), letters.shape[1]
    return [text[i * width : (i + 1) * width] for i in range(len(letters))]


def canonical(letters: str, lattice: str) -> str:
    """Return the walk's first form, in the alphabet's order, among its symmetric images.

    Follows `Lattice.breaking` letter by letter, gathering the symmetry that leads to the first
    form; once nothing of the symmetry is left, the rest is one translation of letters.
    """
    known, table = _translations(lattice)
    breaking, products = known.breaking, known.products
    trivial = len(breaking.legal) - 1
    state, mover, done = 0, 0, 0
    while done < len(letters) and state != trivial:
        letter = known.images[mover, known.letters.index(letters[done])]
        mover = products[breaking.mover[state, letter], mover]
        state = breaking.after[state, letter]
        done += 1
    return letters.translate(table[mover])


def reverse(letters: str, lattice: str) -> str:
    """Return the letters of the same points walked from the other end."""
    known = lattice_named(lattice).letters
    opposite = {ord(c): known[k ^ 1] for k, c in enumerate(known)}
    return letters[::-1].translate(opposite)


@lru_cache(maxsize=8)
def _translations(name: str) -> tuple[Lattice, list[dict[int, str]]]:
    """Return for each symmetry the letters as they become under it."""
    lattice = lattice_named(name)
    codes = [ord(letter) for letter in lattice.letters]
    rows = [[lattice.letters[i] for i in row] for row in lattice.images.tolist()]
    return lattice, [dict(zip(codes, row, strict=True)) for row in rows]
