"""Learning that begins anew where it stopped getting better.

A policy that has settled on designs just below the best seldom leaves them. What it learned is
then dropped: weights and optimiser go back to what they were at first, and the elites are
forgotten. What was found stays found, the budget goes on, and so do the random numbers, so the
next attempt is another one. A design that was judged before is no elite again, so an attempt is
not drawn to where an earlier one ended.

Or some of it stays: the next attempt begins between the first weights and those of the best
attempt, and ends near it or somewhere better (basin hopping: D. J. Wales and J. P. K. Doye,
J. Phys. Chem. A 101, 5111 (1997), here with a policy in place of a cluster, and as its step a
shrinking towards the first weights, J. T. Ash and R. P. Adams, arXiv 1910.08475).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor


class Restarts:
    """Counts the steps since an attempt last got better; `patience` of them end it, 0 none.

    `first` is what the learner was (see its `state_dict`). Of what the best attempt had learned a
    share `hop` stays, until `hops` attempts one after the other were no better; 0: nothing stays.
    """

    def __init__(
        self, patience: int, first: Mapping[str, Tensor], hop: float = 0.0, hops: int = 6
    ) -> None:
        self.patience, self.hop, self.hops = patience, hop, hops
        self.first = dict(first) if patience else {}
        self.attempts, self.best, self.waited = 1, -math.inf, 0
        self.base: dict[str, Tensor] = {}  # the best attempt as it ended, from which the next hops
        self.level, self.vain = -math.inf, 0  # its reward; hops from it that were no better

    def due(self, reward: float) -> bool:
        """Return whether the attempt is over; `reward` is the best of the step, -inf for none."""
        if not self.patience:
            return False
        self.waited = 0 if reward > self.best else self.waited + 1
        self.best = max(self.best, reward)
        return self.waited >= self.patience

    def anew(self, learned: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Begin the next attempt; returns what the learner is then, `learned` is what it was."""
        best, self.attempts, self.best, self.waited = self.best, self.attempts + 1, -math.inf, 0
        if not self.hop:
            return self.first
        self.vain = 0 if best > self.level else self.vain + 1
        if best >= self.level:
            self.base, self.level = {name: learned[name] for name in self.first}, best
        if self.vain >= self.hops:
            self.base, self.level, self.vain = {}, -math.inf, 0
        return {name: self._between(name, value) for name, value in self.first.items()}

    def _between(self, name: str, first: Tensor) -> Tensor:
        """Return a tensor `hop` of the way from the first one to the best attempt's."""
        moves = self.base and first.is_floating_point()
        return first.lerp(self.base[name].to(first.device), self.hop) if moves else first

    def metrics(self) -> dict[str, float]:
        """Return which attempt this is, where there can be several."""
        return {"attempt": float(self.attempts)} if self.patience else {}

    def state(self) -> dict[str, Any]:
        """Return tensors and plain data for a checkpoint."""
        best, level = (None if math.isinf(it) else it for it in (self.best, self.level))
        counts = {"attempts": self.attempts, "best": best, "waited": self.waited}
        return counts | {"base": self.base, "level": level, "vain": self.vain}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        best, level = (-math.inf if it is None else it for it in (state["best"], state["level"]))
        self.attempts, self.waited = int(state["attempts"]), int(state["waited"])
        self.best, self.level, self.vain = float(best), float(level), int(state["vain"])
        self.base = dict(state["base"])
