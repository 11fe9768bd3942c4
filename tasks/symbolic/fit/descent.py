"""Compiled: constants of one expression after another by Levenberg-Marquardt, on the host.

The method is that of `tasks.symbolic.fit.constants`, which is its reference and runs on any device:
the same starts, steps and tests, so the same constants up to rounding. Here an expression stops
where it is done, and derivatives are taken only where a step was accepted.

Letters in shapes: R rows, L tokens, S starts, K constants, P data points, B points of a block.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from numba import njit

from tasks.symbolic.fit import kernels
from tasks.symbolic.fit.kernels import BLOCK, OWN, Array, backward, compiled, forward, summing

DAMPING, FLOOR = 1e-2, 1e-11  # at the start; the least, against the column's own size
DONE, EXACT = 1e-7, 1e-28  # relative gain of a last step; error that needs no further one


class Data(NamedTuple):
    """What is fitted to; weights have mean 1."""

    x: Array  # [V, P]
    y: Array  # [P]
    weight: Array  # [P]
    variance: float


class Sought(NamedTuple):
    """The expressions, and what may change."""

    trees: Array  # [R, L, 5] int64, see `kernels`
    leaves: Array  # [R, K] int64, the tokens of free constants
    counts: Array  # [R] int64, how many these are
    outer: Array  # [R, 2] scale and offset, NaN for their closed form


class Found(NamedTuple):
    """What is filled in, a row an expression; `at` is where the search begins."""

    at: Array  # [R, K + literals] constants, then the numbers that literals stand for
    nmse: Array  # [R]
    outer: Array  # [R, 2] scale and offset that were tried last
    work: Array  # [R, 2] int64, values of residuals and of derivatives that were computed


class Desk(NamedTuple):
    """Where one expression is worked on."""

    v: Array  # [L, P]
    r: Array  # [P] residuals
    back: Array  # [L + 1, B]; the last row is no token's
    now: Array  # [K, K + 2] J' J, J' r and the least that is added to the diagonal
    trial: Array  # [K, K + 2] the same, one step on
    gram: Array  # [K + 1, K + 2] of the columns and f, by these and r
    sums: Array  # [2, K + 1] what was taken off each, and the sum of the rest
    change: Array  # [K]
    there: Array  # [K + literals] one step on


@summing
def dot(a: Array, b: Array, w: Array) -> Any:
    """Return the sum of w a b."""
    out = 0.0
    for p in range(len(a)):
        out += w[p] * (a[p] * b[p])
    return out


@summing
def total(a: Array, less: float, w: Array) -> Any:
    """Return the sum of w (a - less)."""
    out = 0.0
    for p in range(len(a)):
        out += w[p] * (a[p] - less)
    return out


@summing
def _sum(w: Array) -> Any:
    out = 0.0
    for p in range(len(w)):
        out += w[p]
    return out


@summing
def _factor(f: Array, mean: float, y: Array, less: float, w: Array) -> Any:
    """Return what f - mean is to be multiplied by to come close to y - less."""
    above = below = 0.0
    for p in range(len(f)):
        above += w[p] * ((f[p] - mean) * (y[p] - less))
        below += w[p] * ((f[p] - mean) * (f[p] - mean))
    return above / below


@compiled
def residuals(desk: Desk, data: Data, held: Array, outer: Array) -> float:
    """Return the cost of the values on the desk, inf where not finite; fills residuals and outer.

    `held` and `outer` [2]: scale and offset, NaN where they have their closed form; as they are.
    """
    f, y, w, r, P = desk.v[0], data.y, data.weight, desk.r, len(data.y)
    factor, shift = held[0], held[1]
    loose = math.isnan(shift)
    mean = total(f, 0.0, w) / P if loose else 0.0
    if math.isnan(factor):
        factor = _factor(f, mean, y, 0.0 if loose else shift, w)
    if loose:
        shift = total(y, 0.0, w) / P - factor * mean
    for p in range(P):
        r[p] = factor * f[p] + shift - y[p]
    outer[0], outer[1] = factor, shift
    cost = dot(r, r, w) / P / data.variance
    return cost if math.isfinite(cost) else math.inf


@compiled
def normals(
    tree: Array, desk: Desk, data: Data, leaves: Array, count: int, held: Array, s: float
) -> bool:
    """Fill in the equations of a step from where `residuals` was last; return if all are finite.

    `s` is the scale there.

    Columns are freed of what a fitted scale and offset explain, as in `constants.linearise`.
    """
    P, gram, sums, out = len(data.y), desk.gram, desk.sums, desk.trial
    fitted, loose = math.isnan(held[0]), math.isnan(held[1])
    for i in range(count + 1):
        sums[1, i] = 0.0
        for j in range(count + 2):
            gram[i, j] = 0.0
    for lo in range(0, P, BLOCK):
        hi = min(lo + BLOCK, P)
        backward(tree, desk.v, lo, hi, desk.back)
        _gather(desk, data.weight, lo, hi, leaves, count, loose)
    left = total(desk.r, 0.0, data.weight) / P if loose else 0.0
    for i in range(count + 1):
        for j in range(i + 1):
            gram[i, j] -= sums[1, i] * sums[1, j] / P
            gram[j, i] = gram[i, j]
        gram[i, count + 1] -= sums[1, i] * left
    fine = True
    for i in range(count):
        share = gram[i, count] / max(gram[count, count], P * 1e-300) if fitted else 0.0
        for j in range(count):
            out[i, j] = s * s * (gram[i, j] - share * gram[j, count]) / P
            fine = fine and math.isfinite(out[i, j])
        out[i, count] = s * (gram[i, count + 1] - share * gram[count, count + 1]) / P
        out[i, count + 1] = s * s * gram[i, i] / P * FLOOR + 1e-300
        fine = fine and math.isfinite(out[i, count])
    return fine


@compiled
def _gather(
    desk: Desk, weight: Array, lo: int, hi: int, leaves: Array, count: int, loose: bool
) -> None:
    """Add what the points lo:hi give to the Gram matrix, less what is taken off each column."""
    w, r, size, back = weight[lo:hi], desk.r[lo:hi], hi - lo, desk.back
    gram, sums, last = desk.gram, desk.sums, len(desk.back) - 1
    for p in range(size):
        back[last, p] = desk.v[0, lo + p]
    for i in range(count + 1):
        row = back[leaves[i] if i < count else last, :size]
        if loose:
            if lo == 0:
                sums[0, i] = total(row, 0.0, w) / max(_sum(w), 1e-300)
            for p in range(size):
                row[p] -= sums[0, i]
            sums[1, i] += total(row, 0.0, w)
        for j in range(i + 1):
            gram[i, j] += dot(row, back[leaves[j] if j < count else last, :size], w)
        gram[i, count + 1] += dot(row, r, w)


@compiled
def solve(equations: Array, damping: float, A: Array, out: Array, count: int) -> None:
    """Fill out [K] with the step: elimination with the largest pivot of each column."""
    for i in range(count):
        for j in range(count):
            A[i, j] = equations[i, j]
        A[i, i] += damping * equations[i, i] + equations[i, count + 1]
        out[i] = -equations[i, count]
    for i in range(count):
        best = i
        for j in range(i + 1, count):
            if abs(A[j, i]) > abs(A[best, i]):
                best = j
        if best != i:
            for k in range(count):
                A[i, k], A[best, k] = A[best, k], A[i, k]
            out[i], out[best] = out[best], out[i]
        for j in range(i + 1, count):
            share = A[j, i] / A[i, i]
            for k in range(i + 1, count):
                A[j, k] -= share * A[i, k]
            out[j] -= share * out[i]
    for i in range(count - 1, -1, -1):
        for k in range(i + 1, count):
            out[i] -= A[i, k] * out[k]
        out[i] /= A[i, i]


@compiled
def copied(here: Array, to: Array) -> None:
    """Write the numbers of one row into another."""
    for i in range(len(here)):
        to[i] = here[i]


@compiled
def moved(tree: Array, leaves: Array, count: int, change: Array, here: Array, there: Array) -> bool:
    """Fill in `there`, a step from `here`; return whether that changes anything.

    A change that is no number is none now, but may be one with more damping.
    """
    changed = False
    for i in range(count):
        k, step = tree[leaves[i], OWN], change[i]
        there[k] = here[k] + (step if math.isfinite(step) else 0.0)
        changed = changed or there[k] != here[k] or not math.isfinite(step)
    return changed


def _stamped(stamp: int) -> Any:
    def descend(
        data: Data, sought: Sought, found: Found, desk: Desk, steps: int, each: int, lo: int,
        hi: int,
    ) -> None:  # fmt: skip
        """Fill in where at most `steps` steps lead, for the rows lo:hi, `each` an expression."""
        if not stamp:  # numba's kept code is that of this file and of this number
            return
        there, P = desk.there, len(data.y)
        for n in range(lo, hi):
            i = n // each
            tree, leaves, count = sought.trees[i], sought.leaves[i], sought.counts[i]
            held, here, work, outer = sought.outer[i], found.at[n], found.work[n], found.outer[n]
            cost, damping = math.inf, DAMPING
            copied(here, there)
            for step in range(steps + 1):
                if step:
                    solve(desk.now, damping, desk.gram, desk.change, count)
                    if not moved(tree, leaves, count, desk.change, here, there):
                        break  # with more damping it would be so again
                forward(tree, data.x, there, step == 0, desk.v)
                trial = residuals(desk, data, held, outer)
                work[0] += P
                better = trial < cost
                if better and steps:
                    better = normals(tree, desk, data, leaves, count, held, outer[0])
                    work[1] += P
                settled = step > 0 and better and cost - trial <= DONE * cost
                stuck = not better and (step == 0 or damping > 1e10)
                if better:
                    cost = trial
                    copied(there, here)
                    for k in range(count):
                        copied(desk.trial[k], desk.now[k])
                if step:
                    damping = max(damping * 0.1, 1e-12) if better else min(damping * 8, 1e12)
                if settled or stuck or (step > 0 and trial <= EXACT):
                    break
            found.nmse[n] = cost

    settings: Any = {"error_model": "numpy", "_nrt": False}
    return njit(cache=True, nogil=True, **settings)(descend)


descend = _stamped(int.from_bytes(Path(str(kernels.__file__)).read_bytes(), "big") % (2**61) | 1)
