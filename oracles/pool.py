"""An oracle on several processes: the same rows in the same order, sooner.

For oracles that cost more than about 0.2 ms a design; for less, sending them costs more than it
saves. Start scripts that use it with `if __name__ == "__main__":`, as for all of Python's
process pools.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any

from designer.protocols import Measured, Oracle
from oracles import rows


@dataclass
class Parallel:
    """Asks `oracle` in chunks of `chunk` designs on `workers` processes; 1 means in this one.

    Where a worker dies, the chunks without an answer are asked for again, each in a process of
    its own, and one that dies again in halves: a crash costs the design that caused it.
    Close it, or use it in `with`.
    """

    oracle: Oracle[Any]
    workers: int = 1
    chunk: int = 16

    def __post_init__(self) -> None:
        self._pool = _pool(self.workers) if self.workers > 1 else None

    @property
    def name(self) -> str:
        """The oracle's name."""
        return self.oracle.name

    @property
    def cheap(self) -> bool:
        """As the oracle says."""
        return self.oracle.cheap

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return what the oracle returns, row by row; raises what it raises."""
        if self._pool is None or not designs:
            return _ask(self.oracle, list(designs))
        parts = [list(designs[i : i + self.chunk]) for i in range(0, len(designs), self.chunk)]
        waiting = [self._pool.submit(_ask, self.oracle, part) for part in parts]
        said = [_settled(answer) for answer in waiting]
        if None in said:
            self.close()
            self._pool = _pool(self.workers)
        done = [_one_by_one(self.oracle, parts[i]) if s is None else s for i, s in enumerate(said)]
        return _together(done, parts, self.name)

    def __enter__(self) -> Parallel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _pool(workers: int) -> ProcessPoolExecutor:
    # a forked copy of a process that runs torch's threads may hang; a fresh one cannot
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _ask(oracle: Oracle[Any], designs: list[Any]) -> Measured:
    said = oracle(designs)
    return said if isinstance(said, Measured) else Measured({oracle.name: said})


def _settled(answer: Future[Measured]) -> Measured | None:
    try:
        return answer.result()
    except BrokenProcessPool:
        return None


def _one_by_one(oracle: Oracle[Any], part: list[Any]) -> Measured:
    """Return a chunk's answer from a process of its own; halve it where that dies."""
    with _pool(1) as pool:
        said = _settled(pool.submit(_ask, oracle, part))
    if said is not None:
        return said
    if len(part) == 1:
        return rows.failure(1, "the worker process died")
    halves = [part[: len(part) // 2], part[len(part) // 2 :]]
    return _together([_one_by_one(oracle, half) for half in halves], halves, oracle.name)


def _together(said: Sequence[Measured], parts: Sequence[list[Any]], name: str) -> Measured:
    whole = rows.joined(said, [len(part) for part in parts], name)
    if all(answer.designs is None for answer in said):
        return whole
    pairs = zip(said, parts, strict=True)
    done = [d for answer, part in pairs for d in (answer.designs or part)]
    return replace(whole, designs=done)
