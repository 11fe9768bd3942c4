"""Growing a chain residue by residue, for B chains at once, all state on the device.

The walker stands on the last residue and chooses where the next one goes, as seen from its own
frame: action 0 is straight ahead, the others the remaining directions except back. The first
bond is given. With `symmetric` (the default) the mask lets each walk through in one of its
symmetric forms only: on the square lattice the first turn is to the left.

Where chains lie is a list of packed points [B, t], one longer at each step. What the walker needs
to know lies within two bonds of its head; `Surroundings` are looked up there at each step, so the
time of a step grows with t and not with a grid, and a step leaves the earlier state as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tasks.folding.bounds import bound
from tasks.folding.design import Fold, canonical, numbers, reverse, spelled
from tasks.folding.energy import matrix_named
from tasks.folding.frames import frames_on
from tasks.folding.lattices import Ints, Lattice, lattice_named
from tasks.folding.observation import Describe
from tasks.folding.sequence import hp_string
from tasks.folding.surroundings import ENERGY, EXITS, TAKEN, Surroundings


@dataclass(frozen=True)
class Growth:
    """B growing chains, t residues each (those that gave up repeat their last point)."""

    cells: Tensor  # [B, t] int32 packed points of the residues
    near: Tensor  # [B, 4, Z] float32 what is around the head, see `Surroundings`
    head: Tensor  # [B, 3] float32 lattice point of the last residue
    core: Tensor  # [B, 3] float32 sum of the hydrophobic residues' points
    frame: Tensor  # [B] int64 the symmetry that turns the standard frame into the walker's
    broken: Tensor  # [B] int64 state of `Lattice.breaking`
    last: Tensor  # [B] int64 the last move
    stuck: Tensor  # [B] bool, the walker gave up
    energy: Tensor  # [B] float32 contact energy so far


@dataclass(frozen=True)
class Chain:
    """The environment of one sequence on one lattice; its designs are `Fold`.

    `matrix` is the contact energy that observation and potential speak of: a name or a file.
    `lookahead` forbids a move to a point without an exit, unless it is the last move.
    """

    sequence: str
    lattice: str = "square"
    matrix: str = "hp"
    symmetric: bool = True
    lookahead: bool = True
    window: int = 8  # residues seen ahead along the chain

    @property
    def num_actions(self) -> int:
        """A = Z: the Z - 1 directions other than back, and GIVE_UP."""
        return self._place.size

    @property
    def give_up(self) -> int:
        """The last action, legal exactly where nothing else is (trapped, or done)."""
        return self._place.size - 1

    @property
    def max_steps(self) -> int:
        """T = L - 2: the first two residues are given."""
        return len(self.sequence) - 2

    @property
    def obs_size(self) -> int:
        """F, see `Describe`."""
        return self._describe.size

    @cached_property
    def scale(self) -> float:
        """The size of the bound on the energy; 1 where no contact attracts."""
        return -bound(self.sequence, self.lattice, self.matrix) or 1.0

    @cached_property
    def _place(self) -> Lattice:
        return lattice_named(self.lattice)

    @cached_property
    def _sticky(self) -> list[bool]:
        return [letter == "H" for letter in hp_string(self.sequence)]

    @cached_property
    def _around(self) -> Surroundings:
        pairs = matrix_named(self.matrix).pairs(self.sequence)
        return Surroundings(self._place, pairs, self._sticky)

    @cached_property
    def _describe(self) -> Describe:
        pairs = matrix_named(self.matrix).pairs(self.sequence)
        sticky = np.array(self._sticky, dtype=np.float64)
        return Describe(self._place, pairs, sticky, self.window, self.scale)

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Growth:
        """Return B chains of two residues, joined by the first letter."""
        frames = frames_on(self._place, device)
        cells = torch.zeros(batch_size, 2, dtype=torch.int32, device=device)
        cells[:, 1] = int(self._place.deltas[0])
        head = frames.steps[0].expand(batch_size, 3)
        zero = torch.zeros(batch_size, dtype=torch.int64, device=device)
        breaking = self._place.breaking
        start = int(breaking.after[0, 0]) if self.symmetric else len(breaking.legal) - 1
        return Growth(
            cells=cells,
            near=self._around(cells),
            head=head,
            core=head * float(self._sticky[1]),
            frame=zero,
            broken=zero + start,
            last=zero,
            stuck=zero.bool(),
            energy=zero.float(),
        )

    def done(self, state: Growth, /) -> Tensor:
        """Return [B], True where the chain is complete or the walker gave up."""
        complete = state.cells.shape[1] >= len(self.sequence)
        return torch.ones_like(state.stuck) if complete else state.stuck

    def mask(self, state: Growth, /) -> Tensor:
        """Return [B, A]: free points, one of each symmetric set; GIVE_UP where there is none."""
        frames = frames_on(self._place, state.cells.device)
        free = (state.near[:, TAKEN] == 0) & frames.legal[state.broken]  # [B, Z] by letter
        if self.lookahead and state.cells.shape[1] < len(self.sequence) - 1:
            free = free & (state.near[:, EXITS] > 0)
        moves = free.gather(1, frames.letters[state.frame]) & ~self.done(state)[:, None]
        return torch.cat([moves, ~moves.any(1, keepdim=True)], dim=1)

    def step(self, state: Growth, action: Tensor, /) -> Growth:
        """Return the chains with one more residue; those that are done stay where they are."""
        placed = state.cells.shape[1]
        if placed >= len(self.sequence):
            return state
        frames = frames_on(self._place, state.cells.device)
        stuck = state.stuck | (action == self.give_up)
        moved, turn = ~stuck, action.clamp(max=self.give_up - 1)
        letter = frames.letters[state.frame, turn]
        head = state.head + frames.steps[letter] * moved[:, None]
        cell = state.cells[:, -1] + frames.deltas[letter] * moved
        cells = torch.cat([state.cells, cell[:, None]], dim=1)
        gained = state.near[:, ENERGY].gather(1, letter[:, None]).squeeze(1)
        return Growth(
            cells=cells,
            near=self._around(cells) if placed + 1 < len(self.sequence) else state.near,
            head=head,
            core=state.core + head * moved[:, None] if self._sticky[placed] else state.core,
            frame=torch.where(moved, frames.turned[state.frame, turn], state.frame),
            broken=torch.where(moved, frames.after[state.broken, letter], state.broken),
            last=torch.where(moved, turn, state.last),
            stuck=stuck,
            energy=state.energy + gained * moved,
        )

    def observe(self, state: Growth, /) -> Tensor:
        """Return [B, F] float32, see `Describe`."""
        frames = frames_on(self._place, state.cells.device)
        placed = state.cells.shape[1]
        count = sum(self._sticky[:placed])
        away = state.core - state.head * count  # the rest of the chain in space, from the head
        way = (frames.back[state.frame] @ away[:, :, None]).squeeze(2)
        letters = frames.letters[state.frame]
        return self._describe(state.near, letters, state.last, state.energy, way, placed)

    def potential(self, state: Growth, /) -> Tensor:
        """Return [B] the contacts so far as a share of the bound: 0 at reset, at most 1."""
        return state.energy / -self.scale

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[Fold | None]:
        """Return the folds; None where the walker gave up. Trusts that actions were legal."""
        steps = self.max_steps
        rows = [list(row[:steps]) + [self.give_up] * (steps - len(row)) for row in actions]
        chosen = np.array(rows, dtype=np.int64).reshape(len(rows), steps)
        trapped = (chosen == self.give_up).any(axis=1)
        letters = self._letters(np.minimum(chosen, self.give_up - 1))
        return [
            None if lost else Fold(self.sequence, self.lattice, text)
            for lost, text in zip(trapped.tolist(), spelled(letters, self._place), strict=True)
        ]

    def _letters(self, chosen: Ints) -> Ints:
        """Return the letters' numbers [N, L - 1] that actions [N, T] write."""
        place = self._place
        turned = place.products[:, place.rotations]  # [G, A - 1]
        letters = np.zeros((len(chosen), chosen.shape[1] + 1), dtype=np.int64)
        frame = np.zeros(len(chosen), dtype=np.int64)
        for t in range(chosen.shape[1]):
            letters[:, t + 1] = place.images[frame, place.turns[chosen[:, t]]]
            frame = turned[frame, chosen[:, t]]
        return letters

    def encode(
        self, designs: Sequence[Fold], rng: np.random.Generator | None = None
    ) -> list[list[int] | None]:
        """Return the actions that grow each fold; None for another chain's folds.

        Folds that are one under symmetry have one spelling, except that a chain which reads the
        same backwards can be grown from either end, and that without `symmetric` a walk and its
        mirror image are two: `rng` picks one of these.
        """
        ours = [d.sequence == self.sequence and d.lattice == self.lattice for d in designs]
        texts = [self._form(d.letters, rng) for d, own in zip(designs, ours, strict=True) if own]
        found = iter(self._actions(texts).tolist())
        return [next(found) if own else None for own in ours]

    def _form(self, letters: str, rng: np.random.Generator | None) -> str:
        """Return the form of the walk that is grown: its first, or a random one."""
        palindrome = self.sequence == self.sequence[::-1]
        if rng is not None and palindrome and rng.random() < 0.5:
            letters = reverse(letters, self.lattice)
        form = canonical(letters, self.lattice)
        if rng is None or self.symmetric:
            return form
        keeping = np.flatnonzero(self._place.images[:, 0] == 0)  # the first bond stays
        image = self._place.images[rng.choice(keeping)]
        return spelled(image[numbers(form, self._place)][None], self._place)[0]

    def _actions(self, texts: Sequence[str]) -> Ints:
        """Return the actions [N, T] that write the letters; each text begins with letter 0."""
        place = self._place
        inverse = place.images.argsort(axis=1)  # [G, Z] the letter in the frame
        turn_of = np.zeros(place.size, dtype=np.int64)
        turn_of[place.turns] = np.arange(place.size - 1)
        turned = place.products[:, place.rotations]
        letters = np.array([numbers(text, place) for text in texts], dtype=np.int64)
        letters = letters.reshape(len(texts), len(self.sequence) - 1)
        frame = np.zeros(len(texts), dtype=np.int64)
        actions = np.empty((len(texts), self.max_steps), dtype=np.int64)
        for t in range(self.max_steps):
            actions[:, t] = turn_of[inverse[frame, letters[:, t + 1]]]
            frame = turned[frame, actions[:, t]]
        return actions
