"""What `designer doctor` tries: a step of the shipped campaigns, or the parts of a given one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cli.build import Parts, build
from cli.doctor import Finding
from cli.presets import FOLDER, KINDS, shipped
from cli.session import asks_people, dismiss
from designer import config
from designer.calling import call


def steps() -> Iterator[Finding]:
    """Take a step of each shipped campaign."""
    for kind in KINDS:
        document = shipped(kind)
        document.base = FOLDER  # not a file that lies here and is called as the shipped table
        campaign = build(document).campaign()
        started = time.perf_counter()
        batch = campaign.ask()
        metrics = campaign.tell(batch, campaign.judge(batch))
        seconds = time.perf_counter() - started
        said = f"a step works, {metrics['valid']:.0%} of {batch.sampled} designs valid"
        yield Finding(kind, f"{said}, {seconds:.1f} s")


def examine(file: Path, *, allow_plugins: bool) -> Iterator[Finding]:
    """Build a campaign, call each of its oracles on known designs, and take a step without them.

    Raises ConfigError with the place of a fault, OracleError where an oracle measures nothing.
    """
    parts = build(config.load(file), allow_plugins=allow_plugins)
    size = sum(p.numel() for p in parts.policy.parameters())
    yield Finding("campaign", f"{file}: every table is understood")
    yield Finding("task", f"{parts.task.name}, at most {parts.task.environment.max_steps} steps")
    yield Finding("policy", f"{size:,} parameters on {parts.device}")
    yield _limits(parts)
    for line in parts.biased:
        yield Finding("by design", line)
    if asks_people(parts.objective):
        yield Finding("oracles", "people measure: `designer ask`, then `designer tell`")
        return
    try:
        seconds = 0.0
        for finding, each in _oracles(parts):
            seconds += each
            yield finding
        parts.campaign().preflight()
    finally:
        dismiss(parts.objective)
    yield Finding("columns", "the oracles give every column that the objective asks for")
    yield _cost(parts, seconds)


def _limits(parts: Parts) -> Finding:
    s = parts.settings
    limits = {"budget": s.budget, "time": s.time, "steps": s.steps, "target": s.target}
    told = ", ".join(f"{name} {value}" for name, value in limits.items() if value is not None)
    if told or s.patience or parts.task.optimal is not None:
        return Finding("limits", told or "ends by itself")
    return Finding("limits", "none: it runs until it is stopped", "--budget N or --time SECONDS")


def _oracles(parts: Parts) -> Iterator[tuple[Finding, float]]:
    """Yield what each oracle says of known designs, and its seconds a design."""
    known = parts.task.examples[:2]
    for oracle in parts.objective.oracles if known else ():
        call(oracle, known[:1])  # workers start, and models load, once
        started = time.perf_counter()
        answer = call(oracle, known)
        seconds = (time.perf_counter() - started) / len(known)
        lost = [row for row in range(len(known)) if row in answer.errors]
        values = [
            f"{name} {values[0]:.4g}" for name, values in answer.columns.items() if len(values)
        ]
        nothing = all(np.isnan(v).all() for v in answer.columns.values())
        said = f"{len(known) - len(lost)} of {len(known)} known designs measured"
        said += f", {1e3 * seconds:.1f} ms each; {known[0].text}: {', '.join(values)}"
        why = answer.errors[lost[0]] if lost else "it returned NaN"
        remedy = f"it said: {why}; `designer score` tries it alone" if lost or nothing else ""
        yield Finding(f"oracle {oracle.name}", said, remedy), seconds


def _cost(parts: Parts, seconds: float) -> Finding:
    """Return how long the oracles alone will take, where a budget says how often they run."""
    s, workers = parts.settings, parts.machine.workers
    if s.budget is None:
        return Finding("oracle time", f"{seconds * 1e3:.1f} ms a design on one process")
    total = s.budget * seconds / workers
    about = f"{total / 3600:.1f} h" if total > 3600 else f"{total:.1f} s"
    told = f"{s.budget:,} designs take about {about} of oracles at {workers} at a time"
    long = total > 24 * 3600 and workers == 1
    return Finding("oracle time", told, "add --workers N" if long else "")
