"""Design: which sequences take a given fold as their only ground state? The task and its moves.

A sequence is written letter by letter over H and P (or the matrix's alphabet); `Mutations` breeds
from the best ones known, and begins from what the target says: residues that touch want to be H.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from designer.errors import InputError
from designer.protocols import Task
from designer.sequences import TokenDesign
from tasks.folding.design import Fold, parse_fold
from tasks.folding.drawing import draw
from tasks.folding.energy import Named, matrix_named
from tasks.folding.lattices import LONGEST, Ints, lattice_named
from tasks.folding.maps import LONGEST_EXACT, judged, maps_of
from tasks.folding.residues import Residues
from tasks.folding.sequence import SHORTEST
from tasks.folding.view import show
from tasks.folding.wishes import Wish

_CHANCE_INSIDE, _CHANCE_OUTSIDE = 0.7, 0.25  # of an H at first: where it touches, where not
_IDLE = 200  # draws without a new sequence, after which there are hardly more
_CROSSED, _PAIRED, _SECOND, _THIRD = 0.2, 0.3, 0.5, 0.2  # chances of a mutation's kinds


def designing(
    target: str,
    lattice: str = "square",
    matrix: Named | Path = "hp",
    pattern: str = "",
    composition: str = "",
    stop_at_gap: float | None = None,
) -> Task:
    """Return the task of designing a sequence whose ground state is the target, or near it.

    `target` is the fold, one letter a bond; `matrix` the contact energy, whose alphabet the
    sequence is written in (H and P, the 20 residues, or a file's own). `pattern` and
    `composition` say what else is wished of it (see `tasks.folding.wishes`). The run ends at a
    sequence whose `gap` is at least `stop_at_gap`; without it, it goes on for more. Raises
    InputError for a bad target, lattice or matrix, and for wishes that no sequence meets.
    """
    energy = str(matrix)
    alphabet = matrix_named(energy).alphabet
    length = len(target.strip()) + 1
    if not SHORTEST <= length <= LONGEST:
        raise InputError(f"target has {length} residues, expected {SHORTEST} to {LONGEST}")
    fold = parse_fold(target, sequence="H" * length, lattice=lattice_named(lattice).name).letters
    wish = Wish(alphabet, length, pattern, composition)
    env, mutations = Residues(fold, lattice, wish), Mutations(fold, lattice, wish)
    return Task(
        name="fold_design",
        environment=env,
        parse=env.parse,
        show=partial(_show, target=fold, lattice=lattice, matrix=energy),
        draw=partial(_draw, target=fold, lattice=lattice, matrix=energy),
        proposer=mutations,
        examples=mutations.first(1, np.random.default_rng(0)),
        goal=None if stop_at_gap is None else Reached(stop_at_gap),
        context={"target": fold, "lattice": lattice, "matrix": energy, "wish": wish},
    )


def _show(design: TokenDesign, target: str, lattice: str, matrix: str) -> str:
    """Return the sequence on the target, and whether that is its ground state, where it is known
    exactly: the energy alone does not tell.
    """
    fold = Fold(design.text, lattice, target)
    short = lattice == "square" and matrix == "hp" and len(design.text) <= LONGEST_EXACT
    exact = short and find_spec("numba") is not None
    lines = [design.text, show(fold, matrix, count=not exact)]
    if exact:
        lines.append(_standing(fold))
    return "\n".join(lines)


def _standing(fold: Fold) -> str:
    """Return one line: how the fold lies among all others of its sequence."""
    maps = maps_of(len(fold.sequence))
    word = maps.word(fold)
    if (twins := maps.twins(word) - 1) > 0:
        return f"NOT the only ground state of any sequence: {twins:,} others have its contacts"
    (found,) = judged(maps, word, [fold.sequence])
    others = f"{found.ways:,} other{' fold has' if found.ways == 1 else ' folds have'}"
    if found.gap > 0:
        return f"the only ground state: {others} {found.gap:g} more, none less (exact)"
    if found.gap == 0:
        return f"NOT the only ground state: {others} the same energy (exact)"
    return f"NOT a ground state: {others} {-found.gap:g} less (exact)"


def _draw(designs: Sequence[TokenDesign], target: str, lattice: str, matrix: str) -> str:
    return draw([Fold(design.text, lattice, target) for design in designs], matrix)


@dataclass(frozen=True)
class Reached:
    """Tells from raw scores whether the target lies far enough below all other folds."""

    gap: float

    def __call__(self, scores: Mapping[str, float], /) -> bool:
        """Return True where there is a gap and it is wide enough."""
        return scores.get("gap", -np.inf) >= self.gap


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
        """Return at most `count` distinct sequences, sticky where the target has contacts; fewer
        once many draws one after the other gave nothing new: a tight wish leaves only a few.
        """
        found: dict[str, TokenDesign] = {}
        idle = 0
        while len(found) < count and idle < _IDLE:
            text = self._suiting(rng)
            new = text not in found and self.wish(text)
            if new:
                found[text] = TokenDesign(tuple(text), text)
            idle = 0 if new else idle + 1
        return list(found.values())

    def _suiting(self, rng: np.random.Generator) -> str:
        alphabet = self.wish.alphabet
        chance = np.where(self._touched, _CHANCE_INSIDE, _CHANCE_OUTSIDE)
        sticky = rng.random(self.wish.length) < chance
        others = rng.integers(1, len(alphabet), size=self.wish.length)
        if len(alphabet) > 2:  # no letter is known to stick: any may stand anywhere
            sticky, others = np.zeros_like(sticky), rng.integers(0, len(alphabet), size=len(others))
        return self._held(np.where(sticky, 0, others), rng)

    def _held(self, kinds: Ints, rng: np.random.Generator) -> str:
        """Return the sequence with the pattern put in, and with as many of each letter as wished:
        places drawn at random change from a letter there is too much of.
        """
        places, (low, high) = self.wish.places, self.wish.bounds
        kinds = np.where(places < 0, kinds, places)
        for place in rng.permutation(np.flatnonzero(places < 0)).tolist():
            counts = np.bincount(kinds, minlength=len(low))
            here, lacking = kinds[place], counts < low
            if counts[here] <= high[here] and (not lacking.any() or counts[here] <= low[here]):
                continue
            better = np.flatnonzero(lacking if lacking.any() else counts < high)
            kinds[place] = better[int(rng.integers(len(better)))]
        return "".join(self.wish.alphabet[k] for k in kinds)

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
        return self._held(np.array([self.wish.alphabet.index(c) for c in letters]), rng)

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
