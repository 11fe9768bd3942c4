"""Which rows of actions an environment would accept, walked all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from designer.protocols import Environment


@torch.no_grad()
def legal_rows(env: Environment[Any, Any], rows: Sequence[Sequence[int]]) -> list[bool]:
    """Return for each row whether every action is legal and the row is finished by its end.

    A row with a negative action, or with more than `max_steps`, is not legal. On the CPU.
    """
    length = max((len(row) for row in rows), default=0)
    padded = torch.tensor(
        [list(row) + [0] * (length - len(row)) for row in rows], dtype=torch.int64
    ).reshape(len(rows), length)
    fine = (padded >= 0).all(1) & (torch.tensor([len(row) for row in rows]) <= env.max_steps)
    state = env.reset(len(rows), torch.device("cpu"))
    for t in range(min(length, env.max_steps)):
        mask, done = env.mask(state), env.done(state)
        wanted = padded[:, t].clamp(min=0)
        legal = mask.gather(1, wanted.unsqueeze(1)).squeeze(1)
        fine &= legal | done
        state = env.step(state, torch.where(legal & ~done, wanted, mask.to(torch.uint8).argmax(1)))
    return (fine & env.done(state)).tolist()
