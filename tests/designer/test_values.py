"""Real numbers beside the choices: densities, replay, memory, bit-identical resume."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from designer import checkpoint, gaussian
from designer.campaign import Campaign
from designer.errors import InputError
from designer.laboratory import Laboratory, ask
from designer.learner import Learner, LearnerSettings
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.rollout import evaluate, retrace, rollout
from designer.settings import Settings
from designer.store import Store
from oracles.offlattice import AbEnergy
from tasks.offlattice.task import task

TASK = task("ABBABBAB", "3d-angle", relaxation=4)
ENV: Any = TASK.environment
SETTINGS = Settings(seed=3, batch_size=16, replay=8, replay_from=4, proposals=4, parents=4)


def policy(seed: int = 0, deviation: float = 1.0) -> RecurrentPolicy:
    return RecurrentPolicy(ENV.obs_size, 1, hidden=8, seed=seed, num_values=2, deviation=deviation)


def campaign(settings: Settings = SETTINGS, store: Store | None = None, **more: Any) -> Campaign:
    learner = Learner(policy(settings.seed), LearnerSettings(lr=1e-2, **more))
    oracle = AbEnergy("ABBABBAB", "3d-angle")
    return Campaign(TASK, learner, Objective([Term(oracle, "score")]), settings, store=store)


def test_the_density_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    x, mu = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    sigma = torch.rand(5, 3, generator=generator, dtype=torch.float64) + 0.1
    theirs = torch.distributions.Normal(mu, sigma)
    assert torch.allclose(gaussian.log_density(x, mu, sigma), theirs.log_prob(x).sum(-1))
    assert torch.allclose(gaussian.entropy(sigma), theirs.entropy().sum(-1))
    warm = torch.distributions.Normal(mu, sigma * math.sqrt(2.0))
    assert torch.allclose(gaussian.log_density(x, mu, sigma, 2.0), warm.log_prob(x).sum(-1))


def test_replay_agrees_with_the_rollout() -> None:
    actor = policy()
    drawn = rollout(ENV, actor, 32, torch.Generator().manual_seed(0))
    assert drawn.values is not None and drawn.values.shape == (32, 6, 2)
    walked = retrace(ENV, drawn.actions, **drawn.given)
    assert torch.equal(walked.observations, drawn.observations)
    assert walked.values is not None and torch.equal(walked.values, drawn.values)
    again = evaluate(actor, walked)
    assert torch.allclose(again.log_prob, drawn.log_prob, atol=1e-5)
    assert torch.allclose(again.entropy, drawn.entropy, atol=1e-5)
    designs = ENV.decode(drawn.actions.tolist(), **drawn.given)
    assert designs == ENV.decode(walked.actions.tolist(), **walked.given)


def test_tasks_without_values_keep_nothing() -> None:
    from designer.sequences import Sequences

    env = Sequences("ab", max_length=3)
    plain = RecurrentPolicy(env.obs_size, env.num_actions, hidden=4, seed=0)
    drawn = rollout(env, plain, 4, torch.Generator().manual_seed(0))
    assert drawn.given == {} and drawn.values is None and drawn.agent is None
    assert not any(name.startswith("number") for name in plain.state_dict())


def test_the_learner_moves_locations_towards_reward() -> None:
    """One unbounded number, reward -(x - 2)^2: the mean goes to 2."""
    actor = RecurrentPolicy(ENV.obs_size, 1, hidden=8, seed=0, num_values=2, deviation=0.5)
    learner = Learner(actor, LearnerSettings(lr=2e-2, entropy=0.0))
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        drawn = rollout(ENV, actor, 64, generator)
        assert drawn.values is not None
        reward = -(drawn.values - 2.0).square().sum((1, 2))
        learner.update(drawn, reward, torch.ones(64))
    drawn = rollout(ENV, actor, 256, generator)
    assert drawn.values is not None
    assert float(drawn.values.mean()) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("more", [{}, {"epochs": 2, "minibatches": 2, "baseline": "critic"}])
def test_resumed_equals_uninterrupted(tmp_path: Path, more: Any) -> None:
    settings = replace(SETTINGS, steps=8)
    whole = campaign(settings, Store(tmp_path / "whole.sqlite"), **more)
    whole.run()
    first = campaign(replace(settings, steps=4), Store(tmp_path / "cut.sqlite"), **more)
    first.run(save=lambda: checkpoint.save(tmp_path, first.state()))
    second = campaign(settings, Store(tmp_path / "cut.sqlite"), **more)
    state = checkpoint.load(tmp_path)
    assert state is not None
    second.restore(state)
    assert [e.given for e in second.elites.best(99)] == [e.given for e in first.elites.best(99)]
    assert [e.design for e in second.elites.best(99)] == [e.design for e in first.elites.best(99)]
    second.run()
    prints = [checkpoint.fingerprint(c.learner.policy.state_dict()) for c in (whole, second)]
    assert prints[0] == prints[1]
    ours, theirs = whole.result("steps"), second.result("steps")
    assert list(ours.best) == list(theirs.best) and ours.evaluations == theirs.evaluations


def test_designs_that_people_measure_survive_the_checkpoint(tmp_path: Path) -> None:
    def waiting() -> Campaign:
        learner = Learner(policy(), LearnerSettings())
        objective = Objective([Term(Laboratory(["energy"]))])
        return Campaign(TASK, learner, objective, SETTINGS)

    asked = waiting()
    batch = ask(asked, 5)
    checkpoint.save(tmp_path, asked.state())
    again = waiting()
    state = checkpoint.load(tmp_path)
    assert state is not None
    again.restore(state)
    waiting = again.outstanding
    assert waiting.batch is not None and waiting.batch.given == batch.given
    assert list(waiting.newest().values()) == list(batch.designs)
    assert list(waiting.newest()) == list("12345")


def test_a_policy_without_numbers_is_refused() -> None:
    plain = RecurrentPolicy(ENV.obs_size, 1, hidden=8, seed=0)
    with pytest.raises(InputError, match="draws real numbers"):
        rollout(ENV, plain, 2)
    with pytest.raises(InputError, match="deviation is 0"):
        policy(deviation=0.0)
