"""The batched search: every move keeps the chain whole and its energy right, every one is paid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from designer.policy import RecurrentPolicy
from designer.testing import check_proposer
from tasks.folding.batched import BatchedExchange
from tasks.folding.design import Fold, first_meeting
from tasks.folding.energy import matrix_named
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.leaning import even
from tasks.folding.mixture import Mixture
from tasks.folding.recheck import recheck
from tasks.folding.walkers import Walkers
from tests.tasks.folding.searches import PROTEIN, Coins, random_folds, texts_of, walkers_on


@pytest.mark.parametrize("name", LATTICES)
def test_every_pull_is_a_fold_and_its_energy_is_right(name: str) -> None:
    """At a high temperature every pull that is possible is taken."""
    lattice, matrix = lattice_named(name), matrix_named("mj-reduced")
    folds = random_folds(PROTEIN, name)
    walkers, moved = walkers_on(folds, "mj-reduced", 1e12), 0
    for _ in range(30):
        before = walkers.cells
        computed = int(walkers.step())
        assert lattice.adjacent(np.diff(walkers.cells.numpy(), axis=1)).all(), "a bond is broken"
        changed = (walkers.cells != before).any(1)
        assert int(changed.sum()) <= computed <= len(folds)
        moved += int(changed.sum())
        for text, energy in zip(
            texts_of(walkers.cells, lattice), walkers.energy.tolist(), strict=True
        ):
            fold = Fold(PROTEIN, name, text)
            assert first_meeting(fold.coordinates) is None
            assert recheck(fold, matrix) == pytest.approx(energy)
    assert moved > 200


@pytest.mark.parametrize(
    ("name", "length"), [("square", 7), ("triangular", 5), ("cubic", 6), ("fcc", 4)]
)
def test_pull_moves_reach_every_fold(name: str, length: int) -> None:
    """The moves are complete (Lesh, Mitzenmacher and Whitesides, 2003)."""
    lattice, sequence = lattice_named(name), "HPPPPPP"[:length]
    every = ground_states("P" * length, name, keep=1 << 20)  # all are equal without an H
    start = [Fold(sequence, name, lattice.letters[0] * (length - 1))] * 64
    walkers, found = walkers_on(start, "hp", 1.0), set()
    for _ in range(150):
        walkers.step()
        found |= {Fold(sequence, name, t).key for t in texts_of(walkers.cells, lattice)}
    assert len(found) == every.degeneracy


@pytest.mark.parametrize("name", LATTICES)
def test_walkers_keep_their_books(name: str) -> None:
    lattice, matrix = lattice_named(name), matrix_named("mj")
    folds = random_folds(PROTEIN, name)
    energies = np.array([recheck(fold, matrix) for fold in folds])
    walkers = walkers_on(folds, "mj", np.resize(np.linspace(1.0, 3.0, 8), len(folds)), rungs=8)
    computed = 0
    for step in range(100):
        computed += int(walkers.step())
        if step % 10 == 0:
            walkers.exchange(odd=step % 20 == 0)
    assert 0 < computed <= 100 * len(folds)
    for cells, stored in (
        (walkers.cells, walkers.energy),
        (walkers.best_cells, walkers.best_energy),
    ):
        again = [recheck(Fold(PROTEIN, name, text), matrix) for text in texts_of(cells, lattice)]
        np.testing.assert_allclose(stored.numpy(), again, atol=1e-6)
    assert (walkers.best_energy.numpy() <= energies + 1e-9).all()
    assert walkers.best_energy.numpy().mean() < energies.mean() - 5


def test_exchanges_are_between_neighbours_of_one_ladder_and_lose_no_fold() -> None:
    lattice = lattice_named("cubic")
    folds = random_folds("HPHPPHHPHPPHPHHPPHPH", "cubic")[:11]  # two ladders of 4, and 3 more
    for odd in (False, True):
        walkers = walkers_on(folds, "hp", 1e12, rungs=4)  # so hot that every exchange is taken
        before = texts_of(walkers.cells, lattice)
        walkers.exchange(odd)
        swaps = ((1, 2), (5, 6), (9, 10)) if odd else ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))
        order = list(range(11))
        for a, b in swaps:
            order[a], order[b] = b, a
        assert texts_of(walkers.cells, lattice) == [before[i] for i in order]


def test_exchanges_are_taken_as_often_as_metropolis_says() -> None:
    """exp of the difference in 1 / kT times the one in energy: Swendsen and Wang, 1986."""
    deep, flat = Fold("HPPH", "square", "RUL"), Fold("HPPH", "square", "RRR")
    for cold, hot in ((0.5, 0.9), (0.4, 4.0)):
        walkers = walkers_on([flat, deep] * 20_000, "hp", np.tile([hot, cold], 20_000), rungs=2)
        assert walkers.energy[:2].tolist() == [0.0, -1.0]
        walkers.exchange(odd=False)
        chance = np.exp((1 / hot - 1 / cold) * 1.0)
        share = float((walkers.energy[0::2] == -1).double().mean())
        assert share == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 20_000) ** 0.5)
        walkers = walkers_on([deep, flat] * 100, "hp", np.tile([hot, cold], 100), rungs=2)
        walkers.exchange(odd=False)
        assert (walkers.energy[1::2] == -1).all(), "the deeper fold goes to the colder place"


def test_nothing_is_read_back_to_the_host() -> None:
    device = torch.device("meta")
    lattice, size = lattice_named("cubic"), 16
    cells = torch.zeros(size, 12, dtype=torch.int64, device=device)
    pairs = torch.zeros(144, dtype=torch.float64, device=device)
    kT = torch.ones(size, dtype=torch.float64, device=device)
    lean = torch.from_numpy(even(12)).to(device)
    walkers = Walkers(lattice, pairs, cells, kT, None, 4, 0.4, 0.2, lean)  # type: ignore[arg-type]
    for _ in range(5):  # every kind of move
        assert walkers.step().shape == ()
    walkers.exchange(odd=False)
    assert walkers.found().shape == (size, 12)


@pytest.mark.parametrize(
    ("name", "length"), [("square", 16), ("triangular", 12), ("cubic", 12), ("fcc", 10)]
)
def test_the_proposer_finds_exact_ground_states(name: str, length: int) -> None:
    sequence, matrix = "HPHPPHHPHPPHPHHP"[:length], matrix_named("hp")
    straight = Fold(sequence, name, lattice_named(name).letters[0] * (length - 1))
    children = BatchedExchange(steps=400)([straight], 64, np.random.default_rng(0))
    best = min(recheck(child, matrix) for child in children)
    assert best == ground_states(sequence, name).energy


@pytest.mark.parametrize("name", LATTICES)
def test_the_contract(name: str) -> None:
    parents = random_folds("HPHPPHHPHPPHPHHPPHPH", name)
    check_proposer(BatchedExchange(steps=20), parents)
    keys = {parent.key for parent in parents}
    children = BatchedExchange(steps=20)(parents, 40, np.random.default_rng(2))
    assert len({child.key for child in children} | keys) == len(children) + len(keys)
    assert BatchedExchange()(parents, 0, np.random.default_rng(0)) == []


def test_stretches_lean_to_the_policy_where_it_grows_chains() -> None:
    env = Chain("HPHPPHHPHPPHPHHPPHPH", "square")
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    parents = random_folds(env.sequence, "square")
    plain = BatchedExchange(steps=20, mixture=Mixture(regrowth=0.2), policy=policy)
    led = dataclasses.replace(plain, env=env)
    assert plain._walkers(parents, 8, np.random.default_rng(0)).lean is None
    lean = led._walkers(parents, 8, np.random.default_rng(0)).lean
    assert lean is not None and lean.shape == even(20).shape and bool((lean != 1).any())
    check_proposer(led, parents)


def test_every_energy_is_paid_and_an_empty_purse_ends_the_walks() -> None:
    parents = random_folds("HPHPPHHPHPPHPHHPPHPH", "square")
    rich, poor = Coins(10**6), Coins(100)
    for purse in (rich, poor):
        proposer = dataclasses.replace(BatchedExchange(steps=50), purse=purse)
        proposer(parents, 16, np.random.default_rng(0))
    assert 100 < rich.paid <= 50 * 16
    assert 0 <= poor.left < 16 and poor.paid + poor.left == 100


def test_a_gpu_gets_as_many_chains_as_the_purse_allows() -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    for purse, size in (
        (None, 16_384),
        (Coins(10**9), 16_384),
        (Coins(100_000), 125),
        (Coins(9), 32),
    ):
        assert BatchedExchange(purse=purse)._size(32, gpu) == size
        assert BatchedExchange(purse=purse)._size(32, cpu) == 32
    assert BatchedExchange(chains=7)._size(32, gpu) == 7


def test_more_chains_than_children_give_the_lowest() -> None:
    parents = random_folds("HPHPPHHPHPPHPHHPPHPH", "square")
    few, many = (
        BatchedExchange(steps=50, chains=n)(parents, 8, np.random.default_rng(0)) for n in (0, 256)
    )
    assert len(few) <= 8 == len(many)
    energies = [recheck(fold, matrix_named("hp")) for fold in many]
    assert energies == sorted(energies) and energies[0] <= -6


def test_chains_of_three_residues_can_be_pulled() -> None:
    for name, lattice in LATTICES.items():
        fold = Fold("PPP", name, lattice.letters[0] * 2)
        children = BatchedExchange(steps=20)([fold], 32, np.random.default_rng(0))
        assert {child.key for child in children} | {fold.key} == {
            Fold("PPP", name, lattice.letters[0] + letter).key
            for k, letter in enumerate(lattice.letters)
            if k != 1
        }
