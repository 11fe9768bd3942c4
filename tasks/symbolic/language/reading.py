"""Compiled: one pass over each token row finds its tree (see `tasks.symbolic.language.trees.read`).

Whole numbers only, so the result is the same on every machine. Needs numba; loaded when
expressions are first read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]

_THREE, _FIVE = np.uint64(3), np.uint64(5)
# the splitmix64 finaliser's multipliers, and shifts of two lanes
_M0, _M1 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_32, _29 = np.uint64(32), np.uint64(29)


def compiled(function: F) -> F:
    """Return the function compiled when first called; the code is kept beside this file."""
    return cast(F, njit(cache=True, nogil=True)(function))


@compiled
def mixed(x: Any, lane: int) -> Any:
    """Return 64 scrambled bits; each lane has its own shifts."""
    if lane == 0:
        x = (x ^ (x >> _30)) * _M0
        x = (x ^ (x >> _27)) * _M1
        return x ^ (x >> _31)
    x = (x ^ (x >> _32)) * _M0
    x = (x ^ (x >> _29)) * _M1
    return x ^ (x >> _32)


@compiled
def read_rows(
    tokens: Array,
    arities: Array,
    commutes: Array,
    salts: Array,
    constant: int,
    held: Array,
    links: Array,
    varying: Array,
    hashes: Array,
) -> None:
    """Fill links [4, L, N] (first, second, height, ordinal), varying [L, N], hashes [2, L, N].

    `tokens` [N, L]; ids outside the library are padding. `salts` [2, A + 1] uint64; `held`
    [N, K] uint64 bits that are mixed into constants, 0 for none.
    """
    N, L = tokens.shape
    A = len(arities) - 1
    stack = np.zeros(L + 2, dtype=np.int64)
    flat = np.zeros((2, L), dtype=np.uint64)
    for n in range(N):
        count = 0
        for t in range(L):
            count += tokens[n, t] == constant
            links[3, t, n] = max(count - 1, 0)
        depth = 0
        for t in range(L - 1, -1, -1):
            token = tokens[n, t]
            if token < 0 or token >= A:
                links[0, t, n] = links[1, t, n] = links[2, t, n] = 0
                varying[t, n] = False
                hashes[0, t, n] = hashes[1, t, n] = 0
                continue
            arity = arities[token]
            a = stack[max(depth - 1, 0)] if arity >= 1 else 0
            b = stack[max(depth - 2, 0)] if arity == 2 else 0
            links[0, t, n], links[1, t, n] = a, b
            height, varies = 0, token == constant
            if arity >= 1:
                height, varies = links[2, a, n], varies or varying[a, n]
            if arity == 2:
                height, varies = max(height, links[2, b, n]), varies or varying[b, n]
            links[2, t, n], varying[t, n] = height + 1, varies
            for lane in range(2):
                salt, inner = salts[lane, token], np.uint64(0)
                if token == constant and links[3, t, n] < held.shape[1]:
                    salt ^= held[n, links[3, t, n]]
                if arity == 2 and commutes[token]:
                    # a multiset of well-mixed hashes is told by their sum, over a whole chain
                    inner += flat[lane, a] if tokens[n, a] == token else hashes[lane, a, n]
                    inner += flat[lane, b] if tokens[n, b] == token else hashes[lane, b, n]
                elif arity >= 1:  # an ordered pair by unlike multiples
                    inner = hashes[lane, a, n] * _THREE
                    if arity == 2:
                        inner += hashes[lane, b, n] * _FIVE
                flat[lane, t] = inner
                hashes[lane, t, n] = mixed(inner ^ salt, lane)
            depth = max(depth - arity, 0) + 1
            stack[depth - 1] = t
