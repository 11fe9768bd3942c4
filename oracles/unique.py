"""Whether a fold is a sequence's only ground state, and by how much.

    gap      the lowest energy of any other fold less the target's; above 0 it is the only ground
             state, 0 where others are as low, below 0 where another is lower
    energy   of the target
    ways     how many other folds have the lowest of the other energies
    margin   gap less a tenth of the logarithm of `ways`: what a search can climb

Exact for HP chains of up to 18 residues on the square lattice: every fold there is is looked at
(`tasks.folding.maps`). Elsewhere `FoldedGap` folds the sequence by search and looks at the best
folds found that are not the target; its gap is then an upper bound, and no proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from designer.errors import InputError
from designer.protocols import Measured
from designer.sequences import TokenDesign
from oracles.rows import streamed
from tasks.folding.design import Fold
from tasks.folding.energy import Matrix, Named, matrix_named
from tasks.folding.exchange import ReplicaExchange
from tasks.folding.maps import LONGEST_EXACT, Maps, judged, maps_of
from tasks.folding.recheck import recheck

_PRICE = 0.1  # of the logarithm of how many other folds come next


@dataclass(frozen=True)
class UniqueFold:
    """Judges sequences for a target fold exactly; see the module for the columns.

    Raises InputError where the target shares its contacts with other folds, so that no sequence
    can tell them apart, for more than 18 residues, another lattice or another matrix.
    """

    target: str
    lattice: str = "square"
    matrix: Named | Path | str = "hp"
    name: str = "unique_fold"

    cheap = True

    def __post_init__(self) -> None:
        length = len(self.target) + 1
        if self.lattice != "square" or self.matrix != "hp" or length > LONGEST_EXACT:
            raise InputError(
                f"unique_fold looks at every fold, for hp on the square lattice up to "
                f"{LONGEST_EXACT} residues; this is {self.matrix}, {self.lattice}, {length}: "
                "take folded_gap instead"
            )

    def __call__(self, designs: Sequence[TokenDesign], /) -> Measured:
        """Return the columns [N]; raises InputError for sequences of another length."""
        _check(self.name, self.target, designs)
        found = judged(self._maps, self._word, [design.text for design in designs])
        gap = np.array([one.gap for one in found])
        ways = np.array([float(one.ways) for one in found])
        return Measured(
            {
                "gap": gap,
                "energy": np.array([one.energy for one in found]),
                "ways": ways,
                "margin": gap - _PRICE * np.log(np.maximum(ways, 1.0)),
            }
        )

    @cached_property
    def _maps(self) -> Maps:
        return maps_of(len(self.target) + 1)

    @cached_property
    def _word(self) -> np.uint64:
        word = self._maps.word(Fold("H" * (len(self.target) + 1), self.lattice, self.target))
        twins = self._maps.twins(word)
        if twins > 1:
            raise InputError(
                f"target {self.target} has the same contacts as {twins - 1} other "
                f"{'fold' if twins == 2 else 'folds'}, so no HP sequence has it as its only ground "
                "state; choose a more compact fold"
            )
        return word


@dataclass(frozen=True)
class FoldedGap:
    """Judges sequences of any length by folding them: columns gap, energy, ways, margin.

    Each sequence is searched by a ladder of chains (`tasks.folding.exchange`) that start from the
    target and from a straight chain, with `steps` proposals; it looks up `looks` times, and the
    lowest fold seen that is not the target is its rival. The same sequence always gives the same.
    """

    target: str
    lattice: str
    matrix: Named | Path | str = "hp"
    steps: int = 1_000_000
    looks: int = 50
    name: str = "folded_gap"

    cheap = False

    def __post_init__(self) -> None:
        if not 1 <= self.looks <= self.steps:
            raise InputError(
                f"looks {self.looks}, steps {self.steps}: expected 1 <= looks <= steps"
            )

    def __call__(self, designs: Sequence[TokenDesign], /) -> Measured:
        """Return the columns [N]; raises InputError for sequences of another length."""
        _check(self.name, self.target, designs)
        rows = np.array([self._judged(design.text) for design in designs]).reshape(-1, 3)
        gap, energy, ways = rows.T
        margin = gap - _PRICE * np.log(np.maximum(ways, 1.0))
        return Measured({"gap": gap, "energy": energy, "ways": ways, "margin": margin})

    def stream(self, designs: Sequence[TokenDesign], /) -> Iterator[tuple[list[int], Measured]]:
        """Yield each answer as it comes: a kill costs one sequence, not a batch."""
        return streamed(self, designs)

    def _judged(self, sequence: str) -> tuple[float, float, float]:
        target = Fold(sequence, self.lattice, self.target)
        seed = int.from_bytes(blake2b(sequence.encode(), digest_size=8).digest(), "little")
        search = ReplicaExchange(str(self.matrix), threads=1)
        ladder = search.ladder([target, self._straight(sequence)], np.random.default_rng(seed))
        seen: dict[str, float] = {}
        for _ in range(self.looks):
            ladder.climb(self.steps // self.looks)
            for energy, letters in ladder.found():
                seen[Fold(sequence, self.lattice, letters).key] = energy
        seen.pop(target.key, None)
        energy, rival = recheck(target, self._known), min(seen.values(), default=0.0)
        ways = sum(value <= rival + 1e-9 for value in seen.values())
        return rival - energy, energy, float(ways)

    def _straight(self, sequence: str) -> Fold:
        return Fold(sequence, self.lattice, self.target[0] * len(self.target))

    @cached_property
    def _known(self) -> Matrix:
        return matrix_named(self.matrix)


def _check(name: str, target: str, designs: Sequence[Any]) -> None:
    for row, design in enumerate(designs):
        if len(design.text) != len(target) + 1:
            raise InputError(
                f"{name}: row {row} has {len(design.text)} residues, the target {len(target) + 1}"
            )
