"""Compiled search: basin hopping over the angles of AB chains, by quasi-Newton descents.

The energy is that of `tasks.offlattice.energy`, with its gradient written out. M angles of a
chain lie in one row, as K numbers a residue; `kind` is the model: 0 in the plane, 1 bond angle
and torsion, 2 azimuth and elevation. L residues, L - 1 bonds of length 1.

Basin hopping: D. Wales, J. Doye, J. Phys. Chem. A 101, 5111 (1997). L-BFGS: D. Liu,
J. Nocedal, Math. Programming 45, 503 (1989), with a backtracking line search (Armijo).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]

PLANE, TURNED, WRITTEN = range(3)  # in the order of `energy.MODELS`
MEMORY, ARMIJO, SHRINK, TRIES = 8, 1e-4, 0.3, 8
LONGEST_STEP = 0.6  # radians a step: farther, a chain would pass through itself
CRANKED = 0.3  # share of the kicks that turn a part about the line between its ends
SMALLEST = 1e-2  # of a squared distance, as in `energy`


def compiled(function: F) -> F:
    """Return the function compiled when first called; the code is kept beside this file."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


@compiled
def turned(x: Array, bonds: Array, axes: Array) -> None:
    """Fill bonds [L - 1, 3] by bond angle and torsion, and the axis of each turn [L - 2, 3]."""
    along, normal, other = np.eye(3)
    bonds[0] = along
    for t in range(len(bonds) - 1):
        turn, twist = x[2 * t], x[2 * t + 1] if t else 0.0
        aside = math.cos(twist) * normal + math.sin(twist) * other
        other = math.cos(twist) * other - math.sin(twist) * normal
        normal = math.cos(turn) * aside - math.sin(turn) * along
        along = math.cos(turn) * along + math.sin(turn) * aside
        bonds[t + 1], axes[t] = along, other


@compiled
def laid(x: Array, kind: int, bonds: Array, axes: Array) -> None:
    """Fill the bonds [L - 1, 3] of angles [M]."""
    if kind == TURNED:
        turned(x, bonds, axes)
    elif kind == PLANE:
        bonds[:, :] = 0.0
        bonds[0, 0] = 1.0
        heading = 0.0
        for t in range(len(bonds) - 1):
            heading += x[t]
            bonds[t + 1, 0], bonds[t + 1, 1] = math.cos(heading), math.sin(heading)
    else:
        bonds[0, 0], bonds[0, 1], bonds[0, 2] = 0.0, 1.0, 0.0
        for t in range(len(bonds) - 1):
            theta, beta = x[2 * t], x[2 * t + 1] if t else 0.0
            bonds[t + 1, 0] = math.cos(theta) * math.cos(beta)
            bonds[t + 1, 1] = math.sin(theta) * math.cos(beta)
            bonds[t + 1, 2] = math.sin(beta)


@compiled
def pairwise(bonds: Array, strength: Array, pull: Array) -> float:
    """Return the energy of the pairs; fill `pull` [L - 1, 3], its derivative by each bond."""
    count = len(bonds) + 1
    points = np.zeros((count, 3))
    force = np.zeros((count, 3))
    for i in range(1, count):
        for k in range(3):
            points[i, k] = points[i - 1, k] + bonds[i - 1, k]
    total = 0.0
    for i in range(count - 2):
        for j in range(i + 2, count):
            a = points[i, 0] - points[j, 0]
            b = points[i, 1] - points[j, 1]
            c = points[i, 2] - points[j, 2]
            far = a * a + b * b + c * c
            near = 1.0 / max(far, SMALLEST)
            sixth = near * near * near
            total += 4.0 * sixth * (sixth - strength[i, j])
            if far > SMALLEST:
                slope = -24.0 * near * sixth * (2.0 * sixth - strength[i, j])
                force[i, 0] += slope * a
                force[i, 1] += slope * b
                force[i, 2] += slope * c
                force[j, 0] -= slope * a
                force[j, 1] -= slope * b
                force[j, 2] -= slope * c
    for k in range(3):
        beyond = 0.0
        for i in range(count - 1, 0, -1):
            beyond += force[i, k]
            pull[i - 1, k] = beyond
    return total


