"""What molecules not yet judged may earn, told from those that were: a Gaussian process.

It sees no oracle, only what was paid for; it chooses which children are worth a call, as in
Bayesian optimisation with a genetic algorithm inside (Tripp et al., arXiv 2309.16506). How alike
two molecules are to it, `tasks.molecules.likeness` tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import torch

from designer.heap import keep_apart
from designer.protocols import Floats
from tasks.molecules.design import Molecule, read
from tasks.molecules.likeness import Kernel, Seen, grown, similar

Mol = Any
FEW, STEPS, OFTEN = 400, 20, 500  # molecules that fit the kernel, steps of it, judged between
LEAST, MIDDLE, MOST = 0.1, 0.3, 1.0  # deviations that are added to the mean


@dataclass
class Pool:
    """Children that nobody judged, with what is expected of each."""

    children: dict[str, Molecule] = field(default_factory=dict)  # by their texts
    mean: Floats = field(default_factory=lambda: np.zeros(0))  # [N]
    deviation: Floats = field(default_factory=lambda: np.zeros(0))  # [N]

    def add(self, children: Mapping[str, Molecule], expectation: Expectation) -> None:
        """Take in more of them, none of which is here already."""
        if children:
            mean, deviation = expectation.predict([child.mol for child in children.values()])
            self.children |= children
            self.mean = np.concatenate([self.mean, mean])
            self.deviation = np.concatenate([self.deviation, deviation])

    def best(self, count: int) -> list[Molecule]:
        """Return at most `count` that promise most, best first."""
        ranked = np.argsort(-(self.mean + MIDDLE * self.deviation), kind="stable")
        children = list(self.children.values())
        return [children[place] for place in ranked[:count]]

    def choose(self, count: int, rng: np.random.Generator) -> list[Molecule]:
        """Return at most `count` that are worth a call.

        Each choice adds another number of deviations to the mean, from curious to greedy.
        """
        children, chosen = list(self.children.values()), []
        free = np.ones(len(children), dtype=bool)
        count = min(count, len(children))
        for curious in np.exp(rng.uniform(np.log(LEAST), np.log(MOST), count)).tolist():
            place = int(np.where(free, self.mean + curious * self.deviation, -np.inf).argmax())
            free[place] = False
            chosen.append(children[place])
        return chosen


@dataclass
class Expectation:
    """Learns from judged molecules: the `best`, the `latest` and `others` at random are kept."""

    best: int = 500
    latest: int = 300
    others: int = 600  # which say what is worth little
    texts: list[str] = field(default_factory=list)  # oldest first
    rewards: list[float] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)  # all that were judged, kept or not
    kernel: Kernel = field(default_factory=Kernel)
    fitted: int = 0  # how many had been judged when the kernel was last fitted
    _seen: Seen = field(default_factory=lambda: Seen.of([]))
    _alike: tuple[torch.Tensor, ...] = ()  # [N, N] similarities of those kept; (): not yet computed
    _solved: tuple[torch.Tensor, torch.Tensor] | None = None  # see `_solve`; None: not yet

    def __post_init__(self) -> None:
        keep_apart()  # large arrays come and go here between molecules that stay

    @property
    def blind(self) -> bool:
        """Whether all molecules kept earned the same, so that none says what is worth more."""
        return not self.rewards or min(self.rewards) == max(self.rewards)

    def learn(self, designs: Sequence[Molecule], rewards: Sequence[float]) -> None:
        """Take in what was judged, and forget most of what is neither good nor recent."""
        texts = [*self.texts, *(design.text for design in designs)]
        values = np.array([*self.rewards, *rewards])
        self.seen.update(design.text for design in designs)
        seen = self._seen.and_(Seen.of([design.mol for design in designs]))
        keep = np.zeros(len(texts), dtype=bool)
        keep[np.argsort(-values, kind="stable")[: self.best]] = True
        keep[-self.latest :] = True
        left = np.flatnonzero(~keep)
        marks = np.array([crc32(texts[place].encode()) for place in left])  # the same at any time
        keep[left[np.argsort(marks, kind="stable")[: self.others]]] = True
        self.texts = [text for text, kept in zip(texts, keep, strict=True) if kept]
        self.rewards = values[keep].tolist()
        both = zip(self._alike, seen.bits, strict=False)
        self._alike = tuple(grown(alike, bits, keep) for alike, bits in both)
        self._seen, self._solved = seen[torch.from_numpy(keep)], None

    def predict(self, mols: Sequence[Mol]) -> tuple[Floats, Floats]:
        """Return means and deviations [N] of what the rewards are once `warped` with those kept."""
        root, ours = self._solved = self._solved or self._solve()
        new = Seen.of(mols)
        bits = zip(self._seen.bits, new.bits, strict=True)
        alike = [similar(known, others) for known, others in bits]
        across = self.kernel.across(alike, self._seen.traits, new.traits)
        theirs = torch.linalg.solve_triangular(root, across, upper=False)
        mean, left = (theirs * ours).sum(0), self.kernel.variance() - theirs.square().sum(0)
        return mean.numpy(), left.clamp_min(1e-9).sqrt().numpy()

    def _solve(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the root [N, N] of the covariances and the rewards [N, 1] freed of them."""
        scaled = warped(torch.tensor(self.rewards, dtype=torch.float64))
        self._fit(scaled)
        if not self._alike:
            self._alike = tuple(similar(bits, bits) for bits in self._seen.bits)
        root = torch.linalg.cholesky(self.kernel.within(self._alike, self._seen.traits))
        return root, torch.linalg.solve_triangular(root, scaled[:, None], upper=False)

    def _fit(self, scaled: torch.Tensor) -> None:
        """Fit the kernel where the judged have become a quarter more, or `OFTEN` more."""
        judged = len(self.seen)
        if judged < min(1.25 * self.fitted, self.fitted + OFTEN) or judged < 30:
            return
        ranked = np.argsort(-scaled.numpy(), kind="stable")
        rest = np.random.default_rng(judged).permutation(ranked[FEW // 2 :])[: FEW // 2]
        rows = torch.from_numpy(np.sort(np.concatenate([ranked[: FEW // 2], rest])))
        values = warped(scaled[rows])  # anew: by rank among these
        self.kernel.fit(self._seen[rows], values, STEPS * (1 if self.fitted else 3))
        self.fitted = judged

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        plain = {"texts": self.texts, "rewards": self.rewards, "seen": sorted(self.seen)}
        return plain | {"kernel": self.kernel.state(), "fitted": self.fitted}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.texts, self.rewards = list(state["texts"]), list(state["rewards"])
        self.seen, self._alike, self._solved = set(state["seen"]), (), None
        self.kernel.restore(state["kernel"])
        self.fitted = state["fitted"]
        designs = [read(text) for text in self.texts]
        self._seen = Seen.of([design.mol for design in designs if design is not None])


def warped(values: torch.Tensor) -> torch.Tensor:
    """Return values [N] with mean 0 and deviation 1, in the same order; 0 where all are the same.

    Half is what the values are and half their normal scores by rank (Salinas et al., arXiv
    1909.13595). The best of a search are nearly equal beside the rest: as they are, a kernel that
    tells them apart is unlikely, and what is unlike all of them is expected to be as good.
    """
    _, which, often = torch.unique(values, return_inverse=True, return_counts=True)
    share = (often.cumsum(0) - 0.5 * often) / len(values)
    return _scaled(_scaled(values) + torch.special.ndtri(share)[which])


def _scaled(values: torch.Tensor) -> torch.Tensor:
    return (values - values.mean()) / (values.std(correction=0) + 1e-9)
