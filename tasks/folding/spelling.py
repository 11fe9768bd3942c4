"""Actions as folds and folds as actions: the two ways to write a chain that grows.

A fold is spelled by letters, the directions of its bonds in space from the first residue on;
actions are turns seen by the walker, in the order of growth (see `Order`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.folding.design import canonical, numbers, reverse, spelled
from tasks.folding.growth import Order
from tasks.folding.lattices import Ints, Lattice


@dataclass(frozen=True)
class Spelling:
    """Translates for one chain.

    With `symmetric`, walks that are one under symmetry have one spelling in actions, except that
    a `palindrome`, a chain that reads the same backwards, can be grown from either end.
    """

    lattice: Lattice
    order: Order
    symmetric: bool
    palindrome: bool

    def letters(self, actions: Ints) -> Ints:
        """Return the letters' numbers [N, L - 1] that actions [N, L - 2] write."""
        place = self.lattice
        turned = place.products[:, place.rotations]  # [G, A - 1]
        grown = np.zeros((len(actions), actions.shape[1] + 1), dtype=np.int64)
        frames = np.tile(self.order.first_frames(place), (len(actions), 1))
        for t in range(actions.shape[1]):
            side = self.order.sides[t + 2]
            grown[:, t + 1] = place.images[frames[:, side], place.turns[actions[:, t]]]
            frames[:, side] = turned[frames[:, side], actions[:, t]]
        return self.order.walked(grown)

    def actions(self, words: Sequence[str], rng: np.random.Generator | None = None) -> Ints:
        """Return the actions [N, L - 2] that grow the folds of these letters.

        Where a fold has several spellings `rng` picks one; without it, it is always the same.
        """
        place = self.lattice
        inverse = place.images.argsort(axis=1)  # [G, Z] the letter in the frame
        turn_of = np.zeros(place.size, dtype=np.int64)
        turn_of[place.turns] = np.arange(place.size - 1)
        turned = place.products[:, place.rotations]
        grown = [numbers(self._form(word, rng), place) for word in words]
        letters = np.array(grown, dtype=np.int64).reshape(len(words), self.order.length - 1)
        frames = np.tile(self.order.first_frames(place), (len(words), 1))
        actions = np.empty((len(words), self.order.length - 2), dtype=np.int64)
        for t in range(actions.shape[1]):
            side = self.order.sides[t + 2]
            actions[:, t] = turn_of[inverse[frames[:, side], letters[:, t + 1]]]
            frames[:, side] = turned[frames[:, side], actions[:, t]]
        return actions

    def _form(self, letters: str, rng: np.random.Generator | None) -> str:
        """Return a walk's letters in the order of growth, letter 0 first."""
        if rng is not None and self.palindrome and rng.random() < 0.5:
            letters = reverse(letters, self.lattice.name)
        grown = self.order.grown(numbers(letters, self.lattice))
        form = canonical(spelled(grown[None], self.lattice)[0], self.lattice.name)
        if rng is None or self.symmetric:
            return form
        keeping = np.flatnonzero(self.lattice.images[:, 0] == 0)  # the first bond stays
        image = self.lattice.images[rng.choice(keeping)]
        return spelled(image[numbers(form, self.lattice)][None], self.lattice)[0]
