"""Folds as files that other programs read: PDB, XYZ, a contact map, and a page to turn them on.

Bonds are 3.8 Angstrom long in PDB and XYZ, as between C-alpha atoms. In an HP chain H becomes
alanine and P glycine; a letter that is no residue becomes UNK.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from designer.protocols import Floats
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.lattices import lattice_named
from tasks.folding.page import page
from tasks.folding.recheck import recheck

BOND = 3.8  # Angstrom
_CODES = {
    "A": "ALA", "C": "CYS", "D": "ASP", "E": "GLU", "F": "PHE", "G": "GLY", "H": "HIS",
    "I": "ILE", "K": "LYS", "L": "LEU", "M": "MET", "N": "ASN", "P": "PRO", "Q": "GLN",
    "R": "ARG", "S": "SER", "T": "THR", "V": "VAL", "W": "TRP", "Y": "TYR",
}  # fmt: skip


def files(
    folds: Sequence[Fold],
    matrix: str = "hp",
    proven: Callable[[float], bool] = lambda energy: False,
) -> Mapping[str, str]:
    """Return file names and their texts: every fold in best.pdb and best.xyz (a model each), the
    first one's contacts in contacts.csv, and best.html, for which see `page`.
    """
    return {
        "best.pdb": pdb(folds, matrix),
        "best.xyz": xyz(folds, matrix),
        "contacts.csv": contact_map(folds[0], matrix),
        "best.html": page(folds, matrix, proven),
    }


def pdb(folds: Sequence[Fold], matrix: str = "hp") -> str:
    """Return a PDB file of C-alpha atoms, a MODEL a fold; the B factor is 1 where hydrophobic.

    Fixed columns as in the wwPDB format 3.3; CONECT records join the chain.
    """
    known, lines = matrix_named(matrix), []
    for model, fold in enumerate(folds, start=1):
        energy = recheck(fold, known)
        lines.append(f"REMARK   1 MODEL {model} ENERGY {energy:.6g} LATTICE {fold.lattice.upper()}")
    for model, fold in enumerate(folds, start=1):
        lines.append(f"MODEL     {model:>4}")
        sticky = known.hp(fold.sequence)
        names, length = _names(fold), len(fold.sequence)
        for i, ((x, y, z), name) in enumerate(zip(_spread(fold), names, strict=True)):
            lines.append(
                f"ATOM  {i + 1:>5}  CA  {name} A{i + 1:>4}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00"
                f"{float(sticky[i] == 'H'):6.2f}           C  "
            )
        lines += [f"TER   {length + 1:>5}      {names[-1]} A{length:>4}", "ENDMDL"]
    for i in range(1, length + 1):
        bonded = "".join(f"{j:>5}" for j in (i - 1, i + 1) if 1 <= j <= length)
        lines.append(f"CONECT{i:>5}{bonded}")
    return "\n".join([*lines, "END"]) + "\n"


def xyz(folds: Sequence[Fold], matrix: str = "hp") -> str:
    """Return an XYZ file, a frame a fold: C where hydrophobic, O where polar."""
    known, frames = matrix_named(matrix), []
    for fold in folds:
        letters = known.hp(fold.sequence)
        energy = recheck(fold, known)
        frames.append(f"{len(letters)}\nenergy {energy:.6g} {fold.lattice} {fold.letters}")
        for (x, y, z), letter in zip(_spread(fold), letters, strict=True):
            frames.append(f"{'C' if letter == 'H' else 'O'} {x:.4f} {y:.4f} {z:.4f}")
    return "\n".join(frames) + "\n"


def contact_map(fold: Fold, matrix: str = "hp") -> str:
    """Return the fold's contacts as CSV: two residues (from 1), their letters, the energy."""
    pairs = matrix_named(matrix).pairs(fold.sequence)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["i", "j", "residue_i", "residue_j", "energy"])
    for i, j in np.argwhere(np.triu(fold.touching, 2)).tolist():
        writer.writerow([i + 1, j + 1, fold.sequence[i], fold.sequence[j], f"{pairs[i, j]:.6g}"])
    return text.getvalue()


def _spread(fold: Fold) -> list[list[float]]:
    """Return where the residues are [L, 3] in Angstrom, about their middle."""
    points: Floats = lattice_named(fold.lattice).cartesian(fold.coordinates) * BOND
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    spread: list[list[float]] = (np.round(points - middle, 4) + 0.0).tolist()
    return spread  # rounded, so that + 0.0 leaves no -0.0


def _names(fold: Fold) -> list[str]:
    if set(fold.sequence) <= set("HP"):
        return ["ALA" if letter == "H" else "GLY" for letter in fold.sequence]
    return [_CODES.get(letter, "UNK") for letter in fold.sequence]
