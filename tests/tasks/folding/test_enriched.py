"""Enriched growth: its weights count the folds, against enumeration; the proposer built on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.main import invoke
from designer.policy import RecurrentPolicy
from designer.testing import check_proposer, walk
from tasks.folding.energy import matrix_named
from tasks.folding.enriched import Density, Enrichment, density, enriched
from tasks.folding.environment import Chain
from tasks.folding.growth import Growth
from tasks.folding.recheck import recheck

SEQUENCE = "HPHPPHHPHPPHPHHPPHPH"


def every_energy(env: Chain) -> list[float]:
    """Return the energies of all folds that the mask lets through."""
    state = env.reset(1, torch.device("cpu"))
    for _ in range(env.max_steps):
        rows, action = env.mask(state)[:, : env.give_up].nonzero(as_tuple=True)
        held = {f.name: getattr(state, f.name)[rows] for f in fields(state)}
        state = env.step(Growth(**held), action)
    return state.energy.tolist()


@pytest.mark.parametrize(
    ("name", "length", "matrix"),
    [("square", 12, "hp"), ("triangular", 8, "hp"), ("cubic", 8, "hp"), ("fcc", 6, "hp")],
)
@pytest.mark.parametrize("lookahead", [True, False])
def test_the_density_of_states_is_that_of_enumeration(
    name: str, length: int, matrix: str, lookahead: bool
) -> None:
    env = Chain(SEQUENCE[:length], name, matrix, lookahead=lookahead)
    exact = Counter(every_energy(env))
    found = density(env, populations=12, size=1500)
    assert set(found.energy.tolist()) == set(exact)
    for energy, count, error in zip(found.energy, found.count, found.error, strict=True):
        assert abs(count - exact[energy]) < 5 * error + 1e-6, f"energy {energy}"
        assert error < 0.3 * exact[energy]


def test_a_policy_and_a_temperature_leave_the_counts_unbiased() -> None:
    env = Chain(SEQUENCE[:9], "square")
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=1)
    with torch.no_grad():
        policy.head.weight.mul_(30.0)  # not even
    total = len(every_energy(env))
    generator = torch.Generator().manual_seed(0)
    means = []
    for _ in range(30):
        grown = enriched(env, 400, generator, policy, kT=1.0)
        means.append(float(grown.log_weight.exp().mean()))
    error = np.std(means, ddof=1) / np.sqrt(30)
    assert abs(np.mean(means) - total) < 4 * error < 0.2 * total


def test_the_energies_are_those_of_the_folds() -> None:
    env = Chain("GIVEQCCTSICSLYQL", "cubic", "mj-reduced")
    grown = enriched(env, 64, torch.Generator().manual_seed(0), kT=0.5)
    matrix = matrix_named("mj-reduced")
    folds = env.decode(grown.actions.tolist())
    for fold, energy in zip(folds, grown.energy.tolist(), strict=True):
        assert fold is None or recheck(fold, matrix) == pytest.approx(energy, abs=1e-4)


def test_the_proposer_keeps_its_contract_and_pays() -> None:
    env = Chain(SEQUENCE, "square")
    actions, _ = walk(env, 8)
    parents = [fold for fold in env.decode(actions.tolist()) if fold]
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    proposer = Enrichment(env, size=64, policy=policy)
    check_proposer(proposer, parents)
    purse = Purse(100)
    paid = replace(proposer, purse=purse)
    rng = np.random.default_rng(0)
    lowest = paid(parents, 8, rng)
    energies = [recheck(fold, matrix_named("hp")) for fold in lowest]
    assert purse.left == 36 and energies == sorted(energies) and energies[0] <= -6
    assert paid(parents, 8, rng) == []


class Purse:
    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, evaluations: int) -> None:
        self.left -= evaluations


def test_a_density_is_written_as_a_table() -> None:
    made = Density(np.array([-2.0, 0.0]), np.array([3.0, 100.0]), np.array([0.5, 2.0]), 10)
    assert made.as_csv().splitlines() == [
        "energy,folds,standard_error,log_folds", "-2,3,0.5,1.09861", "0,100,2,4.60517"
    ]  # fmt: skip


def test_a_run_writes_the_density_and_searches_by_enrichment(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        "[campaign]\nsteps = 2\nbatch_size = 8\nproposals = 4\nreplay = 4\nreplay_from = 2\n"
        '[task]\nkind = "folding"\nsequence = "HPHPPHHP"\nsearch = "enrichment"\n'
        'search_steps = 32\ndensity = 2\n[policy]\nhidden = 4\n[[objective]]\nkind = "energy"\n'
        'transform = {kind = "linear", low = 0.0, high = -3.0}\n'
    )
    assert invoke(["run", str(file), "--quiet", "--out", str(tmp_path / "run")]) == 0
    table = (tmp_path / "run" / "density.csv").read_text().splitlines()
    assert table[0].startswith("energy,folds") and table[-1].startswith("0,")
    again = ["resume", str(tmp_path / "run"), "--quiet", "--set", "campaign.steps=3"]
    assert invoke(again) == 0
    file.write_text(file.read_text().replace("density = 2", "density = -2"))
    assert invoke(["run", str(file), "--quiet"]) == 3
