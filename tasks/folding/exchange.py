"""Search in the loop, compiled: replica exchange with pulls, bond rebridging and regrowth.

Each of a few ladders holds chains at rising temperatures that walk and exchange places. They go
on from call to call, and a checkpoint holds them. Without numba, or for 3D chains too long for
its grids, `BatchedExchange` walks instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.util import find_spec
from itertools import repeat
from typing import Any

import numpy as np

from designer.errors import InputError
from designer.protocols import Purse
from tasks.folding.batched import BatchedExchange
from tasks.folding.design import Fold, canonical
from tasks.folding.enriched import Enrichment
from tasks.folding.ladder import Ladder
from tasks.folding.lattices import lattice_named
from tasks.folding.leaning import preferred
from tasks.folding.mixture import Mixture
from tasks.folding.terrain import LONGEST_3D, terrain_of

_FIRST, _PART = 10_000, 250_000  # proposals of a ladder after which a call looks at the others
_LADDER = 250_000  # energies that are worth a ladder of their own
_BEGUN = 5  # grown folds that a ladder begins from


@dataclass
class ReplicaExchange:
    """Proposes the best folds that ladders of chains come by.

    The ladders are set up on the parents, or on `start` where there are none yet, and stand from
    one call to the next. With `grown`, and a purse that holds a number, they are set up on the best
    of as many chains, grown together by the campaign's policy for at most a tenth of the purse;
    and there is one for each 250,000 energies that it holds, at most `ladders`. A call makes
    `steps` proposals in each, of the `mixture`. `replicas` chains stand on a ladder (0: 5 in 2D, 3
    in 3D). With `grown` and a `policy` the stretches that are grown anew lean, from the second call
    on, to what `samples` folds of the policy look like. The call ends early where a fold meets
    `target` (an energy). Every energy computed is paid from `purse`, at most a quarter of it in one
    call. The result depends on `rng`, the policy and what went before, not on `threads` (0: one a
    core).
    """

    matrix: str = "hp"
    steps: int = 16_000_000
    ladders: int = 4
    replicas: int = 0
    mixture: Mixture = field(default_factory=Mixture)
    samples: int = 128
    target: float | None = None
    threads: int = 0
    purse: Purse | None = None
    start: Fold | None = None
    grown: Enrichment | None = None
    policy: Any = None
    standing: list[Ladder] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("ladders", 1), ("replicas", 0), ("threads", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least {least}")

    def __call__(
        self, parents: Sequence[Fold], count: int, rng: np.random.Generator, /
    ) -> list[Fold]:
        """Return at most `count` distinct folds that are not among the parents, best first."""
        folds = parents or ([] if self.start is None else [self.start])
        if not folds or count < 1:
            return []
        if not suits(folds[0]):
            return self._batched()(folds, count, rng)
        if not self._stands(folds[0]):
            self._stand(folds, count, rng)
        else:  # before, the policy has seen nothing
            self._lean(rng)
        self._search(count)
        found = [(energy, text) for ladder in self.standing for energy, text in ladder.found()]
        found.sort(key=lambda pair: pair[0])
        return _distinct(parents, folds[0], [text for _, text in found], count)

    def _batched(self) -> BatchedExchange:
        """Return the search of the same moves that takes any chain, and needs no numba."""
        env = None if self.grown is None else self.grown.env
        given = {"env": env, "purse": self.purse, "policy": self.policy}
        return BatchedExchange(self.matrix, mixture=self.mixture, **given)

    def _stands(self, fold: Fold) -> bool:
        """Return whether there are ladders, and of this chain."""
        return bool(self.standing) and self.standing[0].chain == (fold.sequence, fold.lattice)

    def _stand(self, folds: Sequence[Fold], count: int, rng: np.random.Generator) -> None:
        """Set up the ladders."""
        ladders, begun = self.ladders, folds
        left = None if self.purse is None else self.purse.left
        if self.grown is not None and left is not None:
            ladders = min(ladders, max(1, left // _LADDER))
            size = min(self.grown.size, left // 10)
            first = replace(self.grown, size=size, policy=self.policy, purse=self.purse)
            begun = first(folds, _BEGUN * ladders, rng) or folds
        keep = -(-2 * count // ladders)
        shares = [begun[i::ladders] or begun for i in range(ladders)]
        self.standing = [self.ladder(share, rng, keep) for share in shares]

    def _lean(self, rng: np.random.Generator) -> None:
        """Let stretches that are grown anew lean to what the policy makes of the chain now."""
        if self.grown is None or self.policy is None:
            return
        if self.mixture.regrown(len(self.grown.env.sequence)):
            lean = preferred(self.grown.env, self.policy, self.samples, rng)
            for ladder in self.standing:
                ladder.lean[:] = lean

    def _search(self, count: int) -> None:
        ladders, left = self.standing, None if self.purse is None else self.purse.left
        share = None
        if left is not None:
            share = left // (4 * len(ladders)) if left > 8 * count else 0
        before = sum(ladder.computed for ladder in ladders)
        for ladder in ladders:
            ladder.allow(share)
        cores = self.threads or _cores()
        with ThreadPoolExecutor(min(cores, len(ladders))) as pool:
            for part in _parts(self.steps):
                if any(ladder.stopped for ladder in ladders):
                    break
                list(pool.map(Ladder.climb, ladders, repeat(part)))
        if self.purse is not None:
            self.purse.spend(sum(ladder.computed for ladder in ladders) - before)

    def ladder(self, parents: Sequence[Fold], rng: np.random.Generator, keep: int = 16) -> Ladder:
        """Return a ladder on the parents: the first (best) the coldest, the first more often."""
        terrain = terrain_of(parents[0].sequence, parents[0].lattice, self.matrix)
        replicas = self.replicas or (5 if terrain.lattice.dimensions == 2 else 3)
        ends = self.mixture.temperatures(terrain.lattice.name)
        kT = np.linspace(*ends, replicas) * terrain.strongest
        chosen = (len(parents) * rng.random(replicas) ** 2).astype(np.int64)
        chosen[0] = 0
        folds = [parents[i].letters for i in chosen]
        random = rng.integers(1 << 64, size=2, dtype=np.uint64).tolist()
        target = -np.inf if self.target is None else self.target
        regrown = self.mixture.regrown(len(terrain.sequence))
        shares = {"rebridging": self.mixture.rebridging, "regrowth": regrown}
        return Ladder(terrain, folds, kT, random, **shares, target=target, keep=keep)

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        if not self.standing:
            return {}
        return {
            "chain": list(self.standing[0].chain),
            "keep": len(self.standing[0].kept),
            "ladders": [ladder.state() for ladder in self.standing],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.standing = []
        for held in state.get("ladders", []):
            sequence, lattice = state["chain"]
            folds = [Fold(sequence, lattice, text) for text in held["folds"]]
            ladder = self.ladder(folds, np.random.default_rng(0), state["keep"])
            ladder.restore(held)
            self.standing.append(ladder)


def _parts(steps: int) -> Iterator[int]:
    """Yield numbers of proposals that come to `steps`: few at first, as short chains need few."""
    part = _FIRST
    while steps > 0:
        yield min(part, steps)
        steps, part = steps - part, min(2 * part, _PART)


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


def _distinct(parents: Sequence[Fold], like: Fold, texts: Sequence[str], count: int) -> list[Fold]:
    """Return at most `count` folds of the texts, in order, each class of symmetry once."""
    sequence, name = like.sequence, like.lattice
    seen = {parent.key for parent in parents}
    children: list[Fold] = []
    for text in texts:
        fold = Fold(sequence, name, canonical(text, name))
        if fold.key not in seen and len(children) < count:
            seen.add(fold.key)
            children.append(fold)
    return children
