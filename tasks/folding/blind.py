"""Compiled: chains grown blindly, each residue at a point drawn evenly from those that are open.

A chain that had n_1, n_2, ... points to choose from counts n_1 n_2 ... walks, so the mean of weight
times anything estimates its sum over all folds (M. N. Rosenbluth and A. W. Rosenbluth, J. Chem.
Phys. 23, 356, 1955). It is the measure of what a policy knows, and how often chains are trapped.
Each chain lies on a grid of its thread's, a torus wider than the chain is long.

Needs numba; loaded where chains are grown.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from designer.errors import InputError
from designer.protocols import Floats
from tasks.folding.dice import GOLDEN, Array, below, compiled, inlined, mixed, stored
from tasks.folding.environment import Chain

TRAPPED = -1e30  # the logarithm of a weight of nothing
_ROW = np.uint64(0xD1342543DE82EF95)  # sets the random numbers of one chain apart from the next's
_PART = 256  # chains that are worth a thread
_LARGEST = 1 << 27  # points of a grid


class Walk(NamedTuple):
    """How chains of L residues grow; nothing of it changes."""

    deltas: Array  # [Z] int64 neighbour vectors on the torus
    legal: Array  # [S, Z] and [S, Z]: see `lattices.Breaking`
    after: Array
    pairs: Array  # [L, L] energy of one placement beside another
    feels: Array  # [L] bool, whether any of these energies of a placement is not 0
    heads: Array  # [L + 1], see `growth.Order`
    exits: Array  # [L] bool, whether the point of that placement must have an exit
    gains: Array  # [L + 1] the most that is gained from each placement on, 0 or below
    logs: Array  # [Z + 1] logarithms
    start: int  # the first state of `legal`
    least: float  # the energy that must stay within reach


@dataclass(frozen=True)
class Blind:
    """B chains at the end of their growth."""

    letters: Array  # [B, L - 1] uint8, by number, in the order of growth
    energy: Floats  # [B]
    log_weight: Floats  # [B] of how many walks it stands for; -1e30 where it was trapped


@inlined
def _open(walk: Walk, grid: Array, point: Any, exits: bool) -> bool:
    """Return whether a residue may lie there, whatever symmetry says."""
    if grid[point] != 0:
        return False
    closed = exits
    for delta in walk.deltas:
        if not closed:
            break
        closed = grid[(point + delta) & (len(grid) - 1)] != 0
    return not closed


@inlined
def _gained(walk: Walk, grid: Array, point: Any, placed: int) -> float:
    """Return the energy of a residue with all around its point."""
    total = 0.0
    for delta in walk.deltas:
        other = grid[(point + delta) & (len(grid) - 1)]
        if other != 0:
            total += walk.pairs[placed, other - 1]
    return total


@compiled
def _grow(
    walk: Walk, grid: Array, points: Array, choice: Array, letters: Array, random: Any
) -> tuple[float, float]:
    """Grow one chain; returns its energy and the logarithm of its weight, and empties the grid."""
    last, length = len(grid) - 1, len(points)
    points[0] = len(grid) >> 1
    points[1] = (points[0] + walk.deltas[0]) & last
    grid[points[0]], grid[points[1]], letters[0] = 1, 2, 0
    energy, weight, broken, placed = 0.0, 0.0, walk.start, 2
    while placed < length:
        head, count = points[walk.heads[placed]], 0
        if energy + walk.gains[placed] <= walk.least:
            for z in range(len(walk.deltas)):
                point = (head + walk.deltas[z]) & last
                if walk.legal[broken, z] and _open(walk, grid, point, walk.exits[placed]):
                    choice[count] = z
                    count += 1
        if count == 0:
            weight = TRAPPED
            break
        random += GOLDEN
        letter = choice[below(mixed(random), np.uint64(count))]
        point = (head + walk.deltas[letter]) & last
        if walk.feels[placed]:
            energy += _gained(walk, grid, point, placed)
        weight += walk.logs[count]
        broken = walk.after[broken, letter]
        grid[point], points[placed], letters[placed - 1] = placed + 1, point, letter
        placed += 1
    for k in range(placed):
        grid[points[k]] = 0
    return energy, weight


@stored
def grow_all(
    walk: Walk, seed: Any, first: int, letters: Array, energy: Array, log_weight: Array, room: Any
) -> None:
    """Grow the chains of rows `first` and up; `room` are a grid, points and letters to work in."""
    grid, points, choice = room
    for row in range(len(letters)):
        random = mixed(seed + np.uint64(first + row) * _ROW)
        energy[row], log_weight[row] = _grow(walk, grid, points, choice, letters[row], random)


def blind(env: Chain, count: int, seed: int = 0, threads: int = 1) -> Blind:
    """Return `count` chains grown as the environment's mask lets them, the same on any threads.

    Raises InputError where the environment limits lines (`compact`), which is not known here, and
    for chains that are too long for a grid.
    """
    if env.compact > 0:
        raise InputError(f"compact is {env.compact}: chains are not grown blindly with it")
    length = len(env.sequence)
    if _torus(env) > _LARGEST:
        raise InputError(
            f"{length} residues on the {env.lattice} lattice need a grid of {_torus(env):,} "
            f"points, expected at most {_LARGEST:,}; take a shorter chain"
        )
    letters = np.zeros((count, length - 1), dtype=np.uint8)
    energy, log_weight = np.zeros(count), np.zeros(count)
    walk, size = _walk(env), _torus(env)
    given = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]

    def part(first: int, until: int) -> None:
        room = (np.zeros(size, np.uint16), np.zeros(length, np.int64), np.zeros(12, np.int64))
        rows = slice(first, until)
        grow_all(walk, given, first, letters[rows], energy[rows], log_weight[rows], room)

    borders = np.linspace(0, count, max(1, min(threads, count // _PART)) + 1).astype(int).tolist()
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for done in [pool.submit(part, *pair) for pair in pairwise(borders)]:
            done.result()
    return Blind(letters, energy, log_weight)


def _walk(env: Chain) -> Walk:
    place, order, length = env.place, env.order, len(env.sequence)
    exits = np.array([env.lookahead and onwards for onwards in order.onwards])
    pairs = env.pairs[order.order][:, order.order]
    strides = np.array([1, _side(env), _side(env) ** 2], dtype=np.int64)
    return Walk(
        deltas=place.steps @ strides,
        legal=place.breaking.legal,
        after=place.breaking.after,
        pairs=pairs,
        feels=(pairs != 0).any(axis=1),
        heads=np.array(order.heads),
        exits=exits[:length],
        gains=np.array(env.gains if env.prune is not None else [0.0] * (length + 1)),
        logs=np.log(np.maximum(np.arange(place.size + 1), 1)),
        start=env.first_state,
        least=np.inf if env.prune is None else env.prune + 1e-4,
    )


def _side(env: Chain) -> int:
    """Return how wide the torus is, a power of two above the chain's length."""
    return 1 << (len(env.sequence) + 1).bit_length()


def _torus(env: Chain) -> int:
    """Return how many points it has."""
    return int(_side(env) ** env.place.dimensions)
