"""Many prefix sequences as one array, cut and joined a whole batch at a time (numpy).

Letters in shapes: N rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from designer.protocols import Floats
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import PAD

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Strips:
    """Token rows with the numbers that stand at their constants (NaN everywhere else)."""

    tokens: Ints  # [N, W], padded with `PAD`
    numbers: Floats  # [N, W]

    @property
    def lengths(self) -> Ints:
        """Return [N] how many tokens each row has."""
        lengths: Ints = (self.tokens != PAD).sum(1)
        return lengths

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Ints | NDArray[np.bool_]) -> Strips:
        """Return some of the rows."""
        return Strips(self.tokens[rows], self.numbers[rows])

    def constants(self, library: Library) -> Floats:
        """Return [N, K] the numbers in order of writing, NaN where there is none."""
        here = self.tokens == library.constant_id
        count = here.sum(1)
        out = np.full((len(self), int(count.max(initial=0))), np.nan)
        row, column = np.nonzero(here)
        out[row, here.cumsum(1)[row, column] - 1] = self.numbers[row, column]
        return out

    def holding(self, constants: Floats, library: Library) -> Strips:
        """Return the rows with these numbers [N, K] at their constants."""
        here = self.tokens == library.constant_id
        numbers = np.full(self.numbers.shape, np.nan)
        row, column = np.nonzero(here)
        numbers[row, column] = constants[row, here.cumsum(1)[row, column] - 1]
        return Strips(self.tokens, numbers)


Segment = tuple[Strips, Ints, Ints]  # rows, where the piece starts, where it stops


def strips(rows: Sequence[Sequence[int]], width: int) -> Strips:
    """Return rows of tokens as one array of that width."""
    tokens = np.full((len(rows), width), PAD, dtype=np.int64)
    for at, row in enumerate(rows):
        tokens[at, : len(row)] = row
    return Strips(tokens, np.full(tokens.shape, np.nan))


def numbered(rows: Sequence[Sequence[tuple[int, float]]], width: int) -> Strips:
    """Return rows of tokens, each with its number (NaN for none), as one array of that width."""
    out = strips([[token for token, _ in row] for row in rows], width)
    for at, row in enumerate(rows):
        out.numbers[at, : len(row)] = [number for _, number in row]
    return out


def stacked(parts: Sequence[Strips]) -> Strips:
    """Return the rows of all parts; they have one width."""
    return Strips(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.numbers for part in parts]),
    )


def joined(pieces: Sequence[Segment], width: int) -> tuple[Strips, NDArray[np.bool_]]:
    """Return the pieces of each row one after the other, and which rows fit the width.

    Rows that do not fit are cut off, and of no meaning.
    """
    N = len(pieces[0][1])
    tokens, numbers = np.full((N, width), PAD, dtype=np.int64), np.full((N, width), np.nan)
    place, offset = np.arange(width), np.zeros((N, 1), dtype=np.int64)
    for source, start, stop in pieces:
        after = offset + (stop - start)[:, None]
        row, column = np.nonzero((place >= offset) & (place < after))
        taken = column - offset[row, 0] + start[row]
        tokens[row, column] = source.tokens[row, taken]
        numbers[row, column] = source.numbers[row, taken]
        offset = after
    return Strips(tokens, numbers), offset[:, 0] <= width


def single(tokens: Ints, numbers: Floats | None = None) -> Segment:
    """Return [N] tokens as a piece of one token a row."""
    own = np.full(tokens.shape, np.nan) if numbers is None else numbers
    zero = np.zeros(len(tokens), dtype=np.int64)
    return Strips(tokens[:, None], own[:, None]), zero, zero + 1


def whole(rows: Strips) -> Segment:
    """Return all of each row as a piece."""
    return rows, np.zeros(len(rows), dtype=np.int64), rows.lengths


def ends(rows: Strips, at: Ints, arity: Ints) -> Ints:
    """Return [N] where the subtree that begins at `at` ends (one past its last token).

    `arity` has an entry a token, and a last one that padding meets.
    """
    change = arity[rows.tokens] - 1
    total = change.cumsum(1)
    row = np.arange(len(rows))
    before = total[row, at] - change[row, at]
    found = (total == (before - 1)[:, None]) & (np.arange(total.shape[1]) >= at[:, None])
    stop: Ints = found.argmax(1) + 1
    return stop
