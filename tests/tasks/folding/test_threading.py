"""Walks led through cores: the contract, what the mask keeps to, and no fold out of reach."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np
import pytest
import torch
from torch import Tensor

from designer.errors import InputError
from designer.rollout import retrace
from designer.testing import check_environment
from tasks.folding.environment import Chain
from tasks.folding.growth import Grow
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.threading import Threaded, Threading, bonds_between, unpacked
from tests.tasks.folding.test_chain import CPU, SEQUENCE, every_walk

HARVARD = "HPHHPPHHHHPHHHPPHHPPHPHHHPHPHHPPHHPPPHPPPPPPPPHH"


@pytest.mark.parametrize("grow", ["start", "end", "middle"])
@pytest.mark.parametrize("name", LATTICES)
def test_the_contract(name: str, grow: Grow) -> None:
    for sequence, symmetric in ((SEQUENCE, True), ("HPPHHPH", False), ("PPHPPHP", True)):
        check_environment(Threaded(Chain(sequence, name, grow=grow, symmetric=symmetric), 1), 16)


@pytest.mark.parametrize("grow", ["start", "end", "middle"])
@pytest.mark.parametrize(
    ("name", "length"), [("square", 10), ("triangular", 7), ("cubic", 7), ("fcc", 5)]
)
def test_every_fold_is_grown_through_its_own_core(name: str, length: int, grow: Grow) -> None:
    """No look-ahead is wrong: what keeps to the fold's core is legal at each step of it."""
    chain = Chain(SEQUENCE[4 : 4 + length], name, grow=grow)
    env = Threaded(chain)
    walks, _ = every_walk(chain)
    folds = [fold for fold in chain.decode(walks) if fold is not None]
    spelled = [row for row in env.encode(folds) if row is not None]
    assert [list(row.actions) for row in spelled] == walks
    starts = [row.given["start"] for row in spelled]
    walked = retrace(env, walks, start=starts)
    assert walked.start is not None and walked.start.tolist() == starts
    assert [fold.letters for fold in env.decode(walks, start=starts) if fold is not None] == [
        fold.letters for fold in folds
    ]


def grown(env: Threaded, size: int, seed: int) -> tuple[Threading, Tensor]:
    """Return the ends of random walks, and which of them never strayed from their cores."""
    generator = torch.Generator().manual_seed(seed)
    state = env.reset(size, CPU, generator)
    for _ in range(env.max_steps):
        weights = env.mask(state).float()
        state = env.step(state, torch.multinomial(weights, 1, generator=generator).squeeze(1))
    lies = state.growth.cells[:, env.chain.sticky].long().sort(1).values
    return state, (lies == env.start(state).sort(1).values).all(1) & ~state.growth.stuck


@pytest.mark.parametrize("name", LATTICES)
def test_a_walk_that_does_not_stray_has_the_energy_of_its_core(name: str) -> None:
    sequence = SEQUENCE[:9]
    env = Threaded(Chain(sequence, name), 2)
    state, kept = grown(env, 4096, 0)
    assert int(kept.sum()) >= 20
    bonds = sum(a == b == "H" for a, b in itertools.pairwise(sequence))
    between = bonds_between(state.core[:, :, None] - state.core[:, None], lattice_named(name))
    contacts = (between == 1).sum((1, 2)) / 2 - bonds
    assert (-state.growth.energy[kept] == contacts[kept]).all()
    lacking = contacts.max() - contacts
    assert sorted(set(lacking.tolist())) == [0, 1, 2]
    shares = [float((lacking == k).float().mean()) for k in range(3)]
    assert all(abs(share - 1 / 3) < 0.05 for share in shares)


def test_led_walks_fold_lower_than_free_ones() -> None:
    """Harvard 1, 2,048 random walks each: the mean is told, not the luck of one."""
    led, _ = grown(Threaded(Chain(HARVARD, "cubic"), 2), 2048, 0)
    state, generator = Chain(HARVARD, "cubic").reset(2048, CPU), torch.Generator().manual_seed(0)
    for _ in range(len(HARVARD) - 2):
        weights = Chain(HARVARD, "cubic").mask(state).float()
        action = torch.multinomial(weights, 1, generator=generator).squeeze(1)
        state = Chain(HARVARD, "cubic").step(state, action)
    assert float(led.growth.energy.mean()) < 2.5 * float(state.energy.mean()) < 0


