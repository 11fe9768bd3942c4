"""Prefix sequences read as trees, a whole batch at once.

One pass from the last token to the first, with a stack a row, finds every node's children,
height and hash. Two nodes with equal hashes compute the same thing (up to rounding): operands
of commutative and associative operators may come in any order and grouping. Hashes have two
lanes of 64 bits; a batch with M distinct nodes meets a false match in one lane with probability
below M^2 / 2^65, in both never in practice.

Letters in shapes: N expressions, L tokens of the longest, K constants of the richest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.symbolic.language.library import Library

PAD = -1


@dataclass(frozen=True)
class Trees:
    """What one pass over the tokens finds; node t of a row is the subtree that begins there.

    Padding nodes have token `PAD` and height 0. Children of leaves are 0.
    """

    tokens: Tensor  # [L, N] int64
    first: Tensor  # [L, N] int64, where the first (or only) argument begins
    second: Tensor  # [L, N] int64
    height: Tensor  # [L, N] int64, 1 for a leaf
    varying: Tensor  # [L, N] bool, True where a constant lies within
    hashes: Tensor  # [2, L, N] int64
    ordinal: Tensor  # [L, N] int64, of each constant in its row, in order of writing


@dataclass(frozen=True)
class Tables:
    """The library as arrays; padding is the last entry of each."""

    arity: NDArray[np.int64]  # [A + 1]
    commutes: NDArray[np.bool_]  # [A + 1]
    salts: NDArray[np.uint64]  # [2, A + 1]


@lru_cache(maxsize=64)
def tables(library: Library) -> Tables:
    """Return the library's tables, made once."""
    commutes = [o.commutes for o in library.operators]
    commutes += [False] * (len(library) + 1 - len(commutes))
    salts = np.array([*library.salts, (0, 0)], dtype=np.int64).T
    return Tables(
        np.array([*library.arities, 0]), np.array(commutes),
        np.ascontiguousarray(salts).view(np.uint64),
    )  # fmt: skip


@lru_cache(maxsize=64)
def arities(library: Library, device: torch.device) -> Tensor:
    """Return [A + 1] how many operands each token has, on a device; 0 for padding, the last."""
    return torch.from_numpy(tables(library).arity).to(device)


def pack(rows: list[tuple[int, ...]] | list[list[int]]) -> Tensor:
    """Return [N, L] int64 tokens on the CPU, padded with `PAD`."""
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    width = int(lengths.max(initial=1))
    out = np.full((len(rows), width), PAD, dtype=np.int64)
    flat = np.fromiter((t for row in rows for t in row), dtype=np.int64, count=int(lengths.sum()))
    out[np.arange(width) < lengths[:, None]] = flat
    return torch.from_numpy(out)


def closed(tokens: Tensor, library: Library) -> Tensor:
    """Return [N] int64, how many tokens of [N, L] make the first complete expression; 0 if none.

    Tokens outside the library count as padding.
    """
    arity = arities(library, tokens.device)
    known = (tokens >= 0) & (tokens < len(library))
    change = torch.where(known, arity[tokens.clamp(0, len(library))] - 1, 0)
    complete = (1 + change.cumsum(1) == 0) & known & known.cumprod(1).bool()
    return torch.where(complete.any(1), complete.to(torch.uint8).argmax(1) + 1, 0)


def read(tokens: Tensor, library: Library, values: Tensor | None = None) -> Trees:
    """Return the trees of [N, L] complete prefix sequences, padded with `PAD`.

    `values` [N, K] are numbers that constants are held at, NaN where free: a held constant is
    hashed by its value. The pass itself runs on the host (see `tasks.symbolic.language.reading`).
    """
    from tasks.symbolic.language.reading import read_rows

    table, device = tables(library), tokens.device
    rows = tokens.cpu().numpy()
    N, L = rows.shape
    links = np.empty((4, L, N), dtype=np.int64)
    varying, hashes = np.empty((L, N), dtype=np.bool_), np.empty((2, L, N), dtype=np.uint64)
    read_rows(
        rows, table.arity, table.commutes, table.salts, library.constant_id, _bits(values, N),
        links, varying, hashes,
    )  # fmt: skip
    first, second, height, ordinal = torch.from_numpy(links).to(device)
    marks = torch.from_numpy(hashes.view(np.int64)).to(device)
    holds = torch.from_numpy(varying).to(device)
    return Trees(tokens.T.contiguous(), first, second, height, holds, marks, ordinal)


def _bits(values: Tensor | None, rows: int) -> NDArray[np.uint64]:
    """Return [N, K] the bits of held numbers, 0 where free (and for a zero of either sign)."""
    if values is None:
        return np.zeros((rows, 0), dtype=np.uint64)
    numbers = np.ascontiguousarray(values.cpu().numpy(), dtype=np.float64) + 0.0
    bits: NDArray[np.uint64] = np.where(np.isnan(numbers), 0, numbers.view(np.uint64))
    return bits


def keys(trees: Trees) -> list[str]:
    """Return the canonical key of each expression: 32 hex digits."""
    low, high = trees.hashes[:, 0].cpu().numpy().view(np.uint64).tolist()
    return [f"{a:016x}{b:016x}" for a, b in zip(low, high, strict=True)]
