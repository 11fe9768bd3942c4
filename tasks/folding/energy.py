"""Contact energies: the sum over pairs of residues that touch without being bonded.

Known matrices, never to be mixed (name the variant with every result):

    hp          -1 for each pair of hydrophobic residues
    mj          Miyazawa & Jernigan 1996, e_ij  (all attract; Leu-Leu -7.37), in units of RT
    mj-reduced  Miyazawa & Jernigan 1996, e'_ij (relative to the average; Cys-Cys -0.85)

S. Miyazawa and R. L. Jernigan, J. Mol. Biol. 256, 623 (1996). A path reads the user's own file:
the alphabet on the first line, then one row of numbers a letter (the form LatPack reads).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError, nearest
from designer.protocols import Floats
from tasks.folding.lattices import Ints, Lattice
from tasks.folding.sequence import RESIDUES, hp_string, parse_sequence, types

Named = Literal["hp", "mj", "mj-reduced"]  # contact energies that need no file
_TABLES = {"mj": "mj-matrix.csv", "mj-reduced": "mj-matrix-reduced.csv"}
_PAIRS_AT_ONCE = 1 << 21
_LARGEST = 1e6  # size of an energy in a file; sums over a chain stay exact in 64 bits


@dataclass(frozen=True, eq=False)
class Matrix:
    """A contact energy: `values` [K, K], symmetric, in the order of the alphabet's K letters."""

    name: str
    alphabet: str
    values: Floats

    def pairs(self, sequence: str) -> Floats:
        """Return [L, L] the energy of each pair of residues in contact; 0 for bonded ones.

        Raises InputError where the sequence is not one over this alphabet.
        """
        kinds = np.array(types(parse_sequence(sequence, self.alphabet), self.alphabet))
        energies = self.values[kinds[:, None], kinds[None, :]]
        place = np.arange(len(kinds))
        bonded = abs(place[:, None] - place[None, :]) <= 1
        return np.where(bonded, 0.0, energies)

    def hp(self, sequence: str) -> str:
        """Return the H/P string by which a sequence is drawn: over a user's own alphabet H are the
        residues that attract their own kind.
        """
        if self.alphabet == "HP" or set(self.alphabet) == set(RESIDUES):
            return hp_string(sequence)
        own = np.diag(self.values)
        return "".join("PH"[int(own[self.alphabet.index(c)] < 0)] for c in sequence)

    @property
    def title(self) -> str:
        """The name, or that of the file without its folders."""
        return Path(self.name).name


def strongest(pairs: Floats) -> float:
    """Return the size of the strongest attraction among pairs [L, L]; 1 where nothing attracts."""
    return -float(pairs.min()) or 1.0


def matrix_named(name: Path | str) -> Matrix:
    """Return the matrix of that name, or that in the file of that path; raises InputError."""
    name = str(name)
    if name == "hp":
        return Matrix("hp", "HP", np.array([[-1.0, 0.0], [0.0, 0.0]]))
    if name in _TABLES:
        return _shipped(name)
    path = Path(name)
    if not path.exists() and path.suffix == "" and path.name == name:
        known = ("hp", *_TABLES)
        raise InputError(f"unknown contact energy {name!r}; {nearest(name, known)} (or a file)")
    return read_matrix(path)


@lru_cache(maxsize=8)
def _shipped(name: str) -> Matrix:
    import data

    with data.path(_TABLES[name]).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    values = np.array([[float(cell) for cell in row[1:]] for row in rows])
    return Matrix(name, "".join(header[1:]), values)


