"""Growing a chain residue by residue, for B chains at once, all state on the device.

The walker stands on the last residue and chooses where the next one goes, as seen from its own
frame: action 0 is straight ahead, the others the remaining directions except back. The first
bond is given. With `symmetric` (the default) the mask lets each walk through in one of its
symmetric forms only: on the square lattice the first turn is to the left.

Where chains lie is a list of packed points [B, t], one longer at each step. What the walker needs
to know lies within two bonds of its head and is looked up there at each step, so the time of a
step grows with t and not with a grid, and a step leaves the earlier state as it was. The work is
done in operations on tensors (`Tensors`), on the CPU by compiled code (`Compiled`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Floats
from tasks.folding.bounds import bound
from tasks.folding.design import Fold, spelled
from tasks.folding.energy import matrix_named
from tasks.folding.frames import frames_on
from tasks.folding.growth import Grow, Growth, Order
from tasks.folding.lattices import Lattice, lattice_named
from tasks.folding.lines import Lines
from tasks.folding.observation import Describe
from tasks.folding.sequence import hp_string
from tasks.folding.spelling import Spelling
from tasks.folding.tensors import Tensors

if TYPE_CHECKING:
    from tasks.folding.stepping import Compiled

_ANY = 1 << 30  # more lines than there are


@dataclass(frozen=True)
class Chain:
    """The environment of one sequence on one lattice; its designs are `Fold`.

    `matrix` is the contact energy that observation and potential speak of: a name or a file.
    `lookahead` forbids a move to a point without an exit, unless nothing is put next to it.
    `grow` says where the chain begins: at its start, at its end, or in the middle, where the two
    ends take turns. With `prune`, a walk that can no longer reach this energy gives up. With
    `compact`, HP chains make no move after which the lines that their core lies on leave less
    than this share of the bound within reach (see `Lines`).
    """

    sequence: str
    lattice: str = "square"
    matrix: str = "hp"
    symmetric: bool = True
    lookahead: bool = True
    window: int = 8  # residues seen ahead along the chain
    grow: Grow = "start"
    prune: float | None = None
    compact: float = 0.0

    @property
    def num_actions(self) -> int:
        """A = Z: the Z - 1 directions other than back, and GIVE_UP."""
        return self.place.size

    @property
    def give_up(self) -> int:
        """The last action, legal exactly where nothing else is (trapped, or done)."""
        return self.place.size - 1

    @property
    def max_steps(self) -> int:
        """T = L - 2: the first two residues are given."""
        return len(self.sequence) - 2

    @property
    def obs_size(self) -> int:
        """F, see `Describe`; where lines are limited also those left, and how many a turn adds."""
        return self.describe.size + (self.place.size if self._lines else 0)

    @cached_property
    def scale(self) -> float:
        """The size of the bound on the energy; 1 where no contact attracts."""
        return -bound(self.sequence, self.lattice, self.matrix) or 1.0

    @cached_property
    def place(self) -> Lattice:
        return lattice_named(self.lattice)

    @cached_property
    def sticky(self) -> list[bool]:
        """[L] which residues are hydrophobic, in the order they are placed."""
        letters = hp_string(self.sequence)
        return [letters[residue] == "H" for residue in self.order.order]

    @cached_property
    def describe(self) -> Describe:
        sticky = np.array(self.sticky, dtype=np.float64)[self.order.order.argsort()]  # by residue
        given = (self.place, self.pairs, sticky, self.window, self.scale)
        return Describe(*given, self.order)

    @cached_property
    def pairs(self) -> Floats:
        """[L, L] the energy of each pair of residues in contact."""
        return matrix_named(self.matrix).pairs(self.sequence)

    @cached_property
    def order(self) -> Order:
        return Order(len(self.sequence), self.grow)

    @cached_property
    def _spelling(self) -> Spelling:
        palindrome = self.sequence == self.sequence[::-1]
        return Spelling(self.place, self.order, self.symmetric, palindrome)

    @cached_property
    def gains(self) -> list[float]:
        """[L + 1] the most that is gained from each placement on, see `Order.gains`."""
        return self.order.gains(self.pairs, self.place)

    @cached_property
    def first_state(self) -> int:
        """The state of `Lattice.breaking` after the first bond; the last one breaks nothing."""
        breaking = self.place.breaking
        return int(breaking.after[0, 0]) if self.symmetric else len(breaking.legal) - 1

    @cached_property
    def _lines(self) -> Lines | None:
        """Counts the lines of the core where `compact` limits them."""
        return Lines(self.place, hp_string(self.sequence)) if self.compact > 0 else None

    @cached_property
    def _widest(self) -> float:
        """On how many lines a core may lie."""
        if self._lines is None:
            return math.inf
        return self._lines.most(-self.compact * self.scale) + 1e-4

    @cached_property
    def tensors(self) -> Tensors:
        """The steps of growth in operations on tensors, on any device."""
        return Tensors(self)

    @cached_property
    def _compiled(self) -> Compiled | None:
        """The same as compiled code, several times as fast on the CPU; None without numba."""
        if find_spec("numba") is None:
            return None
        from tasks.folding.stepping import Compiled

        return Compiled(self)

    def _on(self, state: Growth) -> Tensors | Compiled:
        """Return what steps chains where these are."""
        compiled = self._compiled if state.cells.device.type == "cpu" else None
        return compiled or self.tensors

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Growth:
        """Return B chains of two residues, joined by the first letter."""
        frames = frames_on(self.place, device)
        cells = torch.zeros(batch_size, 2, dtype=torch.int32, device=device)
        cells[:, 1] = int(self.place.deltas[0])
        ends = self.order.first_frames(self.place)
        zero = torch.zeros(batch_size, dtype=torch.int64, device=device)
        heads = torch.stack([frames.steps[0], torch.zeros_like(frames.steps[0])][: len(ends)])
        lines, spread = self._first_lines(batch_size, device)
        head = heads.expand(batch_size, len(ends), 3)
        ahead, wider = self._ahead(head, lines, 2)
        return Growth(
            cells=cells,
            near=self.tensors.near(cells),
            head=head,
            core=heads[0] * float(self.sticky[1]) + torch.zeros_like(zero)[:, None],
            frame=torch.stack([zero + int(frame) for frame in ends], dim=1),
            broken=zero + self.first_state,
            last=torch.stack([zero] * len(ends), dim=1),
            stuck=zero.bool(),
            energy=zero.float(),
            lines=lines,
            spread=spread,
            ahead=ahead,
            wider=wider,
        )

    def _first_lines(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the lines of the given bond, and their number."""
        spread = torch.zeros(count, dtype=torch.int64, device=device)
        if self._lines is None:
            return spread[:, None, None][:, :0, :0], spread
        lines = torch.zeros(count, 0, self._lines.directions, dtype=torch.int64, device=device)
        points = torch.tensor([[0, 0, 0], self.place.vectors[0]], device=device)
        for sticky, point in zip(self.sticky[:2], points, strict=True):
            if sticky:
                own = self._lines.through(point[None])
                spread = spread + (own != lines).all(1).sum(1)
                lines = torch.cat([lines, own.expand(count, 1, -1)], dim=1)
        return lines, spread

    def _ahead(self, heads: Tensor, lines: Tensor, placed: int) -> tuple[Tensor, Tensor]:
        """Return the lines next to the end that grows next, and how many are new, by letter."""
        if self._lines is None:
            none = heads.new_zeros(len(heads), 0, 0, dtype=torch.int64)
            return none, none.flatten(1)
        return self._lines.ahead(heads[:, self.order.sides[placed]], lines)

    def done(self, state: Growth, /) -> Tensor:
        """Return [B], True where the chain is complete or the walker gave up."""
        complete = state.cells.shape[1] >= len(self.sequence)
        return torch.ones_like(state.stuck) if complete else state.stuck

    def mask(self, state: Growth, /) -> Tensor:
        """Return [B, A]: free points, one of each symmetric set; GIVE_UP where there is none."""
        return self._on(state).mask(state, self.room(state))

    def room(self, state: Growth) -> Tensor | None:
        """Return [B] how many lines the next residue may add to the core, below 0 where it may lie
        nowhere; None where nothing limits it.
        """
        placed = min(state.cells.shape[1], len(self.sequence) - 1)
        room = None
        if self._lines is not None and self.sticky[placed]:
            room = math.floor(self._widest) - state.spread
        if self.prune is not None:
            reach = state.energy + self.gains[placed] <= self.prune + 1e-4
            room = torch.where(reach, _ANY if room is None else room, -1)
        return room

    def step(self, state: Growth, action: Tensor, /) -> Growth:
        """Return the chains with one more residue; those that are done stay where they are."""
        placed = state.cells.shape[1]
        if placed >= len(self.sequence):
            return state
        grown = self._on(state).step(state, action)
        lines, spread = state.lines, state.spread
        if self._lines is not None and self.sticky[placed]:
            frame = state.frame[:, self.order.sides[placed]]
            turn = action.clamp(max=self.give_up - 1)
            letter = frames_on(self.place, frame.device).letters[frame, turn]
            rows = torch.arange(len(letter), device=letter.device)
            lines = torch.cat([lines, state.ahead[rows, letter][:, None]], dim=1)
            spread = spread + state.wider[rows, letter] * ~grown["stuck"]
        ahead, wider = self._ahead(grown["head"], lines, placed + 1)
        return Growth(**grown, lines=lines, spread=spread, ahead=ahead, wider=wider)

    def observe(self, state: Growth, /) -> Tensor:
        """Return [B, F] float32, see `Describe`; last the lines left, and what a turn adds."""
        seen = self._on(state).observe(state)
        if self._lines is None:
            return seen
        frame = state.frame[:, self.order.sides[state.cells.shape[1]]]
        new = state.wider.gather(1, frames_on(self.place, frame.device).letters[frame])
        left = (math.floor(self._widest) - state.spread)[:, None]
        return torch.cat([seen, left / self.place.size, new.float()], dim=1)

    def potential(self, state: Growth, /) -> Tensor:
        """Return [B] the contacts so far as a share of the bound: 0 at reset, at most 1."""
        return state.energy / -self.scale

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[Fold | None]:
        """Return the folds; None where the walker gave up. Trusts that actions were legal."""
        steps = self.max_steps
        rows = [list(row[:steps]) + [self.give_up] * (steps - len(row)) for row in actions]
        chosen = np.array(rows, dtype=np.int64).reshape(len(rows), steps)
        trapped = (chosen == self.give_up).any(axis=1)
        letters = self._spelling.letters(np.minimum(chosen, self.give_up - 1))
        return [
            None if lost else Fold(self.sequence, self.lattice, text)
            for lost, text in zip(trapped.tolist(), spelled(letters, self.place), strict=True)
        ]

    def encode(
        self, designs: Sequence[Fold], rng: np.random.Generator | None = None
    ) -> list[list[int] | None]:
        """Return the actions that grow each fold; None for another chain's folds and for wide ones.

        Folds that are one under symmetry have one spelling, except that a chain which reads the
        same backwards can be grown from either end, and that without `symmetric` a walk and its
        mirror image are two: `rng` picks one of these.
        """
        ours = [d.sequence == self.sequence and d.lattice == self.lattice for d in designs]
        if self._lines is not None:
            known = zip(designs, ours, strict=True)
            spread = (own and self._lines.met(d.coordinates[d.sticky]) for d, own in known)
            ours = [own and s <= self._widest for own, s in zip(ours, spread, strict=True)]
        words = [d.letters for d, own in zip(designs, ours, strict=True) if own]
        found = iter(self._spelling.actions(words, rng).tolist())
        return [next(found) if own else None for own in ours]
