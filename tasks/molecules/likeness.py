"""How alike molecules are to the model, with weights that are learned from what was judged.

The kernel is a sum: Tanimoto similarity of ECFP4 counts (Ralaivola et al., Neural Networks
18:1093, 2005), the same of pairs of atoms and of pairs of features, and a Gaussian of traits of
the whole molecule with a length for each of them. Weights, lengths and noise have the largest
posterior density: marginal likelihood (Rasmussen & Williams 2006, eq. 5.8) times log-normal priors
that hold them where nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.molecules.traits import TRAITS, features, fingerprints, pairs, traits

NOISE, SMALLEST = 0.01, 1e-4  # variance that the kernel cannot tell, at first and at least
LENGTH = 3.0  # at first, in deviations of a trait
PRIOR = {"weights": (-1.0, 2.0), "lengths": (np.log(LENGTH), 1.0), "noise": (np.log(NOISE), 1.5)}
RATE = 0.1  # of Adam
KINDS = (fingerprints, pairs, features)


@dataclass(frozen=True)
class Seen:
    """N molecules as the model sees them; rows are molecules."""

    bits: tuple[Tensor, ...]  # [N, WIDTH] float32 each
    traits: Tensor  # [N, TRAITS] float64

    @staticmethod
    def of(mols: Sequence[Any]) -> Seen:
        """Return what is seen of RDKit molecules."""
        bits = tuple(torch.from_numpy(kind(mols)) for kind in KINDS)
        return Seen(bits, torch.from_numpy(traits(mols)))

    def __getitem__(self, rows: Any) -> Seen:
        return Seen(tuple(kind[rows] for kind in self.bits), self.traits[rows])

    def __len__(self) -> int:
        return len(self.traits)

    def and_(self, others: Seen) -> Seen:
        """Return these molecules and, after them, the others."""
        both = zip(self.bits, others.bits, strict=True)
        return Seen(
            tuple(torch.cat(kind) for kind in both), torch.cat([self.traits, others.traits])
        )


@dataclass
class Kernel:
    """Logarithms of what is learned; `weights` are of `KINDS` and of the traits."""

    weights: Tensor = field(
        default_factory=lambda: torch.zeros(len(KINDS) + 1, dtype=torch.float64)
    )
    lengths: Tensor = field(
        default_factory=lambda: torch.full((TRAITS,), np.log(LENGTH), dtype=torch.float64)
    )
    noise: Tensor = field(default_factory=lambda: torch.tensor(np.log(NOISE), dtype=torch.float64))
    spread: Tensor = field(default_factory=lambda: torch.ones(TRAITS, dtype=torch.float64))

    def across(self, alike: Sequence[Tensor], first: Tensor, second: Tensor) -> Tensor:
        """Return [N, M] covariances, of Tanimoto similarities [N, M] and of traits."""
        scale = torch.exp(-self.lengths) / self.spread
        far = torch.cdist(first * scale, second * scale, compute_mode="use_mm_for_euclid_dist")
        weights = self.weights.exp()
        near = weights[-1] * torch.exp(-0.5 * far.square())
        for weight, kind in zip(weights[:-1], alike, strict=True):
            near = near + weight * kind
        return near

    def variance(self) -> Tensor:
        """Return [] what a molecule's covariance with itself is, without noise."""
        return self.weights.exp().sum()

    def within(self, alike: Sequence[Tensor], seen: Tensor) -> Tensor:
        """Return [N, N] covariances of measured values, noise included."""
        noise = self.noise.exp() + SMALLEST
        return self.across(alike, seen, seen) + noise * torch.eye(len(seen), dtype=torch.float64)

    def fit(self, seen: Seen, values: Tensor, steps: int) -> None:
        """Climb to what the values [N], of mean 0 and deviation 1, say is likely.

        Where rounding leaves a matrix that is not positive definite, all stays as it was.
        """
        before = self.state()
        self.spread = seen.traits.std(0).clamp_min(1e-3)
        alike = [similar(kind, kind) for kind in seen.bits]
        if not self._climb(alike, seen.traits, values, steps):
            self.restore(before)

    def _climb(self, alike: Sequence[Tensor], traits: Tensor, values: Tensor, steps: int) -> bool:
        """Return whether every matrix of covariances on the way was positive definite."""
        free = [part.requires_grad_() for part in (self.weights, self.lengths, self.noise)]
        climber, failed = torch.optim.Adam(free, lr=RATE), 0
        for _ in range(steps):
            climber.zero_grad()
            root, info = torch.linalg.cholesky_ex(self.within(alike, traits))
            failed += int(info)
            white = torch.linalg.solve_triangular(root, values[:, None], upper=False)
            lost = 0.5 * white.square().sum() + root.diagonal().log().sum() + self._prior()
            lost.backward()
            climber.step()
        for part in free:
            part.requires_grad_(False)
        return not failed and all(bool(part.isfinite().all()) for part in free)

    def _prior(self) -> Tensor:
        parts = ((getattr(self, name) - mean) / wide for name, (mean, wide) in PRIOR.items())
        return sum(((0.5 * part.square()).sum() for part in parts), torch.zeros(()))

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {name: value.detach().tolist() for name, value in vars(self).items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        for name, value in state.items():
            setattr(self, name, torch.tensor(value, dtype=torch.float64))


def similar(first: Tensor, second: Tensor) -> Tensor:
    """Return [N, M] Tanimoto similarities; shared bits are whole numbers, so they are exact."""
    both = first @ second.t()
    either = first.sum(1)[:, None] + second.sum(1) - both
    return both.double() / either.clamp_min(1).double()


def grown(alike: Tensor, bits: Tensor, keep: NDArray[np.bool_]) -> Tensor:
    """Return the similarities of the rows of `bits` to keep; `alike` are those of the first."""
    old, kept = len(alike), torch.from_numpy(keep)
    stays = kept[:old]
    across = similar(bits[old:][kept[old:]], bits[kept])
    old_part = torch.cat([alike[stays][:, stays], across[:, : int(stays.sum())].t()], dim=1)
    return torch.cat([old_part, across])
