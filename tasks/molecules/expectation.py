"""What molecules not yet judged may earn, told from those that were: a Gaussian process.

The kernel is the Tanimoto similarity of ECFP4 counts (Ralaivola et al., Neural Networks 18:1093,
2005). It sees no oracle, only what was paid for; it chooses which children are worth a call, as
in Bayesian optimisation with a genetic algorithm inside (Tripp et al., arXiv 2309.16506).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.molecules.design import Molecule, read

Mol = Any
WIDTH = 4096  # bits that counts are folded to
HIGHEST = 8  # a substructure counts so often at most
NOISE = 0.01  # variance of what the fingerprint cannot tell, of all variance
LEAST, MOST = 0.1, 1.0  # deviations added to the mean, each choice another number of them


@dataclass
class Expectation:
    """Learns from judged molecules: the `best`, the `latest` and `others` at random are kept."""

    best: int = 500
    latest: int = 300
    others: int = 600  # which say what is worth little
    texts: list[str] = field(default_factory=list)  # oldest first
    rewards: list[float] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)  # all that were judged, kept or not
    _bits: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, WIDTH), np.float32))
    _alike: torch.Tensor | None = None  # [N, N] similarities of those kept; None: not computed yet

    def learn(self, designs: Sequence[Molecule], rewards: Sequence[float]) -> None:
        """Take in what was judged, and forget most of what is neither good nor recent."""
        texts = [*self.texts, *(design.text for design in designs)]
        values = np.array([*self.rewards, *rewards])
        self.seen.update(design.text for design in designs)
        bits = np.concatenate([self._bits, fingerprints([design.mol for design in designs])])
        keep = np.zeros(len(texts), dtype=bool)
        keep[np.argsort(-values, kind="stable")[: self.best]] = True
        keep[-self.latest :] = True
        left = np.flatnonzero(~keep)
        marks = np.array([crc32(texts[place].encode()) for place in left])  # the same at any time
        keep[left[np.argsort(marks, kind="stable")[: self.others]]] = True
        self.texts = [text for text, kept in zip(texts, keep, strict=True) if kept]
        self.rewards, self._bits = values[keep].tolist(), bits[keep]
        if self._alike is not None:
            self._alike = _grown(self._alike, torch.from_numpy(bits), torch.from_numpy(keep))

    def choose(self, mols: Sequence[Mol], count: int, rng: np.random.Generator) -> list[int]:
        """Return places of `count` molecules that promise most, in the order of choice.

        Each choice adds another number of deviations to the mean, from curious to greedy.
        """
        if len(mols) <= count or len(self.rewards) < 2:
            return list(range(min(count, len(mols))))
        mean, deviation = self.predict(mols)
        free, chosen = np.ones(len(mols), dtype=bool), []
        for curious in np.exp(rng.uniform(np.log(LEAST), np.log(MOST), count)).tolist():
            place = int(np.where(free, mean + curious * deviation, -np.inf).argmax())
            free[place] = False
            chosen.append(place)
        return chosen

    def predict(self, mols: Sequence[Mol]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return means and deviations [N], in units of the deviation of the rewards kept."""
        values = np.array(self.rewards)
        scaled = (values - values.mean()) / (values.std() + 1e-9)
        known = torch.from_numpy(self._bits)
        if self._alike is None:
            self._alike = _similar(known, known)
        gram = self._alike + NOISE * torch.eye(len(values), dtype=torch.float64)
        across = _similar(known, torch.from_numpy(fingerprints(mols)))
        root = torch.linalg.cholesky(gram)
        ours = torch.linalg.solve_triangular(root, torch.from_numpy(scaled)[:, None], upper=False)
        theirs = torch.linalg.solve_triangular(root, across, upper=False)
        mean, left = (theirs * ours).sum(0), 1 - theirs.square().sum(0)
        return mean.numpy(), left.clamp_min(1e-9).sqrt().numpy()

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {"texts": self.texts, "rewards": self.rewards, "seen": sorted(self.seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.texts, self.rewards = list(state["texts"]), list(state["rewards"])
        self.seen, self._alike = set(state["seen"]), None
        designs = [read(text) for text in self.texts]
        self._bits = fingerprints([design.mol for design in designs if design is not None])


def fingerprints(mols: Sequence[Mol]) -> NDArray[np.float32]:
    """Return [N, WIDTH] zeros and ones: a substructure found n times sets n bits."""
    bits = np.zeros((len(mols), WIDTH), dtype=np.float32)
    for row, mol in enumerate(mols):
        found = _generator().GetSparseCountFingerprint(mol).GetNonzeroElements()
        places = [
            (name * 2654435761 + again * 2246822519 >> 7) % WIDTH
            for name, count in found.items()
            for again in range(min(count, HIGHEST))
        ]
        bits[row, places] = 1.0
    return bits


def _similar(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return [N, M] Tanimoto similarities; shared bits are whole numbers, so they are exact."""
    both = first @ second.t()
    either = first.sum(1)[:, None] + second.sum(1) - both
    return both.double() / either.clamp_min(1).double()


def _grown(alike: torch.Tensor, bits: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the similarities of the rows of `bits` to keep; `alike` are those of the first."""
    old, stays = len(alike), keep[: len(alike)]
    new = bits[old:][keep[old:]]
    across = _similar(new, bits[keep])
    old_part = torch.cat([alike[stays][:, stays], across[:, : int(stays.sum())].t()], dim=1)
    return torch.cat([old_part, across])


@lru_cache(maxsize=1)
def _generator() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=2)
