"""A ladder of replica exchange: chains at rising temperatures that walk and exchange places.

The coldest chains end in the deepest folds that the hottest ones came by. The work is done by
`tasks.folding.kernels`, at some tens of millions of proposals a second and core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from designer.protocols import Floats
from tasks.folding.design import numbers, spelled
from tasks.folding.lattices import Ints
from tasks.folding.leaning import even
from tasks.folding.terrain import Array, Terrain

SWEEP = 500  # proposals of a chain between exchanges, as Thachuk et al. 2007
_TABLE = 256  # steps up whose chances are looked up


@lru_cache(maxsize=1)
def compiled() -> Any:
    """Return the compiled functions; the first call loads them, or compiles where none are kept."""
    from tasks.folding import kernels

    return kernels


class Ladder:
    """R chains at rising temperatures, with random numbers of their own. Changes as it climbs.

    `folds` are R texts, `temperatures` [R] kT in the unit of the energy, `random` two numbers of
    64 bits. It stops at an energy of `target`, and keeps at most `keep` of the best folds.
    """

    def __init__(
        self,
        terrain: Terrain,
        folds: Sequence[str],
        temperatures: Floats,
        random: Sequence[int],
        *,
        rebridging: float = 0.0,
        regrowth: float = 0.0,
        target: float = -np.inf,
        keep: int = 16,
    ) -> None:
        self.terrain = terrain
        self.betas = terrain.unit / temperatures
        self.chances = np.exp(-self.betas[:, None] * np.arange(_TABLE))
        self.regrown = np.uint64(round(regrowth * 1024))
        self.bridged = self.regrown + np.uint64(round(rebridging * 1024))
        self.target = int(np.floor(max(target, -1e12) / terrain.unit + 1e-6))
        self.allowance = 1 << 60
        self.random = np.array(random, dtype=np.uint64)
        self.order = np.arange(len(folds))
        self.books = np.zeros(6, dtype=np.int64)
        length = int(terrain.ground.length)
        self.kept = np.zeros((keep, length + 2), dtype=np.uint64)
        self.fresh = np.zeros(length + 2, dtype=np.uint64)
        self.tally = np.zeros(terrain.lattice.size + 2)
        self.lean = even(length)
        self._stand(folds)
        self._write(compiled().BEST, int(self.energies.min()))
        self._keep([folds[int(self.energies.argmin())]])

    def _stand(self, folds: Sequence[str]) -> None:
        """Put the chains on their grids."""
        letters = self._letters(folds)
        self.chains = self.terrain.chains(letters)
        self.grids = self.terrain.grids(self.chains)
        self.energies = self.terrain.energies(letters)

    def _letters(self, folds: Sequence[str]) -> Ints:
        return np.array([numbers(fold, self.terrain.lattice) for fold in folds])

    def _keep(self, folds: Sequence[str]) -> None:
        self.kept[: len(folds)] = self.terrain.chains(self._letters(folds))
        self._write(compiled().KEPT, len(folds))

    def _write(self, place: int, value: int) -> None:
        self.books[place] = value

    def _read(self, place: int) -> int:
        return int(self.books[place])

    @property
    def chain(self) -> tuple[str, str]:
        """The sequence, and the lattice it is folded on."""
        return self.terrain.sequence, self.terrain.lattice.name

    def allow(self, energies: int | None) -> None:
        """Set how many energies may be computed from now on; None: any number."""
        self.allowance = 1 << 60 if energies is None else self.computed + energies
        self._write(compiled().DONE, 0)

    @property
    def computed(self) -> int:
        """Energies computed so far."""
        return self._read(compiled().COMPUTED)

    @property
    def proposed(self) -> int:
        """Proposals so far, whole sweeps counted."""
        return self._read(compiled().PROPOSED)

    @property
    def best(self) -> float:
        """The lowest energy met."""
        return self._read(compiled().BEST) * self.terrain.unit

    @property
    def stopped(self) -> bool:
        """Whether the target was met or the allowance is spent."""
        met = self._read(compiled().BEST) <= self.target
        return met or bool(self._read(compiled().DONE)) or self.computed >= self.allowance

    def climb(self, proposals: int) -> None:
        """Go on for about so many proposals, unless stopped."""
        if not self.stopped:
            self.walk(max(1, round(proposals / (SWEEP * len(self.order)))), SWEEP)

    def walk(self, rounds: int, steps: int) -> None:
        """Let each chain make `steps` proposals, then exchange; `rounds` times."""
        kernels = compiled()
        rungs = kernels.Rungs(
            self.chains, self.grids, self.energies, self.betas, self.chances, self.order,
            self.random, self.books, self.kept, self.fresh, self.tally, self.lean,
        )  # fmt: skip
        until = kernels.Until(self.regrown, self.bridged, self.target, self.allowance)
        kernels.climb(self.terrain.ground, rungs, rounds, steps, until)

    def found(self) -> list[tuple[float, str]]:
        """Return the best folds met, then where the chains are now: energy and letters."""
        kept = self._best()
        energies = [*[self.best] * len(kept), *(self.energies * self.terrain.unit).tolist()]
        return list(zip(energies, [*kept, *self._spelled(self.chains)], strict=True))

    def _best(self) -> list[str]:
        return self._spelled(self.kept[: self._read(compiled().KEPT)])

    def _spelled(self, chains: Array) -> list[str]:
        return spelled(self.terrain.letters(chains), self.terrain.lattice)

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {
            "folds": self._spelled(self.chains),
            "kept": self._best(),
            "order": self.order.tolist(),
            "random": self.random.tolist(),
            "books": self.books.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint of a ladder with as many chains."""
        self._stand(state["folds"])
        self._keep(state["kept"])
        self.order[:] = state["order"]
        self.random[:] = state["random"]
        self.books[:] = state["books"]
