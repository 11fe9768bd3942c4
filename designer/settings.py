"""The `[campaign]` table: how long to search, with what batches, and what to remember."""

from __future__ import annotations

import time as clocks
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from designer.errors import InputError
from designer.signature import Unbounded

CLOCKS: Mapping[str, Callable[[], float]] = {
    "wall": clocks.monotonic,
    "processor": clocks.process_time,  # of all threads of this process, not of worker processes
}

BucketShape = Literal["step", "linear", "sigmoid", "erf", "tanh"]


@dataclass(frozen=True)
class Settings:
    """Settings of a campaign. Limits may be combined; the first one met ends the run."""

    seed: int = 0
    batch_size: int = 128  # B, designs sampled a step
    budget: int | None = None  # distinct designs the oracles may judge
    time: float | None = None  # seconds of search
    clock: Literal["wall", "processor"] = "wall"  # whose seconds these are
    steps: int | None = None
    target: float | None = None  # reward at which to stop
    patience: int = 0  # stop after so many steps without a new design; 0 = never
    restart: int = 0  # learn anew after so many steps without a better design; 0 = never
    hop: float = 0.0  # share of what the best attempt learned that the next begins with
    hops: int = 6  # attempts that get no better than that one, after which nothing is kept
    temperature: float = 1.0  # above 1 explores
    elites: int = 1000  # designs remembered for replay and as parents
    newest: bool = False  # of equally good elites the last come are kept, not the first
    focus: float = 0.01  # rank weighting of replay; smaller looks at the very best only
    replay: int = 0  # elites imitated at once; 0 = none
    rounds: int = 1  # times a step that elites are drawn and imitated
    replay_from: int = 16  # elites there must be before replay begins
    augment: bool = True  # spell the first round's elites anew where there are several spellings
    proposals: int = 0  # designs the proposer adds a step; 0 = none
    generations: int = 1  # times a step that it is asked; all but the last are judged at once
    proposals_from: int = 0  # elites there must be before the proposer is asked
    parents: int = 100  # elites the proposer starts from
    bucket_size: int = 0  # diversity filter: rewarded designs a class (a scaffold); 0 = off
    bucket_shape: BucketShape = "step"  # how the reward falls until a class is full
    bucket_from: float = 0.4  # diversity filter: only rewards from here on count
    keep: int = 100  # designs reported
    checkpoint_every: int = 1  # steps
    grace: Unbounded = 30.0  # seconds that a signal gives the step to finish; inf waits for it
    max_failure_rate: float = 0.5  # of recent evaluations; above it the run stops
    max_skipped: int = 20  # steps in a row whose gradient is not finite; then the run stops

    def __post_init__(self) -> None:
        for name in (
            "batch_size", "elites", "parents", "keep", "checkpoint_every", "max_skipped", "rounds",
            "generations", "hops",
        ):  # fmt: skip
            _at_least(name, getattr(self, name), 1)
        for name in ("budget", "steps"):
            _at_least(name, getattr(self, name), 1)
        for name in (
            "patience", "restart", "replay", "replay_from", "proposals", "proposals_from",
            "bucket_size", "seed",
        ):  # fmt: skip
            _at_least(name, getattr(self, name), 0)
        if self.seed >= 2**63:
            raise InputError(f"seed is {self.seed}; expected less than 2**63")
        for name in ("temperature", "focus", "time"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} is {value}; expected a number above 0")
        if not 0 <= self.hop < 1:
            raise InputError(f"hop is {self.hop}; expected a share of 0 to below 1")
        if self.hop and not self.restart:
            raise InputError(f"hop is {self.hop}, but nothing is learned anew; set restart too")
        if self.clock not in CLOCKS:
            raise InputError(f"clock is {self.clock!r}; expected {' or '.join(CLOCKS)}")
        if self.bucket_shape not in get_args(BucketShape):
            shapes = ", ".join(get_args(BucketShape))
            raise InputError(f"bucket_shape is {self.bucket_shape!r}; expected one of {shapes}")
        if not self.grace >= 0:
            raise InputError(f"grace is {self.grace}; expected at least 0 seconds")
        if not 0 <= self.max_failure_rate <= 1:
            raise InputError(f"max_failure_rate is {self.max_failure_rate}; expected 0 to 1")

    @property
    def biased(self) -> list[str]:
        """What biases the policy gradient by design, a line each."""
        lines = {
            f"temperature {self.temperature}: drawn from another policy": self.temperature != 1.0,
            f"replay {self.replay}: the best designs are imitated": self.replay > 0,
            f"bucket_size {self.bucket_size}: the reward moves": self.bucket_size > 0,
        }
        return [line for line, holds in lines.items() if holds]


def _at_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise InputError(f"{name} is {value}; expected at least {least}")
