"""Control tasks: contracts, dynamics against plain loops, chance, credit, campaigns."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from cli.main import invoke
from designer import credit
from designer.errors import InputError
from designer.policy import RecurrentPolicy
from designer.rollout import rollout
from designer.testing import check_environment, check_oracle, check_policy
from oracles.realised import Realised
from tasks.control.chance import uniform
from tasks.control.servers import Servers
from tasks.control.signals import Signals
from tasks.control.task import servers, signals

MASK = (1 << 64) - 1
ENVIRONMENTS = [Signals(), Signals(1, 3, 5, day=4), Servers(), Servers(most=2, ticks=5, day=1)]


def plain_uniform(seed: int, time: int, place: int) -> float:
    """SplitMix64 on Python integers."""

    def mixed(x: int) -> int:
        x &= MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        return x ^ (x >> 31)

    golden = 0x9E3779B97F4A7C15
    x = mixed(seed + golden)
    x = mixed(x + time * golden)
    return (mixed(x + (place + 1) * golden) >> 11) / 2**53


def test_chance_is_a_pure_function_and_uniform() -> None:
    seed = torch.tensor([[7], [2**31 - 1]])
    drawn = uniform(seed, torch.tensor([3, 0]), 5)
    for row, (s, t) in enumerate([(7, 3), (2**31 - 1, 0)]):
        assert drawn[row].tolist() == [plain_uniform(s, t, place) for place in range(5)]
    many = uniform(torch.arange(2000).unsqueeze(1), torch.zeros(2000, dtype=torch.int64), 10)
    ranks = (torch.arange(20000) + 0.5) / 20000
    assert float((many.flatten().sort().values - ranks).abs().max()) < 1.95 / math.sqrt(20000)


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=str)
def test_the_contracts(env: Any) -> None:
    check_environment(env)
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    check_policy(policy, env)
    drawn = rollout(env, policy, 6, torch.Generator().manual_seed(0))
    designs = env.decode(drawn.actions.tolist(), **drawn.given)
    check_oracle(Realised("waiting" if isinstance(env, Signals) else "cost"), designs)
    if env.day is None:
        assert len({d.seed for d in designs}) == 6
    else:
        assert {d.seed for d in designs} == {env.day}


def plain_signals(env: Signals, seed: int, digits: list[int]) -> dict[str, float]:
    south = [[0] * env.columns for _ in range(env.rows)]
    east = [[0] * env.columns for _ in range(env.rows)]
    waited = passed = longest = 0
    for tick in range(env.ticks):
        lights = digits[tick * env.agents : (tick + 1) * env.agents]
        for c in range(env.columns):
            south[0][c] += plain_uniform(seed, tick, c) < env.north
        for r in range(env.rows):
            east[r][0] += plain_uniform(seed, tick, env.columns + r) < env.west
        moves = []
        for r in range(env.rows):
            for c in range(env.columns):
                down = lights[r * env.columns + c] == 0
                road = south if down else east
                moves.append((r, c, down, min(road[r][c], env.flow)))
        for r, c, down, count in moves:
            (south if down else east)[r][c] -= count
        for r, c, down, count in moves:
            to_r, to_c = (r + 1, c) if down else (r, c + 1)
            if to_r < env.rows and to_c < env.columns:
                (south if down else east)[to_r][to_c] += count
            else:
                passed += count
        queues = [n for road in (south, east) for row in road for n in row]
        waited, longest = waited + sum(queues), max(longest, *queues)
    return {"waiting": waited / env.ticks, "longest": longest, "through": passed}


def plain_servers(env: Servers, seed: int, digits: list[int]) -> dict[str, float]:
    queue = late = 0
    total = 0.0
    for tick, running in enumerate(digits):
        hour = 2 * math.pi * tick / env.ticks
        chance = min(1.0, env.load * (1 - env.swing * math.cos(hour)))
        queue += sum(plain_uniform(seed, tick, user) < chance for user in range(env.users))
        waits = queue / max(1, running * env.rate)
        queue = max(0, queue - running * env.rate)
        total, late = total + waits, late + (waits > env.bound)
    cost = sum(digits) / env.ticks
    parts = {"latency": total / env.ticks, "late": late / env.ticks, "left": queue}
    return {"cost": cost} | parts


@pytest.mark.parametrize(
    "env,plain",
    [(Signals(2, 3, 9), plain_signals), (Servers(), plain_servers)],
    ids=["signals", "servers"],
)
def test_the_dynamics_are_those_of_plain_loops(env: Any, plain: Any) -> None:
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    drawn = rollout(env, policy, 25, torch.Generator().manual_seed(3))
    for design in env.decode(drawn.actions.tolist(), **drawn.given):
        wanted = plain(env, design.seed, [int(c) for c in design.digits])
        assert dict(design.metrics) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("env,name", [(Signals(), "waiting"), (Servers(), "cost")], ids=str)
def test_paid_steps_add_up_to_the_day_and_move_credit_only(env: Any, name: str) -> None:
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    drawn = rollout(env, policy, 8, torch.Generator().manual_seed(0))
    assert drawn.potential is not None
    days = env.decode(drawn.actions.tolist(), **drawn.given)
    for paid, day in zip(drawn.potential[:, -1].tolist(), days, strict=True):
        assert paid == pytest.approx(-day.metrics[name], rel=1e-5)
    shaping = credit.shaping_rewards(drawn.potential, drawn.active)
    assert float(shaping.sum(1).abs().max()) < 1e-5
    if isinstance(env, Signals):
        turns = torch.arange(env.max_steps) % env.agents
        assert drawn.agent is not None and torch.equal(drawn.agent, turns.expand(8, -1))


def test_bad_input() -> None:
    for make, bad in ((signals, {"north": 2.0}), (servers, {"most": 10}), (servers, {"bound": 0})):
        with pytest.raises(InputError, match="expected"):
            make(**bad)  # type: ignore[operator]
    made = servers(ticks=3)
    for text, hint in (("abc", "SEED:CHOICES"), ("1:12", "2 choices"), ("1:129", "choice 3")):
        with pytest.raises(InputError, match=hint):
            made.parse(text)
    assert made.parse("5:123").metrics["cost"] == 2.0
    with pytest.raises(InputError, match="expected one of cost"):
        Realised("waiting")([made.parse("5:123")])


CAMPAIGN = """
[campaign]
batch_size = 16
steps = 3
replay = 4
replay_from = 2
[task]
kind = "{0}"
ticks = 4
[policy]
hidden = 8
[learner]
kind = "{2}"
{3}
[[objective]]
kind = "realised"
cost_of = "{1}"
column = "score"
"""


SLO = """
[[constraint]]
kind = "realised"
cost_of = "cost"
column = "late"
at_most = 0.1
"""


@pytest.mark.parametrize(
    "kind,cost,learner,more,code",
    [
        ("signals", "waiting", "reinforce", "shaping = 1.0", 0),
        ("servers", "latency", "ppo", "", 0),
        ("signals", "waiting", "coma", "", 0),
        ("servers", "cost", "reinforce", SLO, 0),
        ("servers", "cost", "gumbel", "", 3),
    ],
)
def test_campaigns_run_and_resume(
    tmp_path: Any, capsys: Any, kind: str, cost: str, learner: str, more: str, code: int
) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(CAMPAIGN.format(kind, cost, learner, more))
    runs = [str(tmp_path / name) for name in ("whole", "cut")]
    longer = ("--set", "campaign.steps=5", "--quiet")
    assert invoke(["run", str(file), "--out", runs[0], *longer]) == code
    if code == 0:
        assert invoke(["run", str(file), "--out", runs[1], "--quiet"]) == 0
        assert invoke(["resume", runs[1], *longer]) == 0
        whole, cut = ((tmp_path / n / "best.csv").read_text() for n in ("whole", "cut"))
        assert whole == cut
    else:
        assert "reinforce" in capsys.readouterr().err
