"""Search in the loop: short walks by pull moves, started from the best folds known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from designer.protocols import Purse
from tasks.folding.design import Fold, canonical, numbers, spelled
from tasks.folding.energy import contact_energies, coordinates, matrix_named, strongest
from tasks.folding.lattices import lattice_named
from tasks.folding.pull import Walkers


@dataclass(frozen=True)
class PullMoves:
    """Proposes folds that Metropolis walks by pull moves reach from the parents.

    Each child walks `steps` steps; the children's temperatures, in units of the chain's strongest
    attraction, lie between `coldest` and `hottest`. A child is the best fold it met, or the last
    where it met none better than its parent. Every energy computed is paid from `purse`, and the
    walks end where that is empty.
    """

    matrix: str = "hp"
    steps: int = 200
    coldest: float = 0.3
    hottest: float = 0.5
    purse: Purse | None = None

    def __call__(
        self, parents: Sequence[Fold], count: int, rng: np.random.Generator, /
    ) -> list[Fold]:
        """Return at most `count` distinct folds that are not among the parents."""
        if not parents or count < 1:
            return []
        sequence, name = parents[0].sequence, parents[0].lattice
        walkers = self._walkers(parents, count, rng)
        self._walk(walkers, rng)
        found: dict[str, Fold] = {parent.key: parent for parent in parents}
        children = []
        for letters in spelled(walkers.letters(), walkers.lattice):
            fold = Fold(sequence, name, canonical(letters, name))
            if fold.key not in found:
                found[fold.key] = fold
                children.append(fold)
        return children

    def paid_from(self, purse: Purse | None) -> PullMoves:
        """Return the same, paying from this purse."""
        return replace(self, purse=purse)

    def _walk(self, walkers: Walkers, rng: np.random.Generator) -> None:
        for _ in range(self.steps):
            left = None if self.purse is None else self.purse.left
            if left is not None and left < len(walkers.cells):
                break
            computed = walkers.step(rng)
            if self.purse is not None:
                self.purse.spend(computed)

    def _walkers(self, parents: Sequence[Fold], count: int, rng: np.random.Generator) -> Walkers:
        """Return `count` walkers on the parents, the first (best) of them more often."""
        lattice = lattice_named(parents[0].lattice)
        pairs = matrix_named(self.matrix).pairs(parents[0].sequence)
        chosen = (len(parents) * rng.random(count) ** 2).astype(np.int64)
        points = coordinates(np.array([numbers(p.letters, lattice) for p in parents]), lattice)
        energy = contact_energies(points, lattice, pairs)
        ladder = np.linspace(self.coldest, self.hottest, count) * strongest(pairs)
        cells = lattice.pack(points)
        return Walkers(lattice, pairs, cells[chosen], energy[chosen], ladder)
