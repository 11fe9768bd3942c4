"""The speeds of growth, on few chains."""

from __future__ import annotations

import json

import pytest
import torch

from cli import bench_growth
from cli.main import invoke
from tasks.folding.blind import TRAPPED, blind
from tasks.folding.environment import Chain

CHAIN = "HPHPPHHPHPPHPHHPPHPH"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"BATCHES": (8,), "CHAINS": 16, "BLIND": 600, "ROUNDS": 1, "_COPIED": 1 << 16}
    for name, value in small.items():
        monkeypatch.setattr(bench_growth, name, value)


def test_it_tells_speeds_and_shares(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert invoke(["bench", "growth", "--only", "2D-20A", "--json"]) == 0
    assert invoke(["bench", "growth", "--only", "TRI-20A", "--set", "policy.hidden=8"]) == 0
    assert torch.get_num_threads() == threads
    first, *lines = capsys.readouterr().out.splitlines()
    (found,) = json.loads(first)
    row = found["policy"][0]
    assert row["batch"] == 8 and row["share"] > 0 and row["per_second"] > 0
    assert found["hidden"] == 128 and found["blind"]["per_second"] > 0
    assert "network of 8" in lines[0] and lines[-1].startswith("blindly: ")


def test_on_tensors_as_many_chains_are_trapped_as_compiled() -> None:
    env = Chain(CHAIN, lookahead=False)
    told = bench_growth.wandering(env, torch.device("cpu"), 4000)
    trapped = (blind(env, 4000).log_weight <= TRAPPED).mean()
    assert abs(told["trapped"] - trapped) < 5 * (2 * trapped * (1 - trapped) / 4000) ** 0.5
    assert told["memory_share"] > 0


def test_the_traffic_counts_each_state_twice_but_the_ends() -> None:
    env = Chain("HPPH")  # two steps
    first = env.reset(1, torch.device("cpu"))
    second = env.step(first, env.mask(first).int().argmax(1))
    third = env.step(second, env.mask(second).int().argmax(1))
    sizes = [bench_growth._bytes(state) for state in (first, second, third)]
    assert bench_growth.traffic(env) == sizes[0] + 2 * sizes[1] + sizes[2]
