"""What is gone over again: walks kept row by row, minibatches of equal weight, resumed exactly."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from toys import lively

from designer import checkpoint
from designer.campaign import Campaign
from designer.learner import Learner
from designer.learning import EliteBalance
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.protocols import Spelling
from designer.rehearsal import Rehearsal
from designer.rollout import attempt, evaluate, retrace, rollout
from designer.sequences import Sequences
from designer.settings import Settings
from designer.walk import stacked, trimmed, unjudged
from tasks.folding.task import task as folding
from tasks.molecules.task import task as molecules

ENV = Sequences("abcd", max_length=6, min_length=1)
SETTINGS = Settings(
    seed=2, batch_size=12, steps=6, replay=8, replay_from=4, rounds=3, elites=40, proposals=4
)


class Length:
    """Heavy atoms over 20."""

    name, cheap = "length", False

    def __call__(self, designs: Any) -> Any:
        return np.array([design.complexity / 20 for design in designs])


def campaign(settings: Settings = SETTINGS) -> Campaign:
    task = molecules("smiles", max_atoms=12, min_atoms=1, max_length=24)
    env = task.environment
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=12, seed=1)
    learner = Learner(policy, EliteBalance(lr=1e-2))
    return Campaign(task, learner, Objective([Term(Length())]), settings)


def test_rows_taken_apart_and_put_together_say_the_same() -> None:
    policy = lively(ENV)
    drawn = unjudged(rollout(ENV, policy, 9, torch.Generator().manual_seed(0)))
    rows = trimmed(drawn)
    assert [row.actions.shape[1] for row in rows] == drawn.active.sum(1).tolist()
    again = stacked(rows)
    length = again.actions.shape[1]
    assert torch.equal(again.active, drawn.active[:, :length])
    for name in ("observations", "masks", "actions"):
        kept, before = getattr(again, name), getattr(drawn, name)[:, :length]
        assert torch.equal(kept[again.active], before[again.active])
    with torch.no_grad():
        says, said = evaluate(policy, again), evaluate(policy, drawn)
    assert float((says.log_prob - said.log_prob[:, :length]).abs().max()) < 1e-12
    assert bool(torch.isfinite(says.entropy).all())


def test_an_attempt_tells_where_a_row_went_wrong() -> None:
    env = Sequences("ab", max_length=3, min_length=2)
    rows = [[0, 1, 2], [2, 0, 0], [0, 7, 0], [0, -1, 1], [1, 1, 1]]
    walked, wrong = attempt(env, rows)
    assert wrong.tolist() == [-1, 0, 1, 1, -1]
    assert torch.equal(walked.actions[[0, 4]], retrace(env, [rows[0], rows[4]]).actions)
    assert attempt(env, [[0, 1], [0, 2]])[1].tolist() == [2, 1]  # the first has not ended


def test_minibatches_share_what_was_drawn() -> None:
    done = campaign()
    done.run()
    rehearsal: Rehearsal = done.rehearsal
    elites = [e for e in rehearsal.elites.best(40) if e.key in rehearsal._walked]
    counts = np.random.default_rng(0).integers(1, 4, len(elites)).astype(float)
    parts = rehearsal._parts(elites, counts, np.random.default_rng(1))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(elites)))
    shares = np.array([counts[part].sum() for part in parts])
    assert abs(shares - counts.sum() / 3).max() <= counts.max()
    spans = sorted(
        (min(lengths), max(lengths))
        for part in parts
        for lengths in [[rehearsal._walked[elites[i].key].actions.shape[1] for i in part]]
    )
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_what_is_walked_is_what_the_memory_spells() -> None:
    done = campaign()
    done.run()
    rehearsal = done.rehearsal
    known = [e for e in rehearsal.elites.best(40) if e.key in rehearsal._walked]
    assert len(known) > 8 and not any(e.barred for e in known)
    env = done.task.environment
    for elite in known:
        assert elite.spelling is not None
        walk = rehearsal._walked[elite.key]
        again = trimmed(retrace(env, [elite.spelling.actions]))[0]
        assert torch.equal(walk.actions, again.actions)
        assert torch.equal(walk.observations, again.observations)
        (design,) = env.decode([elite.spelling.actions])
        assert design is not None and design.key == elite.key


def test_a_spelling_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fold of this chain has one spelling, so spelling anew changes nothing and costs nothing."""
    walked: list[int] = []

    def counted(env: Any, actions: Any, **given: Any) -> Any:
        walked.append(len(actions))
        return attempt(env, actions, **given)

    monkeypatch.setattr("designer.rehearsal.attempt", counted)
    ends = []
    for augment in (True, False):
        task = folding("HPPHPHHPPH", target_energy=-9)
        env = task.environment
        policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=1)
        learner = Learner(policy, EliteBalance(lr=1e-2))
        settings = replace(SETTINGS, augment=augment, proposals=0)
        ran = Campaign(task, learner, Objective([Term(Length())]), settings)
        ran.run()
        ends.append(torch.cat([p.flatten() for p in policy.parameters()]))
    assert torch.equal(*ends) and sum(walked) == 0


@pytest.mark.parametrize("augment", [True, False])
def test_a_resumed_rehearsal_ends_the_same(augment: bool, tmp_path: Any) -> None:
    settings = replace(SETTINGS, augment=augment)
    whole = campaign(settings)
    whole.run()
    first = campaign(replace(settings, steps=3))
    first.run()
    checkpoint.save(tmp_path, first.state())
    second = campaign(settings)
    second.restore(checkpoint.load(tmp_path) or {})
    second.run()
    prints = [checkpoint.fingerprint(c.learner.policy.state_dict()) for c in (whole, second)]
    assert prints[0] == prints[1]
    assert whole.elites.state() == second.elites.state()


def test_a_barred_elite_is_not_drawn() -> None:
    elites = campaign().elites
    for place, text in enumerate("abc"):
        elites.add(ENV.parse(text), None, -float(place))
    elites.spell(elites.best(3)[1], None)
    elites.spell(elites.best(3)[2], Spelling((2, 4)))
    drawn = elites.draw(5, np.random.default_rng(0))
    assert [(e.key, e.spelling) for e in drawn] == [("a", None), ("c", Spelling((2, 4)))]


def test_elite_balance_learns_from_the_memory_alone_and_without_the_prior() -> None:
    policy, prior = lively(ENV), lively(ENV, seed=5)
    trajectory = retrace(ENV, [[0, 1, 4], [2, 4]])
    reward, weight = torch.tensor([0.3, 0.9]).double(), torch.tensor([1.0, 3.0]).double()
    settings = EliteBalance(optimiser="sgd", lr=1.0, max_grad_norm=float("inf"), sigma=2.0)
    learner = Learner(policy, settings, prior=prior)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    assert learner.update(evaluate(policy, trajectory), reward, weight) == {}
    assert all(torch.equal(before[k], v) for k, v in policy.state_dict().items())
    total = evaluate(policy, trajectory).log_prob.sum(1)
    wanted = ((total - 2.0 * reward).square() * weight).sum() / 4  # log Z is 0 at first
    loss = learner.imitate(trajectory, reward, weight)["loss"]
    assert float(loss) == pytest.approx(float(wanted.detach()))
