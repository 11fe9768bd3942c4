"""Pull moves: every one keeps the chain whole and its energy right, and together they reach all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from designer.testing import check_proposer, walk
from tasks.folding.design import Fold, first_meeting, numbers, spelled
from tasks.folding.energy import coordinates, matrix_named
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.lattices import LATTICES, Lattice, lattice_named
from tasks.folding.proposer import PullMoves
from tasks.folding.pull import Walkers, energy_changes, propose
from tasks.folding.recheck import recheck

PROTEIN = "GIVEQCCTSICSLYQLENYCN"


def random_folds(sequence: str, name: str, seed: int = 0) -> list[Fold]:
    env = Chain(sequence, name)
    return [fold for fold in env.decode(walk(env, 64, seed)[0].tolist()) if fold]


def packed(folds: list[Fold], lattice: Lattice) -> np.ndarray:
    return lattice.pack(
        coordinates(np.array([numbers(f.letters, lattice) for f in folds]), lattice)
    )


@pytest.mark.parametrize("name", LATTICES)
def test_every_pull_is_a_fold_and_its_energy_change_is_right(name: str) -> None:
    lattice, matrix = lattice_named(name), matrix_named("mj-reduced")
    pairs, rng = matrix.pairs(PROTEIN), np.random.default_rng(1)
    folds, seen = random_folds(PROTEIN, name), 0
    cells = packed(folds, lattice)
    for _ in range(30):
        made = propose(cells, lattice, rng)
        changes = energy_changes(made, pairs, lattice)
        after = np.where(made.flipped[:, None], made.after[:, ::-1], made.after)
        assert lattice.adjacent(np.diff(after, axis=1)).all(), "a bond is broken"
        for row, text, change in zip(
            made.rows, spelled(lattice.bonds(after), lattice), changes, strict=True
        ):
            fold = Fold(PROTEIN, name, text)
            assert first_meeting(fold.coordinates) is None
            assert recheck(fold, matrix) - recheck(folds[row], matrix) == pytest.approx(change)
            folds[row] = fold
            seen += 1
        cells[made.rows] = after
    assert seen > 200


@pytest.mark.parametrize(
    ("name", "length"), [("square", 7), ("triangular", 5), ("cubic", 6), ("fcc", 4)]
)
def test_pull_moves_reach_every_fold(name: str, length: int) -> None:
    """The moves are complete (Lesh, Mitzenmacher and Whitesides, 2003)."""
    lattice, sequence = lattice_named(name), "HPPPPPP"[:length]
    every = ground_states("P" * length, name, keep=1 << 20)  # all are equal without an H
    start = [Fold(sequence, name, lattice.letters[0] * (length - 1))] * 64
    walkers = Walkers(
        lattice, np.zeros((length, length)), packed(start, lattice), np.zeros(64), np.ones(64)
    )
    rng, found = np.random.default_rng(0), set()
    for _ in range(150):
        walkers.step(rng)
        found |= {
            Fold(sequence, name, t).key for t in spelled(lattice.bonds(walkers.cells), lattice)
        }
    assert len(found) == every.degeneracy


@pytest.mark.parametrize("name", LATTICES)
def test_walkers_keep_their_books(name: str) -> None:
    lattice, matrix = lattice_named(name), matrix_named("mj")
    folds = random_folds(PROTEIN, name)
    energies = np.array([recheck(fold, matrix) for fold in folds])
    walkers = Walkers(
        lattice,
        matrix.pairs(PROTEIN),
        packed(folds, lattice),
        energies.copy(),
        np.full(len(folds), 2.0),
    )
    rng = np.random.default_rng(0)
    computed = sum(walkers.step(rng) for _ in range(100))
    assert 0 < computed <= 100 * len(folds)
    for cells, stored in (
        (walkers.cells, walkers.energy),
        (walkers.best_cells, walkers.best_energy),
    ):
        texts = spelled(lattice.bonds(cells), lattice)
        again = [recheck(Fold(PROTEIN, name, text), matrix) for text in texts]
        np.testing.assert_allclose(stored, again, atol=1e-6)
    assert (walkers.best_energy <= np.minimum(walkers.energy, energies) + 1e-9).all()
    assert walkers.best_energy.mean() < energies.mean() - 5


@pytest.mark.parametrize(
    ("name", "length"), [("square", 16), ("triangular", 12), ("cubic", 12), ("fcc", 10)]
)
def test_the_proposer_finds_exact_ground_states(name: str, length: int) -> None:
    sequence, matrix = "HPHPPHHPHPPHPHHP"[:length], matrix_named("hp")
    straight = Fold(sequence, name, lattice_named(name).letters[0] * (length - 1))
    children = PullMoves(steps=400)([straight], 64, np.random.default_rng(0))
    best = min(recheck(child, matrix) for child in children)
    assert best == ground_states(sequence, name).energy


@pytest.mark.parametrize("name", LATTICES)
def test_the_contract(name: str) -> None:
    parents = random_folds("HPHPPHHPHPPHPHHPPHPH", name)
    check_proposer(PullMoves(steps=20), parents)
    keys = {parent.key for parent in parents}
    children = PullMoves(steps=20)(parents, 40, np.random.default_rng(2))
    assert len({child.key for child in children} | keys) == len(children) + len(keys)
    assert PullMoves()(parents, 0, np.random.default_rng(0)) == []


@dataclasses.dataclass
class Coins:
    """A purse that counts."""

    left: int
    paid: int = 0

    def spend(self, evaluations: int) -> None:
        """Take them out."""
        self.left -= evaluations
        self.paid += evaluations


def test_every_energy_is_paid_and_an_empty_purse_ends_the_walks() -> None:
    parents = random_folds("HPHPPHHPHPPHPHHPPHPH", "square")
    rich, poor = Coins(10**6), Coins(100)
    for purse in (rich, poor):
        proposer = dataclasses.replace(PullMoves(steps=50), purse=purse)
        proposer(parents, 16, np.random.default_rng(0))
    assert 100 < rich.paid <= 50 * 16
    assert 0 <= poor.left < 16 and poor.paid + poor.left == 100


def test_chains_of_three_residues_can_be_pulled() -> None:
    for name, lattice in LATTICES.items():
        fold = Fold("PPP", name, lattice.letters[0] * 2)
        children = PullMoves(steps=20)([fold], 32, np.random.default_rng(0))
        assert {child.key for child in children} | {fold.key} == {
            Fold("PPP", name, lattice.letters[0] + letter).key
            for k, letter in enumerate(lattice.letters)
            if k != 1
        }
