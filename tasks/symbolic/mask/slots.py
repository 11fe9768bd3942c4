"""The state of expressions that are being written: what is open in each row."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

PARENT, SIBLING, DEPTH, CONTEXT, ROLE = range(5)  # the fields of a slot
FIELDS = 5


@dataclass(frozen=True)
class Writing:
    """Expressions being written. S slots at most are open in a row."""

    slots: Tensor  # [B, S, 5] int64, a stack of open slots
    open: Tensor  # [B] int64, how many slots are open; 0 = finished
    length: Tensor  # [B] int64, tokens written
    constants: Tensor  # [B] int64, constants written
    previous: Tensor  # [B] int64, the last token; A before the first
    wanted: Tensor  # [B, S, 6] float64, each slot's unit (see `slotted`); [B, 0] without units
    used: Tensor  # [B, C] how often each variable of `occurrences` was written


def top(state: Writing) -> Tensor:
    """Return [B, 5] the slot to be filled next."""
    most = state.slots.shape[1] - 1  # rows that `legal` found to be illegal may open more
    at = (state.open - 1).clamp(min=0, max=most).view(-1, 1, 1).expand(-1, 1, FIELDS)
    return state.slots.gather(1, at).squeeze(1)