def read_matrix(path: Path) -> Matrix:
    """Return the contact energy in a file: a line of letters, then a square of numbers.

    Raises InputError with file and line: unreadable, a letter twice, a row that is not as long
    as the alphabet, too few or too many rows, a cell that is not a number of at most a million,
    not symmetric.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        known = ", ".join(("hp", *_TABLES))
        raise InputError(f"{path}: no such file; give one, or one of {known}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a text file of contact energies") from error
    numbered = [(n, line.strip()) for n, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise InputError(f"{path}: empty, expected a line of letters and a square of numbers")
    alphabet = _alphabet(path, numbered[0][1])
    rows = numbered[1:]
    if len(rows) != len(alphabet):
        raise InputError(
            f"{path}: {len(rows)} row{'s' * (len(rows) != 1)} of numbers for the {len(alphabet)} "
            f"letters {alphabet}, expected one row a letter"
        )
    values = np.array([_row(path, n, line, alphabet) for n, line in rows])
    _check_symmetric(path, alphabet, values)
    return Matrix(str(path), alphabet, values)


def _alphabet(path: Path, line: str) -> str:
    letters = "".join(line.replace(",", " ").split()).upper()
    doubled = sorted({c for c in letters if letters.count(c) > 1})
    if not letters.isalpha() or doubled:
        found = f"{doubled[0]!r} twice" if letters.isalpha() else repr(line)
        raise InputError(f"{path}:1: {found}, expected the alphabet as distinct letters: HP")
    return letters


def _row(path: Path, number: int, line: str, alphabet: str) -> list[float]:
    cells = line.replace(",", " ").split()
    if len(cells) != len(alphabet):
        raise InputError(
            f"{path}:{number}: {len(cells)} numbers, expected {len(alphabet)}, one for each of "
            f"the letters {alphabet}"
        )
    try:
        values = [float(cell) for cell in cells]
    except ValueError as error:
        raise InputError(f"{path}:{number}: {error}; expected {len(cells)} numbers") from error
    if not np.isfinite(values).all():
        raise InputError(f"{path}:{number}: an energy is not finite, expected plain numbers")
    if (largest := max(values, key=abs)) and abs(largest) > _LARGEST:
        raise InputError(
            f"{path}:{number}: an energy of {largest:g}, expected at most {_LARGEST:g} in size; "
            "give them in a larger unit"
        )
    return values


def _check_symmetric(path: Path, alphabet: str, values: Floats) -> None:
    unequal = np.argwhere(~np.isclose(values, values.T, rtol=0, atol=1e-9))
    if len(unequal):
        i, j = unequal[0]
        a, b = alphabet[i], alphabet[j]
        raise InputError(
            f"{path}: not symmetric: {a}{b} is {values[i, j]:g} but {b}{a} is {values[j, i]:g}"
        )


def contact_energies(points: Ints, lattice: Lattice, pairs: Floats) -> Floats:
    """Return [N] the energies of N folds of one chain.

    `points` [N, L, 3] are coordinates, `pairs` [L, L] is `Matrix.pairs`. Folds are packed, sorted
    and searched for their own neighbours, so the time grows like L log L.
    """
    cells = lattice.pack(points)
    rows = max(1, _PAIRS_AT_ONCE // max(1, cells.shape[1]))
    parts = [cells[i : i + rows] for i in range(0, len(cells), rows)]
    return np.concatenate([_energies(part, lattice, pairs) for part in parts] or [np.zeros(0)])


def _energies(cells: Ints, lattice: Lattice, pairs: Floats) -> Floats:
    count, length = cells.shape
    order = np.argsort(cells, axis=1)
    base = np.arange(count)[:, None] << 40  # keeps the rows apart in one sorted list
    listed = (np.take_along_axis(cells, order, axis=1) + base).ravel()
    residue = order.ravel()
    total = np.zeros(count)
    for delta in lattice.deltas[::2]:  # one of each two opposite letters: every pair once
        place = np.minimum(np.searchsorted(listed, listed + delta), len(listed) - 1)
        touching = np.flatnonzero(listed[place] == listed + delta)
        energy = pairs[residue[touching], residue[place[touching]]]
        total += np.bincount(touching // length, weights=energy, minlength=count)
    return total


def coordinates(letters: NDArray[np.intp] | Ints, lattice: Lattice) -> Ints:
    """Return points [..., L, 3] of folds given by their letters' numbers [..., L - 1]."""
    bonds = lattice.steps[letters]
    start = np.zeros((*bonds.shape[:-2], 1, 3), dtype=np.int64)
    return np.concatenate([start, bonds.cumsum(axis=-2)], axis=-2)
