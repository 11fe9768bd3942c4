"""Learning that begins anew where it stopped getting better.

A policy that has settled on designs just below the best seldom leaves them. What it learned is
then dropped: weights and optimiser go back to what they were at first, and the elites are
forgotten. What was found stays found, the budget goes on, and so do the random numbers, so the
next attempt is another one. A design that was judged before is no elite again, so an attempt is
not drawn to where an earlier one ended.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor


class Restarts:
    """Counts the steps since an attempt last got better; `patience` of them end it, 0 none."""

    def __init__(self, patience: int, first: Mapping[str, Tensor]) -> None:
        self.patience = patience
        self.first = dict(first) if patience else {}  # what the learner was, see its `state_dict`
        self.attempts, self.best, self.waited = 1, -math.inf, 0

    def due(self, reward: float) -> bool:
        """Return whether the attempt is over; `reward` is the best of the step, -inf for none."""
        if not self.patience:
            return False
        self.waited = 0 if reward > self.best else self.waited + 1
        self.best = max(self.best, reward)
        if self.waited < self.patience:
            return False
        self.attempts, self.best, self.waited = self.attempts + 1, -math.inf, 0
        return True

    def metrics(self) -> dict[str, float]:
        """Return which attempt this is, where there can be several."""
        return {"attempt": float(self.attempts)} if self.patience else {}

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        best = None if math.isinf(self.best) else self.best
        return {"attempts": self.attempts, "best": best, "waited": self.waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        best = state["best"]
        self.attempts, self.waited = int(state["attempts"]), int(state["waited"])
        self.best = -math.inf if best is None else float(best)
