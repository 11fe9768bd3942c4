"""Compiled: one pass from the leaves up finds the unit of every node of every expression.

Needs numba; loaded when units are first looked at.
"""

from __future__ import annotations

from tasks.symbolic.language.reading import Array, compiled


@compiled
def balance_rows(
    tokens: Array,
    first: Array,
    second: Array,
    own: Array,
    leaf_free: Array,
    kinds: Array,
    factors: Array,
    close: float,
    unit: Array,
    free: Array,
    good: Array,
) -> None:
    """Fill unit [L, N, U], free [L, N] and good [N] of the trees in [L, N] arrays.

    `kinds` [A + 1]: 0 a leaf, 1 same, 2 product, 3 power, 4 without units; `factors` [A + 1] is
    the sign of a product, or the power. Tokens outside the library are padding.
    """
    L, N = tokens.shape
    A, U = len(kinds) - 1, own.shape[1]
    for n in range(N):
        good[n] = True
        for t in range(L - 1, -1, -1):
            k = tokens[t, n]
            if k < 0 or k >= A:
                k = A
            free[t, n] = leaf_free[k]
            unit[t, n] = own[k]
            kind = kinds[k]
            if kind == 0:
                continue
            a, b = first[t, n], second[t, n]
            two = b > 0
            loose_a, loose_b = free[a, n], not two or free[b, n]
            for u in range(U):
                p = unit[a, n, u]
                q = unit[b, n, u] if two else 0.0
                if kind == 1:
                    if two and not loose_a and not loose_b and abs(p - q) >= close:
                        good[n] = False
                    unit[t, n, u] = q if loose_a else p
                elif kind == 2:
                    unit[t, n, u] = p + factors[k] * q
                elif kind == 3:
                    unit[t, n, u] = p * factors[k]
                else:
                    if (not loose_a and abs(p) >= close) or (not loose_b and abs(q) >= close):
                        good[n] = False
                    unit[t, n, u] = 0.0
            if kind == 1:
                free[t, n] = loose_a and loose_b
            elif kind == 2:
                free[t, n] = loose_a or (two and loose_b)
            elif kind == 3:
                free[t, n] = loose_a
