"""The steps of B growing chains in operations on tensors, on any device."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tasks.folding.frames import frames_on
from tasks.folding.growth import Growth
from tasks.folding.surroundings import ENERGY, EXITS, TAKEN, Surroundings

if TYPE_CHECKING:
    from tasks.folding.environment import Chain


class Tensors:
    """Steps of one chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    @cached_property
    def _around(self) -> Surroundings:
        chain, order = self.chain, self.chain.order.order
        pairs = chain.pairs[order][:, order]
        if chain.grow != "middle":
            return Surroundings(chain.place, pairs, chain.sticky)
        # it looks around the last cell given; where that end is repeated there, rows come later
        later = np.concatenate([np.zeros((1, len(order))), pairs])
        return Surroundings(chain.place, later, [*chain.sticky, False])

    def near(self, cells: Tensor) -> Tensor:
        """Return what is around the end that grows next [B, 4, Z] of chains [B, t]."""
        if self.chain.grow != "middle":
            return self._around(cells)
        head = self.chain.order.heads[cells.shape[1]]
        return self._around(torch.cat([cells, cells[:, head : head + 1]], dim=1))

    def mask(self, state: Growth, room: Tensor | None) -> Tensor:
        """Return the legal moves [B, A]; see `Chain.room`."""
        return self.moves(state, self.free(state, room))

    def free(self, state: Growth, room: Tensor | None) -> Tensor:
        """Return [B, Z] by letter which points the next residue may lie on."""
        chain = self.chain
        frames = frames_on(chain.place, state.cells.device)
        free = (state.near[:, TAKEN] == 0) & frames.legal[state.broken]  # [B, Z] by letter
        placed = min(state.cells.shape[1], len(chain.sequence) - 1)
        if chain.lookahead and chain.order.onwards[placed]:
            free = free & (state.near[:, EXITS] > 0)
        if room is not None:
            free = free & (room[:, None] >= (state.wider if state.wider.shape[1] else 0))
        return free

    def moves(self, state: Growth, free: Tensor) -> Tensor:
        """Return the mask [B, A] where these points [B, Z] are free."""
        chain = self.chain
        frames = frames_on(chain.place, state.cells.device)
        placed = min(state.cells.shape[1], len(chain.sequence) - 1)
        frame = state.frame[:, chain.order.sides[placed]]
        moves = free.gather(1, frames.letters[frame]) & ~chain.done(state)[:, None]
        return torch.cat([moves, ~moves.any(1, keepdim=True)], dim=1)

    def step(self, state: Growth, action: Tensor) -> dict[str, Tensor]:
        """Return all fields of `Growth` but the lines, after one more residue."""
        chain, placed = self.chain, state.cells.shape[1]
        frames = frames_on(chain.place, state.cells.device)
        side, beside = chain.order.sides[placed], chain.order.heads[placed]
        stuck = state.stuck | (action == chain.give_up)
        moved, turn = ~stuck, action.clamp(max=chain.give_up - 1)
        frame, last = state.frame[:, side], state.last[:, side]
        letter = frames.letters[frame, turn]
        head = state.head[:, side] + frames.steps[letter] * moved[:, None]
        cell = state.cells[:, beside] + frames.deltas[letter] * moved
        cells = torch.cat([state.cells, cell[:, None]], dim=1)
        gained = state.near[:, ENERGY].gather(1, letter[:, None]).squeeze(1)
        turned = torch.where(moved, frames.turned[frame, turn], frame)
        return {
            "cells": cells,
            "near": self.near(cells) if placed + 1 < len(chain.sequence) else state.near,
            "head": _put(state.head, side, head),
            "core": state.core + head * moved[:, None] if chain.sticky[placed] else state.core,
            "frame": _put(state.frame, side, turned),
            "broken": torch.where(moved, frames.after[state.broken, letter], state.broken),
            "last": _put(state.last, side, torch.where(moved, turn, last)),
            "stuck": stuck,
            "energy": state.energy + gained * moved,
        }

    def observe(self, state: Growth) -> Tensor:
        """Return [B, F] float32, see `Describe`."""
        chain, placed = self.chain, state.cells.shape[1]
        frames = frames_on(chain.place, state.cells.device)
        side, count = chain.order.sides[placed], sum(chain.sticky[:placed])
        frame, last = state.frame[:, side], state.last[:, side]
        away = state.core - state.head[:, side] * count  # the rest of the chain, from the head
        way = (frames.back[frame] @ away[:, :, None]).squeeze(2)
        letters = frames.letters[frame]
        return chain.describe(state.near, letters, last, state.energy, way, placed)


def _put(ends: Tensor, side: int, value: Tensor) -> Tensor:
    """Return [B, S, ...] with one end's entry changed."""
    parts = [value if k == side else old for k, old in enumerate(ends.unbind(1))]
    return torch.stack(parts, dim=1)
