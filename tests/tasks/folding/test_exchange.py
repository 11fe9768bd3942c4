"""The compiled search: every move keeps the chain whole and the books right, every one is paid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from designer.errors import InputError
from designer.testing import check_proposer, walk
from tasks.folding import exchange
from tasks.folding.design import Fold, first_meeting
from tasks.folding.energy import matrix_named
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.exchange import Ladder, ReplicaExchange, compiled, terrain_of
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.recheck import recheck
from tasks.folding.task import task

PROTEIN = "GIVEQCCTSICSLYQLENYCN"
SEQUENCE = "HPHPPHHPHPPHPHHPPHPH"


def random_folds(sequence: str, name: str, seed: int = 0) -> list[Fold]:
    env = Chain(sequence, name)
    return [fold for fold in env.decode(walk(env, 64, seed)[0].tolist()) if fold]


def ladder(
    folds: list[Fold], matrix: str, temperature: float, rebridging: float, target: float = -np.inf
) -> Ladder:
    terrain = terrain_of(folds[0].sequence, folds[0].lattice, matrix)
    chains = terrain.placed(np.stack([fold.coordinates for fold in folds]))
    heat = np.full(len(folds), temperature)
    state = np.array([1, 2], dtype=np.uint64)
    return Ladder(terrain, chains, heat, state, rebridging, target, keep=8)


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
        for row, grid in zip(made.chains, made.grids, strict=True):
            expected = np.zeros_like(grid)
            expected[row.astype(np.int64)] = np.arange(1, len(row) + 1)
            assert (grid == expected).all(), "the grid and the chain tell different things"
    assert 0 < made.computed <= made.proposed == 20 * 2000


@pytest.mark.parametrize(
    ("name", "length"), [("square", 7), ("triangular", 5), ("cubic", 6), ("fcc", 4)]
)
def test_the_moves_reach_every_fold(name: str, length: int) -> None:
    sequence = "HPPPPPP"[:length]
    every = ground_states("P" * length, name, keep=1 << 20)
    straight = Fold(sequence, name, lattice_named(name).letters[0] * (length - 1))
    made, seen = ladder([straight] * 4, "hp", 1.0, rebridging=0.2), set()
    compiled()
    for _ in range(3000):
        _climb(made, 10)
        seen |= {fold.key for fold in folds_of(made, sequence)}
        if len(seen) == every.degeneracy:
            break
    assert len(seen) == every.degeneracy


def _climb(made: Ladder, steps: int) -> None:
    """Ten steps a chain, where the ladder's own sweeps are longer."""
    land = made.terrain
    compiled().climb(
        made.chains, made.grids, land.pairs, made.active, land.deltas, np.uint64(land.mask),
        land.lattice.bipartite, made.energies, made.betas, made.order, 1, steps, made.share,
        made.target, made.allowance, made.state, made.books, made.kept, made.fresh,
    )  # fmt: skip


@pytest.mark.parametrize("name", LATTICES)
def test_rebridging_moves_bonds_and_no_point(name: str) -> None:
    """Nearly all moves are rebridgings here: a dense fold stays on its points, but not itself."""
    place = lattice_named(name)
    back = place.letters[1]
    letters = ("RRR" if name != "fcc" else "AAA").replace("R", place.letters[0])
    up = "I" if name == "fcc" else "U"
    snake = up.join([letters, back * 3, letters, back * 3, letters, back * 3])
    fold = Fold("HP" * 12, name, snake)
    kernels, made = compiled(), ladder([fold], "hp", 1e9, rebridging=0.5)
    points, seen = set(made.chains[0].tolist()), 0
    land, bits = made.terrain, np.random.default_rng(0)
    for drawn in bits.integers(0, 1 << 63, 4000, dtype=np.uint64):
        chain, grid = made.chains[0], made.grids[0]
        low, high = kernels.rebridge(
            chain, grid, land.deltas, np.uint64(land.mask), drawn, made.state, made.fresh
        )
        if high < low:
            continue
        new = chain.copy()
        new[low : high + 1] = made.fresh[low : high + 1]
        assert set(new.tolist()) == points and len(set(new.tolist())) == len(new)
        seen += bool((new != chain).any())  # a ring may come back to its place
        apart = (new[1:] - new[:-1]) & np.uint64(land.mask)
        assert np.isin(apart, land.deltas).all(), "a bond is broken"
        chain[:] = new
        grid[new.astype(np.int64)] = np.arange(1, len(new) + 1)
    assert seen > 30


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


@dataclasses.dataclass
class Coins:
    """A purse that counts."""

    left: int
    paid: int = 0

    def spend(self, evaluations: int) -> None:
        """Take them out."""
        self.left -= evaluations
        self.paid += evaluations


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
        again = terrain.pairs[:, 1:] * terrain.unit
        np.testing.assert_allclose(again, matrix_named(matrix).pairs(PROTEIN), atol=1e-9)


def test_energies_that_are_no_round_numbers_are_kept_closely() -> None:
    pairs = np.array([[0, 0, -np.pi], [0, 0, 0], [-np.pi, 0, 0]])
    unit = exchange._unit(pairs)
    assert abs(np.rint(pairs / unit) * unit - pairs).max() <= np.pi / 30000


def test_bad_settings_are_told() -> None:
    for given, message in (
        ({"steps": 0}, "steps is 0, expected at least 1"),
        ({"coldest": 0.0}, "expected 0 < coldest"),
        ({"rebridging": 1.0}, "rebridging is 1, expected 0 to below 1"),
    ):
        with pytest.raises(InputError, match=message):
            ReplicaExchange(**given)  # type: ignore[arg-type]


def test_without_numba_plain_pull_moves_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "find_spec", lambda name: None)
    parents = random_folds(SEQUENCE, "cubic")
    purse = Coins(10**6)
    children = ReplicaExchange(purse=purse)(parents, 16, np.random.default_rng(0))
    assert children and 0 < purse.paid <= 200 * 16


def test_long_chains_in_space_are_left_to_plain_pull_moves() -> None:
    flat, deep = Fold("H" * 600, "square", "R" * 599), Fold("H" * 600, "cubic", "R" * 599)
    assert exchange.suits(flat) and not exchange.suits(deep)


def test_the_task_searches_by_replica_exchange_until_its_target() -> None:
    made = task(SEQUENCE, target_energy=-9)
    assert made.proposer == ReplicaExchange(target=-9)
    (best, *_) = made.proposer(random_folds(SEQUENCE, "square"), 4, np.random.default_rng(0))
    assert recheck(best, matrix_named("hp")) == -9
    assert type(task(SEQUENCE, search="pull_moves").proposer).__name__ == "PullMoves"
