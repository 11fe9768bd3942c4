"""The tables of the lattices, against groups and vectors written out here."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from designer.errors import InputError
from tasks.folding.lattices import LATTICES, LONGEST, lattice_named

ORDERS = {"square": 8, "triangular": 12, "cubic": 48, "fcc": 48}
NEIGHBOURS = {"square": 4, "triangular": 6, "cubic": 6, "fcc": 12}


@pytest.mark.parametrize("name", LATTICES)
def test_vectors_come_in_opposite_pairs_of_length_one(name: str) -> None:
    lattice = lattice_named(name)
    assert lattice.size == NEIGHBOURS[name] == len(set(lattice.vectors)) == len(lattice.letters)
    assert (lattice.steps[0::2] == -lattice.steps[1::2]).all()
    lengths = np.linalg.norm(lattice.cartesian(lattice.steps), axis=1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-12)


@pytest.mark.parametrize("name", LATTICES)
def test_symmetries_are_isometries_and_form_the_whole_group(name: str) -> None:
    lattice = lattice_named(name)
    assert len(lattice.symmetries) == ORDERS[name]
    assert (lattice.symmetries[0] == np.eye(3)).all()
    points = np.random.default_rng(0).integers(-5, 6, size=(7, 3))
    if lattice.dimensions == 2:
        points[:, 2] = 0
    lengths = np.linalg.norm(lattice.cartesian(points), axis=1)
    for matrix in lattice.symmetries:
        moved = np.linalg.norm(lattice.cartesian(points @ matrix.T), axis=1)
        np.testing.assert_allclose(moved, lengths, atol=1e-9)
    for g, h in itertools.product(range(0, ORDERS[name], 5), repeat=2):
        product = lattice.symmetries[lattice.products[g, h]]
        assert (product == lattice.symmetries[g] @ lattice.symmetries[h]).all()


@pytest.mark.parametrize("name", LATTICES)
def test_turns_are_proper_rotations_that_take_ahead_to_the_move(name: str) -> None:
    lattice = lattice_named(name)
    assert lattice.rotations[0] == 0, "straight ahead turns nothing"
    for letter, rotation in zip(lattice.turns, lattice.rotations, strict=True):
        matrix = lattice.symmetries[rotation]
        assert round(np.linalg.det(matrix)) == 1
        assert (matrix @ lattice.steps[0] == lattice.steps[letter]).all()


@pytest.mark.parametrize("name", LATTICES)
def test_packed_points_of_one_walk_never_collide(name: str) -> None:
    """Two points with one number differ by 1024 at least in some coordinate."""
    lattice = lattice_named(name)
    reach = LONGEST + 23
    assert reach < 1024
    far = np.array(list(itertools.product((-reach, -1, 0, 1, reach), repeat=3)))
    assert ((lattice.pack(far) == 0) == (far == 0).all(axis=-1)).all()
    vectors = lattice.pack(lattice.steps)
    assert lattice.adjacent(vectors).all()
    others = np.setdiff1d(lattice.pack(far), vectors)
    assert len(others) > 50
    assert not lattice.adjacent(others).any()


def test_an_unknown_lattice_is_told_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'cubic'"):
        lattice_named("cubik")
