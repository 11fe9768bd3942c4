"""Search in the loop, compiled: replica exchange with pull moves and bond rebridging.

Each of a few ladders holds chains at rising temperatures that walk and exchange places; its
coldest chains end in the deepest folds its hottest ones came by. `tasks.folding.kernels` does the
work, at some ten million proposals a second and core; without numba, or for 3D chains too long
for its grids, `PullMoves` walks instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError
from designer.protocols import Floats, Purse
from tasks.folding.design import Fold, canonical, numbers, spelled
from tasks.folding.energy import coordinates, matrix_named
from tasks.folding.lattices import Ints, Lattice, lattice_named
from tasks.folding.proposer import PullMoves

Array = NDArray[Any]
LONGEST_3D = 508  # residues; a longer chain's grid would take 2 GiB a replica
_PARTS = (64, 64, 32, 16, 8, 4, 2)  # after each such part of its steps a call looks for the target
_HOTTEST = {"square": 0.5, "triangular": 0.5, "cubic": 0.44, "fcc": 0.5}  # tuned by measurement
_SWEEP = 500  # proposals of a chain between exchanges, as Thachuk et al. 2007
_FINEST = 30000  # steps of the strongest energy, where energies are not round numbers


@dataclass(frozen=True)
class ReplicaExchange:
    """Proposes the best folds that ladders of chains, started on the parents, come by.

    A call makes `steps` proposals in each of `ladders`; temperatures lie between `coldest` and
    `hottest` (0: 0.5, on the cubic lattice 0.44), in units of the chain's strongest attraction.
    `replicas` chains stand on a ladder (0: 5 in 2D, 3 in 3D), a share `rebridging` of the
    proposals are rebridgings. The call ends early where a fold meets `target` (an energy). Every
    energy computed is paid from `purse`, at most a quarter of it in one call. The result depends
    on `rng` only, not on `threads` (0: one a core).
    """

    matrix: str = "hp"
    steps: int = 4_000_000
    ladders: int = 4
    replicas: int = 0
    coldest: float = 0.3
    hottest: float = 0.0
    rebridging: float = 0.3
    target: float | None = None
    threads: int = 0
    purse: Purse | None = None

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("ladders", 1), ("replicas", 0), ("threads", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least {least}")
        if not 0 < self.coldest <= (self.hottest or self.coldest):
            raise InputError(
                f"temperatures {self.coldest:g} to {self.hottest:g}, expected 0 < coldest <= "
                "hottest"
            )
        if not 0 <= self.rebridging < 1:
            raise InputError(f"rebridging is {self.rebridging:g}, expected 0 to below 1")

    def __call__(
        self, parents: Sequence[Fold], count: int, rng: np.random.Generator, /
    ) -> list[Fold]:
        """Return at most `count` distinct folds that are not among the parents, best first."""
        if not parents or count < 1:
            return []
        if not suits(parents[0]):
            return PullMoves(self.matrix).paid_from(self.purse)(parents, count, rng)
        keep = -(-2 * count // self.ladders)
        ladders = [self.ladder(parents, rng, keep) for _ in range(self.ladders)]
        self._search(ladders, count)
        found = [(energy, text) for ladder in ladders for energy, text in ladder.found()]
        found.sort(key=lambda pair: pair[0])
        return _distinct(parents, [text for _, text in found], count)

    def _search(self, ladders: Sequence[Ladder], count: int) -> None:
        left = None if self.purse is None else self.purse.left
        if left is not None:
            share = left // (4 * len(ladders)) if left > 8 * count else 0
            for ladder in ladders:
                ladder.allow(share)
        cores = self.threads or _cores()
        with ThreadPoolExecutor(min(cores, len(ladders))) as pool:
            for part in _PARTS:
                if any(ladder.stopped for ladder in ladders):
                    break
                list(pool.map(Ladder.climb, ladders, repeat(self.steps // part)))
        if self.purse is not None:
            self.purse.spend(sum(ladder.computed for ladder in ladders))

    def ladder(self, parents: Sequence[Fold], rng: np.random.Generator, keep: int = 16) -> Ladder:
        """Return a ladder on the parents; the first (best) of these are taken more often."""
        terrain = terrain_of(parents[0].sequence, parents[0].lattice, self.matrix)
        replicas = self.replicas or (5 if terrain.lattice.dimensions == 2 else 3)
        hottest = self.hottest or _HOTTEST[terrain.lattice.name]
        kT = np.linspace(self.coldest, hottest, replicas) * terrain.strongest
        chosen = (len(parents) * rng.random(replicas) ** 2).astype(np.int64)
        letters = np.array([numbers(parents[i].letters, terrain.lattice) for i in chosen])
        chains = terrain.placed(coordinates(letters, terrain.lattice))
        state = rng.integers(1, 1 << 63, size=2, dtype=np.uint64)
        target = -np.inf if self.target is None else self.target
        return Ladder(terrain, chains, kT, state, self.rebridging, target, keep)


@dataclass(frozen=True)
class Terrain:
    """What all ladders of one chain share: the torus it lies on and its energies as integers."""

    lattice: Lattice
    side: int  # of the torus, a power of two wider than the chain is long
    deltas: Array  # [Z] uint64 neighbour vectors on the torus
    pairs: Array  # [L, L + 1] int16, `Matrix.pairs` in units of `unit`, after a column of zeros
    unit: float

    @property
    def mask(self) -> int:
        """The largest point; points wrap around beyond it."""
        return int(self.side**self.lattice.dimensions) - 1

    @property
    def strongest(self) -> float:
        """The size of the strongest attraction; 1 where nothing attracts."""
        return -float(self.pairs.min()) * self.unit or 1.0

    def placed(self, points: Ints) -> Array:
        """Return points [..., 3] as numbers [...] on the torus."""
        return (points @ _widths(self.lattice, self.side) & self.mask).astype(np.uint64)

    def letters(self, chains: Array) -> Ints:
        """Return the letters' numbers [N, L - 1] of chains [N, L] on the torus."""
        bonds = (chains[:, 1:] - chains[:, :-1]) & np.uint64(self.mask)
        order = np.argsort(self.deltas)
        letters: Ints = order[np.searchsorted(self.deltas[order], bonds)]
        return letters


