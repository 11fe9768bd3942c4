"""What a campaign remembers: elites to learn from again, and the best found.

`Elites` holds the best distinct designs with the actions that build them, for rank-weighted
replay and as parents of the proposer. `Archive` holds what people want at the end: the best
designs with their raw scores, and the Pareto front of reward against complexity.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from designer.protocols import Spelling


@dataclass(frozen=True)
class Elite:
    """A remembered design. `actions` built it; None where they are not known.

    What replays it may be another `spelling`; what it is built from again stays as it was, so
    that a resumed run holds the very same design (a fold has mirror images).
    """

    reward: float
    order: int  # when it was added; breaks ties, so the memory is the same on every run
    design: Any
    actions: tuple[int, ...] | None
    given: Mapping[str, Any] = field(default_factory=dict)  # what goes with them: values, start
    key: str = ""  # of the design that was judged; one built again from actions may lack numbers
    barred: bool = False  # the environment cannot build it: it is never replayed
    respelled: Spelling | None = None  # what replays it, where it was spelled anew

    @property
    def spelling(self) -> Spelling | None:
        """What replays it; None where it is not spelled yet."""
        if self.respelled is not None or self.actions is None:
            return self.respelled
        return Spelling(self.actions, self.given)


class Elites:
    """At most `capacity` distinct designs, best first.

    Of designs with equal rewards the first come stay; with `newest` the last come do, and stand
    before the others, so that a memory full of equals keeps changing.
    """

    def __init__(self, capacity: int, *, focus: float = 0.01, newest: bool = False) -> None:
        self.capacity, self.focus, self.newest = capacity, focus, newest
        self._items: list[Elite] = []
        self._keys: set[str] = set()
        self._added = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, design: Any, spelled: Spelling | Sequence[int] | None, reward: float) -> bool:
        """Remember the design if it is new and good enough; return whether it was."""
        self._added += 1
        full = len(self._items) >= self.capacity
        if design.key in self._keys or not self.wants(reward):
            return False
        whole = spelled if isinstance(spelled, Spelling) else Spelling(spelled or ())
        actions = None if spelled is None else tuple(int(a) for a in whole.actions)
        elite = Elite(reward, self._added, design, actions, whole.given, design.key)
        insort(self._items, elite, key=self._rank)
        self._keys.add(design.key)
        if full:
            self._keys.discard(self._items.pop().key)
        return True

    def clear(self) -> None:
        """Forget all of them."""
        self._items, self._keys = [], set()

    def wants(self, reward: float) -> bool:
        """Return whether a new design of that reward would be remembered."""
        if len(self._items) < self.capacity:
            return True
        worst = self._items[-1].reward
        return reward > worst or (self.newest and reward == worst)

    def _rank(self, elite: Elite) -> tuple[float, int]:
        """Return the sort key: best reward first, then first come, or last come."""
        return (-elite.reward, -elite.order if self.newest else elite.order)

    def best(self, count: int) -> list[Elite]:
        """Return at most `count` elites, best first."""
        return self._items[:count]

    def spell(self, elite: Elite, spelled: Spelling | None) -> None:
        """Give a remembered elite another spelling; None bars it from replay."""
        place = bisect_left(self._items, self._rank(elite), key=self._rank)
        self._items[place] = replace(elite, respelled=spelled, barred=spelled is None)

    def draw(self, count: int, rng: np.random.Generator) -> list[Elite]:
        """Return at most `count` distinct elites that are not barred, drawn by rank.

        The weight of rank r among n is 1 / (focus * n + r): Tripp et al. 2020
        (arXiv 2006.09191), as in Genetic GFN. A small `focus` looks at the very best only.
        """
        usable = [elite for elite in self._items if not elite.barred]
        if len(usable) <= count:
            return usable
        weights = 1.0 / (self.focus * len(usable) + np.arange(len(usable)))
        picked = rng.choice(len(usable), size=count, replace=False, p=weights / weights.sum())
        return [usable[i] for i in sorted(picked)]

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        rows = [
            [e.reward, e.order, e.design.text, e.actions and list(e.actions), dict(e.given), e.key,
             e.barred, e.respelled and [[int(a) for a in e.respelled.actions],
                                        dict(e.respelled.given)]] for e in self._items
        ]  # fmt: skip
        return {"added": self._added, "rows": rows}

    def restore(
        self, state: Mapping[str, Any], rebuild: Callable[[str, Spelling | None], Any]
    ) -> None:
        """Go back to a checkpoint; `rebuild(text, spelling)` returns the design."""
        self._added, self._items = state["added"], []
        for reward, order, text, actions, given, key, barred, again in state["rows"]:
            spelled = None if actions is None else Spelling(tuple(actions), given)
            design = rebuild(text, spelled)
            held = None if actions is None else tuple(actions)
            respelled = None if again is None else Spelling(*again)
            self._items.append(Elite(reward, order, design, held, given, key, barred, respelled))
        self._keys = {elite.key for elite in self._items}


@dataclass(frozen=True)
class Found:
    """One reported design: its text, reward, raw scores, size and the step that found it."""

    design: str
    reward: float
    scores: Mapping[str, float]
    complexity: int
    step: int
    evaluation: int  # how many evaluations had been spent when it was found
    key: str
    merit: float  # the reward before penalties


@dataclass
class Archive:
    """The best `capacity` distinct designs, and the Pareto front of merit against complexity.

    The front looks at the reward before penalties: a price on size would hide from it what a
    larger design does better.
    """

    capacity: int = 100
    best: list[Found] = field(default_factory=list)
    _by_size: dict[int, Found] = field(default_factory=dict)
    _keys: set[str] = field(default_factory=set)

    @property
    def threshold(self) -> float:
        """The reward below which only the front can still want a design."""
        return self.best[-1].reward if len(self.best) >= self.capacity else -np.inf

    def wants(self, reward: float, complexity: int, merit: float) -> bool:
        """Return whether a design of that reward and size would enter."""
        held = self._by_size.get(complexity)
        return reward > self.threshold or held is None or merit > held.merit

    def add(self, found: Found) -> None:
        """Take a design in where it belongs; a key is taken once."""
        held = self._by_size.get(found.complexity)
        if held is None or found.merit > held.merit:
            self._by_size[found.complexity] = found
        if found.key in self._keys or found.reward <= self.threshold:
            return
        insort(self.best, found, key=lambda f: (-f.reward, f.complexity, f.step))
        self._keys.add(found.key)
        if len(self.best) > self.capacity:
            self._keys.discard(self.best.pop().key)

    @property
    def front(self) -> list[Found]:
        """Return the designs no smaller one beats, simplest first."""
        out: list[Found] = []
        for size in sorted(self._by_size):
            if not out or self._by_size[size].merit > out[-1].merit:
                out.append(self._by_size[size])
        return out

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        sized = [asdict(found) for _, found in sorted(self._by_size.items())]
        return {"best": [asdict(found) for found in self.best], "sized": sized}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.best = [Found(**found) for found in state["best"]]
        self._by_size = {found["complexity"]: Found(**found) for found in state["sized"]}
        self._keys = {found.key for found in self.best}
