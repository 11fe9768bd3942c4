"""Contact energies of lattice folds, and how far a fold spreads.

    energy               the sum over contacts; negative is better. Unit: contacts for "hp", RT for
                         "mj" and "mj-reduced", the file's own for a user's matrix
    fraction             the energy as a share of its lower bound: 1 is proven optimal, 0 is a
                         fold without contacts. Ready to be maximised
    radius_of_gyration   root of the mean squared distance from the middle, in bond lengths

The bound holds for any fold of the sequence (`tasks.folding.bounds`), so that a fraction of 1 is
a proof, but many sequences cannot reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from designer.errors import InputError
from designer.protocols import Floats, Measured
from tasks.folding.bounds import bound
from tasks.folding.design import Fold
from tasks.folding.energy import Matrix, Named, contact_energies, matrix_named
from tasks.folding.lattices import lattice_named


@dataclass(frozen=True)
class Energy:
    """The contact energy: columns `energy` and `fraction`.

    `matrix` is "hp", "mj" (Miyazawa-Jernigan 1996, e_ij), "mj-reduced" (the same, e'_ij) or the
    path of a file with an alphabet line and a symmetric matrix.
    """

    matrix: Named | Path | str = "hp"
    name: str = "energy"

    cheap = True

    def __post_init__(self) -> None:
        _ = self._known  # an unknown name or a bad file is told before the search

    def __call__(self, designs: Sequence[Fold], /) -> Measured:
        """Return the columns [N] `energy` and `fraction`; raises InputError for other designs."""
        energy, least = np.zeros(len(designs)), np.ones(len(designs))
        for rows, folds in _grouped(self.name, designs):
            sequence, lattice = folds[0].sequence, lattice_named(folds[0].lattice)
            pairs = self._known.pairs(sequence)
            points = np.stack([fold.coordinates for fold in folds])
            energy[rows] = contact_energies(points, lattice, pairs)
            least[rows] = bound(sequence, folds[0].lattice, self._known) or -1.0
        return Measured({"energy": energy, "fraction": energy / least})

    @cached_property
    def _known(self) -> Matrix:
        return matrix_named(self.matrix)


@dataclass(frozen=True)
class RadiusOfGyration:
    """How far the residues spread: root of the mean squared distance from their middle.

    In bond lengths; with `hydrophobic` only H residues count (0 where there is none).
    """

    hydrophobic: bool = False
    name: str = "radius_of_gyration"

    cheap = True

    def __call__(self, designs: Sequence[Fold], /) -> Floats:
        """Return [N], at least 0; raises InputError for other designs."""
        radius = np.zeros(len(designs))
        for rows, folds in _grouped(self.name, designs):
            kept = folds[0].sticky if self.hydrophobic else slice(None)
            points = np.stack([fold.coordinates for fold in folds])[:, kept]
            if points.shape[1] == 0:
                continue
            there = lattice_named(folds[0].lattice).cartesian(points)
            away = there - there.mean(axis=1, keepdims=True)
            radius[rows] = np.sqrt((away**2).sum(axis=2).mean(axis=1))
        return radius


def _grouped(name: str, designs: Sequence[Fold]) -> list[tuple[list[int], list[Fold]]]:
    """Return the rows and folds of each chain; most often there is one."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, design in enumerate(designs):
        if not isinstance(design, Fold):
            found = f"{type(design).__name__} {str(getattr(design, 'text', ''))[:60]!r}"
            raise InputError(f"{name} judges folds of chains, but row {row} is {found}")
        groups.setdefault((design.sequence, design.lattice), []).append(row)
    return [(rows, [designs[row] for row in rows]) for rows in groups.values()]
