"""`isolate` in a campaign file: the oracle goes to its own processes, with its limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.build import build
from cli.main import invoke
from designer import config
from designer.errors import ConfigError
from oracles.isolation import Limits
from oracles.pool import Parallel

FOLD = """[task]
kind = "folding"
sequence = "HPHPPHHPHH"
[machine]
workers = 2
[[objective]]
kind = "energy"
column = "fraction"
"""


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        ("isolate = true", Limits()),
        ("isolate = {}", Limits()),
        (
            "isolate = {timeout = 5, memory_mb = 900, retries = 2}",
            Limits(timeout=5.0, memory_mb=900, retries=2),
        ),
    ],
)
def test_the_table_is_the_limits(line: str, limits: Limits) -> None:
    (oracle,) = build(config.parse(FOLD + line)).objective.oracles
    assert isinstance(oracle, Parallel) and oracle.limits == limits and oracle.workers == 2


def test_without_it_a_cheap_oracle_stays_here() -> None:
    for line in ("", "isolate = false"):
        (oracle,) = build(config.parse(FOLD + line)).objective.oracles
        assert not isinstance(oracle, Parallel)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("isolate = 3", ":9:1: objective.0.isolate is neither true nor a table of limits"),
        ("isolate = {timeut = 3}", "unknown key 'timeut'.*did you mean 'timeout'"),
        ("isolate = {timeout = -1}", "timeout is -1.0, expected more than 0"),
    ],
)
def test_faults_have_their_place(line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(config.parse(FOLD + line, "c.toml"))


SCORE = """
import os
def score(text: str):
    if text.startswith("RU"):
        os._exit(3)
    return float(len(text))
"""


def test_a_campaign_outlives_its_oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SCORE)
    settings = (
        "[campaign]\nsteps = 2\nbatch_size = 12\nmax_failure_rate = 1.0\n[policy]\nhidden = 8\n"
    )
    text = settings + FOLD.replace('"energy"\ncolumn = "fraction"', '"mine.py:score"')
    Path("c.toml").write_text(text + "isolate = {timeout = 20}\n")
    assert invoke(["run", "c.toml", "--allow-plugins", "--quiet", "--out", "r"]) == 0
    assert invoke(["resume", "r", "--allow-plugins", "--set", "campaign.batch_size=5"]) == 3
    more = ["resume", "r", "--allow-plugins", "--quiet", "--set", "campaign.steps=3"]
    assert invoke(more) == 0