@compiled
def valued(x: Array, kind: int, strength: Array, slope: Array) -> float:
    """Return the energy of angles [M]; fill its gradient [M]."""
    count = len(strength)
    bonds, axes, pull = np.empty((count - 1, 3)), np.empty((count - 2, 3)), np.empty((count - 1, 3))
    laid(x, kind, bonds, axes)
    total = pairwise(bonds, strength, pull)
    width = 1 if kind == PLANE else 2
    for t in range(count - 2):
        total += 0.25 * (1.0 - math.cos(x[width * t]))
    torque = np.zeros(3)
    for t in range(count - 3, -1, -1):
        b, g, theta = bonds[t + 1], pull[t + 1], x[width * t]
        bend = 0.25 * math.sin(theta)
        if kind == WRITTEN:
            beta = x[2 * t + 1] if t else 0.0
            s, c = math.sin(theta), math.cos(theta)
            slope[2 * t] = math.cos(beta) * (c * g[1] - s * g[0]) + bend
            up = math.cos(beta) * g[2] - math.sin(beta) * (c * g[0] + s * g[1])
            slope[2 * t + 1] = up if t else 0.0
            continue
        torque[0] += b[1] * g[2] - b[2] * g[1]
        torque[1] += b[2] * g[0] - b[0] * g[2]
        torque[2] += b[0] * g[1] - b[1] * g[0]
        if kind == PLANE:
            slope[t] = torque[2] + bend
        else:  # what lies beyond turns about this axis, and about the bond before
            slope[2 * t] = np.dot(axes[t], torque) + bend
            slope[2 * t + 1] = np.dot(bonds[t], torque) if t else 0.0
    return total


@compiled
def descend(x: Array, kind: int, strength: Array, steps: int, gain: float) -> tuple[float, int]:
    """Move angles [M] downhill; return the energy, and how many energies were computed.

    It ends where a step gains less than `gain`. At most `steps` x TRIES + 1 are computed.
    """
    size = len(x)
    slope, after = np.empty(size), np.empty(size)
    s, y, rho = np.empty((MEMORY, size)), np.empty((MEMORY, size)), np.empty(MEMORY)
    alpha, kept, computed = np.empty(MEMORY), 0, 1
    value = valued(x, kind, strength, slope)
    for _ in range(steps):
        way = -slope
        for i in range(kept - 1, max(kept - MEMORY, 0) - 1, -1):
            at = i % MEMORY
            alpha[at] = rho[at] * np.dot(s[at], way)
            way -= alpha[at] * y[at]
        if kept:
            at = (kept - 1) % MEMORY
            way /= rho[at] * np.dot(y[at], y[at])
        for i in range(max(kept - MEMORY, 0), kept):
            at = i % MEMORY
            way += (alpha[at] - rho[at] * np.dot(y[at], way)) * s[at]
        downhill = np.dot(way, slope)
        if not downhill < 0.0:
            way = -slope
            downhill = -np.dot(slope, slope)
        way *= min(1.0, LONGEST_STEP / max(np.abs(way).max(), 1e-300))
        downhill = np.dot(way, slope)
        length, found, there, lower = 1.0, False, x, value
        for _ in range(TRIES):
            there = x + length * way
            lower = valued(there, kind, strength, after)
            computed += 1
            if lower <= value + ARMIJO * length * downhill:
                found = True
                break
            length *= SHRINK
        if not found:
            break
        at = kept % MEMORY
        s[at], y[at] = there - x, after - slope
        bent = np.dot(s[at], y[at])
        if bent > 1e-10 * math.sqrt(np.dot(s[at], s[at]) * np.dot(y[at], y[at])):
            rho[at] = 1.0 / bent
            kept += 1
        x[:], slope[:] = there, after
        gained, value = value - lower, lower
        if gained < gain:
            break
    return value, computed


