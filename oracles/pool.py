"""An oracle on several processes: the same rows in the same order, sooner, and none lost.

For oracles that cost more than about a millisecond a design; for less, sending them costs more
than it saves. Start scripts that use it with `if __name__ == "__main__":`, as for all of
Python's process pools.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from designer.calling import gathered
from designer.errors import InputError
from designer.protocols import Measured, Oracle
from oracles import rows
from oracles.isolation import Limits, Slot

_TICK = 0.05  # seconds between looks at the clock while nothing arrives


@dataclass
class _Job:
    """Rows that are asked for together."""

    rows: list[int]
    attempt: int = 1
    after: float = 0.0  # monotonic time before which it waits


@dataclass
class Parallel:
    """Asks `oracle` on `workers` processes; 1 without `limits` means in this one.

    Without `limits`, designs go in chunks of at most `chunk`, may take as long as they like, and
    a chunk whose worker dies is asked for again one by one, so a crash costs the design that
    caused it.
    With `limits` each design is on its own: what crashes, hangs, takes too much memory or
    prints too much is killed with everything it started, tried again `retries` times, and costs
    itself alone. Close it, or use it in `with`.
    """

    oracle: Oracle[Any]
    workers: int = 1
    chunk: int = 32
    limits: Limits | None = None
    _slots: list[Slot] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("workers", "chunk"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")

    @property
    def name(self) -> str:
        """The oracle's name."""
        return self.oracle.name

    @property
    def cheap(self) -> bool:
        """As the oracle says."""
        return self.oracle.cheap

    @property
    def files(self) -> tuple[Path, ...]:
        """What the oracle's values depend on."""
        return tuple(getattr(self.oracle, "files", ()))

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return what the oracle returns, row by row; raises what it raises."""
        if not designs or (self.workers == 1 and self.limits is None):
            given = self.oracle(designs)
            return given if isinstance(given, Measured) else Measured({self.name: given})
        return gathered(self.stream(designs), designs, self.name)

    def stream(self, designs: Sequence[Any], /) -> Iterator[tuple[list[int], Measured]]:
        """Yield rows and their measurements as they arrive, in any order, each row once."""
        whole = range(len(designs))
        fair = len(whole) // (4 * self.workers)  # or a small batch would keep some waiting
        size = 1 if self.limits is not None else max(1, min(self.chunk, fair))
        jobs = deque(_Job(list(whole[i : i + size])) for i in range(0, len(whole), size))
        busy: dict[Slot, _Job] = {}
        try:
            while jobs or busy:
                self._hand_out(jobs, busy, designs)
                waiting = [slot.future for slot in busy if slot.future is not None]
                if waiting:
                    wait(waiting, timeout=_TICK, return_when=FIRST_COMPLETED)
                else:
                    time.sleep(_TICK)
                for slot in list(busy):
                    given = slot.answer()
                    if given is not None:
                        yield from self._settle(slot, busy.pop(slot), given, jobs)
        finally:
            for slot in busy:  # an answer nobody waits for any more
                self._discard(slot)

    def __enter__(self) -> Parallel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes; the next call starts new ones."""
        for slot in list(self._slots):
            self._discard(slot)

    def _hand_out(self, jobs: deque[_Job], busy: dict[Slot, _Job], designs: Sequence[Any]) -> None:
        now = time.monotonic()
        free = [slot for slot in self._slots if slot not in busy]
        for _ in range(len(jobs)):
            if not free and len(self._slots) >= self.workers:
                return
            job = jobs.popleft()
            if job.after > now:
                jobs.append(job)
                continue
            if not free:
                limits = self.limits or Limits(timeout=None, output_mb=float("inf"))
                free.append(Slot(self.oracle, limits))
                self._slots.append(free[-1])
            slot = free.pop()
            busy[slot] = job
            slot.ask([designs[row] for row in job.rows])

    def _settle(
        self, slot: Slot, job: _Job, given: Measured | str, jobs: deque[_Job]
    ) -> Iterator[tuple[list[int], Measured]]:
        """Yield what is final of a job's answer; queue the rest again."""
        if isinstance(given, str):
            self._discard(slot)
            if len(job.rows) > 1:  # find the one that did it
                jobs.extendleft(_Job([row]) for row in reversed(job.rows))
                return
            given = rows.failure(1, given)
        if self.limits is not None and given.errors and job.attempt <= self.limits.retries:
            pause = self.limits.backoff * 2 ** (job.attempt - 1)
            jobs.append(_Job(job.rows, job.attempt + 1, time.monotonic() + pause))
            return
        attempts = {0: job.attempt} if job.attempt > 1 else {}
        yield job.rows, replace(given, attempts=attempts)

    def _discard(self, slot: Slot) -> None:
        if slot in self._slots:
            self._slots.remove(slot)
        slot.close()
