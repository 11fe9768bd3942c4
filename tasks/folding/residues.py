"""Writing a sequence for a fold, residue by residue, for B rows at once.

The mask holds what is wished of the sequence (`Wish`): every row that the mask lets through has
it, and every sequence that has it is let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from designer.protocols import Floats
from designer.sequences import TokenDesign
from tasks.folding.design import Fold
from tasks.folding.lattices import lattice_named
from tasks.folding.wishes import Wish


@dataclass(frozen=True)
class Written:
    """How far B sequences are written; all rows are equally long."""

    placed: Tensor  # [B] int64 residues so far
    last: Tensor  # [B] int64 the last letter, -1 before the first
    counts: Tensor  # [B, K] int64 residues of each letter


@dataclass(frozen=True)
class Residues:
    """The environment of one target; action k is letter k of the wish's alphabet.

    Observed are the last letter, the share written, and how many contacts the next residue has.
    """

    target: str
    lattice: str
    wish: Wish

    @property
    def num_actions(self) -> int:
        """A = K, the letters."""
        return len(self.wish.alphabet)

    @property
    def max_steps(self) -> int:
        """T = L, a residue a step."""
        return self.wish.length

    @property
    def obs_size(self) -> int:
        """F = K + 2."""
        return self.num_actions + 2

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Written:
        """Return B empty sequences."""
        none = torch.zeros(batch_size, dtype=torch.int64, device=device)
        return Written(none, none - 1, none[:, None].repeat(1, self.num_actions))

    def done(self, state: Written, /) -> Tensor:
        """Return [B] bool, True where the sequence is written."""
        return state.placed >= self.max_steps

    def mask(self, state: Written, /) -> Tensor:
        """Return [B, A] bool: letters after which a sequence as wished is possible."""
        done = self.done(state)
        place, low, high, later, free = self._on(state.last.device)
        after = (state.placed + 1).clamp(max=self.max_steps)
        letters = torch.arange(self.num_actions, device=done.device)
        wanted = place[state.placed.clamp(max=self.max_steps - 1)][:, None]
        legal = (wanted < 0) | (wanted == letters)
        one = torch.eye(self.num_actions, dtype=torch.int64, device=done.device)
        held = state.counts[:, None, :] + one + later[after][:, None, :]  # [B, A, K]
        need, room = (low - held).clamp(min=0).sum(2), high - held
        left = free[after][:, None]
        legal &= (room >= 0).all(2) & (need <= left) & (left <= room.sum(2))
        return torch.where(done[:, None], letters == 0, legal)

    def step(self, state: Written, action: Tensor, /) -> Written:
        """Return the sequences with one more letter; finished rows stay as they are."""
        going = ~self.done(state)
        one = torch.nn.functional.one_hot(action, self.num_actions)
        return Written(
            placed=state.placed + going,
            last=torch.where(going, action, state.last),
            counts=state.counts + one * going[:, None],
        )

    def observe(self, state: Written, /) -> Tensor:
        """Return [B, F] float32 in [0, 1]."""
        letters = torch.arange(self.num_actions, device=state.last.device)
        last = (state.last[:, None] == letters).float()
        return torch.cat([last, self._place(state.last.device)[state.placed]], dim=1)

    def observe_relaxed(
        self, step: int, last: Tensor | None, batch_size: int, device: torch.device
    ) -> Tensor:
        """Return [B, F], what is seen after relaxed choices [B, A] (None before the first).

        The same as `observe` where the choices are one-hot; differentiable in them.
        """
        if last is None:
            last = torch.zeros(batch_size, self.num_actions, device=device)
        return torch.cat([last, self._place(device)[step].expand(batch_size, 2)], dim=1)

    def relaxable(self) -> str:
        """Return why designs cannot be read as probabilities: they always can."""
        return ""

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[TokenDesign | None]:
        """Return the sequences; None for a row that is too short."""
        return [
            self._design(row[: self.max_steps]) if len(row) >= self.max_steps else None
            for row in actions
        ]

    def encode(
        self, designs: Sequence[TokenDesign], rng: np.random.Generator | None = None
    ) -> list[list[int] | None]:
        """Return the actions that write each design; None for one that is not as wished."""
        index = {letter: k for k, letter in enumerate(self.wish.alphabet)}
        return [[index[c] for c in d.text] if self._fits(d.text) else None for d in designs]

    def parse(self, text: str) -> TokenDesign:
        """Return the design of that sequence; raises InputError with what is wrong with it."""
        sequence = text.strip().upper()
        for position, letter in enumerate(sequence, start=1):
            if letter not in self.wish.alphabet:
                raise InputError(
                    f"sequence {sequence[:40]!r}: letter {letter!r} at position {position}, "
                    f"expected one of {self.wish.alphabet}"
                )
        if len(sequence) != self.wish.length:
            raise InputError(
                f"sequence {sequence[:40]!r} has {len(sequence)} residues, the target "
                f"{self.wish.length}"
            )
        if not self._fits(sequence):
            raise InputError(
                f"sequence {sequence[:40]!r} is not as wished: pattern {self.wish.pattern!r}, "
                f"composition {self.wish.composition!r}"
            )
        return TokenDesign(tuple(sequence), sequence)

    def _fits(self, text: str) -> bool:
        known = len(text) == self.wish.length and set(text) <= set(self.wish.alphabet)
        return known and self.wish(text)

    def _design(self, row: Sequence[int]) -> TokenDesign:
        letters = tuple(self.wish.alphabet[k] for k in row)
        return TokenDesign(letters, "".join(letters))

    def _on(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return the wish as tensors: places [L], bounds [K] twice, later [L + 1, K], free."""
        arrays = (self.wish.places, *self.wish.bounds, self.wish.later, self.wish.free)
        return tuple(torch.as_tensor(array, device=device) for array in arrays)

    def _place(self, device: torch.device) -> Tensor:
        """Return [L + 1, 2] what is seen of each place: the share before it, its contacts."""
        return torch.as_tensor(self._seen, device=device)

    @cached_property
    def _seen(self) -> Floats:
        length = self.wish.length
        touching = np.triu(Fold("H" * length, self.lattice, self.target).touching, 2)
        contacts = (touching + touching.T).sum(axis=1) / lattice_named(self.lattice).size
        share = np.arange(length + 1) / length
        return np.stack([share, np.append(contacts, 0.0)], axis=1).astype(np.float32)
