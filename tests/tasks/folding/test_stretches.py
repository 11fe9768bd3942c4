"""Stretches of many chains grown anew at once: exact frequencies on short chains."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.leaning import even
from tasks.folding.recheck import recheck
from tests.tasks.folding.searches import (
    PROTEIN,
    agrees,
    boltzmann,
    random_folds,
    texts_of,
    walkers_on,
)

HEAT, ROWS = 0.7, 2_000


@pytest.mark.parametrize("leans", [False, True])
@pytest.mark.parametrize(
    ("name", "sequence"),
    [("square", "HPHPPHH"), ("cubic", "HPPHPH"), ("triangular", "HPHHP"), ("fcc", "HHPH")],
)
def test_folds_come_as_often_as_boltzmann_says(name: str, sequence: str, leans: bool) -> None:
    """Every fold of the chain, against how many of rows that walk by regrowth alone end there."""
    place = lattice_named(name)
    straight = Fold(sequence, name, place.letters[0] * (len(sequence) - 1))
    walkers = walkers_on([straight] * ROWS, "hp", HEAT, regrowth=1.0)
    if leans:  # however one-sided
        lean = np.random.default_rng(0).uniform(0.2, 5.0, even(len(sequence)).shape)
        walkers.lean = torch.from_numpy(lean)
    for _ in range(30):
        walkers.step()
    seen = Counter(Fold(sequence, name, text).key for text in texts_of(walkers.cells, place))
    assert agrees(seen, boltzmann(sequence, name, HEAT))


@pytest.mark.parametrize("name", LATTICES)
def test_all_moves_together_keep_chains_whole_and_energies_right(name: str) -> None:
    lattice, matrix, folds = lattice_named(name), matrix_named("mj"), random_folds(PROTEIN, name)
    walkers = walkers_on(folds, "mj", 2.0, rebridging=0.3, regrowth=0.3)
    for _ in range(60):
        before = walkers.cells
        computed = int(walkers.step())
        assert 0 <= int((walkers.cells != before).any(1).sum()) <= computed <= len(folds)
    assert lattice.adjacent(np.diff(walkers.cells.numpy(), axis=1)).all()
    again = [recheck(Fold(PROTEIN, name, t), matrix) for t in texts_of(walkers.cells, lattice)]
    np.testing.assert_allclose(walkers.energy.numpy(), again, atol=1e-6)


def test_energies_of_any_size_leave_the_chain_whole() -> None:
    """A contact of some thousand kT weighs nothing; where all do, the old stretch comes back."""
    folds = random_folds(PROTEIN, "square")
    walkers = walkers_on(folds, "mj", 1e-4, regrowth=1.0)
    for _ in range(20):
        walkers.step()
    assert lattice_named("square").adjacent(np.diff(walkers.cells.numpy(), axis=1)).all()
    assert walkers.energy.isfinite().all()


def test_kinds_of_moves_come_as_often_as_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    walkers = walkers_on(
        random_folds("HPHPPHHPHP", "square"), "hp", 1.0, rebridging=0.3, regrowth=0.1
    )
    made: Counter[str] = Counter()
    for name in ("_pulled", "_rebridged", "_regrown"):
        kind = getattr(walkers, name)
        monkeypatch.setattr(walkers, name, lambda n=name, k=kind: (made.update([n]), k())[1])
    for _ in range(1000):
        walkers.step()
    assert abs(made["_regrown"] - 100) <= 1 and abs(made["_rebridged"] - 300) <= 1