@compiled
def cranked(x: Array, kind: int, kick: float) -> Array:
    """Return angles after a part of the chain turned about the line between its ends.

    The rest lies where it was. In the plane that is a reflection of the part.
    """
    width = 1 if kind == PLANE else 2
    count = len(x) // width + 1
    bonds, axes, out = np.empty((count, 3)), np.empty((count - 1, 3)), x.copy()
    laid(x, kind, bonds, axes)
    first = 2 if kind == WRITTEN else 0  # that model's first two bonds lie as they must
    low = first + np.random.randint(max(1, count - first - 1))
    high = min(count - 1, low + 1 + np.random.randint(max(1, count // 2)))
    axis = np.zeros(3)
    for t in range(low, high + 1):
        axis += bonds[t]
    axis /= max(math.sqrt(np.dot(axis, axis)), 1e-9)
    angle = math.pi if kind == PLANE else 2.0 * kick * np.random.standard_normal()
    for t in range(low, high + 1):
        b = bonds[t].copy()
        across = np.cross(axis, b)
        along = np.dot(axis, b) * (1.0 - math.cos(angle))
        bonds[t] = math.cos(angle) * b + math.sin(angle) * across + along * axis
    measured(bonds, kind, out)
    return out


@compiled
def measured(bonds: Array, kind: int, x: Array) -> None:
    """Fill the angles [M] of bonds; what `laid` undoes, up to a turn of the whole."""
    normal, other = np.zeros(3), np.zeros(3)
    for t in range(len(bonds) - 1):
        a, b = bonds[t], bonds[t + 1]
        if kind == PLANE:
            x[t] = math.atan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1])
        elif kind == WRITTEN:
            x[2 * t] = math.atan2(b[1], b[0])
            x[2 * t + 1] = math.asin(max(-1.0, min(1.0, b[2])))
        else:
            cosine = max(-1.0, min(1.0, np.dot(a, b)))
            aside = b - cosine * a
            sine = math.sqrt(np.dot(aside, aside))
            x[2 * t] = math.atan2(sine, cosine)
            aside = aside / max(sine, 1e-9)
            if t == 0:
                normal, other = aside, np.cross(a, aside)
            x[2 * t + 1] = math.atan2(np.dot(aside, other), np.dot(aside, normal))
            other = np.cross(a, aside)
            normal = cosine * aside - sine * a


@compiled
def kicked(x: Array, kind: int, kick: float) -> Array:
    """Return angles out of their valley: some of them turned, a part cranked, or all a little."""
    width = 1 if kind == PLANE else 2
    length = len(x) // width
    out, how, at = x.copy(), np.random.random(), np.random.randint(length)
    if np.random.random() < CRANKED and length > 3:
        return cranked(x, kind, kick)
    if how < 0.2:
        out += 0.2 * kick * np.random.standard_normal(len(x))
    elif how < 0.5:  # a part of the chain moves, and the rest lies as it was
        turn = kick * np.random.standard_normal()
        column = np.random.randint(width)
        out[width * at + column] += turn
        if at + 1 < length:
            out[width * (at + 1) + column] -= turn
    elif how < 0.7:  # a part is reversed
        other = np.random.randint(length)
        low, high = min(at, other), max(at, other)
        for t in range(low, high + 1):
            out[width * t] = x[width * (low + high - t)]
            if width == 2:
                out[2 * t + 1] = x[2 * (low + high - t) + 1]
    elif how < 0.8:  # or mirrored
        other = np.random.randint(length)
        for t in range(min(at, other), max(at, other) + 1):
            out[width * t + width - 1] *= -1.0
    else:
        for t in range(length):
            if t == at or np.random.random() < 1.5 / length:
                for column in range(width):
                    out[width * t + column] += kick * np.random.standard_normal()
    return out


@compiled
def hop(
    starts: Array,
    numbers: Array,
    kind: int,
    strength: Array,
    hops: int,
    steps: int,
    kick: float,
    temperatures: Array,
    room: int,
) -> tuple[Array, int]:
    """Return the lowest angles [N, M] on N walks from valley to valley, and the energies computed.

    Each walk makes `hops` kicks and descents, accepted by Metropolis at its temperature. Not more
    than `room` energies are computed.
    """
    best, used = starts.copy(), 0
    most = steps * TRIES + 1
    for i in range(len(starts)):
        np.random.seed(numbers[i])
        x = starts[i].copy()
        if used + most > room:
            break
        value, spent = descend(x, kind, strength, steps, 1e-5)
        used += spent
        lowest, best[i] = value, x
        for _ in range(hops):
            if used + most > room:
                break
            there = kicked(x, kind, kick)
            found, spent = descend(there, kind, strength, steps, 1e-5)
            used += spent
            if found < value or np.random.random() < math.exp((value - found) / temperatures[i]):
                x, value = there, found
                if value < lowest - 1e-9:
                    lowest, best[i] = value, x
        if used + most <= room:
            found, spent = descend(best[i], kind, strength, steps, 1e-12)
            used += spent
    return best, used
