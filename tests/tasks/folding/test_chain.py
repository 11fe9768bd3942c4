"""The environment: counting walks, agreement with plain recounts, traps, frames, symmetry."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from designer.rollout import retrace
from designer.testing import check_environment, walk
from tasks.folding.bounds import bound
from tasks.folding.design import Fold, reverse
from tasks.folding.energy import matrix_named
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.growth import Grow, Growth
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.lines import Lines
from tasks.folding.recheck import recheck

SEQUENCE = "HPHPPHHPHPPHPHHPPHPH"
PROTEIN = "GIVEQCCTSICSLYQLENYCN"  # insulin, chain A
WALKS = {  # self-avoiding walks with 1, 2, ... steps
    "square": [4, 12, 36, 100, 284, 780, 2172, 5916],
    "triangular": [6, 30, 138, 618, 2730, 11946],
    "cubic": [6, 30, 150, 726, 3534, 16926],
    "fcc": [12, 132, 1404, 14700, 152532],
}
CPU = torch.device("cpu")


def every_walk(env: Chain) -> tuple[list[list[int]], Growth]:
    """Return the actions of every complete walk that the mask lets through, and their end."""
    state, taken = env.reset(1, CPU), torch.zeros(1, 0, dtype=torch.int64)
    for _ in range(env.max_steps):
        rows, action = env.mask(state)[:, : env.give_up].nonzero(as_tuple=True)
        state = env.step(chosen(state, rows), action)
        taken = torch.cat([taken[rows], action[:, None]], dim=1)
    return taken.tolist(), state


def chosen(state: Growth, rows: Tensor) -> Growth:
    fields = {f.name: getattr(state, f.name)[rows] for f in dataclasses.fields(state)}
    return Growth(**fields)


def classes(name: str, steps: int) -> int:
    """Return how many walks there are up to symmetry, from their images, one by one."""
    lattice = lattice_named(name)
    first: set[tuple[int, ...]] = set()
    images = lattice.images.tolist()

    def extend(letters: tuple[int, ...], seen: set[tuple[int, ...]], at: tuple[int, ...]) -> None:
        if len(letters) == steps:
            first.add(min(tuple(image[k] for k in letters) for image in images))
            return
        for letter, (a, b, c) in enumerate(lattice.vectors):
            there = (at[0] + a, at[1] + b, at[2] + c)
            if there not in seen:
                extend((*letters, letter), seen | {there}, there)

    extend((0,), {(0, 0, 0), lattice.vectors[0]}, lattice.vectors[0])
    return len(first)


@pytest.mark.parametrize("lookahead", [True, False])
@pytest.mark.parametrize("name", LATTICES)
def test_the_mask_lets_exactly_the_self_avoiding_walks_through(name: str, lookahead: bool) -> None:
    for steps, known in enumerate(WALKS[name], start=1):
        if steps == 1:
            continue  # the first bond is given
        env = Chain("HP" * 5, name, symmetric=False, lookahead=lookahead)
        env = dataclasses.replace(env, sequence=("HP" * 5)[: steps + 1])
        found, _ = every_walk(env)
        assert len(found) * lattice_named(name).size == known, f"{steps} steps"


@pytest.mark.parametrize(("name", "steps"), [("square", 7), ("triangular", 5), ("cubic", 5)])
def test_symmetry_broken_each_walk_comes_once(name: str, steps: int) -> None:
    for n in range(2, steps + 1):
        env = Chain(SEQUENCE[: n + 1], name)
        found, _ = every_walk(env)
        assert len(found) == classes(name, n)
        folds = env.decode(found)
        assert len({fold.key for fold in folds if fold}) == len(found) or n < 4


def test_walks_up_to_symmetry_on_the_fcc_lattice() -> None:
    for n in (2, 3, 4):
        assert len(every_walk(Chain(SEQUENCE[: n + 1], "fcc"))[0]) == classes("fcc", n)


def test_on_the_square_lattice_symmetry_leaves_the_burnside_count() -> None:
    """A reflection keeps only the straight walks: (count + 4 mirrored pairs) / 8."""
    for steps in (2, 3, 4, 5, 6, 7, 8):
        found, _ = every_walk(Chain("HHPHPHPPH"[: steps + 1]))
        assert len(found) == (WALKS["square"][steps - 1] - 4) // 8 + 1


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("lookahead", [True, False])
@pytest.mark.parametrize("name", LATTICES)
def test_the_contract(name: str, lookahead: bool, symmetric: bool) -> None:
    check_environment(Chain(SEQUENCE, name, symmetric=symmetric, lookahead=lookahead))


@pytest.mark.parametrize("sequence", ["HPH", "PPP", "HPPH", "HHHHHHHH", "HPPHHPPH"])
def test_the_contract_for_short_and_palindromic_chains(sequence: str) -> None:
    for name in LATTICES:
        check_environment(Chain(sequence, name), batch_size=16)


@pytest.mark.parametrize("matrix", ["hp", "mj", "mj-reduced"])
@pytest.mark.parametrize("name", LATTICES)
def test_the_energy_on_the_way_is_that_of_the_finished_fold(name: str, matrix: str) -> None:
    env = Chain(PROTEIN, name, matrix)
    check_environment(env, batch_size=8)
    actions, states = walk(env, 64)
    folds = env.decode(actions.tolist())
    known, least = matrix_named(matrix), bound(PROTEIN, name, matrix)
    for fold, share, energy in zip(
        folds, env.potential(states[-1]).tolist(), states[-1].energy.tolist(), strict=True
    ):
        if fold is not None:
            assert energy == pytest.approx(recheck(fold, known), abs=1e-4)
            assert share == pytest.approx(recheck(fold, known) / least, abs=1e-5)
    assert not env.potential(states[0]).any()


@pytest.mark.parametrize(
    ("name", "length"), [("square", 11), ("triangular", 9), ("cubic", 9), ("fcc", 7)]
)
def test_the_best_of_all_walks_are_the_exact_ground_states(name: str, length: int) -> None:
    for start in (0, 4):
        sequence = SEQUENCE[start : start + length]
        env = Chain(sequence, name)
        found, state = every_walk(env)
        lowest = state.energy.min()
        best = (state.energy == lowest).nonzero().squeeze(1).tolist()
        ground = ground_states(sequence, name, keep=1 << 20)
        assert (ground.energy, ground.degeneracy) == (float(lowest), len(best))
        folds = env.decode([found[row] for row in best])
        assert {f.letters for f in folds if f} == {f.letters for f in ground.folds}


@pytest.mark.parametrize("grow", ["end", "middle"])
@pytest.mark.parametrize(
    ("name", "length"), [("square", 10), ("triangular", 7), ("cubic", 7), ("fcc", 5)]
)
def test_every_fold_grows_once_from_anywhere(name: str, length: int, grow: Grow) -> None:
    sequence = SEQUENCE[4 : 4 + length]
    for lookahead in (True, False):
        env = Chain(sequence, name, lookahead=lookahead, grow=grow)
        found, state = every_walk(env)
        assert len(found) == classes(name, length - 1)
        folds = [fold for fold in env.decode(found) if fold is not None]
        assert len({fold.key for fold in folds}) == len(folds) == len(found)
        energies = [recheck(fold, matrix_named("hp")) for fold in folds]
        assert state.energy.tolist() == energies
        assert env.encode(folds) == found


@pytest.mark.parametrize("grow", ["start", "end", "middle"])
@pytest.mark.parametrize("name", LATTICES)
def test_the_contract_from_anywhere(name: str, grow: Grow) -> None:
    for sequence, symmetric in ((SEQUENCE, True), ("HPPHHPH", False), ("HPPHPPH", True)):
        check_environment(Chain(sequence, name, grow=grow, symmetric=symmetric), batch_size=16)


@pytest.mark.parametrize("grow", ["start", "end", "middle"])
@pytest.mark.parametrize(("name", "length"), [("square", 12), ("triangular", 8), ("cubic", 9)])
def test_pruning_loses_no_fold_that_is_low_enough(name: str, length: int, grow: Grow) -> None:
    sequence = SEQUENCE[4 : 4 + length]
    _, state = every_walk(Chain(sequence, name, grow=grow))
    lowest = float(state.energy.min())
    for least in (lowest, lowest + 1):
        pruned = Chain(sequence, name, grow=grow, prune=least)
        check_environment(pruned, batch_size=8)
        found, kept = every_walk(pruned)
        assert (kept.energy <= least).sum() == (state.energy <= least).sum() > 0
        assert len(found) < len(state.energy) or name != "square"
    hopeless = Chain(sequence, name, prune=bound(sequence, name) * 3)
    assert (
        hopeless.mask(hopeless.reset(2, CPU)).tolist() == [[False] * hopeless.give_up + [True]] * 2
    )


@pytest.mark.parametrize("grow", ["start", "end", "middle"])
@pytest.mark.parametrize(("name", "length"), [("square", 10), ("triangular", 7), ("cubic", 7)])
def test_compact_walks_are_all_that_can_be_low_enough(name: str, length: int, grow: Grow) -> None:
    """A fold is grown exactly where the lines that its core lies on, counted anew, allow it."""
    sequence = SEQUENCE[:length]
    walks, state = every_walk(Chain(sequence, name, grow=grow))
    folds = Chain(sequence, name, grow=grow).decode(walks)
    for share in (0.3, 0.6):
        env = Chain(sequence, name, grow=grow, compact=share)
        check_environment(env, batch_size=8)
        found, kept = every_walk(env)
        low = share * bound(sequence, name)
        fits = [_room(fold) <= low + 1e-9 for fold in folds if fold is not None]
        assert 0 < len(found) == sum(fits) < len(fits)
        assert (kept.energy <= low).sum() == (state.energy <= low).sum() > 0
        grown = env.encode(folds)  # type: ignore[arg-type]
        assert [row for row in grown if row is not None] == sorted(found, key=grown.index)
        assert [row is not None for row in grown] == fits


@pytest.mark.parametrize("name", LATTICES)
def test_the_walker_sees_the_lines_that_are_left(name: str) -> None:
    """Counted anew from the points: those left, and those that each turn would add."""
    env = Chain(SEQUENCE, name, grow="middle", compact=0.2)
    size, generator = lattice_named(name).size, torch.Generator().manual_seed(0)
    state = env.reset(6, CPU)
    lines, order = Lines(lattice_named(name), SEQUENCE), env.order
    known = _unpacked(name, 12)
    most = int(lines.most(-0.2 * env.scale) + 1e-4)
    for placed in range(2, len(SEQUENCE)):
        seen, mask = env.observe(state)[:, -size:], env.mask(state)
        sticky = [SEQUENCE[residue] == "H" for residue in order.order[:placed]]
        core = [np.array(unpacked)[sticky] for unpacked in _points(state, known)]
        spread = [lines.met(points) if len(points) else 0 for points in core]
        assert (seen[:, 0] * size).round().long().tolist() == [most - s for s in spread]
        action = torch.multinomial(mask.float(), 1, generator=generator).squeeze(1)
        after = env.step(state, action)
        for row in (~after.stuck).nonzero().flatten().tolist():
            point = np.array(_points(after, known)[row])[-1:]
            added = lines.met(np.concatenate([core[row], point])) - spread[row]
            assert seen[row, 1 + int(action[row])] == added
        state = after


def _points(state: Growth, known: dict[int, list[int]]) -> list[list[list[int]]]:
    """Return the points of the residues placed so far, rows of [t, 3], from the packed cells."""
    return [[known[cell] for cell in row] for row in state.cells.tolist()]


def _unpacked(name: str, far: int) -> dict[int, list[int]]:
    """Return the points that lie at most so far from the origin, by their packed form."""
    place = lattice_named(name)
    grid = np.array(list(itertools.product(range(-far, far + 1), repeat=place.dimensions)))
    grid = np.pad(grid, ((0, 0), (0, 3 - place.dimensions)))
    return dict(zip(place.pack(grid).tolist(), grid.tolist(), strict=True))


def _room(fold: Fold) -> float:
    """Return the energy that the lines of a fold's core leave: each has two ends outside."""
    place, core = lattice_named(fold.lattice), {tuple(p) for p in fold.coordinates[fold.sticky]}
    lines = 0
    for step in place.steps[::2]:
        ends = {tuple(p) for p in core}
        for point in core:  # the first of its line, if none lies behind it
            behind = [tuple(np.array(point) - k * step) for k in range(1, len(fold.letters) + 1)]
            if core.intersection(behind):
                ends.discard(point)
        lines += len(ends)
    bonds = sum(fold.sequence[k : k + 2] == "HH" for k in range(len(fold.letters)))
    return -(place.size * len(core) / 2 - bonds - lines)


