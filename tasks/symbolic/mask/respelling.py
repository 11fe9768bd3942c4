"""From designs back to tokens: which rows the mask writes, and the numbers at their constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from designer.protocols import Spelling
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import PAD, pack, read

if TYPE_CHECKING:
    from tasks.symbolic.mask.environment import Expressions

FARTHEST = 20.0  # from 0: the widest deviation that a policy may have


def legal(rows: Sequence[Sequence[int]], env: Expressions) -> list[bool]:
    """Return for each row whether the environment writes exactly that expression."""
    if not rows:
        return []
    tokens = pack([list(row) for row in rows])
    length = (tokens >= 0).sum(1)
    state = env.reset(len(rows), tokens.device)
    fine = length <= env.max_length
    for t in range(min(tokens.shape[1], env.max_length)):
        action = tokens[:, t].clamp(min=0)
        mask = env.mask(state)
        here = mask.gather(1, action.unsqueeze(1)).squeeze(1)
        fine &= torch.where(tokens[:, t] >= 0, here & (state.open > 0), True)
        # a row that has failed goes on with something legal: its slots would not suffice
        state = env.step(state, torch.where(here, action, mask.to(torch.uint8).argmax(1)))
    fine &= (state.open == 0) & (state.length == length)
    if env.units is not None or env.occurrences or env.form is not None:
        whole = torch.where(fine.unsqueeze(1), tokens, PAD)
        fine &= env.admitted(read(whole, env.library))
    return [bool(x) for x in fine.tolist()]


def held(tokens: Tensor, values: Sequence[Any] | None, library: Library) -> Tensor | None:
    """Return [N, K] the values at each row's constants, in order of writing; NaN beyond."""
    if values is None:
        return None
    constant = tokens == library.constant_id
    out = torch.full(tokens.shape, torch.nan, dtype=torch.float64)
    for row, given in enumerate(values):
        own = constant[row].nonzero().squeeze(1).tolist()
        out[row, : len(own)] = torch.tensor([given[t][0] for t in own], dtype=torch.float64)
    most = int(constant.sum(1).max()) if len(tokens) else 0
    return out[:, :most]


def valued(row: list[int] | None, design: Expression) -> Spelling | None:
    """Return a row with its constants' values; None where one has none, or is too far from 0."""
    if row is None or not all(abs(value) <= FARTHEST for value in design.constants):
        return None  # NaN compares as False: a constant without a value
    own = iter(design.constants)
    given = [[next(own) if t == design.library.constant_id else 0.0] for t in design.tokens]
    return Spelling(row, {"values": given})
