"""An attempt that no longer gets better ends: what was learned goes, what was found stays."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from test_campaign import SETTINGS, campaign, fingerprint

from designer import checkpoint
from designer.restarts import Restarts
from designer.store import Store


def test_an_attempt_ends_after_so_many_steps_without_a_better_design() -> None:
    restarts = Restarts(2, {"w": torch.ones(1)})
    rewards = [0.1, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1]
    assert [restarts.due(reward) for reward in rewards] == [
        False, False, False, True, False, False, True, False,
    ]  # fmt: skip
    assert restarts.metrics() == {"attempt": 3.0}
    never = Restarts(0, {"w": torch.ones(1)})
    assert not any(never.due(0.0) for _ in range(9)) and never.metrics() == {} == never.first


def test_state_tells_a_fresh_attempt_from_one_that_found_nothing() -> None:
    fresh, other = Restarts(3, {}), Restarts(3, {})
    assert fresh.state()["best"] is None
    fresh.due(-math.inf)
    other.restore(fresh.state())
    assert other.state() == fresh.state() and other.waited == 1


def test_learning_begins_anew_with_the_first_weights_and_no_elites() -> None:
    settings = replace(SETTINGS, budget=None, steps=20, restart=3)
    done = campaign(settings, lr=0.05)
    first = fingerprint(done)
    attempts, weights, elites = [], [], []

    def seen(metrics: dict[str, float]) -> None:
        attempts.append(int(metrics["attempt"]))
        weights.append(fingerprint(done))
        elites.append(len(done.elites))

    best = done.run(on_step=seen).best
    assert attempts[-1] > 2 and attempts == sorted(attempts)
    ends = [i for i in range(19) if attempts[i] > (attempts[i - 1] if i else 1)]
    assert {weights[i] for i in ends} == {first} and {elites[i] for i in ends} == {0}
    assert all(weights[i] != first for i in range(20) if i not in ends)
    assert len(best) > 32, "what earlier attempts found is still told"


def test_a_resumed_run_restarts_where_the_whole_one_does(tmp_path: Path) -> None:
    settings = replace(SETTINGS, budget=None, steps=14, restart=3)
    whole = campaign(settings, store=Store(tmp_path / "whole.sqlite"), lr=0.05)
    whole.run()
    store = Store(tmp_path / "cut.sqlite")
    cut = campaign(replace(settings, steps=7), store=store, lr=0.05)
    cut.run(save=lambda: checkpoint.save(tmp_path, cut.state()))
    again = campaign(settings, store=store, lr=0.05)
    again.restore(checkpoint.load(tmp_path) or {})
    again.run()
    assert whole.restarts.attempts > cut.restarts.attempts
    assert fingerprint(again) == fingerprint(whole)
    assert again.restarts.state() == whole.restarts.state()
    assert again.elites.state() == whole.elites.state()
