"""Rewards no float can hold, all equal, all failed, a single row: learning stays finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from designer.campaign import Campaign
from designer.errors import InputError
from designer.learner import Learner
from designer.learning import EliteBalance, LearnerSettings
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.protocols import Task
from designer.sequences import Sequences, draw, show
from designer.settings import Settings

ENV = Sequences("abcd", max_length=4)
TASK = Task("letters", ENV, ENV.parse, show, draw)
LEARNING: list[dict[str, Any]] = [
    {},
    {"epochs": 2, "minibatches": 2, "normalise": True},
    {"baseline": "running_mean"},
    {"baseline": "batch_mean"},
    {"baseline": "critic", "epochs": 2},
    {"baseline": "quantile"},
]


@dataclass
class Given:
    """Returns the given values one after another, for ever."""

    values: Sequence[float]
    name: str = "given"
    cheap: bool = True

    def __call__(self, designs: Sequence[Any]) -> Any:
        """Return values [N]."""
        return np.resize(np.array(self.values), len(designs))


def run(values: Sequence[float], learning: dict[str, Any], **changes: Any) -> Campaign:
    policy = RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=8, seed=0)
    learner = Learner(policy, LearnerSettings(**learning))
    asked = Settings(**({"steps": 3, "batch_size": 8, "max_failure_rate": 1.0} | changes))
    job = Campaign(TASK, learner, Objective([Term(Given(values))]), asked)
    job.run(on_step=lambda m: None)
    return job


def finite(job: Campaign) -> bool:
    state = job.learner.state_dict().values()
    return all(bool(torch.isfinite(v).all()) for v in state if v.is_floating_point())


VALUES = {
    "huge": [1e308, -1e308, 1e308, 0.0],
    "all equal": [0.7],
    "all huge": [1e308],
    "all failed": [math.nan],
    "nearly all failed": [math.nan] * 7 + [1.0],
    "inadmissible": [math.inf, -math.inf, 1.0],
    "tiny": [5e-324, 0.0, -5e-324],
}


@pytest.mark.parametrize("learning", LEARNING, ids=str)
@pytest.mark.parametrize("kind", VALUES)
def test_learning_stays_finite(kind: str, learning: dict[str, Any]) -> None:
    assert finite(run(VALUES[kind], learning))


@pytest.mark.parametrize("learning", LEARNING[:1] + LEARNING[2:], ids=str)
def test_one_row(learning: dict[str, Any]) -> None:
    assert finite(run([0.3, 0.9], learning, batch_size=1))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(width=64), min_size=1, max_size=8),
    st.sampled_from(LEARNING),
)
def test_any_rewards_at_all(values: list[float], learning: dict[str, Any]) -> None:
    assert finite(run(values, learning, steps=1))


def test_steps_without_a_gradient_are_counted_and_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def spoiled(parameters: Any, limit: float) -> torch.Tensor:
        return torch.tensor(math.nan)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoiled)
    policy = RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=8, seed=0)
    before = {k: v.clone() for k, v in policy.state_dict().items()}
    asked = Settings(steps=50, batch_size=8, max_skipped=4)
    job = Campaign(TASK, Learner(policy), Objective([Term(Given([0.1, 0.9]))]), asked)
    with pytest.raises(InputError, match=r"not finite in the last 4 steps.*max_skipped"):
        job.run(on_step=seen.append)
    assert job.steps == 4 and len(seen) == 3 and all(m["skipped"] >= 1 for m in seen)
    assert job.learner.skipped == 4
    assert all(torch.equal(v, before[k]) for k, v in policy.state_dict().items())


def test_replay_without_a_gradient_ends_the_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(parameters: Any, limit: float) -> torch.Tensor:
        return torch.tensor(math.nan)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoiled)
    policy = RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=8, seed=0)
    asked = Settings(steps=50, batch_size=8, max_skipped=4, replay=4, replay_from=1)
    learner = Learner(policy, EliteBalance())
    job = Campaign(TASK, learner, Objective([Term(Given([0.1, 0.9]))]), asked)
    with pytest.raises(InputError, match=r"not finite in the last 4 steps.*max_skipped"):
        job.run()
    assert job.steps == 4


def test_one_good_step_starts_the_count_again() -> None:
    job = run([0.1, 0.9], {}, steps=1)
    for skipped, total in ((1.0, 1), (2.0, 2), (0.0, 0), (1.0, 1)):
        job._check_gradient({"skipped": skipped})
        assert job.skipped == total
    assert job.state()["skipped"] == 1