@lru_cache(maxsize=16)
def terrain_of(sequence: str, lattice: str, matrix: str) -> Terrain:
    """Return the terrain on which a chain is searched."""
    place, side = lattice_named(lattice), 8
    while side < len(sequence) + 4:
        side *= 2
    pairs = matrix_named(matrix).pairs(sequence)
    unit = _unit(pairs)
    padded = np.zeros((len(pairs), len(pairs) + 1), dtype=np.int16)
    padded[:, 1:] = np.rint(pairs / unit)
    mask = side**place.dimensions - 1
    deltas = (place.steps @ _widths(place, side) & mask).astype(np.uint64)
    return Terrain(place, side, deltas, padded, unit)


def _widths(lattice: Lattice, side: int) -> Ints:
    return np.array([1, side, side * side if lattice.dimensions == 3 else 0], dtype=np.int64)


def _unit(pairs: Floats) -> float:
    """Return the largest of 1, 0.1, 0.01 and 0.001 in which all energies are whole numbers that
    fit 16 bits, or a fraction of the strongest so small that it does not matter to the search.
    """
    strongest = float(abs(pairs).max())
    for unit in (1.0, 0.1, 0.01, 0.001):
        whole = np.rint(pairs / unit)
        if strongest / unit <= _FINEST and np.allclose(whole * unit, pairs, rtol=0, atol=1e-9):
            return unit
    return strongest / _FINEST


