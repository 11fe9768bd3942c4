"""The small campaign that most drills break: letters to put in order, judged by a paid oracle."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import numpy as np
import torch

from designer import checkpoint
from designer.campaign import Campaign
from designer.learner import Learner
from designer.learning import LearnerSettings
from designer.objective import Objective, Term
from designer.policy import RecurrentPolicy
from designer.protocols import Task
from designer.rundir import RunDirectory
from designer.sequences import Edits, Sequences, TokenDesign, draw, show
from designer.settings import Settings

LANE = "DESIGNER_DRILL"  # marks what a drill started, among what others run
WANTED = "abcabcab"
LETTERS = Sequences("abcd", max_length=8, min_length=2)
TASK = Task(
    "letters",
    LETTERS,
    LETTERS.parse,
    show,
    draw,
    proposer=Edits(LETTERS),
    bucket=lambda design: str(design.text[:2]),
)
SETTINGS = Settings(
    seed=3, batch_size=16, steps=6, replay=8, replay_from=4, proposals=4, bucket_size=9
)


@dataclass(frozen=True)
class Row:
    """What a drill found: of `tries` faults, how many were survived, and what was lost."""

    fault: str
    tries: int
    survived: int
    lost: int
    note: str = ""


@dataclass(frozen=True)
class Match:
    """Share of letters in the wanted place."""

    name: str = "match"
    cheap: bool = False

    def __call__(self, designs: Sequence[TokenDesign]) -> Any:
        """Return values in [0, 1]."""
        pairs = [zip(design.text, WANTED, strict=False) for design in designs]
        return np.array([sum(a == b for a, b in pair) / 8 for pair in pairs])


def campaign(store: Any = None, oracle: Any = None, steps: int = 6, **learning: Any) -> Campaign:
    """Return a toy campaign that has not begun."""
    policy = RecurrentPolicy(LETTERS.obs_size, LETTERS.num_actions, hidden=8, seed=3)
    learner = Learner(policy, LearnerSettings(**({"lr": 1e-2} | learning)))
    settings = replace(SETTINGS, steps=steps)
    return Campaign(TASK, learner, Objective([Term(oracle or Match())]), settings, store=store)


def opened(path: Path, make: Callable[[Any], Campaign]) -> tuple[RunDirectory, Campaign]:
    """Return a run directory, new or as it was left, and its campaign at the last checkpoint."""
    known = (path / "manifest.json").exists()
    run = RunDirectory.reopen(path) if known else RunDirectory.create(path, "", {})
    try:
        job = make(run.store)
        state = run.load()
        job.meter.adopt() if state is None else job.restore(state)
    except BaseException:
        run.close()
        raise
    return run, job


def finish(path: Path, make: Callable[[Any], Campaign]) -> str:
    """Run to the end, from wherever the directory is; return the SHA-256 of what was learned."""
    run, job = opened(path, make)
    with run:
        job.run(save=lambda: run.save(job.state()))
        return fingerprint(job)


def fingerprint(job: Campaign) -> str:
    """Return the SHA-256 of all that learning changed."""
    return checkpoint.fingerprint(job.learner.state_dict())


def forked(work: Callable[[], Any]) -> int:
    """Run `work` in a forked copy of this process; return its process id.

    A copy spares the seconds that imports take. It must not run torch's threads: one is set.
    """
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 on: of threads; ours only wait
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        work()
        status = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    os._exit(status)


def own_tracker() -> None:
    """Give a forked copy a tracker of its own: it tells of what a sudden end leaves behind."""
    tracker: Any = resource_tracker
    tracker._resource_tracker._fd = tracker._resource_tracker._pid = None


def killed_after(pid: int, seconds: float) -> bool:
    """Kill a process after that time; return whether it was still running."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True
