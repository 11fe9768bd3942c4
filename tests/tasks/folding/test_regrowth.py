"""Stretches grown anew: exact frequencies on short chains, whatever they lean to."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from designer.policy import RecurrentPolicy
from tasks.folding.closing import LONGEST, SPAN
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.enriched import Enrichment
from tasks.folding.environment import Chain
from tasks.folding.exchange import ReplicaExchange
from tasks.folding.ladder import Ladder
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.leaning import ANGLES, angles, even, leaning, sampled
from tasks.folding.mixture import Mixture
from tasks.folding.recheck import recheck
from tasks.folding.terrain import terrain_of
from tests.tasks.folding.searches import agrees, boltzmann

HEAT = 0.7


@pytest.mark.parametrize("leans", [False, True])
@pytest.mark.parametrize(
    ("name", "sequence"),
    [("square", "HPHPPHH"), ("cubic", "HPPHPH"), ("triangular", "HPHHP"), ("fcc", "HHPH")],
)
def test_folds_come_as_often_as_boltzmann_says(name: str, sequence: str, leans: bool) -> None:
    """Every fold of the chain, against how often a walk by regrowth alone stands there."""
    straight = lattice_named(name).letters[0] * (len(sequence) - 1)
    terrain, walks = terrain_of(sequence, name, "hp"), 12_000
    made = Ladder(terrain, [straight], np.full(1, HEAT), [3, 4], regrowth=1.0, keep=2)
    if leans:  # however one-sided
        made.lean[:] = np.random.default_rng(0).uniform(0.2, 5.0, made.lean.shape)
    seen: Counter[str] = Counter()
    for _ in range(walks):
        made.walk(1, 20)
        seen[Fold(sequence, name, made.found()[-1][1]).key] += 1
    assert agrees(seen, boltzmann(sequence, name, HEAT))


@pytest.mark.parametrize("name", LATTICES)
def test_closing_walks_are_counted(name: str) -> None:
    place, ground = lattice_named(name), terrain_of("HPPH", name, "hp").ground
    for steps in (1, 2, 3):
        ends = [tuple(sum(walk).tolist()) for walk in product(place.steps, repeat=steps)]
        counted, most = Counter(ends), max(Counter(ends).values())
        shares = ground.closings[steps].reshape((SPAN,) * place.dimensions)
        middle = np.full(place.dimensions, SPAN // 2)
        for end, walks in counted.items():
            at = tuple(middle[::-1] + np.array(end[: place.dimensions])[::-1])
            assert shares[at] == pytest.approx(walks / most)
        assert (shares > 0).sum() == len(counted)
    assert len(ground.closings) == LONGEST + 1


def test_shapes_that_the_folds_have_are_preferred() -> None:
    straight = [Fold("H" * 12, "square", "R" * 11)] * 200
    weights, ahead = leaning(straight), int(angles("square")[1, 1])
    shape = ANGLES * ahead + ahead
    assert (weights[0, 4:13, shape] > 2).all() and (weights[1, 1:9, shape] > 2).all()
    assert weights.min() < 0.2 and weights.shape == even(12).shape
    turned = [Fold("H" * 12, "square", "U" * 11)] * 200
    assert (leaning(turned) == weights).all(), "the same in any direction"


def test_the_search_leans_to_its_policy_and_is_the_same_after_a_checkpoint() -> None:
    sequence = "HPHPPHHPHPPHPHHPPHPH"
    env = Chain(sequence, "square")
    torch.manual_seed(0)
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8)
    folds = sampled(env, policy, 32, np.random.default_rng(1))
    assert 0 < len(folds) <= 32 and folds == sampled(env, policy, 32, np.random.default_rng(1))
    given = {"grown": Enrichment(env), "policy": policy, "start": folds[0]}
    search = ReplicaExchange(steps=5000, mixture=Mixture(regrowth=0.2), **given)  # type: ignore[arg-type]
    search([], 4, np.random.default_rng(2))
    assert (search.standing[0].lean == 1).all(), "the policy has learned nothing yet"
    search([], 4, np.random.default_rng(2))
    assert (search.standing[0].lean != 1).any()
    other = ReplicaExchange(steps=5000, mixture=Mixture(regrowth=0.2), **given)  # type: ignore[arg-type]
    other.restore(json.loads(json.dumps(search.state())))
    found = [one([], 4, np.random.default_rng(3)) for one in (search, other)]
    assert found[0] == found[1] and search.state() == other.state()


def test_a_chain_walks_far_by_regrowth_alone() -> None:
    straight = Fold("HPHPPHHPHPPHPHHPPHPH", "square", "R" * 19)
    search = ReplicaExchange(
        steps=400_000, mixture=Mixture(0.0, 0.9), target=-9, start=straight, ladders=2
    )
    (best, *_) = search([], 4, np.random.default_rng(0))
    assert recheck(best, matrix_named("hp")) == -9


def test_energies_of_any_size_leave_the_chain_whole(tmp_path: Path) -> None:
    """A contact of some thousand kT weighs nothing; where all do, the old stretch comes back."""
    file = tmp_path / "steep.txt"
    file.write_text("AB\n-1 900\n900 900\n", encoding="utf-8")
    letters = "RURDRURDRUUULLDLULLD"
    fold = Fold("AB" * 10 + "A", "square", letters)
    terrain = terrain_of(fold.sequence, "square", str(file))
    made = Ladder(terrain, [letters], np.full(1, 0.3), [5, 6], regrowth=1.0, keep=2)
    for _ in range(50):
        made.walk(1, 200)
        assert (made.grids == terrain.grids(made.chains)).all()
        energy, text = made.found()[-1]
        assert recheck(Fold(fold.sequence, "square", text), matrix_named(file)) == energy