@pytest.mark.parametrize("grow", ["start", "middle"])
@pytest.mark.parametrize("name", LATTICES)
def test_what_is_left_and_what_is_seen(name: str, grow: Grow) -> None:
    """Counted anew from the points: free ones of the core, those at each turn and beside it."""
    env, place = Threaded(Chain(SEQUENCE, name, grow=grow)), lattice_named(name)
    generator = torch.Generator().manual_seed(1)
    state = env.reset(6, CPU, generator)
    moves = place.size - 1
    for placed in range(2, len(SEQUENCE)):
        cells = unpacked(state.growth.cells.long())
        seen = env.observe(state)[:, env.chain.obs_size :]
        side = env.chain.order.sides[placed]
        for row in range(6):
            taken = {tuple(p) for p in cells[row].tolist()}
            core = {tuple(p) for p in state.core[row].long().tolist()}
            left = {tuple(p) for p in state.core[row][state.left[row]].long().tolist()}
            assert left == core - taken
            head = state.growth.head[row, side].long()
            frame = int(state.growth.frame[row, side])
            for turn, letter in enumerate(place.images[frame, place.turns].tolist()):
                there = head + torch.from_numpy(place.steps[letter])
                beside = {tuple((there + torch.from_numpy(s)).tolist()) for s in place.steps}
                assert bool(seen[row, turn]) == (tuple(there.tolist()) in left)
                assert round(float(seen[row, moves + turn]) * place.size) == len(beside & left)
                ways = torch.tensor(sorted(left)) - there if left else torch.full((1, 3), 99)
                far = float(bonds_between(ways.float(), place).min().clamp(max=10))
                assert round(float(seen[row, 2 * moves + turn]) * 10) == far
        action = torch.multinomial(env.mask(state).float(), 1, generator=generator).squeeze(1)
        state = env.step(state, action)


@pytest.mark.parametrize("grow", ["start", "middle"])
@pytest.mark.parametrize("name", LATTICES)
def test_the_mask_keeps_to_the_core_where_it_can_and_else_is_the_chains(
    name: str, grow: Grow
) -> None:
    """Counted anew by points: into the core or out of it, in reach, and nothing left behind."""
    sequence = "HHPHPPHHHPHPPHH"
    env, place = Threaded(Chain(sequence, name, grow=grow), 1), lattice_named(name)
    generator, strayed, kept = torch.Generator().manual_seed(2), 0, 0
    state = env.reset(24, CPU, generator)
    steps = [tuple(step) for step in place.steps.tolist()]
    order = env.chain.order
    for placed in range(2, len(sequence)):
        mask, plain = env.mask(state), env.chain.mask(state.growth)
        cells, side = unpacked(state.growth.cells.long()).tolist(), order.sides[placed]
        ahead = [int(r) for r in order.ahead(len(sequence))[placed] if r >= 0]
        coming = [j for j, residue in enumerate(ahead) if sequence[residue] == "H"]
        loose = sum(sequence[r] == "H" for r in {0, len(sequence) - 1} & set(order.order[placed:]))
        for row in (~env.done(state)).nonzero().flatten().tolist():
            taken = {tuple(p) for p in cells[row]}
            core = {tuple(p) for p in state.core[row].long().tolist()}
            ends = [tuple(end) for end in state.growth.head[row].long().tolist()]
            head, others = ends[side], [end for k, end in enumerate(ends) if k != side]
            around = [_plus(head, step) for step in steps]
            closed = taken - set(others)
            ways = {p: loose + sum(_plus(p, step) not in closed for step in steps) for p in around}
            dead = {p for p in around if p in core - taken and ways[p] < 2}
            good = []
            for turn, letter in enumerate(place.images[state.growth.frame[row, side], place.turns]):
                point = around[letter]
                fits = (point in core) == (sequence[ahead[0]] == "H")
                if coming and coming[0] > 0:
                    gaps = torch.tensor(sorted(core - taken)).reshape(-1, 3) - torch.tensor(point)
                    bonds = bonds_between(gaps, place)
                    even = (coming[0] - bonds) % 2 == 0 if place.bipartite else True
                    fits = fits and bool(((bonds <= coming[0]) & even).any())
                good.append(bool(plain[row, turn]) and fits and not dead - {point})
            strayed, kept = strayed + (not any(good)), kept + any(good)
            assert mask[row, :-1].tolist() == (good if any(good) else plain[row, :-1].tolist())
        action = torch.multinomial(mask.float(), 1, generator=generator).squeeze(1)
        state = env.step(state, action)
    assert strayed > 0 and kept > 0


def _plus(point: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(point, step, strict=True))


@pytest.mark.parametrize("name", LATTICES)
def test_bonds_between_points_are_those_of_the_shortest_way(name: str) -> None:
    place = lattice_named(name)
    far = {(0, 0, 0): 0}
    waiting = deque(far)
    while waiting:
        point = waiting.popleft()
        for x, y, z in place.vectors if far[point] < 4 else ():
            there = (point[0] + x, point[1] + y, point[2] + z)
            if there not in far:
                far[there] = far[point] + 1
                waiting.append(there)
    points = torch.tensor(list(far), dtype=torch.float32)
    assert bonds_between(points, place).tolist() == list(far.values())


def test_packed_points_come_back() -> None:
    points = np.random.default_rng(0).integers(-200, 200, (50, 3))
    packed = lattice_named("cubic").pack(points)
    assert unpacked(torch.from_numpy(packed)).tolist() == points.tolist()


def test_cores_are_drawn_from_the_seed_and_given_back() -> None:
    env = Threaded(Chain(HARVARD, "cubic"), 1)
    draws = [env.start(env.reset(64, CPU, torch.Generator().manual_seed(s))) for s in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    again = env.reset(64, CPU, start=draws[0])
    assert torch.equal(env.start(again), draws[0])


def test_a_chain_without_hydrophobic_residues_has_no_core() -> None:
    with pytest.raises(InputError, match="hydrophobic residues"):
        Threaded(Chain("PPPPP", "square"))
