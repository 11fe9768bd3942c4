"""What was told is remembered: the best measured designs are reported."""

from __future__ import annotations

import math

import pytest

from designer.campaign import Campaign
from designer.constraints import Constraint
from designer.errors import InputError
from designer.laboratory import Laboratory, ask, tell
from designer.learner import Learner
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.protocols import Task
from designer.sequences import Sequences, draw, show
from designer.settings import Settings


def campaign(
    *columns: str, column: str | None = "strength", bound: float | None = None
) -> Campaign:
    env = Sequences("abcd", max_length=6, min_length=2)
    task = Task("letters", env, env.parse, show, draw)
    learner = Learner(RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0))
    oracle = Laboratory(columns or ["strength"])
    bounds = [] if bound is None else [Constraint(oracle, "strength", at_least=bound)]
    objective = Objective([Term(oracle, column=column)], constraints=bounds)
    return Campaign(task, learner, objective, Settings(batch_size=16))


def test_columns_are_checked_before_anybody_measures() -> None:
    """The only column needs no name; of several one must be told."""
    job = campaign(column=None)
    keys = [design.key for design in ask(job, 2).designs]
    assert tell(job, {keys[0]: {"strength": 3.0}})["best"] == 3.0
    with pytest.raises(InputError, match=r"no column 'laboratory'.* \(set `column`"):
        ask(campaign("strength", "colour", column=None), 2)


def test_told_designs_are_reported_best_first() -> None:
    job = campaign()
    batch = ask(job, 5)
    keys = [design.key for design in batch.designs]
    told = {key: {"strength": float(i)} for i, key in enumerate(keys) if i != 2}
    tell(job, told)
    best = job.result("waiting").best
    assert [found.key for found in best] == [keys[i] for i in (4, 3, 1, 0)]
    assert best[0].scores == {"strength": 4.0}
    assert job.meter.spent == 4


def test_a_batch_of_which_nothing_was_measured_teaches_nothing() -> None:
    job = campaign(bound=1.0)
    before = job.learner.state_dict()
    keys = [design.key for design in ask(job, 3).designs]
    with pytest.raises(InputError, match="no results were given"):
        tell(job, {})
    metrics = tell(job, {key: {"strength": math.nan} for key in keys})
    assert math.isnan(metrics["reward"]) and metrics["unmeasured"] == 3, "no mean of nothing"
    after = job.learner.state_dict()
    assert all(bool((before[name] == after[name]).all()) for name in before)
    (kept,) = job.multipliers.report()
    assert kept["multiplier"] == 0.0 and not kept["met"] and not job.result("waiting").best
    tell(job, {design.key: {"strength": 2.0} for design in ask(job, 3).designs})
    assert len(job.result("waiting").best) == 3 and keys


def test_late_results_are_remembered_and_teach_by_replay_alone() -> None:
    job = campaign()
    keys = [design.key for design in ask(job, 4).designs]
    tell(job, {key: {"strength": 1.0} for key in keys[:2]})
    assert [design.key for design in job.outstanding.late.values()] == keys[2:]
    newer = [design.key for design in ask(job, 4).designs]
    assert not set(newer) & set(keys)
    before = job.learner.state_dict()
    metrics = tell(job, {keys[2]: {"strength": 5.0}})
    after = job.learner.state_dict()
    assert all(bool((before[name] == after[name]).all()) for name in before)
    assert "reward" not in metrics and metrics["step"] == 1 and metrics["best"] == 5.0
    assert [d.key for d in ask(job, 4).designs] == newer, "the newer batch still waits"
    both = {keys[3]: {"strength": 6.0}, newer[0]: {"strength": 7.0}}
    assert tell(job, both)["reward"] == 7.0, "the mean of what the policy made now"
    assert [found.reward for found in job.result("waiting").best] == [7.0, 6.0, 5.0, 1.0, 1.0]
    assert [design.key for design in job.outstanding.late.values()] == newer[1:]
