"""Pull moves as actions: the mask against the moves made at random, and what they reach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.main import invoke
from designer.errors import InputError
from designer.testing import check_environment, walk
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.exact import ground_states
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.moves import Moved, Moves
from tasks.folding.moving import moving
from tasks.folding.recheck import recheck
from tasks.folding.walkers import Walkers

PROTEIN = "GIVEQCCTSICSLYQLENYCN"
CPU = torch.device("cpu")


def environment(sequence: str, name: str, moves: int = 6, matrix: str = "hp") -> Moves:
    env = moving(sequence, name, matrix, moves).environment  # type: ignore[arg-type]
    assert isinstance(env, Moves)
    return env


def at(env: Moves, cells: torch.Tensor) -> Moved:
    felt, taken, energy = env._felt(cells)
    none = torch.zeros(len(cells), dtype=torch.int64)
    return Moved(cells, felt, taken, energy, cells, energy, none, none.bool())


@pytest.mark.parametrize("name", LATTICES)
def test_the_contract(name: str) -> None:
    check_environment(environment("HPHPPHHPHPPH", name), batch_size=8)
    check_environment(environment("HPH", name), batch_size=8)
    check_environment(environment(PROTEIN, name, 4, "mj"), batch_size=4)


@pytest.mark.parametrize("name", LATTICES)
def test_energies_and_the_best_fold_are_those_of_a_plain_recount(name: str) -> None:
    env, matrix = environment(PROTEIN, name, 30, "mj-reduced"), matrix_named("mj-reduced")
    actions, states = walk(env, 16)
    lattice, paid = lattice_named(name), torch.zeros(16)
    best = np.full(16, np.inf)
    for before, action, state in zip(states, actions.unbind(1), states[1:], strict=False):
        letters = ["".join(lattice.letters[k] for k in row) for row in lattice.bonds(state.cells)]
        again = np.array([recheck(Fold(PROTEIN, name, text), matrix) for text in letters])
        np.testing.assert_allclose(state.energy.numpy(), again, atol=1e-4)
        best = np.minimum(best, again)
        paid += env.reward(before, action, state)
    for fold, energy in zip(env.decode(actions.tolist()), best, strict=True):
        assert fold is not None and recheck(fold, matrix) == pytest.approx(min(energy, 0.0))
    np.testing.assert_allclose(paid * env._scale, -again, atol=1e-3)


@pytest.mark.parametrize("name", LATTICES)
def test_the_mask_holds_exactly_the_moves_that_are_made_at_random(name: str) -> None:
    env, lattice = environment("HPHPPHHP", name, 12), lattice_named(name)
    _, states = walk(env, 3, seed=1)
    for row in range(3):
        cells = states[-2].cells[row : row + 1]
        (actions,) = env.mask(at(env, cells))[:, :-1].nonzero(as_tuple=True)[1:]
        ours = env.step(at(env, cells.expand(len(actions), -1)), actions).cells
        many = cells.expand(20_000, -1)
        hot = torch.full((20_000,), 1e12, dtype=torch.float64)
        pairs = torch.zeros(64, dtype=torch.float64)
        walkers = Walkers(lattice, pairs, many, hot, torch.Generator().manual_seed(0))
        walkers.step()
        moved = (walkers.cells != many).any(1)
        theirs = {tuple(c) for c in walkers.cells[moved].tolist()}
        assert {tuple(c) for c in ours.tolist()} - {tuple(cells[0].tolist())} == theirs


@pytest.mark.parametrize(
    ("name", "length"), [("square", 8), ("triangular", 6), ("cubic", 6), ("fcc", 5)]
)
def test_every_fold_of_a_short_chain_is_reached(name: str, length: int) -> None:
    """Moves lead from the straight chain to each fold there is, counted by other code."""
    env, lattice = environment("HPPPPPPP"[:length], name), lattice_named(name)
    every = ground_states("P" * length, name, keep=1 << 20).degeneracy
    seen: set[str] = set()
    front = env.reset(1, CPU).cells
    while len(front):
        rows, actions = env.mask(at(env, front))[:, :-1].nonzero(as_tuple=True)
        reached = env.step(at(env, front[rows]), actions).cells
        fresh = []
        for cells, bonds in zip(reached, lattice.bonds(reached.numpy()), strict=True):
            text = "".join(lattice.letters[k] for k in bonds)
            key = Fold("HPPPPPPP"[:length], name, text).key
            if key not in seen:
                seen.add(key)
                fresh.append(cells)
        front = torch.stack(fresh) if fresh else front[:0]
    assert len(seen) == every


@pytest.mark.parametrize("name", LATTICES)
def test_nothing_is_read_back_to_the_host(name: str) -> None:
    env, device = environment("HPHPPHHP", name), torch.device("meta")
    state = env.reset(4, device)
    for _ in range(env.max_steps):
        assert env.mask(state).shape == (4, env.num_actions)
        assert env.observe(state).shape == (4, env.obs_size)
        after = env.step(state, torch.zeros(4, dtype=torch.int64, device=device))
        assert env.reward(state, after.made, after).shape == (4,)
        state = after


def test_it_runs_from_a_campaign_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(__file__).parents[3] / "data" / "campaigns" / "fold_moves.toml"
    sets = ["campaign.steps=8", "task.target_energy=-4", "policy.hidden=16", "campaign.replay=4"]
    given = [word for text in sets for word in ("--set", text)]
    assert (
        invoke(["run", str(file), "--json", "--quiet", "--out", str(tmp_path / "r"), *given]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "fold_moves" and found["best"][0]["scores"]["energy"] <= -3


def test_bad_settings_are_told() -> None:
    for given, message in (
        ({"moves": -1}, "moves is -1, expected 0"),
        ({"start": "RRR"}, "has 3 bonds, expected 4 for 5 residues"),
        ({"start": "RULD"}, "meets itself: residues 1 and 5"),
    ):
        with pytest.raises(InputError, match=message):
            moving("HPPHP", **given)
