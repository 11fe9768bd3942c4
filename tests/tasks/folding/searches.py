"""What several tests of searches begin with: folds walked at random, walkers on them, a purse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from designer.testing import walk
from tasks.folding.design import Fold, numbers, spelled
from tasks.folding.energy import coordinates, matrix_named
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.lattices import Lattice, lattice_named
from tasks.folding.recheck import recheck
from tasks.folding.walkers import Walkers

PROTEIN = "GIVEQCCTSICSLYQLENYCN"


def random_folds(sequence: str, name: str, seed: int = 0) -> list[Fold]:
    """Return the folds of 64 walks by uniform choices; trapped ones are left out."""
    env = Chain(sequence, name)
    return [fold for fold in env.decode(walk(env, 64, seed)[0].tolist()) if fold]


def images(fold: Fold) -> int:
    """How many walks are symmetric images of the fold."""
    place = lattice_named(fold.lattice)
    bonds = place.steps[[place.letters.index(letter) for letter in fold.letters]]
    return len({(bonds @ image.T).tobytes() for image in place.symmetries})


def boltzmann(sequence: str, name: str, kT: float) -> dict[str, float]:
    """How often each fold of a short HP chain stands there, all its images together, by its key."""
    every = ground_states("P" * len(sequence), name, keep=1000)
    folds = [Fold(sequence, name, fold.letters) for fold in every.folds]
    weight = {f.key: images(f) * np.exp(-recheck(f, matrix_named("hp")) / kT) for f in folds}
    return {key: share / sum(weight.values()) for key, share in weight.items()}


def agrees(seen: Mapping[str, int], share: Mapping[str, float]) -> bool:
    """Whether counts are what these shares give: chi squared within four deviations."""
    count, freedom = sum(seen.values()), len(share) - 1
    chi2 = sum((seen.get(key, 0) - count * p) ** 2 / (count * p) for key, p in share.items())
    return set(seen) <= set(share) and abs(chi2 - freedom) < 4 * (2 * freedom) ** 0.5


@dataclass
class Coins:
    """A purse that counts."""

    left: int
    paid: int = 0

    def spend(self, evaluations: int) -> None:
        """Take them out."""
        self.left -= evaluations
        self.paid += evaluations


def packed(folds: list[Fold], lattice: Lattice) -> np.ndarray:
    return lattice.pack(
        coordinates(np.array([numbers(f.letters, lattice) for f in folds]), lattice)
    )


def walkers_on(
    folds: list[Fold], matrix: str, kT: float | np.ndarray, *, rungs: int = 1, **moves: float
) -> Walkers:
    lattice = lattice_named(folds[0].lattice)
    pairs = matrix_named(matrix).pairs(folds[0].sequence).ravel()
    cells = torch.from_numpy(packed(folds, lattice))
    temperature = torch.as_tensor(np.broadcast_to(kT, len(folds)).copy(), dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    return Walkers(lattice, torch.from_numpy(pairs), cells, temperature, random, rungs, **moves)


def texts_of(cells: torch.Tensor, lattice: Lattice) -> list[str]:
    return spelled(lattice.bonds(cells.numpy()), lattice)
