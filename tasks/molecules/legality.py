"""Which rows of actions an environment would accept, walked all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from designer.protocols import Environment
from designer.rollout import attempt


def legal_rows(env: Environment[Any, Any], rows: Sequence[Sequence[int]]) -> list[bool]:
    """Return for each row whether every action is legal and the row is finished by its end.

    A row with a negative action, or with more than `max_steps`, is not legal. On the CPU.
    """
    if not rows:
        return []
    fits = [0 < len(row) <= env.max_steps for row in rows]
    _, wrong = attempt(env, [row if fit else [-1] for row, fit in zip(rows, fits, strict=True)])
    return (wrong < 0).tolist()
