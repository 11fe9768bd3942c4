"""Compact cores: their counts, bonds and parities, held against known ones and against a count."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tasks.folding.cores import COUNT, compact, met
from tasks.folding.lattices import LATTICES, Ints, lattice_named


def bonds(points: Ints, name: str) -> int:
    steps = lattice_named(name).steps
    differences = points[:, None, :] - points[None, :, :]
    return int((differences[:, :, None, :] == steps).all(axis=3).any(axis=2).sum()) // 2


@pytest.mark.parametrize(
    ("name", "even", "odd", "most"),
    [
        ("square", 4, 4, 10),  # 8 points: floor(2 n - 2 sqrt(n)), Harary and Harborth 1976
        ("square", 8, 8, 24),  # 4 x 4
        ("cubic", 4, 4, 12),  # a cube
        ("cubic", 12, 12, 46),  # 2 x 3 x 4
        ("cubic", 13, 14, 54),  # 3 x 3 x 3
        ("triangular", 7, 0, 12),  # a hexagon: floor(3 n - sqrt(12 n - 3)), Harborth 1974
        ("triangular", 10, 9, 42),
        ("fcc", 6, 0, 12),  # an octahedron
        ("fcc", 13, 0, 36),  # a point and its twelve neighbours, most as published for spheres
    ],
)
def test_the_most_compact_cores_have_the_bonds_that_are_known(
    name: str, even: int, odd: int, most: int
) -> None:
    groups = compact(name, even, odd, 1)
    assert len(groups) == 2 and len(groups[0]) > 0
    for lack, cores in enumerate(groups):
        assert len(cores) <= COUNT
        for core in cores:
            assert core.shape == (even + odd, 3) and len(np.unique(core, axis=0)) == even + odd
            assert bonds(core, name) == most - lack
            if LATTICES[name].bipartite:
                evens = int((core.sum(axis=1) % 2 == 0).sum())
                assert evens in (even, odd)


def test_no_two_cores_are_one_under_symmetry() -> None:
    """Six cells have at most 7 bonds, those of the 2 x 3 block; with 6 all hexominoes are found
    that have three cells of each parity.
    """
    block, fewer = compact("square", 3, 3, 1)
    assert len(block) == 1
    seen = {_free(core) for core in fewer}
    assert len(seen) == len(fewer)
    assert seen == _hexominoes(bonds_=6, even=3)


def _free(points: Ints) -> frozenset[tuple[int, int]]:
    images = []
    for symmetry in lattice_named("square").symmetries:
        image = points @ symmetry.T
        images.append(sorted(map(tuple, (image - image.min(axis=0))[:, :2].tolist())))
    return frozenset(min(images))


def _hexominoes(bonds_: int, even: int) -> set[frozenset[tuple[int, int]]]:
    """Return the sets of six connected cells with so many bonds and even cells, by growing all."""
    steps = ((1, 0), (-1, 0), (0, 1), (0, -1))
    sets = {frozenset({(0, 0)})}
    for _ in range(5):
        sets = {
            _free(np.array([(*cell, 0) for cell in {*cells, (x + a, y + b)}]))
            for cells in sets
            for (x, y), (a, b) in itertools.product(cells, steps)
            if (x + a, y + b) not in cells
        }
    kept = set()
    for cells in sets:
        points = np.array([(*cell, 0) for cell in cells])
        evens = int((points.sum(axis=1) % 2 == 0).sum())
        if bonds(points, "square") == bonds_ and evens == even:
            kept.add(cells)
    return kept


@pytest.mark.parametrize("name", LATTICES)
def test_a_walk_meets_a_core_as_its_first_residues_say(name: str) -> None:
    """Each way once, every image of the core among them, and the given bond where it should be."""
    place = lattice_named(name)
    cores = compact(name, 3, 2, 0)[0]
    for sticky in itertools.product((False, True), repeat=2):
        even = 3 if place.bipartite else 5 if name == "fcc" else None
        ways = met(cores, place, sticky, even)
        assert len(ways) == len({np.sort(place.pack(way)).tobytes() for way in ways}) > 0
        for way in ways:
            points = {tuple(p) for p in way.tolist()}
            assert len(points) == 5
            assert ((0, 0, 0) in points, place.vectors[0] in points) == sticky
            if even is not None:
                assert int((way.sum(axis=1) % 2 == 0).sum()) == even
            assert bonds(way, name) == bonds(cores[0], name)
