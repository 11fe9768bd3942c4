"""What a run found, on stdout and in files."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.trace import progress
from designer.ending import Result
from designer.memory import Found
from designer.protocols import Task, Told
from designer.rundir import RunDirectory


def as_object(task: Task, result: Result, run: Path, told: Told | None = None) -> dict[str, Any]:
    """Return the one object that `--json` prints."""
    found: dict[str, Any] = {
        "run": str(run),
        "task": task.name,
        "evaluations": result.evaluations,
        "seconds": round(result.seconds, 3),
        "stopped": result.stopped,
        "symbols": dict(task.symbols),
        "context": {k: v for k, v in task.context.items() if isinstance(v, str | int | float)},
        "best": [_entry(found) for found in result.best],
        "front": [_entry(found) for found in result.front],
        "biased": list(result.biased),
    }
    if result.constraints:
        found["constraints"] = [_plain(each) for each in result.constraints]
    found |= dict(told.facts) if told is not None else {}
    return found | ({"memory": result.memory} if result.memory else {})


def leading(task: Task, best: Sequence[Found], top: int, *, diverse: bool) -> list[Found]:
    """Return the `top` best designs, best first; where `diverse`, the best of each class only."""
    if not diverse or task.bucket is None:
        return list(best[:top])
    classes: dict[str, Found] = {}
    for found in best:
        classes.setdefault(task.bucket(task.parse(found.design)), found)
    return list(classes.values())[:top]


def as_text(
    task: Task, result: Result, run: Path, shown: Sequence[Found], told: Told | None = None
) -> str:
    """Return the lines a person reads: designs `shown`, the first one drawn, where it all is."""
    lines = []
    if told is not None:
        lines += ["", *told.lines]
    elif result.best:
        lines += ["", task.show(task.parse(result.best[0].design)), ""]
        lines += table(shown)
        if (shared := ties(result)) > 1:
            lines += [f"{shared} of the {len(result.best)} designs kept share the best reward"]
    else:
        within = " that keeps the constraints" if result.constraints else ""
        lines += [f"nothing was found: no valid design{within} was measured"]
    lines += [_told(each) for each in result.constraints]
    symbols = [f"{stand_in} = {column}" for stand_in, column in task.symbols.items()]
    if symbols:
        lines += ["", "where " + ", ".join(symbols)]
    lines += ["", f"{_why(result)}; {result.evaluations:,} evaluations in {result.seconds:.1f} s"]
    lines += [result.memory] if result.memory else []
    lines += [f"written for use elsewhere: {', '.join(told.files)}"] if told is not None else []
    lines += [f"everything is in {run}"]
    return "\n".join(lines)


def ties(result: Result) -> int:
    """Return how many of the distinct designs that were kept have the best reward."""
    rewards = [found.reward for found in result.best]
    return sum(reward >= max(rewards) - 1e-9 for reward in rewards)


def table(found: Sequence[Found]) -> list[str]:
    """Return aligned lines: reward, raw scores, size, design."""
    names = list(found[0].scores)
    # + 0.0 makes 0 of a minus 0
    rows = [["reward", *names, "size", "design"]]
    for one in found:
        scores = [f"{one.scores.get(name, math.nan) + 0.0:.4g}" for name in names]
        design = re.sub(r"\d+\.\d{6,}(e[-+]?\d+)?", lambda m: f"{float(m[0]):.6g}", one.design)
        rows.append([f"{one.reward:.5g}", *scores, str(one.complexity), design])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]


def write_files(
    task: Task, result: Result, run: RunDirectory, shown: Sequence[Found], told: Told | None = None
) -> None:
    """Write `best.csv`, `front.csv`, `progress.svg`, `best.svg` and what the task exports.

    The last two are of the designs `shown`.
    """
    for name, text in told.files.items() if told is not None else ():
        run.write(name, text)
    run.write("best.csv", _csv(result.best, task))
    run.write("front.csv", _csv(result.front))
    drawn = progress(run.store.metrics())
    if drawn is not None:
        run.write("progress.svg", drawn)
    designs = [task.parse(found.design) for found in shown]
    made = dict(task.exports(designs, shown)) if designs and task.exports else {}
    if designs and "best.svg" not in made:  # some tasks draw it with what was measured
        made["best.svg"] = task.draw(designs)
    for name, text in made.items():
        run.write(name, text)


def _told(told: Mapping[str, Any]) -> str:
    """Return one line of what became of a constraint."""
    line = (
        f"constraint {told['constraint']}: multiplier {told['multiplier']:.4g}, "
        f"mean {told['mean']:.4g}, kept by {told['kept']:.1%} of the designs"
    )
    if told["met"]:
        return line
    return (
        f"{line}; NOT MET (the nearest is {told['nearest']:.4g}): it may be infeasible, or "
        "contradict the others; relax it, or search longer"
    )


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    return {k: number(v) if isinstance(v, float) else v for k, v in told.items()}


def _why(result: Result) -> str:
    reasons = {
        "optimal": "proved optimal",
        "target": "the target was reached",
        "budget": "the budget is spent",
        "time": "the time is over",
        "steps": "all steps are done",
        "exhausted": "nothing new was found for a while",
        "barren": "no sample was ever valid, so the task's limits may be too tight",
        "failed": "the oracle failed too often",
        "interrupted": "interrupted",
        "waiting": "more designs can be asked for",
    }
    return reasons.get(result.stopped, result.stopped)


def _entry(found: Found) -> dict[str, Any]:
    return {
        "design": found.design,
        "reward": number(found.reward),
        "scores": {name: number(value) for name, value in found.scores.items()},
        "complexity": found.complexity,
        "step": found.step,
    }


def number(value: float) -> float | None:
    """Return the value as JSON can hold it: None where it is not finite."""
    return value if math.isfinite(value) else None


def _csv(found: Iterable[Found], task: Task | None = None) -> str:
    """Return a row a design; with a task that names classes, the design's own one last."""
    found = list(found)
    classify = task.bucket if task is not None and task.bucket_name else None
    names = list(dict.fromkeys(name for one in found for name in one.scores))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    last = [task.bucket_name] if task is not None and classify is not None else []
    places = [name for name in ("complexity", "step", "evaluation") if name not in names]
    writer.writerow(["design", "reward", *names, *places, *last])
    for one in found:
        scores = [repr(one.scores.get(name, math.nan)) for name in names]
        place = [getattr(one, name) for name in places]
        own = [classify(task.parse(one.design))] if task is not None and classify else []
        writer.writerow([one.design, repr(one.reward), *scores, *place, *own])
    return text.getvalue()
