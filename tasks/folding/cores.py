"""Compact cores: sets of points with as many bonds as can be, for hydrophobic residues to lie on.

The energy of an HP fold is fixed by its core, the set of its hydrophobic residues' points: the
lattice's bonds within it, less those that the chain takes. So the folds of lowest energy thread
the most compact cores that fit: K. Yue and K. A. Dill, PNAS 92, 146 (1995); R. Backofen and
S. Will, Constraints 11, 5 (2006). A core depends on the lattice and on how many of its points are
of each parity; no fold is looked at to find one.

Needs numba; loaded where walks are led.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tasks.folding.dice import Array, stored
from tasks.folding.lattices import Flags, Ints, Lattice, lattice_named

COUNT = 128  # cores of each number of bonds, at most
_TRIES = 4 * COUNT  # annealings for these
_STEPS = 20_000  # moves of one point in an annealing
_SIDE = 32  # of the grid that points move on; 1,000 residues have a core of 10 x 10 x 10
_AROUND = 2  # bonds around a core in which a walk that is not in it may begin


@lru_cache(maxsize=16)
def compact(lattice: str, even: int, odd: int, slack: int) -> list[Ints]:
    """Return the most compact cores that annealing finds, by the bonds they lack to the most.

    Entry k of 0 to `slack` is [N, even + odd, 3] with k bonds less than the most, N at most
    `COUNT`, no two the same under symmetry. On bipartite lattices `even` of the points have an
    even sum of coordinates, or, after a shift, an odd one. The same arguments give the same cores.
    """
    place = lattice_named(lattice)
    most = max(_annealed_core(place, even, odd, None, seed)[0] for seed in range(COUNT // 4))
    found: list[dict[bytes, Ints]] = [{} for _ in range(slack + 1)]
    for lack, cores in enumerate(found):
        for seed in range(_TRIES):
            bonds, points = _annealed_core(place, even, odd, most - lack, seed)
            if bonds == most - lack:
                cores.setdefault(_form(points, place), points)
            if len(cores) == COUNT:
                break
    return [np.array(list(cores.values())).reshape(-1, even + odd, 3) for cores in found]


def met(cores: Ints, place: Lattice, sticky: tuple[bool, bool], even: int | None) -> Ints:
    """Return the ways [M, h, 3] in which a walk may meet cores [N, h, 3]: turned and shifted.

    The walk begins at 0 and goes on along the lattice's first step; `sticky` tells which of these
    two residues lie in the core, `even` how many points must have an even sum of coordinates.
    """
    ways = [cores[:0]]
    for core in cores:
        images = {_sorted(core @ symmetry.T).tobytes() for symmetry in place.symmetries}
        for image in sorted(images):
            points = np.frombuffer(image, dtype=np.int64).reshape(core.shape)
            shifted = points - _beginnings(points, place, sticky)[:, None]
            if even is not None:
                shifted = shifted[(shifted.sum(axis=2) % 2 == 0).sum(axis=1) == even]
            ways.append(shifted)
    return np.concatenate(ways)


def _beginnings(points: Ints, place: Lattice, sticky: tuple[bool, bool]) -> Ints:
    """Return the points [N, 3] from which a walk's first two residues lie as `sticky` says.

    Points of a core begin at 0 in every coordinate.
    """
    around = _AROUND * np.array([1, 1, place.dimensions == 3])
    size = points.max(axis=0) + 1 + 2 * around
    inside: Flags = np.zeros(size + 2, dtype=np.bool_)  # one more on each side for the step
    inside[tuple((points + around + 1).T)] = True
    spots = np.argwhere(np.ones(size, dtype=np.bool_)) + 1
    first, second = (inside[tuple(spot.T)] for spot in (spots, spots + place.steps[0]))
    chosen: Ints = spots[(first == sticky[0]) & (second == sticky[1])] - around - 1
    return chosen


def _annealed_core(
    place: Lattice, even: int, odd: int, bonds: int | None, seed: int
) -> tuple[int, Ints]:
    """Return the bonds and the points of a core; annealing ends at so many, if they are given."""
    points, kind, steps, order = _grid(place.name)
    rng = np.random.default_rng(seed)
    counts = ((0, even), (1, odd)) if place.bipartite else ((0, even + odd),)
    near = [order[kind[order] == k][: 4 * n] for k, n in counts]
    cells = np.concatenate([rng.permutation(c)[: len(c) // 4] for c in near])
    goal = np.iinfo(np.int64).max if bonds is None else bonds
    return int(_anneal(cells, kind, steps, goal, _STEPS, seed)), points[cells]


@lru_cache(maxsize=4)
def _grid(lattice: str) -> tuple[Ints, Ints, Ints, Ints]:
    """Return a grid's points [S, 3], their parities (-1 at the border), what a step adds to a
    point's number [Z], and the numbers of the lattice's points from the middle outwards.
    """
    place = lattice_named(lattice)
    number = np.arange(_SIDE**3)
    points = np.stack([number % _SIDE, number // _SIDE % _SIDE, number // _SIDE**2], axis=1)
    points -= _SIDE // 2
    away = np.abs(points).max(axis=1)
    parity = points.sum(axis=1) % 2
    kind = np.where(away > _SIDE // 2 - 2, -1, parity if place.bipartite else 0)
    kind[_strange(points, place)] = -1
    order = np.argsort(away, kind="stable")
    return points, kind, place.steps @ np.array([1, _SIDE, _SIDE**2]), order[kind[order] >= 0]


def _strange(points: Ints, place: Lattice) -> Flags:
    """Return [S] which points of the grid are none of the lattice's."""
    off: Flags = points[:, 2] != 0 if place.dimensions == 2 else np.zeros(len(points), np.bool_)
    return off | (points.sum(axis=1) % 2 == 1) if place.name == "fcc" else off


@stored
def _anneal(cells: Array, kind: Array, near: Array, goal: int, steps: int, seed: int) -> int:
    """Let points of a set move next to others until it has `goal` bonds; returns how many it has.

    A point moves to one of its own parity only; `cells` [h] changes in place.
    """
    np.random.seed(seed)
    taken = np.zeros(len(kind), np.int64)
    taken[cells] = 1
    bonds = 0
    for cell in cells:
        for step in near:
            bonds += taken[cell + step]
    bonds //= 2
    for done in range(steps):
        if bonds >= goal:
            break
        temperature = 0.15 + 1.5 * (1 - done / steps)
        k = np.random.randint(len(cells))
        old = cells[k]
        new = cells[np.random.randint(len(cells))] + near[np.random.randint(len(near))]
        if taken[new] or kind[new] != kind[old]:
            continue
        taken[old] = 0
        gain = 0
        for step in near:
            gain += taken[new + step] - taken[old + step]
        if gain >= 0 or np.random.random() < np.exp(gain / temperature):
            taken[new] = 1
            cells[k] = new
            bonds += gain
        else:
            taken[old] = 1
    return bonds


def _sorted(points: Ints) -> Ints:
    """Return the points of a set in one order, the least of each coordinate at 0."""
    moved = points - points.min(axis=0)
    return np.ascontiguousarray(moved[np.lexsort(moved.T)])


def _form(points: Ints, place: Lattice) -> bytes:
    """Return what is the same for sets that are one under symmetry and shifts."""
    return min(_sorted(points @ symmetry.T).tobytes() for symmetry in place.symmetries)
