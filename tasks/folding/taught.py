"""Folds that teach a policy: random chains of many lengths, each folded by search.

One policy reads any chain, since it sees the residues to come and what is around it, and never
which chain it is. So what it learns of random chains holds for one it never saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from designer.corpus import Known
from designer.rollout import retrace
from tasks.folding.design import Fold, reverse
from tasks.folding.environment import Chain
from tasks.folding.exchange import ReplicaExchange
from tasks.folding.lattices import lattice_named

_SHARES = (0.35, 0.65)  # of hydrophobic residues, drawn evenly from this range


def random_chains(count: int, shortest: int, longest: int, rng: np.random.Generator) -> list[str]:
    """Return HP strings whose lengths and shares of H are drawn evenly."""
    chains = []
    for _ in range(count):
        length, share = int(rng.integers(shortest, longest + 1)), rng.uniform(*_SHARES)
        chains.append("".join("H" if u < share else "P" for u in rng.random(length)))
    return chains


def folded(
    sequence: str, lattice: str, proposals: int, keep: int, rng: np.random.Generator
) -> list[Fold]:
    """Return at most `keep` distinct folds that a search by so many proposals ends with, those of
    the lowest energy first and no others beside them where there are enough."""
    straight = Fold(sequence, lattice, lattice_named(lattice).letters[0] * (len(sequence) - 1))
    search = ReplicaExchange(steps=proposals, ladders=1, threads=1)
    found = search([straight], 4 * keep, rng)
    lowest = min((-len(fold.contacts) for fold in found), default=0)
    best = [fold for fold in found if -len(fold.contacts) == lowest]
    return best[:keep]


def both_ways(folds: Sequence[Fold]) -> list[Fold]:
    """Return the folds, and each of them read from its other end: its energy is the same."""
    turned = [Fold(f.sequence[::-1], f.lattice, reverse(f.letters, f.lattice)) for f in folds]
    return [*folds, *turned]


@dataclass(frozen=True)
class Grown:
    """The folds of one chain as the policy sees them grow."""

    observations: Tensor  # [N, T, F] float32
    actions: Tensor  # [N, T] int64


def grown(folds: Sequence[Fold], window: int) -> Grown:
    """Return folds of one chain, walked through its environment."""
    env = Chain(folds[0].sequence, folds[0].lattice, window=window)
    rows = [row for row in env.encode(folds) if row is not None]
    walked = retrace(env, rows)
    return Grown(walked.observations, walked.actions)


class Chains:
    """Folds of many chains in minibatches of similar length; see `designer.corpus.Corpus`."""

    def __init__(self, chains: Sequence[Grown]) -> None:
        self.rows = [
            (one.observations[i], one.actions[i]) for one in chains for i in range(len(one.actions))
        ]
        self.lengths = np.array([len(actions) for _, actions in self.rows])

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> int:
        """Return how many minibatches an epoch has."""
        return -(-len(self.rows) // size)

    def epoch(self, size: int, seed: Sequence[int] | None, skip: int = 0) -> Iterator[Known]:
        """Yield every row once; the order depends on `seed` alone (None: always the same)."""
        rng = None if seed is None else np.random.default_rng(seed)
        jitter = 0.0 if rng is None else rng.uniform(-4.0, 4.0, len(self.rows))
        ranked = np.argsort(self.lengths + jitter, kind="stable")
        parts = [ranked[i : i + size] for i in range(0, len(ranked), size)]
        if rng is not None:
            rng.shuffle(parts)
        for part in parts[skip:]:
            yield self._batch(part.tolist())

    def _batch(self, rows: list[int]) -> Known:
        pad = torch.nn.utils.rnn.pad_sequence
        held = [self.rows[row] for row in rows]
        lengths = torch.from_numpy(self.lengths[rows])
        seen = pad([observations for observations, _ in held], batch_first=True)
        taken = pad([actions for _, actions in held], batch_first=True)
        return Known(seen, taken, torch.arange(taken.shape[1]) < lengths[:, None])
