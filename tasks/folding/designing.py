"""Design: which sequences take a given fold as their only ground state? The task and its moves.

A sequence is written letter by letter over H and P (or the matrix's alphabet); `Mutations` breeds
from the best ones known, and begins from what the target says: residues that touch want to be H.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from designer.errors import InputError
from designer.protocols import Task
from designer.sequences import TokenDesign
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.inverse import inverse
from tasks.folding.lattices import Ints

_CHANCE_INSIDE, _CHANCE_OUTSIDE = 0.7, 0.25  # of an H at first: where it touches, where not
_CROSSED, _PAIRED, _SECOND, _THIRD = 0.2, 0.3, 0.5, 0.2  # chances of a mutation's kinds


def designing(
    target: str,
    lattice: str = "square",
    matrix: str = "hp",
    fewest: int = 0,
    most: int | None = None,
    pattern: str = "",
    stop_at_gap: float | None = None,
) -> Task:
    """Return the task of finding sequences whose only ground state is the target.

    `target` is the fold, one letter a bond. `fewest` and `most` bound the number of H (of the
    alphabet's first letter), `pattern` gives a letter a residue, `.` where any may stand. The run
    ends at a sequence whose `gap` is at least `stop_at_gap`; without it, it goes on for more.
    Raises InputError for a bad target, and for wishes that no sequence meets.
    """
    task = inverse(target, lattice, matrix)
    fold = str(task.context["target"])
    wish = Wish(matrix_named(matrix).alphabet, len(fold) + 1, fewest, most, pattern.upper())
    mutations = Mutations(fold, lattice, wish)
    return replace(
        task,
        name="fold_design",
        proposer=mutations,
        examples=mutations.first(1, np.random.default_rng(0)),
        goal=None if stop_at_gap is None else Reached(stop_at_gap),
        context={**task.context, "wish": wish},
    )


@dataclass(frozen=True)
class Reached:
    """Tells from raw scores whether the target lies far enough below all other folds."""

    gap: float

    def __call__(self, scores: Mapping[str, float], /) -> bool:
        """Return True where there is a gap and it is wide enough."""
        return scores.get("gap", -np.inf) >= self.gap


@dataclass(frozen=True)
class Wish:
    """What a sequence must look like, beside its fold; raises InputError where nothing can."""

    alphabet: str
    length: int
    fewest: int = 0
    most: int | None = None
    pattern: str = ""

    def __post_init__(self) -> None:
        if self.pattern and len(self.pattern) != self.length:
            raise InputError(
                f"pattern {self.pattern!r} has {len(self.pattern)} letters, expected "
                f"{self.length}, one a residue ('.' where any may stand)"
            )
        for place, letter in enumerate(self.pattern, start=1):
            if letter not in self.alphabet + ".":
                raise InputError(
                    f"pattern: letter {letter!r} at position {place}, expected '.' or one of "
                    f"{self.alphabet}"
                )
        fixed = self.pattern.count(self.alphabet[0])
        free = self.pattern.count(".") if self.pattern else self.length
        top = self.length if self.most is None else self.most
        if not 0 <= self.fewest <= top or self.fewest > fixed + free or top < fixed:
            raise InputError(
                f"{self.fewest} to {top} residues {self.alphabet[0]}, but the chain can have "
                f"{fixed} to {fixed + free}"
            )

    def __call__(self, sequence: str) -> bool:
        """Return whether a sequence is as wished."""
        count = sequence.count(self.alphabet[0])
        fits = all(p in (".", c) for p, c in zip(self.pattern, sequence, strict=False))
        return fits and self.fewest <= count <= (self.length if self.most is None else self.most)


@dataclass(frozen=True)
class Mutations:
    """Proposes sequences near the parents: crossed, flipped at 1 to 3 places, or along contacts.

    While the parents are few (the first calls), sequences that suit the target's contacts.
    """

    target: str
    lattice: str
    wish: Wish
    few: int = 32

    def __call__(
        self, parents: Sequence[TokenDesign], count: int, rng: np.random.Generator, /
    ) -> list[TokenDesign]:
        """Return at most `count` distinct sequences as wished, none of them a parent."""
        if not parents or count < 1:
            return []
        known = {parent.text for parent in parents}
        if len(parents) < self.few:
            return [design for design in self.first(count, rng) if design.text not in known]
        children: dict[str, TokenDesign] = {}
        for _ in range(8 * count):
            if len(children) == count:
                break
            child = self._child(parents, rng)
            if child not in known and self.wish(child):
                children.setdefault(child, TokenDesign(tuple(child), child))
        return list(children.values())

    def first(self, count: int, rng: np.random.Generator) -> list[TokenDesign]:
        """Return at most `count` distinct sequences, sticky where the target has contacts."""
        found: dict[str, TokenDesign] = {}
        for _ in range(100 * count):
            text = self._suiting(rng)
            if self.wish(text):
                found.setdefault(text, TokenDesign(tuple(text), text))
            if len(found) == count:
                break
        return list(found.values())

    def _suiting(self, rng: np.random.Generator) -> str:
        alphabet = self.wish.alphabet
        chance = np.where(self._touched, _CHANCE_INSIDE, _CHANCE_OUTSIDE)
        sticky = rng.random(self.wish.length) < chance
        others = rng.integers(1, len(alphabet), size=self.wish.length)
        if len(alphabet) > 2:  # no letter is known to stick: any may stand anywhere
            sticky, others = np.zeros_like(sticky), rng.integers(0, len(alphabet), size=len(others))
        drawn = [alphabet[0] if s else alphabet[o] for s, o in zip(sticky, others, strict=True)]
        return self._held(drawn)

    def _held(self, letters: Sequence[str]) -> str:
        """Return the letters with those of the pattern put in."""
        pattern = self.wish.pattern or "." * self.wish.length
        return "".join(c if p == "." else p for c, p in zip(letters, pattern, strict=True))

    def _child(self, parents: Sequence[TokenDesign], rng: np.random.Generator) -> str:
        letters = list(parents[int(len(parents) * rng.random() ** 2)].text)
        if rng.random() < _CROSSED:
            other, cut = parents[int(rng.integers(len(parents)))].text, int(rng.integers(99999))
            cut %= len(letters)
            letters[cut:] = other[cut:]
        contacts = self._contacts
        for _ in range(1 + int(rng.random() < _SECOND) + int(rng.random() < _THIRD)):
            if len(contacts) and rng.random() < _PAIRED:
                i, j = contacts[int(rng.integers(len(contacts)))]
                letters[i] = letters[j] = self._letter(rng)
            else:
                i = int(rng.integers(len(letters)))
                others = [c for c in self.wish.alphabet if c != letters[i]]
                letters[i] = others[int(rng.integers(len(others)))]
        return self._held(letters)

    def _letter(self, rng: np.random.Generator) -> str:
        return self.wish.alphabet[int(rng.integers(len(self.wish.alphabet)))]

    @cached_property
    def _contacts(self) -> Ints:
        """[K, 2] the pairs of residues that touch in the target without being bonded."""
        fold = Fold("H" * self.wish.length, self.lattice, self.target)
        pairs: Ints = np.argwhere(np.triu(fold.touching, 2))
        return pairs

    @cached_property
    def _touched(self) -> Ints:
        """[L] how many contacts each residue has."""
        return np.bincount(self._contacts.ravel(), minlength=self.wish.length)
