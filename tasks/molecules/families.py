"""When breeding leaves a family of molecules for another, and comes back to both.

The best found are soon of one family, and nearly equal. Where their ten best have gained nothing
for `patience` judged molecules, breeding goes on from strangers alone: nothing is forgotten, but
the parents are only what came of these strangers. When that stands still too, the best of all and
of this family take turns as parents, until that stands still, and so on.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from tasks.molecules.design import Molecule, read

FOUNDERS = 128  # strangers of which a family begins
GAIN = 0.005  # of the mean of the ten best: what less is, is none
TOP = 10
MEMBERS = 1024


@dataclass
class Families:
    """What is bred from now: the family that began last, alone or with the best of all."""

    patience: int = 0  # judged molecules without a gain; 0: all that is known, always
    apart: bool = False  # whether the family is bred from alone
    own: list[tuple[float, str]] = field(default_factory=list)  # its rewards times -1, and SMILES
    best: list[float] = field(default_factory=list)  # of all known, `TOP` rewards times -1
    mark: float | None = None  # mean of the best ten when they last gained
    waited: int = 0  # judged since then
    founders: int = 0  # strangers used so far
    asked: list[str] = field(default_factory=list)  # what was proposed last
    _designs: dict[str, Molecule] = field(default_factory=dict)  # the family, by SMILES

    def newcomers(self, strangers: Sequence[Molecule], count: int) -> list[Molecule]:
        """Return the next strangers to be judged where a family is to begin, else none."""
        if not self.apart or len(self.own) >= FOUNDERS:
            return []
        self.founders += count
        return list(strangers[self.founders - count : self.founders])

    def parents(self, known: Sequence[Molecule]) -> Sequence[Molecule]:
        """Return what to breed from, best first; `known` are the best of all."""
        own = [self._designs[text] for _, text in self.own]
        if self.apart and own:
            return own
        turns = [
            design for pair in zip_longest(known, own) for design in pair if design is not None
        ]
        return list({design.key: design for design in turns}.values())[: len(known)]

    def hear(self, designs: Sequence[Molecule], rewards: Sequence[float]) -> None:
        """Take in what was judged, and change over where it is time."""
        if not self.patience:
            return
        for design, reward in zip(designs, rewards, strict=True):
            insort(self.best, -reward)
            if self.apart and design.text in self.asked:
                insort(self.own, (-reward, design.text))
                self._designs[design.text] = design
        for _, text in self.own[MEMBERS:]:
            del self._designs[text]
        del self.best[TOP:], self.own[MEMBERS:]
        top = [value for value, _ in self.own[:TOP]] if self.apart else self.best
        now = -sum(top) / TOP
        self.waited += len(designs)
        if self.mark is None or now > self.mark + GAIN * abs(self.mark):
            self.mark, self.waited = now, 0
        if self.waited >= self.patience:
            self._change()

    def _change(self) -> None:
        self.apart, self.waited = not self.apart, 0
        self.mark = None if self.apart else -sum(self.best) / TOP
        if self.apart:
            self.own, self._designs = [], {}

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        settled = ("patience", "_designs")  # a setting, and what `own` says
        plain = {name: value for name, value in vars(self).items() if name not in settled}
        return plain | {"own": [list(pair) for pair in self.own]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        for name, value in state.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)
        self.own = [(minus, text) for minus, text in state["own"]]
        read_back = {text: read(text) for _, text in self.own}
        self._designs = {text: design for text, design in read_back.items() if design is not None}
