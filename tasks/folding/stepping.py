"""The steps of growing chains by compiled code: what `environment.Chain` else does in tensors.

Needs numba; loaded when chains first grow on the CPU.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from tasks.folding import compiled_growth
from tasks.folding.compiled_growth import Place, Rows, Rules, Seen, Standing
from tasks.folding.environment import Chain
from tasks.folding.frames import frames_on
from tasks.folding.growth import Growth
from tasks.folding.surroundings import near_points, slots

R = TypeVar("R", Rows, Standing, Seen)
_NOTHING = torch.zeros(0, dtype=torch.int64)


class Compiled:
    """Steps of one chain on the CPU, with the environment's own records."""

    def __init__(self, chain: Chain) -> None:
        self.chain, self.rules = chain, _rules(chain)

    def step(self, state: Growth, action: Tensor) -> dict[str, Tensor]:
        """Return the fields of `Growth` that `Rows` names, after one more residue."""
        order, placed = self.chain.order, state.cells.shape[1]
        place = Place(
            placed,
            order.sides[placed],
            order.heads[placed],
            order.heads[placed + 1],
            self.chain.sticky[placed],
            placed + 1 == len(self.chain.sequence),
        )
        before = _part(state, Rows)
        after = Rows(*[np.empty(old.shape, old.dtype) for old in before])
        after = after._replace(cells=np.empty((len(action), placed + 1), dtype=np.int32))
        compiled_growth.grow(self.rules, before, after, _array(action), place)
        return {name: torch.from_numpy(array) for name, array in after._asdict().items()}

    def mask(self, state: Growth, room: Tensor | None) -> Tensor:
        """Return the legal moves [B, A]; see `Chain.room`."""
        chain, placed = self.chain, state.cells.shape[1]
        if placed == len(chain.sequence):
            return chain.tensors.mask(state, room)
        out = np.empty((len(state.cells), chain.num_actions), dtype=np.bool_)
        compiled_growth.mask(
            self.rules,
            _part(state, Standing),
            chain.order.sides[placed],
            chain.lookahead and chain.order.onwards[placed],
            _array(_NOTHING if room is None else room),
            _array(state.wider),
            out,
        )
        return torch.from_numpy(out)

    def observe(self, state: Growth) -> Tensor:
        """Return [B, F] float32, see `Describe`."""
        chain, describe, placed = self.chain, self.chain.describe, state.cells.shape[1]
        row = min(placed, len(describe.along) - 1)
        scales = np.array(
            [sum(chain.sticky[:placed]), describe.way(row), -chain.scale], dtype=np.float32
        )
        out = np.empty((len(state.cells), describe.size), dtype=np.float32)
        compiled_growth.observe(
            self.rules,
            _part(state, Seen),
            chain.order.sides[placed],
            describe.along[row],
            describe.units,
            scales,
            out,
        )
        return torch.from_numpy(out)


def _array(tensor: Tensor) -> Any:
    """Return the tensor's own memory; compiled code is made for rows that lie side by side."""
    return tensor.contiguous().numpy()


def _part(state: Growth, kind: type[R]) -> R:
    """Return the fields that a record names."""
    return kind(*[_array(getattr(state, name)) for name in kind._fields])


def _rules(chain: Chain) -> Rules:
    place, order = chain.place, chain.order.order
    frames = frames_on(place, torch.device("cpu"))
    near, beside = near_points(place)
    known = slots(near)
    neighbours = np.stack([np.flatnonzero(column) for column in beside.T])
    pairs = np.zeros((len(order) + 1, len(order) + 1), dtype=np.float32)
    pairs[:-1, 1:] = chain.pairs[order][:, order]
    named = ("letters", "turned", "legal", "after", "steps", "deltas", "back")
    return Rules(
        slot=np.where(known < 0, len(near), known),
        points=len(near) + 1,
        beside=neighbours,
        sticky=np.array([False, *chain.sticky], dtype=np.float32),
        pairs=pairs,
        **{name: _array(getattr(frames, name)) for name in named},
    )
