"""The loop: it finds, it counts, and it can be killed and resumed without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from designer import checkpoint
from designer.campaign import BARREN, Campaign
from designer.errors import InputError
from designer.laboratory import Laboratory, ask, tell
from designer.learner import Learner, LearnerSettings
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.protocols import Task
from designer.sequences import Edits, Sequences, TokenDesign, draw, show
from designer.settings import Settings
from designer.store import Store

WANTED = "abcabcab"
ENV = Sequences("abcd", max_length=8, min_length=2)
TASK = Task("letters", ENV, ENV.parse, show, draw, proposer=Edits(ENV), bucket=lambda d: d.text[:2])


@dataclass
class Match:
    """Share of letters in the wanted place."""

    name: str = "match"
    cheap: bool = False
    asked: list[str] = field(default_factory=list)

    def __call__(self, designs: Sequence[TokenDesign]) -> Any:
        """Return values in [0, 1]."""
        self.asked += [design.key for design in designs]
        pairs = [zip(d.text, WANTED, strict=False) for d in designs]
        return np.array([sum(a == b for a, b in pair) / 8 for pair in pairs])


SETTINGS = Settings(
    seed=3, batch_size=32, budget=600, replay=16, proposals=6, bucket_size=9, checkpoint_every=3
)


def campaign(
    settings: Settings = SETTINGS,
    *,
    store: Store | None = None,
    oracle: Any = None,
    **learning: Any,
) -> Campaign:
    policy = RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=16, seed=settings.seed)
    learner = Learner(policy, LearnerSettings(**({"lr": 1e-2} | learning)))
    objective = Objective([Term(oracle or Match())])
    return Campaign(TASK, learner, objective, settings, store=store)


def fingerprint(done: Campaign) -> str:
    return checkpoint.fingerprint(done.learner.policy.state_dict())


@pytest.mark.parametrize("epochs", [1, 3])
def test_finds_the_target_within_the_budget_and_stops(epochs: int) -> None:
    oracle = Match()
    done = campaign(replace(SETTINGS, budget=3000, target=1.0), oracle=oracle, epochs=epochs)
    result = done.run()
    assert result.stopped == "target" and result.best[0].design == WANTED
    assert result.evaluations == len(set(oracle.asked)) < 3000
    assert [f.reward for f in result.best] == sorted((f.reward for f in result.best), reverse=True)


def test_budget_steps_and_exhaustion_stop_exactly() -> None:
    oracle = Match()
    assert campaign(oracle=oracle).run().stopped == "budget"
    assert len(set(oracle.asked)) == 600
    assert campaign(replace(SETTINGS, steps=2)).run().steps == 2
    tiny = Sequences("ab", max_length=1)
    settings = replace(SETTINGS, patience=2, proposals=0, budget=None)
    task = replace(TASK, environment=tiny, parse=tiny.parse)
    policy = RecurrentPolicy(tiny.obs_size, tiny.num_actions, hidden=4, seed=0)
    learner, objective = Learner(policy, LearnerSettings()), Objective([Term(Match())])
    result = Campaign(task, learner, objective, settings).run()
    assert result.stopped == "exhausted" and result.evaluations == 2


def test_a_campaign_whose_samples_are_never_valid_ends_by_itself() -> None:
    """Nothing is judged then, so a budget is never spent."""

    class Trapped(Sequences):
        def decode(self, actions: Sequence[Sequence[int]], **given: Any) -> list[Any]:
            return [None] * len(actions)

    trapped = Trapped("ab", max_length=2)
    task = replace(TASK, environment=trapped, parse=trapped.parse, proposer=None)
    policy = RecurrentPolicy(trapped.obs_size, trapped.num_actions, hidden=4, seed=0)
    learner, objective = Learner(policy, LearnerSettings()), Objective([Term(Match())])
    settings = replace(SETTINGS, batch_size=BARREN // 4)
    result = Campaign(task, learner, objective, settings).run()
    assert (result.stopped, result.steps, result.evaluations) == ("barren", 4, 0)


def test_designs_to_begin_from_are_judged_once_and_first() -> None:
    calls: list[list[str]] = []

    @dataclass
    class Asked(Match):
        def __call__(self, designs: Sequence[TokenDesign]) -> Any:
            calls.append([design.key for design in designs])
            return super().__call__(designs)

    job = campaign(replace(SETTINGS, steps=2, budget=None), oracle=Asked())
    begin = [ENV.parse(text) for text in ("abcabcaa", "dddd")]
    job.task = replace(job.task, start=begin)
    sampled: list[set[str]] = []
    ask = job.ask

    def watched() -> Any:
        batch = ask()
        designs = batch.designs[: batch.sampled]
        sampled.append({design.key for design in designs if design is not None})
        return batch

    job.ask = watched  # type: ignore[method-assign]
    seen: list[Any] = []
    result = job.run(on_step=seen.append)
    given = {design.key for design in begin}
    assert set(calls[0]) == given and sampled[0] - given <= set(calls[1])
    assert (
        seen[0]["evaluations"]
        == len(set(calls[0]) | set(calls[1]))
        == len(calls[0]) + len(calls[1])
    )
    assert result.best[0].evaluation >= len(given)
    assert "abcabcaa" in {elite.key for elite in job.elites.best(1000)}
    brief = campaign(replace(SETTINGS, budget=2))
    brief.task = replace(brief.task, start=begin)
    assert {found.key for found in brief.run().best} == given, "the budget is theirs first"


def test_generations_of_a_step_are_bred_of_the_ones_before_it(tmp_path: Path) -> None:
    """Each is judged and remembered before the next; together they keep the budget."""
    bred: list[tuple[float, int]] = []

    def proposer(parents: Sequence[TokenDesign], count: int, rng: np.random.Generator) -> Any:
        made = Edits(ENV)(parents, count, rng)
        bred.append((float(Match()(parents).max(initial=0.0)), len(made)))
        return made

    oracle = Match()
    store = Store(tmp_path / "run.sqlite")
    settings = replace(SETTINGS, generations=4, steps=3, budget=None)
    job = campaign(settings, oracle=oracle, store=store)
    job.task = replace(TASK, proposer=proposer)
    result = job.run()
    counts = [count for _, count in bred]
    assert result.steps == 3 and len(bred) == 1 + 1 + 2 * 4 and counts[:2] == [0, 0]
    assert min(counts[2:]) > 0
    best = [value for value, _ in bred[2:]]
    assert best == sorted(best) and len(set(best)) > 1
    assert result.evaluations == len(set(oracle.asked)) > 32
    assert {key for _, _, key, _, _ in store.designs()} >= set(oracle.asked), "all are recorded"
    assert campaign(replace(SETTINGS, generations=9, budget=50)).run().evaluations == 50


def test_same_seed_same_run_and_another_seed_another() -> None:
    first, second = campaign(replace(SETTINGS, steps=6)), campaign(replace(SETTINGS, steps=6))
    one, two = first.run(), second.run()
    assert [f.key for f in one.best] == [f.key for f in two.best]
    assert fingerprint(first) == fingerprint(second)
    other = campaign(replace(SETTINGS, steps=6, seed=4))
    other.run()
    assert fingerprint(other) != fingerprint(first)


@pytest.mark.parametrize("cheap", [True, False])
@pytest.mark.parametrize("learning", [{}, {"epochs": 3, "minibatches": 2, "baseline": "critic"}])
def test_resumed_equals_uninterrupted(tmp_path: Path, cheap: bool, learning: Any) -> None:
    settings = replace(SETTINGS, steps=12)
    whole_store = Store(tmp_path / "whole.sqlite")
    whole = campaign(settings, store=whole_store, oracle=Match(cheap=cheap), **learning)
    whole.run()

    store = Store(tmp_path / "cut.sqlite")
    cut = campaign(settings, store=store, oracle=Match(cheap=cheap), **learning)

    def save_at_six() -> None:  # the run goes on to step 8, and dies there
        if cut.steps == 6:
            checkpoint.save(tmp_path, cut.state())

    cut.run(stop=lambda: "killed" if cut.steps == 8 else None, save=save_at_six)
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    oracle = Match(cheap=cheap)
    again = campaign(settings, store=store, oracle=oracle, **learning)
    again.restore(loaded)
    assert again.steps == 6
    again.run()
    assert fingerprint(again) == fingerprint(whole)
    assert store.designs() == whole_store.designs()
    assert again.meter.spent == whole.meter.spent
    assert again.archive.state() == whole.archive.state()
    if not cheap:
        assert len(oracle.asked) == len(set(oracle.asked)) < again.meter.spent


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch; torch.set_num_threads(1)
from test_campaign import SETTINGS, campaign, fingerprint
from dataclasses import replace
from designer.rundir import RunDirectory
path = Path(sys.argv[2])
run = RunDirectory.reopen(path) if path.exists() else RunDirectory.create(path, "", {})
job = campaign(replace(SETTINGS, steps=40, budget=None, checkpoint_every=2), store=run.store)
state = run.load()
if state is not None:
    job.restore(state)
job.run(on_step=lambda m: print(m["step"], flush=True), save=lambda: run.save(job.state()))
print("end", fingerprint(job), flush=True)
"""


