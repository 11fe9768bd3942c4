"""Which search in the loop to trust: a softmax bandit over several proposers.

Each proposal is made by one arm, drawn in proportion to e^preference. An arm is paid 1 where its
proposal would have been among the parents, and 0 where not; preferences climb the gradient of
the expected payoff (Sutton and Barto 2018, section 2.8), against the mean of earlier payoffs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from designer.errors import InputError
from designer.estimators import bandit_gradient
from designer.proposing import engaged, memory_of, remind
from designer.protocols import Purse


@dataclass(frozen=True)
class BanditSettings:
    """The `[bandit]` table: how arms among `[[proposer]]` tables are chosen."""

    rate: float = 1.0  # step size of the preferences
    decay: float = 0.9  # how much the mean of earlier payoffs keeps of itself
    explore: float = 0.05  # share of proposals drawn from all arms alike

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise InputError(f"bandit: rate is {self.rate}, expected above 0")
        for name in ("decay", "explore"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"bandit: {name} is {getattr(self, name)}, expected 0 to 1")


@dataclass
class Bandit:
    """A proposer made of several. Everything that changes is in `state()`."""

    arms: Sequence[Any]
    settings: BanditSettings
    purse: Purse | None = None
    policy: Any = None  # the campaign's

    def __post_init__(self) -> None:
        if self.purse is not None:
            self.arms = [engaged(arm, self.purse, self.policy) for arm in self.arms]
        self.preferences = torch.zeros(len(self.arms), dtype=torch.float64)
        self.mean, self.mass = 0.0, 0.0
        self.drawn: list[int] = []  # the arm of each proposal that is being judged

    @property
    def shares(self) -> Any:
        """Return [A] how often each arm is drawn; the sum is 1."""
        explore = self.settings.explore
        return (1 - explore) * torch.softmax(self.preferences, 0).numpy() + explore / len(self.arms)

    def __call__(self, parents: Sequence[Any], count: int, rng: np.random.Generator) -> list[Any]:
        """Return at most `count` designs, arm after arm; who made which is remembered."""
        wanted = rng.multinomial(count, self.shares).tolist()
        out: list[Any] = []
        self.drawn = []
        for arm, number in enumerate(wanted):
            made = self.arms[arm](parents, number, rng) if number else []
            out += made
            self.drawn += [arm] * len(made)
        return out

    def pay(self, payoff: Sequence[float]) -> None:
        """Pay the arms of the last proposals, in order; another number of them teaches nothing.

        The arms were drawn with `explore` mixed in, which is undone by weighting.
        """
        if not payoff or len(payoff) != len(self.drawn):
            return
        arm, paid = torch.tensor(self.drawn), torch.tensor(payoff, dtype=torch.float64)
        pure, drawn = torch.softmax(self.preferences, 0), torch.from_numpy(self.shares)
        ratio = (pure / drawn)[arm]
        known = self.mean / self.mass if self.mass > 0 else float(paid.mean())
        step = bandit_gradient(self.preferences, arm, ratio * (paid - known), 0.0)
        self.preferences = self.preferences + self.settings.rate * step
        keep = self.settings.decay
        self.mean = keep * self.mean + (1 - keep) * float(paid.mean())
        self.mass = keep * self.mass + (1 - keep)

    def hear(self, designs: Sequence[Any], rewards: Sequence[float]) -> None:
        """Tell the arms that listen what was judged."""
        for arm in self.arms:
            if hasattr(arm, "hear"):
                arm.hear(designs, rewards)

    def metrics(self) -> dict[str, float]:
        """Return how often each arm is drawn."""
        return {f"arm_{i + 1}": float(share) for i, share in enumerate(self.shares)}

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {
            "preferences": self.preferences.tolist(),
            "mean": self.mean,
            "mass": self.mass,
            "drawn": self.drawn,
            "arms": [memory_of(arm) for arm in self.arms],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        for arm, held in zip(self.arms, state["arms"], strict=True):
            remind(arm, held)
        self.preferences = torch.tensor(state["preferences"], dtype=torch.float64)
        self.mean, self.mass = float(state["mean"]), float(state["mass"])
        self.drawn = list(state["drawn"])
