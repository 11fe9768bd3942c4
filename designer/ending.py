"""When a search has found what was wanted, and what a run says at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from designer.memory import Archive, Found
from designer.protocols import Task


@dataclass(frozen=True)
class Result:
    """How a run ended, and what it found.

    `stopped` is optimal, target, budget, time, steps, exhausted, barren, failed, interrupted or
    waiting.
    """

    stopped: str
    evaluations: int
    seconds: float  # of search, all sessions together
    steps: int
    best: Sequence[Found]
    front: Sequence[Found]
    constraints: Sequence[Mapping[str, Any]] = ()  # what became of each
    biased: Sequence[str] = ()  # what is biased by design, a line each
    memory: str = ""  # what running out of it came to


def reached(task: Task, archive: Archive, target: float | None) -> str | None:
    """Return "optimal" where the best is proved so, "target" where it is what was asked for."""
    best = archive.best
    # where size has its price, what is optimal may not lead; it ends the front
    leading = [*best[:1], *archive.front[-1:]]
    if task.optimal is not None and any(task.optimal(found.scores) for found in leading):
        return "optimal"
    if best and task.goal is not None and task.goal(best[0].scores):
        return "target"
    return "target" if best and target is not None and best[0].reward >= target else None


def ranked(task: Task, archive: Archive) -> list[Found]:
    """Return the best designs, the one that the task recommends of the front first."""
    front = archive.front
    chosen = task.recommend(front) if task.recommend is not None and front else None
    if chosen is None:
        return list(archive.best)
    return [chosen, *(found for found in archive.best if found.key != chosen.key)]
