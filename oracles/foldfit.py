"""How well a sequence fits a fold: threaded onto it, or against every other fold there is.

`FoldFit` is smooth in the probabilities of the residues; `Foldability` is exact for short chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from designer.protocols import Measured
from designer.sequences import TokenDesign
from oracles.rows import streamed
from tasks.folding.design import Fold
from tasks.folding.energy import Matrix, Named, matrix_named
from tasks.folding.exact import LIMITS, ground_states
from tasks.folding.lattices import lattice_named


@dataclass(frozen=True)
class FoldFit:
    """Contact energy on the target fold: columns `energy` and `gap`.

    `gap` is how far the energy lies below that of a random fold with as many contacts: the
    number of contacts times the mean over all pairs that may touch, less the energy. It cannot
    be raised by a composition that attracts everything (Shakhnovich and Gutin 1993).
    """

    target: str
    lattice: str
    matrix: Named | Path | str = "hp"
    name: str = "fold_fit"

    cheap = True
    relaxed_column = "gap"

    def __call__(self, designs: Sequence[TokenDesign], /) -> Measured:
        """Return the columns [N]; raises InputError for designs that do not fit the fold."""
        kinds = torch.from_numpy(_kinds(self, designs))
        one_hot = torch.nn.functional.one_hot(kinds, len(self._known.alphabet)).double()
        energy = self._energy(one_hot, self._touching)
        mean = self._energy(one_hot, self._possible)
        return Measured({"energy": energy.numpy(), "gap": (mean - energy).numpy()})

    def relaxed(self, probabilities: Tensor) -> Tensor:
        """Return [B] the gap of independent residues [B, L, A], its exact mean; float64.

        Columns beyond the alphabet (the END action) are left out.
        """
        shares = probabilities[..., : len(self._known.alphabet)].double()
        return self._energy(shares, self._possible) - self._energy(shares, self._touching)

    def _energy(self, shares: Tensor, pairs: Tensor) -> Tensor:
        """Return [B] the sum over pairs i < j of weight_ij p_i' M p_j."""
        device = shares.device
        values = torch.from_numpy(self._known.values).to(device)
        felt = torch.einsum("ij,bjd->bid", pairs.to(device), shares @ values)
        return (shares * felt).sum((1, 2)) / 2

    @cached_property
    def _known(self) -> Matrix:
        return matrix_named(self.matrix)

    @cached_property
    def _touching(self) -> Tensor:
        """[L, L] 1 where residues touch without being bonded."""
        touching = np.array(Fold("H" * (len(self.target) + 1), self.lattice, self.target).touching)
        place = np.arange(len(touching))
        return torch.from_numpy(touching & (abs(place[:, None] - place) > 1)).double()

    @cached_property
    def _possible(self) -> Tensor:
        """[L, L] the share of the target's contacts that each pair gets in a random fold."""
        place = np.arange(len(self.target) + 1)
        apart = abs(place[:, None] - place)
        may = apart > 1
        if lattice_named(self.lattice).bipartite:
            may = (apart > 1) & (apart % 2 == 1)
        weight = torch.from_numpy(may).double()
        return weight * (self._touching.sum() / weight.sum().clamp_min(1.0))


@dataclass(frozen=True)
class Foldability:
    """Exact, by enumeration: columns `solved`, `above` and `degeneracy`.

    `above` is how far the target lies above the sequence's lowest energy (0 where it is a ground
    state), `degeneracy` how many folds share that lowest energy, `solved` 1 where the target is
    the only one. Short chains only: 24 residues on the square lattice, 16 on the triangular and
    cubic, 10 on FCC. `score` = solved - above - log(degeneracy) / 10, ready to be maximised.
    """

    target: str
    lattice: str
    matrix: Named | Path | str = "hp"
    name: str = "foldability"

    cheap = False

    def __post_init__(self) -> None:
        limit = LIMITS[lattice_named(self.lattice).name]
        if len(self.target) + 1 > limit:
            raise InputError(
                f"target has {len(self.target) + 1} residues, too many to enumerate on the "
                f"{self.lattice} lattice (limit {limit}); take kind = 'fold_fit'"
            )

    def __call__(self, designs: Sequence[TokenDesign], /) -> Measured:
        """Return the columns [N]; raises InputError for designs that do not fit the fold."""
        _ = _kinds(self, designs)
        rows = [self._row(design.text) for design in designs]
        columns = np.array(rows, dtype=np.float64).reshape(len(rows), 4).T
        names = ("score", "solved", "above", "degeneracy")
        return Measured(dict(zip(names, columns, strict=True)))

    def stream(self, designs: Sequence[TokenDesign], /) -> Iterator[tuple[list[int], Measured]]:
        """Yield each answer as it comes: a kill costs one sequence, not a batch."""
        return streamed(self, designs)

    def _row(self, sequence: str) -> tuple[float, float, float, float]:
        ground = ground_states(sequence, self.lattice, self.matrix, keep=1)
        energy = _energy_on(sequence, self.target, self.lattice, self.matrix)
        above = max(0.0, energy - ground.energy)
        solved = float(above <= 1e-9 and ground.degeneracy == 1)
        score = solved - above - float(np.log(max(1, ground.degeneracy))) / 10
        return score, solved, above, float(ground.degeneracy)


def _energy_on(sequence: str, target: str, lattice: str, matrix: Path | str) -> float:
    touching = Fold(sequence, lattice, target).touching
    pairs = matrix_named(matrix).pairs(sequence)  # 0 for bonded residues
    return float((np.triu(touching, 2) * pairs).sum())


def _kinds(oracle: FoldFit | Foldability, designs: Sequence[TokenDesign]) -> np.ndarray:
    """Return [N, L] int64, which letter of the alphabet stands where."""
    alphabet, length = matrix_named(oracle.matrix).alphabet, len(oracle.target) + 1
    out = np.zeros((len(designs), length), dtype=np.int64)
    for row, design in enumerate(designs):
        text = str(getattr(design, "text", ""))
        if len(text) != length or not set(text) <= set(alphabet):
            raise InputError(
                f"{oracle.name} judges sequences of {length} letters of {alphabet}, but row "
                f"{row} is {text[:60]!r}"
            )
        out[row] = [alphabet.index(letter) for letter in text]
    return out