def test_killed_and_resumed_ends_bit_identical(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, here, str(tmp_path / name)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    whole, _ = start("whole").communicate()
    for delay in (0.05, 0.2):
        process = start("cut")
        assert process.stdout is not None
        process.stdout.readline()  # at least one step
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    resumed, _ = start("cut").communicate()
    assert whole.splitlines()[-1] == resumed.splitlines()[-1]
    stores = [Store(tmp_path / name / "campaign.sqlite") for name in ("whole", "cut")]
    assert stores[0].designs() == stores[1].designs()


def test_people_as_the_oracle(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite")
    state: dict[str, Any] = {}

    def reopened() -> Campaign:
        job = campaign(replace(SETTINGS, budget=30), store=store, oracle=Laboratory(("match",)))
        job.objective = Objective([Term(job.objective.oracles[0], column="match")])
        if state:
            checkpoint.save(tmp_path, state)
            loaded = checkpoint.load(tmp_path)
            assert loaded is not None
            job.restore(loaded)
        return job

    job = reopened()
    with pytest.raises(Exception, match="designer ask"):
        replace_task = replace(TASK, examples=[ENV.parse("ab")])
        job.task = replace_task
        job.run()
    job = reopened()
    first = ask(job, 10)
    assert len({d.key for d in first.designs}) == 10
    state = job.state()
    job = reopened()
    again = ask(job, 99)  # days later, the same designs
    assert [d.key for d in again.designs] == [d.key for d in first.designs]
    with pytest.raises(InputError, match="not asked for"):
        tell(job, {"zzz": {"match": 1.0}})
    with pytest.raises(InputError, match="no column 'mach' was asked for; did you mean 'match'"):
        tell(job, {first.designs[0].key: {"mach": 1.0}})
    results = {d.key: {"match": float(Match()([d])[0])} for d in first.designs}
    blank = first.designs[0].key
    results[blank] = {"match": float("nan")}
    before = fingerprint(job)
    tell(job, results)
    assert job.meter.spent == 9 and fingerprint(job) != before
    with pytest.raises(InputError, match="no designs are waiting"):
        tell(job, {})
    state = job.state()
    job = reopened()
    second = ask(job, 50)  # 21 are left in the budget
    assert len(second.designs) == 21
    known = {d.key for d in first.designs} - {blank}
    assert not known & {d.key for d in second.designs}


def test_processor_seconds_do_not_count_waiting() -> None:
    @dataclass
    class Slow(Match):
        def __call__(self, designs: Sequence[TokenDesign]) -> Any:
            time.sleep(0.1)
            return super().__call__(designs)

    waited, worked = (
        campaign(replace(SETTINGS, budget=None, steps=4, clock=clock), oracle=Slow()).run()
        for clock in ("wall", "processor")
    )
    assert waited.seconds > 0.4 and worked.seconds < waited.seconds - 0.2
    ended = campaign(replace(SETTINGS, budget=None, time=1e-6, clock="processor")).run()
    assert ended.stopped == "time" and ended.steps <= 1
    with pytest.raises(InputError, match="wall or processor"):
        replace(SETTINGS, clock="sundial")
