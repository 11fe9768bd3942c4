"""An attempt that no longer gets better ends: what was learned goes, what was found stays."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_campaign import SETTINGS, campaign, fingerprint

from designer import checkpoint
from designer.errors import InputError
from designer.restarts import Restarts
from designer.settings import Settings
from designer.store import Store


def test_an_attempt_ends_after_so_many_steps_without_a_better_design() -> None:
    restarts, ended = Restarts(2, {"w": torch.ones(1)}), []
    for reward in (0.1, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1):
        ended.append(restarts.due(reward))
        if ended[-1]:
            assert restarts.anew({"w": torch.zeros(1)}) == restarts.first
    assert ended == [False, False, False, True, False, False, True, False]
    assert restarts.metrics() == {"attempt": 3.0}
    never = Restarts(0, {"w": torch.ones(1)})
    assert not any(never.due(0.0) for _ in range(9)) and never.metrics() == {} == never.first


def test_a_hop_begins_between_the_first_weights_and_the_best_attempts() -> None:
    """Attempts reach these rewards and end with the weight 1, 2, 3, ...; the first weight is 0."""
    first = {"w": torch.zeros(1), "generator": torch.tensor([7], dtype=torch.uint8)}
    restarts, begun = Restarts(1, first, hop=0.5, hops=3), []
    for number, reward in enumerate((0.3, 0.2, 0.5, 0.5, 0.4, 0.4, 0.1, 0.1), start=1):
        assert not restarts.due(reward) and restarts.due(reward)
        learned = {"w": torch.full((1,), float(number)), "generator": first["generator"] + 1}
        given = restarts.anew(learned)
        begun.append(float(given["w"]))
        assert given["generator"] == 7, "what is no weight goes back to what it was"
    # half of 1, of 1 again, of 3, of the equal 4, of 4; the third in vain forgets; 7 is the best
    assert begun == [0.5, 0.5, 1.5, 2.0, 2.0, 0.0, 3.5, 4.0]
    other = Restarts(1, first, hop=0.5, hops=3)
    other.restore(restarts.state())
    assert other.state() == restarts.state()


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


@pytest.mark.parametrize("hop", [0.0, 0.4])
def test_a_resumed_run_restarts_where_the_whole_one_does(tmp_path: Path, hop: float) -> None:
    settings = replace(SETTINGS, budget=None, steps=14, restart=3, hop=hop)
    whole = campaign(settings, store=Store(tmp_path / "whole.sqlite"), lr=0.05)
    whole.run()
    store = Store(tmp_path / "cut.sqlite")
    cut = campaign(replace(settings, steps=7), store=store, lr=0.05)
    cut.run(save=lambda: checkpoint.save(tmp_path, cut.state()))
    again = campaign(settings, store=store, lr=0.05)
    again.restore(checkpoint.load(tmp_path) or {})
    again.run()
    assert whole.restarts.attempts > cut.restarts.attempts > 1
    assert fingerprint(again) == fingerprint(whole)
    ours, theirs = again.restarts.state(), whole.restarts.state()
    torch.testing.assert_close(ours.pop("base"), theirs.pop("base"), rtol=0, atol=0)
    assert ours == theirs
    assert again.elites.state() == whole.elites.state()
    assert bool(whole.restarts.base) == bool(hop)


def test_settings_that_say_nothing_are_told() -> None:
    for given, message in (
        ({"hop": 1.0, "restart": 9}, "hop is 1.0; expected a share"),
        ({"hop": 0.5}, "nothing is learned anew; set restart too"),
        ({"hops": 0}, "hops is 0; expected at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            Settings(**given)
