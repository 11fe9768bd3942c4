"""Out of memory: the batch is learned from in portions, with the same gradient, or the run ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cli.drills import toy
from cli.options import Options
from cli.progress import summary
from cli.session import search
from designer.campaign import Campaign
from designer.differentiable import Dpg, Pathwise
from designer.errors import Interrupted
from designer.learner import LEARNERS, Learner, LearnerSettings
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.rollout import rollout
from designer.rundir import RunDirectory
from designer.settings import Settings
from oracles.offlattice import AbEnergy
from tasks.offlattice.task import task

ENV = toy.LETTERS


class Tight(RecurrentPolicy):
    """A policy on a device that holds the graph of so many rows."""

    most = 10_000

    def unroll(self, observations: Tensor) -> Any:
        if torch.is_grad_enabled() and len(observations) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().unroll(observations)


def policy(seed: int = 0, most: int = 10_000) -> Tight:
    made = Tight(ENV.obs_size, ENV.num_actions, hidden=8, seed=seed)
    made.most = most
    return made


def settings(kind: str) -> LearnerSettings:
    from importlib import import_module

    module, _, name = LEARNERS[kind].partition(":")
    more = {"agent_steps": 2} if kind == "coma" else {}
    made: LearnerSettings = getattr(import_module(module), name)(optimiser="sgd", lr=0.01, **more)
    return made


def gradients(s: LearnerSettings, most: int) -> tuple[Learner, list[Tensor]]:
    """Return the last gradients of an update and of an imitation, and the learner."""
    learner = Learner(policy(1, most).double(), s, prior=policy(2).double())
    drawn = rollout(ENV, policy(1), 20, torch.Generator().manual_seed(4))
    wide = {
        k: v.double() for k, v in vars(drawn).items() if v is not None and v.dtype.is_floating_point
    }
    drawn = drawn.replace(**wide)
    reward = torch.linspace(-1, 1, 20).double()
    weight = torch.ones(20).double()
    weight[3] = 0.0
    found = []
    for learn in (learner.update, learner.imitate):
        learn(drawn, reward, weight)
        groups = [p.grad for g in learner.descent.groups for p in g.parameters]
        found += [grad.clone() for grad in groups if grad is not None]
    return learner, found


@pytest.mark.parametrize("most", [1, 3, 7])
@pytest.mark.parametrize("kind", LEARNERS)
def test_portions_have_the_gradient_of_the_whole_batch(kind: str, most: int) -> None:
    whole, expected = gradients(settings(kind), 10_000)
    cut, found = gradients(settings(kind), most)
    assert whole.portions.halvings == 0 and cut.portions.halvings > 0
    assert 1 <= cut.portions.rows <= most
    assert len(found) == len(expected) > 4
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_two_time_scales_and_the_plain_critic_too() -> None:
    for s in (
        LearnerSettings(baseline="critic", optimiser="sgd"),
        LearnerSettings(baseline="critic", critic_lr=0.1, optimiser="sgd"),
    ):
        for one, other in zip(gradients(s, 3)[1], gradients(s, 100)[1], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def campaign(most: int, store: Any = None, steps: int = 6) -> Campaign:
    learner = Learner(policy(3, most), LearnerSettings(lr=1e-2))
    asked = replace(toy.SETTINGS, steps=steps)
    return Campaign(toy.TASK, learner, toy.Objective([toy.Term(toy.Match())]), asked, store=store)


def test_it_is_counted_shown_and_remembered() -> None:
    job = campaign(5)
    seen: list[Any] = []
    result = job.run(on_step=seen.append)
    assert [m["halvings"] for m in seen] == [2.0] * 6 and seen[0]["rows_at_a_time"] == 4.0
    assert "out of memory: 4 rows at a time" in summary(seen[0], Settings())
    assert result.memory == "memory ran out 2 times; the learner takes 4 rows at a time"
    half = campaign(5, steps=3)
    half.run()
    again = campaign(10_000)  # it would fit now: what was begun in portions goes on so
    again.restore(half.state())
    again.run()
    assert toy.fingerprint(again) == toy.fingerprint(job)


@pytest.mark.parametrize("kind", [Pathwise(), Dpg(), Dpg(critic="learned")])
def test_learners_through_the_design_take_no_portions_and_end_resumably(
    kind: Any, tmp_path: Path
) -> None:
    chain = task("ABBABBAB", "2d", relaxation=3)
    score = Objective([Term(AbEnergy("ABBABBAB", "2d"), "score")])

    def short(*given: Any) -> Any:
        if job.steps == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return usual(*given)

    with RunDirectory.create(tmp_path / "r", "", {}) as run:
        policy = RecurrentPolicy(chain.environment.obs_size, 1, 8, seed=0, num_values=1)
        learner = kind.learner(policy, chain.environment, score)
        job = Campaign(chain, learner, score, Settings(batch_size=8, steps=3), store=run.store)
        usual, learner.loss = learner.loss, short
        with pytest.raises(Interrupted, match=r"GPU ran out of memory \(CUDA out of.*resume"):
            search(job, run, Options(quiet=True))
        state = run.load()
        assert state is not None and state["steps"] == 2


@pytest.mark.parametrize("where", ["learning", "sampling"])
def test_too_little_for_one_row_ends_the_run_resumably(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = campaign(10_000)
    whole.run()
    with RunDirectory.create(tmp_path / "r", "", {}) as run:
        job = campaign(10_000, run.store)

        owner, name = (job.learner.policy, "unroll") if where == "learning" else (ENV, "observe")
        usual = getattr(type(owner), name)

        def short(self: Any, *given: Any) -> Any:
            if job.steps == 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return usual(self, *given)

        monkeypatch.setattr(type(owner), name, short)
        with pytest.raises(Interrupted, match=r"GPU ran out of memory \(CUDA out of.*resume"):
            search(job, run, Options(quiet=True, as_json=True))
        assert json.loads(capsys.readouterr().out)["stopped"] == "interrupted"
        monkeypatch.undo()
        state = run.load()
        assert state is not None and state["steps"] == 2
        more = campaign(10_000, run.store)
        more.restore(state)
        more.run()
        assert toy.fingerprint(more) == toy.fingerprint(whole)
