"""Edits of prefix sequences: subtrees, other spellings. Plain lists of token ids throughout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.symbolic.language.library import Library

Row = list[int]


def ends(tokens: Sequence[int], library: Library) -> list[int]:
    """Return for each position where its subtree ends (one past its last token)."""
    arities = library.arities
    stack: list[int] = []
    out = [0] * len(tokens)
    for at in range(len(tokens) - 1, -1, -1):
        end = at + 1
        for _ in range(arities[tokens[at]]):
            end = stack.pop()
        stack.append(end)
        out[at] = end
    return out


def respell(tokens: Row, library: Library, rng: np.random.Generator) -> Row:
    """Return the same expression with commutative operands in a random order."""
    commutes = [o.commutes for o in library.operators]
    coins = (rng.random(len(tokens)) < 0.5).tolist()
    stack: list[Row] = []
    for at in range(len(tokens) - 1, -1, -1):
        token = tokens[at]
        parts = [stack.pop() for _ in range(library.arities[token])]
        if len(parts) == 2 and commutes[token] and coins[at]:
            parts.reverse()
        stack.append([token, *(t for part in parts for t in part)])
    return stack[-1]