def test_a_trapped_walker_gives_up_and_is_no_fold() -> None:
    env = Chain("H" * 12, lookahead=False, symmetric=False)
    ahead, left = 0, 1
    inwards = [ahead, left, ahead, left, ahead, left, left]  # round a point, and into it
    state = retraced(env, inwards)
    assert env.mask(state)[0].tolist() == [False, False, False, True]
    state = env.step(state, torch.tensor([env.give_up]))
    assert env.done(state).all()
    assert env.decode([[*inwards, env.give_up]]) == [None]


def test_lookahead_keeps_out_of_points_without_exit_but_for_the_last_residue() -> None:
    path = [0, 1, 0, 1, 0, 1]  # round the point that is now to the left
    for length, allowed in ((10, False), (9, True)):
        env = Chain("H" * length, symmetric=False)
        state = retraced(env, path)
        assert bool(env.mask(state)[0, 1]) is allowed


def retraced(env: Chain, path: list[int]) -> Growth:
    state = env.reset(1, CPU)
    for action in path:
        assert env.mask(state)[0, action]
        state = env.step(state, torch.tensor([action]))
    return state


def test_a_mirrored_walk_is_seen_mirrored() -> None:
    env = Chain(SEQUENCE, symmetric=False)
    actions, _ = walk(env, 32)
    swap = torch.tensor([0, 2, 1, 3])
    seen, mirrored = retrace(env, actions), retrace(env, swap[actions])
    assert torch.equal(seen.masks[:, :, swap], mirrored.masks)
    moves = 3
    chain = env.obs_size - 5 * moves - 4
    order = list(range(chain))
    for channel in range(5):
        base = chain + moves * channel
        order += [base, base + 2, base + 1]
    order += range(chain + 5 * moves, env.obs_size)
    sign = torch.ones(env.obs_size)
    sign[-2] = -1  # the second component of the way to the middle
    expected = seen.observations[:, :, order] * sign
    torch.testing.assert_close(mirrored.observations, expected, rtol=0, atol=1e-6)


