"""Rebridging of many chains at once: the very moves of the compiled search, and no others."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tasks.folding.bridges import Spot, rebridged
from tasks.folding.compiled_moves import rebridge
from tasks.folding.design import Fold, first_meeting, numbers
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.terrain import terrain_of
from tests.tasks.folding.searches import packed, random_folds

DENSE = {
    "square": "RRRULLLURRRULLL",
    "cubic": "RRULLURRFLLDRRDLL",
    "triangular": "RRRULLLURRRULLL",
    "fcc": "AAAIBBBIAAA",
}


def all_of(fold: Fold) -> set[tuple[int, ...]]:
    """Every chain that a rebridging of the fold leads to, as packed points."""
    lattice, length = lattice_named(fold.lattice), len(fold.letters) + 1
    cells = torch.from_numpy(packed([fold], lattice)[0])
    choices = (range(length), range(lattice.size), range(4), range(length), range(lattice.size))
    draws = torch.tensor(list(itertools.product(*choices, range(2))))[..., None]
    steps = torch.from_numpy(lattice.deltas)
    chain = cells.expand(len(draws), -1)
    spot, ring = Spot(draws[:, 0], steps[draws[:, 1]]), Spot(draws[:, 3], steps[draws[:, 4]])
    after, legal = rebridged(chain, spot, draws[:, 2], ring, draws[:, 5] == 1, lattice)
    assert (after[~legal] == chain[~legal]).all(), "what is not possible changes nothing"
    return {tuple(row) for row in after[legal].tolist()}


def compiled_of(fold: Fold, tries: int) -> set[tuple[int, ...]]:
    """Every chain that the compiled rebridging finds in so many tries, as packed points."""
    terrain = terrain_of(fold.sequence, fold.lattice, "hp")
    letters = np.array([numbers(fold.letters, terrain.lattice)])
    chain, points = terrain.chains(letters)[0], packed([fold], terrain.lattice)[0]
    known = dict(zip(chain[1:-1].tolist(), points.tolist(), strict=True))
    grid, fresh = terrain.grids(chain[None])[0], np.zeros_like(chain)
    found, rng = set(), np.random.default_rng(0)
    for bits in rng.integers(1 << 64, size=tries, dtype=np.uint64):
        first, _, moved = rebridge(terrain.ground, chain, grid, bits, fresh)
        if moved:
            after = chain[1:-1].copy()
            after[int(first) - 1 : int(first) - 1 + int(moved)] = fresh[: int(moved)]
            found.add(tuple(known[point] for point in after.tolist()))
    return found


@pytest.mark.parametrize("name", LATTICES)
def test_they_are_the_moves_of_the_compiled_search(name: str) -> None:
    letters = DENSE[name]
    fold = Fold("HP" * ((len(letters) + 1) // 2) + "H" * ((len(letters) + 1) % 2), name, letters)
    ours = all_of(fold)
    assert ours == compiled_of(fold, 200_000)
    assert len(ours) > 8


@pytest.mark.parametrize("name", LATTICES)
def test_every_one_is_a_fold_on_the_same_points(name: str) -> None:
    lattice = lattice_named(name)
    for fold in random_folds("HPHPPHHPHPPH", name)[:3]:
        points = sorted(packed([fold], lattice)[0].tolist())
        for chain in all_of(fold):
            assert sorted(chain) == points
            assert lattice.adjacent(np.diff(np.array(chain))).all()


def test_the_dense_folds_are_folds() -> None:
    for name, letters in DENSE.items():
        assert first_meeting(Fold("H" * (len(letters) + 1), name, letters).coordinates) is None
