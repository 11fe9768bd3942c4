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
from torch import Tensor

from tasks.symbolic.library import Library

PAD = -1
_MULTIPLIERS = (-4658895280553007687, -7723592293110705685)  # the splitmix64 finaliser's
_SHIFTS = ((30, 27, 31), (32, 29, 32))


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
    """The library as tensors on one device; padding is the last entry of each."""

    arity: Tensor  # [A + 1]
    commutes: Tensor  # [A + 1] bool
    salts: Tensor  # [2, A + 1]
    shifts: Tensor  # [2, 3, 1] of the mixing function
    kept: Tensor  # [2, 3, 1] the bits that a logical shift by these leaves
    any_commutes: bool


@lru_cache(maxsize=64)
def tables(library: Library, device: torch.device) -> Tables:
    """Return the library's tables on a device, made once."""
    commutes = [o.commutes for o in library.operators]
    commutes += [False] * (len(library) + 1 - len(commutes))
    return Tables(
        arity=torch.tensor([*library.arities, 0], device=device),
        commutes=torch.tensor(commutes, device=device),
        salts=torch.tensor([*library.salts, (0, 0)], device=device).T.contiguous(),
        shifts=torch.tensor(_SHIFTS, device=device).unsqueeze(-1),
        kept=torch.tensor([[(1 << (64 - n)) - 1 for n in row] for row in _SHIFTS], device=device)[
            ..., None
        ],
        any_commutes=any(commutes),
    )


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
    table = tables(library, tokens.device)
    known = (tokens >= 0) & (tokens < len(library))
    change = torch.where(known, table.arity[tokens.clamp(0, len(library))] - 1, 0)
    complete = (1 + change.cumsum(1) == 0) & known & known.cumprod(1).bool()
    return torch.where(complete.any(1), complete.to(torch.uint8).argmax(1) + 1, 0)


def read(tokens: Tensor, library: Library, values: Tensor | None = None) -> Trees:
    """Return the trees of [N, L] complete prefix sequences, padded with `PAD`.

    `values` [N, K] are numbers that constants are held at, NaN where free: a held constant is
    hashed by its value.
    """
    table = tables(library, tokens.device)
    tokens = tokens.T.contiguous()
    L, N = tokens.shape
    is_constant = tokens == library.constant_id
    ordinal = (is_constant.cumsum(0) - 1).clamp(min=0)
    salt = table.salts[:, tokens]
    if values is not None and values.shape[1]:
        held = values.T.gather(0, ordinal.clamp(max=values.shape[1] - 1))
        plain = is_constant & ~held.isnan()
        salt = torch.where(plain, salt ^ (held + 0.0).view(torch.int64), salt)
    first, second, height = (torch.zeros_like(tokens) for _ in range(3))
    varying, hashes, flat = is_constant.clone(), torch.empty_like(salt), torch.empty_like(salt)
    stack = torch.zeros(L + 2, N, dtype=torch.int64, device=tokens.device)
    depth = torch.zeros(1, N, dtype=torch.int64, device=tokens.device)
    for t in range(L - 1, -1, -1):
        token = tokens[t]
        real, arity = token != PAD, table.arity[token]
        a = stack.gather(0, (depth - 1).clamp(min=0))
        b = stack.gather(0, (depth - 2).clamp(min=0))
        unary, binary = arity >= 1, arity == 2
        first[t], second[t] = torch.where(unary, a[0], 0), torch.where(binary, b[0], 0)
        below = torch.where(unary, height.gather(0, a)[0], 0)
        below = torch.maximum(below, torch.where(binary, height.gather(0, b)[0], 0))
        height[t] = (below + 1) * real
        varying[t] |= (unary & varying.gather(0, a)[0]) | (binary & varying.gather(0, b)[0])
        _hash(t, token, arity, (a, b), tokens, salt, table, hashes, flat)
        depth = torch.where(real, depth - arity + 1, depth)
        stack.scatter_(0, torch.where(real, depth - 1, L + 1), t)
    return Trees(tokens, first, second, height, varying, hashes, ordinal)


def keys(trees: Trees) -> list[str]:
    """Return the canonical key of each expression: 32 hex digits."""
    low, high = trees.hashes[:, 0].cpu().numpy().view(np.uint64).tolist()
    return [f"{a:016x}{b:016x}" for a, b in zip(low, high, strict=True)]


def _hash(
    t: int,
    token: Tensor,
    arity: Tensor,
    children: tuple[Tensor, Tensor],
    tokens: Tensor,
    salt: Tensor,
    table: Tables,
    hashes: Tensor,
    flat: Tensor,
) -> None:
    """Fill hashes[:, t] and flat[:, t], the order-free sum over a chain of one operator."""
    a, b = children
    ha, hb = (hashes.gather(1, c.expand(2, 1, -1)).squeeze(1) for c in (a, b))
    hb = hb * (arity == 2)
    # a multiset of well-mixed hashes is told by their sum, an ordered pair by unlike multiples
    inner = ha * 3 + hb * 5
    if table.any_commutes:
        fa, fb = (flat.gather(1, c.expand(2, 1, -1)).squeeze(1) for c in (a, b))
        chain_a, chain_b = (tokens.gather(0, c)[0] == token for c in (a, b))
        together = torch.where(chain_a, fa, ha) + torch.where(chain_b, fb, hb)
        inner = torch.where(table.commutes[token], together, inner)
    flat[:, t] = inner
    hashes[:, t] = _mix(torch.where(arity > 0, inner ^ salt[:, t], salt[:, t]), table)


def _mix(x: Tensor, table: Tables) -> Tensor:
    """Return a scrambled copy of [2, N] int64; each lane has its own shifts."""
    for i, multiplier in enumerate((*_MULTIPLIERS, 1)):
        # int64 shifts right with its sign; the mask makes it the logical shift
        x = (x ^ ((x >> table.shifts[:, i]) & table.kept[:, i])) * multiplier
    return x
