"""What was told is remembered: the best measured designs are reported."""

from __future__ import annotations

from designer.campaign import Campaign
from designer.laboratory import Laboratory, ask, tell
from designer.learner import Learner
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.protocols import Task
from designer.sequences import Sequences, draw, show
from designer.settings import Settings


def test_told_designs_are_reported_best_first() -> None:
    env = Sequences("abcd", max_length=6, min_length=2)
    task = Task("letters", env, env.parse, show, draw)
    learner = Learner(RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0))
    objective = Objective([Term(Laboratory(["strength"]), column="strength")])
    job = Campaign(task, learner, objective, Settings(batch_size=16))
    batch = ask(job, 5)
    keys = [design.key for design in batch.designs]
    told = {key: {"strength": float(i)} for i, key in enumerate(keys) if i != 2}
    tell(job, told)
    best = job.result("waiting").best
    assert [found.key for found in best] == [keys[i] for i in (4, 3, 1, 0)]
    assert best[0].scores == {"strength": 4.0}
    assert job.meter.spent == 4
