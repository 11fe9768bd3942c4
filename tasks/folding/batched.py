"""Search in the loop on the policy's device: many chains walk at once from the best folds known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from designer.protocols import Purse
from tasks.folding.design import Fold, canonical, numbers, spelled
from tasks.folding.energy import coordinates, matrix_named, strongest
from tasks.folding.environment import Chain
from tasks.folding.lattices import lattice_named
from tasks.folding.leaning import preferred
from tasks.folding.mixture import Mixture
from tasks.folding.walkers import Walkers

_SWEEP = 100  # steps of a chain between exchanges
_RUNGS = 8  # chains a ladder
_MANY = 16_384  # chains that keep a GPU busy


@dataclass(frozen=True)
class BatchedExchange:
    """Proposes folds that replica exchange of many chains at once reaches from the parents.

    Each chain makes `steps` steps of the `mixture`, on a ladder of 8. Stretches that are grown anew
    lean to what `samples` folds of the policy look like where it grows them in `env`. There are
    `chains` of them, on the device of the `policy`: 0 is one a child, and on a GPU up to 16,384,
    for a quarter of the purse. A child is the best fold that stood on one place, or the last where
    none was better than the first. Every energy computed is paid from `purse`, and the walks end
    where it is empty.
    """

    matrix: str = "hp"
    steps: int = 200
    mixture: Mixture = field(default_factory=Mixture)
    chains: int = 0
    samples: int = 128
    env: Chain | None = None
    purse: Purse | None = None
    policy: Any = None

    def __call__(
        self, parents: Sequence[Fold], count: int, rng: np.random.Generator, /
    ) -> list[Fold]:
        """Return at most `count` distinct folds that are not among the parents."""
        if not parents or count < 1:
            return []
        sequence, name = parents[0].sequence, parents[0].lattice
        walkers = self._walkers(parents, count, rng)
        self._walk(walkers)
        found: dict[str, Fold] = {parent.key: parent for parent in parents}
        children: list[Fold] = []
        cells = walkers.found()
        if len(cells) > count:  # the lowest first
            cells = cells[walkers.best_energy.sort(stable=True).indices]
        for letters in spelled(walkers.lattice.bonds(cells.cpu().numpy()), walkers.lattice):
            fold = Fold(sequence, name, canonical(letters, name))
            if fold.key not in found:
                found[fold.key] = fold
                children.append(fold)
            if len(children) == count:
                break
        return children

    def _walk(self, walkers: Walkers) -> None:
        """Walk a sweep at a time, as far as the purse surely reaches."""
        made, sweeps = 0, 0
        while made < self.steps:
            left = None if self.purse is None else self.purse.left
            reach = _SWEEP if left is None else left // len(walkers.cells)
            going = min(_SWEEP, self.steps - made, reach)
            if going == 0:
                break
            computed = sum(walkers.step() for _ in range(going))
            walkers.exchange(odd=sweeps % 2 == 1)
            made, sweeps = made + going, sweeps + 1
            if self.purse is not None:
                self.purse.spend(int(computed))

    def _size(self, count: int, device: torch.device) -> int:
        """Return how many chains there are, where `count` children are asked for."""
        if self.chains or device.type == "cpu":
            return self.chains or count
        left = None if self.purse is None else self.purse.left
        return max(count, _MANY if left is None else min(_MANY, left // (4 * self.steps)))

    def _walkers(self, parents: Sequence[Fold], count: int, rng: np.random.Generator) -> Walkers:
        """Return walkers on the parents, the first (best) of them more often."""
        device = _device(self.policy)
        size = self._size(count, device)
        lattice = lattice_named(parents[0].lattice)
        pairs = matrix_named(self.matrix).pairs(parents[0].sequence)
        chosen = (len(parents) * rng.random(size) ** 2).astype(np.int64)
        points = coordinates(np.array([numbers(p.letters, lattice) for p in parents]), lattice)
        rungs = min(_RUNGS, size)
        ends = self.mixture.temperatures(lattice.name)
        kT = np.resize(np.linspace(*ends, rungs) * strongest(pairs), size)
        random = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
        regrown = self.mixture.regrown(points.shape[1])
        arrays = (pairs.ravel(), lattice.pack(points)[chosen], kT)
        energies, cells, heat = (torch.as_tensor(array, device=device) for array in arrays)
        lean = self._lean(rng, device) if regrown else None
        moves = (self.mixture.rebridging, regrown, lean)
        return Walkers(lattice, energies, cells, heat, random, rungs, *moves)

    def _lean(self, rng: np.random.Generator, device: torch.device) -> torch.Tensor | None:
        """Return what the policy's folds look like; None where there is no policy to grow them."""
        if self.env is None or self.policy is None:
            return None
        lean = preferred(self.env, self.policy, self.samples, rng)
        return torch.as_tensor(lean, device=device)


def _device(policy: Any) -> torch.device:
    """Return where a policy lives; the CPU for none."""
    if not isinstance(policy, torch.nn.Module):
        return torch.device("cpu")
    return next((each.device for each in policy.parameters()), torch.device("cpu"))
