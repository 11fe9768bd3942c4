"""The compiled search: every move keeps the chain whole and the books right, every one is paid."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from designer.errors import InputError
from designer.testing import check_proposer
from tasks.folding import exchange
from tasks.folding.batched import BatchedExchange
from tasks.folding.design import Fold, first_meeting, numbers
from tasks.folding.energy import matrix_named
from tasks.folding.exact import ground_states
from tasks.folding.exchange import ReplicaExchange
from tasks.folding.ladder import Ladder
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.mixture import Mixture
from tasks.folding.recheck import recheck
from tasks.folding.task import task
from tasks.folding.terrain import _unit, terrain_of
from tests.tasks.folding.searches import Coins, random_folds

PROTEIN = "GIVEQCCTSICSLYQLENYCN"
SEQUENCE = "HPHPPHHPHPPHPHHPPHPH"


def ladder(
    folds: list[Fold], matrix: str, temperature: float, rebridging: float, target: float = -np.inf
) -> Ladder:
    terrain = terrain_of(folds[0].sequence, folds[0].lattice, matrix)
    texts, heat = [fold.letters for fold in folds], np.full(len(folds), temperature)
    return Ladder(terrain, texts, heat, [1, 2], rebridging=rebridging, target=target, keep=8)


def folds_of(made: Ladder, sequence: str) -> list[Fold]:
    return [Fold(sequence, made.terrain.lattice.name, text) for _, text in made.found()]


@pytest.mark.parametrize("matrix", ["hp", "mj", "mj-reduced"])
@pytest.mark.parametrize("name", LATTICES)
def test_chains_stay_whole_and_energies_right(name: str, matrix: str) -> None:
    known, folds = matrix_named(matrix), random_folds(PROTEIN, name)[:4]
    made = ladder(folds, matrix, 1.0, rebridging=0.3)
    for _ in range(20):
        made.climb(2000)
        for energy, text in made.found():
            fold = Fold(PROTEIN, name, text)
            assert first_meeting(fold.coordinates) is None
            assert recheck(fold, known) == pytest.approx(energy, abs=1e-6)
        assert (made.grids == made.terrain.grids(made.chains)).all(), "grid and chain disagree"
        assert (made.chains[:, [0, -1]] == made.chains[:, [1, -2]]).all()
    assert 0 < made.computed <= made.proposed == 20 * 2000


@pytest.mark.parametrize(
    ("name", "length"), [("square", 7), ("triangular", 5), ("cubic", 6), ("fcc", 4)]
)
def test_the_moves_reach_every_fold(name: str, length: int) -> None:
    sequence = "HPPPPPP"[:length]
    every = ground_states("P" * length, name, keep=1 << 20)
    straight = Fold(sequence, name, lattice_named(name).letters[0] * (length - 1))
    made, seen = ladder([straight] * 4, "hp", 1.0, rebridging=0.2), set()
    for _ in range(3000):
        made.walk(1, 10)  # a ladder's own sweeps are longer
        seen |= {fold.key for fold in folds_of(made, sequence)}
        if len(seen) == every.degeneracy:
            break
    assert len(seen) == every.degeneracy


@pytest.mark.parametrize("name", LATTICES)
def test_rebridging_moves_bonds_and_no_point(name: str) -> None:
    """All moves are rebridgings here: a dense fold stays on its points, but not as it is."""
    place = lattice_named(name)
    back = place.letters[1]
    letters = ("RRR" if name != "fcc" else "AAA").replace("R", place.letters[0])
    up = "I" if name == "fcc" else "U"
    snake = up.join([letters, back * 3, letters, back * 3, letters, back * 3])
    fold = Fold("HP" * 12, name, snake)
    made = ladder([fold], "hp", 1e9, rebridging=1.0)
    points, seen = set(made.chains[0].tolist()), {snake}
    for _ in range(200):
        made.walk(1, 20)
        assert set(made.chains[0].tolist()) == points
        seen.add(made.found()[-1][1])  # `found` spells the bonds, which fails where one is broken
        assert recheck(folds_of(made, fold.sequence)[-1], matrix_named("hp")) == made.found()[-1][0]
    assert len(seen) > 30


@pytest.mark.parametrize(
    ("name", "length"), [("square", 16), ("triangular", 12), ("cubic", 12), ("fcc", 10)]
)
def test_it_finds_exact_ground_states(name: str, length: int) -> None:
    sequence, matrix = SEQUENCE[:length], matrix_named("hp")
    straight = Fold(sequence, name, lattice_named(name).letters[0] * (length - 1))
    search = ReplicaExchange(steps=40_000, ladders=2, threads=1)
    children = search([straight], 16, np.random.default_rng(0))
    energies = [recheck(child, matrix) for child in children]
    assert energies[0] == ground_states(sequence, name).energy
    assert energies == sorted(energies)


@pytest.mark.parametrize("name", LATTICES)
def test_the_contract(name: str) -> None:
    parents = random_folds(SEQUENCE, name)
    check_proposer(ReplicaExchange(steps=2000), parents)
    keys = {parent.key for parent in parents}
    children = ReplicaExchange(steps=2000)(parents, 40, np.random.default_rng(2))
    assert len({child.key for child in children} | keys) == len(children) + len(keys)
    assert ReplicaExchange()(parents, 0, np.random.default_rng(0)) == []


def test_threads_change_nothing() -> None:
    parents = random_folds(SEQUENCE, "square")
    found = [
        ReplicaExchange(steps=20_000, threads=threads)(parents, 32, np.random.default_rng(5))
        for threads in (1, 2, 7)
    ]
    assert found[0] == found[1] == found[2] and found[0]
    other = ReplicaExchange(steps=20_000)(parents, 32, np.random.default_rng(6))
    assert other != found[0]


@pytest.mark.parametrize(("name", "matrix"), [("square", "hp"), ("fcc", "mj")])
def test_the_ladders_stand_from_call_to_call_and_through_a_checkpoint(
    name: str, matrix: str
) -> None:
    parents = random_folds(PROTEIN, name)
    search, rng = ReplicaExchange(matrix, steps=20_000), np.random.default_rng(3)
    search(parents, 8, rng)
    held = json.loads(json.dumps(search.state()))
    other = dataclasses.replace(search)
    assert other.standing == [], "a copy for another campaign begins anew"
    other.restore(held)
    assert other.state() == search.state()
    generator = rng.bit_generator.state
    again = np.random.default_rng(0)
    again.bit_generator.state = generator
    for _ in range(3):
        assert search(parents, 8, rng) == other(parents, 8, again)
    assert other.state() == search.state() != held
    assert search.standing[0].proposed > 3 * 20_000
    search(random_folds(PROTEIN[:-1], name), 8, rng)
    assert search.standing[0].chain == (PROTEIN[:-1], name), "another chain needs new ladders"


def test_it_begins_without_parents_where_it_is_told_the_chain() -> None:
    straight = Fold(SEQUENCE, "square", "R" * 19)
    assert ReplicaExchange(steps=1000)([], 4, np.random.default_rng(0)) == []
    search = ReplicaExchange(steps=400_000, start=straight, target=-9)
    (best, *_) = search([], 4, np.random.default_rng(0))
    assert recheck(best, matrix_named("hp")) == -9


def test_every_energy_is_paid_and_at_most_a_quarter_of_the_purse() -> None:
    parents = random_folds(SEQUENCE, "square")
    rich, fair, poor = Coins(10**8), Coins(10_000), Coins(100)
    for purse in (rich, fair, poor):
        search = ReplicaExchange(steps=20_000, target=-9, purse=purse)
        search(parents, 16, np.random.default_rng(0))
    assert 1000 < rich.paid < 80_000
    assert 2000 < fair.paid <= 2500 and poor.paid == 0


def test_a_ladder_stops_at_its_target() -> None:
    folds = random_folds(SEQUENCE, "square")[:2]
    made = ladder(folds, "hp", 0.35, rebridging=0.1, target=-6)
    made.climb(10_000_000)
    assert made.stopped and made.best <= -6 and made.proposed < 1_000_000
    assert recheck(folds_of(made, SEQUENCE)[0], matrix_named("hp")) == made.best


def test_energies_become_whole_numbers_without_loss() -> None:
    for matrix, unit in {"hp": 1.0, "mj": 0.01, "mj-reduced": 0.01}.items():
        terrain = terrain_of(PROTEIN, "square", matrix)
        assert terrain.unit == unit
        fold = random_folds(PROTEIN, "square")[0]
        (energy,) = terrain.energies(numbers(fold.letters, terrain.lattice)[None])
        assert energy * unit == pytest.approx(recheck(fold, matrix_named(matrix)), abs=1e-9)


def test_energies_that_are_no_round_numbers_are_kept_closely() -> None:
    pairs = np.array([[0, 0, -np.pi], [0, 0, 0], [-np.pi, 0, 0]])
    unit = _unit(pairs)
    assert abs(np.rint(pairs / unit) * unit - pairs).max() <= np.pi / 30000


def test_bad_settings_are_told() -> None:
    with pytest.raises(InputError, match="steps is 0, expected at least 1"):
        ReplicaExchange(steps=0)
    for given, message in (
        ({"coldest": -0.1}, "temperatures -0.1 to 0, expected numbers above 0"),
        ({"rebridging": 1.0}, "rebridging is 1, expected 0 to below 1"),
        ({"regrowth": 0.7}, "leave no pull moves"),
    ):
        with pytest.raises(InputError, match=message):
            Mixture(**given)


def test_temperatures_rise_and_fcc_is_searched_hotter() -> None:
    def betas(lattice: str, **given: float) -> list[float]:
        (fold, *_) = random_folds(SEQUENCE, lattice)
        search = ReplicaExchange(mixture=Mixture(**given))
        return search.ladder([fold], np.random.default_rng(0)).betas.tolist()

    assert betas("cubic") == pytest.approx([1 / 0.3, 1 / 0.37, 1 / 0.44])
    assert betas("fcc") == pytest.approx([1 / 0.4, 1 / 0.6, 1 / 0.8])
    assert betas("fcc", coldest=0.5, hottest=0.5) == pytest.approx([2.0, 2.0, 2.0])
    with pytest.raises(InputError, match=r"temperatures 0\.6 to 0\.5"):
        betas("square", coldest=0.6)


def test_without_numba_the_batched_search_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "find_spec", lambda name: None)
    parents = random_folds(SEQUENCE, "cubic")
    purse = Coins(10**6)
    children = ReplicaExchange(purse=purse)(parents, 16, np.random.default_rng(0))
    assert children and 0 < purse.paid <= 200 * 16


def test_long_chains_in_space_are_left_to_the_batched_search() -> None:
    flat, deep = Fold("H" * 600, "square", "R" * 599), Fold("H" * 600, "cubic", "R" * 599)
    assert exchange.suits(flat) and not exchange.suits(deep)


def test_the_task_searches_by_replica_exchange_until_its_target() -> None:
    made = task(SEQUENCE, target_energy=-9)
    straight = Fold(SEQUENCE, "square", "R" * 19)
    assert made.proposer == ReplicaExchange(steps=1_000_000, target=-9, start=straight)
    (best, *_) = made.proposer(random_folds(SEQUENCE, "square"), 4, np.random.default_rng(0))
    assert recheck(best, matrix_named("hp")) == -9
    assert isinstance(task(SEQUENCE, search="batched").proposer, BatchedExchange)