def test_other_spellings_of_a_palindromic_chain_start_at_its_other_end() -> None:
    env = Chain("HPPHPPHPPH")
    fold = Fold(env.sequence, "square", "RRURDDLLU")
    rng = np.random.default_rng(0)
    spelled = {tuple(env.encode([fold], rng)[0] or ()) for _ in range(20)}
    assert len(spelled) == 2
    decoded = env.decode([list(row) for row in spelled])
    assert {f.key for f in decoded if f} == {fold.key}
    assert Fold(env.sequence, "square", reverse(fold.letters, "square")).key == fold.key


def test_encode_refuses_folds_of_other_chains() -> None:
    env = Chain(SEQUENCE)
    other = Fold("HHHH", "square", "RRR")
    here = Fold(SEQUENCE, "square", "U" * 19)
    assert env.encode([other, here]) == [None, [0] * 18]


def test_keys_are_equal_exactly_for_symmetric_folds() -> None:
    for name, lattice in LATTICES.items():
        letters = list(itertools.islice(itertools.cycle([0, 2, 4 % lattice.size]), 5))
        keys = set()
        for image in lattice.images:
            keys.add(Fold("HPPHPH", name, "".join(lattice.letters[image[k]] for k in letters)).key)
        assert len(keys) == 1
    assert Fold("HPPHPH", "square", "RRURD").key != Fold("HPPHPH", "square", "RURRD").key


def test_long_chains_grow_beside_each_other_and_far_from_the_origin() -> None:
    env = Chain("HP" * 68, "cubic")
    actions, states = walk(env, 16)
    matrix = matrix_named("hp")
    for fold, energy in zip(env.decode(actions.tolist()), states[-1].energy.tolist(), strict=True):
        assert fold is None or recheck(fold, matrix) == energy
    straight = retraced(Chain("H" * 1000, "fcc"), [0] * 998)
    assert straight.head[0, 0].tolist() == [999, 999, 0] and straight.energy.item() == 0


@pytest.mark.parametrize("name", LATTICES)
def test_nothing_is_read_back_to_the_host(name: str) -> None:
    """On the meta device tensors have no values: reading one, or branching on one, raises."""
    env, device = Chain(SEQUENCE, name), torch.device("meta")
    state = env.reset(4, device)
    for _ in range(env.max_steps):
        assert env.mask(state).shape == (4, env.num_actions)
        assert env.observe(state).shape == (4, env.obs_size)
        assert env.potential(state).device == env.done(state).device == device
        state = env.step(state, torch.zeros(4, dtype=torch.int64, device=device))
    assert state.cells.shape == (4, len(SEQUENCE))