class Ladder:
    """R chains at rising temperatures, with a random stream of their own. Changes as it climbs."""

    def __init__(
        self,
        terrain: Terrain,
        chains: Array,
        temperatures: Floats,
        state: Array,
        rebridging: float,
        target: float,
        keep: int,
    ) -> None:
        self.terrain, self.chains, self.state = terrain, chains, state
        replicas, length = chains.shape
        self.grids = np.zeros((replicas, terrain.mask + 1), dtype=np.uint16)
        np.put_along_axis(
            self.grids, chains.astype(np.int64), np.arange(1, length + 1, dtype=np.uint16)[None], 1
        )
        self.active = (terrain.pairs != 0).any(axis=1)
        self.betas = terrain.unit / temperatures
        self.order = np.arange(replicas)
        self.share = np.uint64(round(rebridging * 1024))
        floor = np.floor(max(target, -1e12) / terrain.unit + 1e-6)
        self.target = int(floor)
        self.allowance = 1 << 60
        self.kept = np.zeros((keep, length), dtype=np.uint64)
        self.fresh = np.zeros(length + 2, dtype=np.uint64)
        kernels = compiled()
        self.energies = np.array([self._energy(row) for row in range(replicas)])
        self.books = np.zeros(6, dtype=np.int64)
        self.books[kernels.BEST] = self.energies.min()
        kernels.keep(
            chains[self.energies.argmin()], self.kept, self.books, np.uint64(terrain.mask), True
        )

    def _energy(self, row: int) -> int:
        land = self.terrain
        mask = np.uint64(land.mask)
        energy: int = compiled().whole_energy(
            self.chains[row], self.grids[row], land.pairs, land.deltas, mask
        )
        return energy

    def allow(self, energies: int) -> None:
        """Set how many energies may be computed from now on."""
        self.allowance = self.computed + energies

    @property
    def computed(self) -> int:
        """Energies computed so far."""
        return int(self.books[compiled().COMPUTED])

    @property
    def proposed(self) -> int:
        """Proposals so far, whole sweeps counted."""
        return int(self.books[compiled().PROPOSED])

    @property
    def best(self) -> float:
        """The lowest energy met."""
        return float(self.books[compiled().BEST]) * self.terrain.unit

    @property
    def stopped(self) -> bool:
        """Whether the target was met or the allowance is spent."""
        kernels = compiled()
        met = bool(self.books[kernels.BEST] <= self.target)
        return met or bool(self.books[kernels.DONE]) or self.computed >= self.allowance

    def climb(self, proposals: int) -> None:
        """Go on for about so many proposals, unless stopped."""
        if self.stopped:
            return
        land = self.terrain
        rounds = max(1, round(proposals / (_SWEEP * len(self.order))))
        compiled().climb(
            self.chains, self.grids, land.pairs, self.active, land.deltas, np.uint64(land.mask),
            land.lattice.bipartite, self.energies, self.betas, self.order, rounds, _SWEEP,
            self.share, self.target, self.allowance, self.state, self.books, self.kept, self.fresh,
        )  # fmt: skip

    def found(self) -> list[tuple[float, str]]:
        """Return the best folds met, then where the chains are now: energy and letters."""
        kept = self.kept[: self.books[compiled().KEPT]]
        energies = [*[self.best] * len(kept), *(self.energies * self.terrain.unit).tolist()]
        letters = self.terrain.letters(np.concatenate([kept, self.chains]))
        return list(zip(energies, spelled(letters, self.terrain.lattice), strict=True))


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def suits(fold: Fold) -> bool:
    """Return whether the compiled search can take a fold's chain."""
    if find_spec("numba") is None:
        return False
    return lattice_named(fold.lattice).dimensions == 2 or len(fold.sequence) <= LONGEST_3D


@lru_cache(maxsize=1)
def ready() -> bool:
    """Load or compile the search, so that no clock counts it; returns whether it is there."""
    straight = Fold("HPPH", "square", "RRR")
    if suits(straight):
        ReplicaExchange(steps=1, ladders=1, threads=1)([straight], 1, np.random.default_rng(0))
    return suits(straight)


@lru_cache(maxsize=1)
def compiled() -> Any:
    """Return the compiled functions; the first call loads them, or compiles where none are kept."""
    from tasks.folding import kernels

    return kernels


def _distinct(parents: Sequence[Fold], texts: Sequence[str], count: int) -> list[Fold]:
    """Return at most `count` folds of the texts, in order, each class of symmetry once."""
    sequence, name = parents[0].sequence, parents[0].lattice
    seen = {parent.key for parent in parents}
    children: list[Fold] = []
    for text in texts:
        fold = Fold(sequence, name, canonical(text, name))
        if fold.key not in seen and len(children) < count:
            seen.add(fold.key)
            children.append(fold)
    return children
