"""What several tests of searches begin with: folds walked at random, and a purse that counts."""

from __future__ import annotations

from dataclasses import dataclass

from designer.testing import walk
from tasks.folding.design import Fold
from tasks.folding.environment import Chain


def random_folds(sequence: str, name: str, seed: int = 0) -> list[Fold]:
    """Return the folds of 64 walks by uniform choices; trapped ones are left out."""
    env = Chain(sequence, name)
    return [fold for fold in env.decode(walk(env, 64, seed)[0].tolist()) if fold]


@dataclass
class Coins:
    """A purse that counts."""

    left: int
    paid: int = 0

    def spend(self, evaluations: int) -> None:
        """Take them out."""
        self.left -= evaluations
        self.paid += evaluations
