"""One campaign from its document to its results: every command that searches goes this way."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from cli import output, pareto
from cli.build import Parts, build
from cli.credit import by_part, credit_lines
from cli.kinds import aside
from cli.options import Options
from cli.progress import watch
from cli.signals import Overdue, stopping
from designer import config, toml
from designer.campaign import Campaign
from designer.config import Document
from designer.ending import Result
from designer.errors import DesignerError, InputError, Interrupted, OracleError
from designer.laboratory import Laboratory
from designer.objective import Objective
from designer.protocols import Task
from designer.rundir import RunDirectory, differences, refuse
from oracles.pool import Parallel


def apply(document: Document, options: Options) -> None:
    """Write what the command line said over what the document says."""
    given: dict[str, tuple[str, str, Any]] = {
        "--seed": ("campaign", "seed", options.seed),
        "--budget": ("campaign", "budget", options.budget),
        "--time": ("campaign", "time", options.time),
        "--grace": ("campaign", "grace", options.grace),
        "--device": ("machine", "device", options.device),
        "--workers": ("machine", "workers", options.workers),
    }
    for place, (table, key, value) in given.items():
        if value is not None:
            document.override((table, key), value, place)
    for text in options.assignments or []:
        path, value = config.assignment(text)
        document.override(path, value, f"--set {text}")


def start(document: Document, options: Options) -> None:
    """Run a new campaign and print what it found."""
    apply(document, options)
    parts = build(document, allow_plugins=options.allow_plugins)
    refuse_people(parts.objective, document.name)
    refuse_classless(parts.task, options)
    if not options.quiet:
        for note in parts.task.notes:
            print(note, file=sys.stderr)
    with create(document, parts, options) as run:
        campaign = parts.campaign(run.store)
        try:
            search(campaign, run, options)
        except InputError:
            if campaign.steps == campaign.meter.spent == 0:
                run.withdraw()  # so that the corrected campaign can go there
            raise


def resume(path: Path, options: Options) -> None:
    """Continue the campaign of a run directory; limits may be raised."""
    with RunDirectory.reopen(path) as run:
        campaign = reopened(run, options)
        refuse_people(campaign.objective, str(path))
        search(campaign, run, options)


def report_on(path: Path, options: Options) -> None:
    """Print what a run found so far, and write its exports again."""
    with RunDirectory.reopen(path) as run:
        campaign = reopened(run, options)
        idle = "waiting" if asks_people(campaign.objective) else "interrupted"
        reason = campaign.finished() or idle
        report(campaign, run, campaign.result(reason), options)


def refuse_people(objective: Objective, name: str) -> None:
    """Raise InputError where people measure: such a campaign is asked and told, not run."""
    if asks_people(objective):
        raise InputError(
            f"{name}: its designs are measured by people; use `designer ask {name} N`, then "
            "`designer tell DIR RESULTS.csv`"
        )


def refuse_classless(task: Task, options: Options) -> None:
    """Raise InputError where --diverse is asked for of designs whose classes have no name."""
    if options.diverse and not task.bucket_name:
        raise InputError(f"--diverse: task {task.name} names no classes of designs; leave it out")


def asks_people(objective: Objective) -> bool:
    """Return whether one of the oracles is a laboratory."""
    return any(isinstance(oracle, Laboratory) for oracle in objective.oracles)


def create(document: Document, parts: Parts, options: Options) -> RunDirectory:
    """Return a new run directory that holds the resolved campaign file."""
    document.override(("machine", "device"), str(parts.device), "resolved")
    path = options.out or _fresh_path(parts.task.name)
    for oracle in [*parts.objective.oracles, *parts.objective.penalty_oracles]:
        for file in getattr(oracle, "files", ()):
            document.files.setdefault(f"{oracle.name} file {file}", file)
    facts: dict[str, Any] = {"seed": parts.settings.seed, "device": str(parts.device)}
    facts |= {"task": parts.task.name, "biased": parts.biased}
    text = toml.dump(document.data)
    return RunDirectory.create(path, text, document.files, **facts)


def reopened(run: RunDirectory, options: Options) -> Campaign:
    """Return the campaign of a run directory, at its last checkpoint."""
    document = config.load(run.path / "campaign.toml")
    before = toml.dump(document.data)
    apply(document, options)
    refuse(differences(before, toml.dump(document.data)), f"{run.path}: --set")

    campaign = build(document, allow_plugins=options.allow_plugins).campaign(run.store)
    refuse_classless(campaign.task, options)
    state = run.load()
    if state is not None:
        campaign.restore(state)
    else:
        campaign.meter.adopt()
    return campaign


def search(campaign: Campaign, run: RunDirectory, options: Options) -> None:
    """Search until something says stop; print, and raise what decides the exit code."""

    def save() -> None:
        run.save(campaign.state())

    before = campaign.steps
    failure: DesignerError | None = None
    grace = campaign.settings.grace
    with stopping(grace) as stop, watch(campaign.settings, quiet=options.quiet) as watcher:
        try:
            with aside():
                result = campaign.run(on_step=watcher, stop=stop, save=save)
        except OracleError as problem:
            result, failure = campaign.result("failed"), problem
        except torch.OutOfMemoryError as problem:
            result, failure = campaign.result("interrupted"), out_of_memory(problem, run)
        except Overdue:
            result = campaign.result("interrupted")
            failure = Interrupted(
                f"interrupted in a step that did not end within {grace:g} s; what was measured "
                f"is kept, and `{again(run, options)}` does the step again"
            )
        finally:
            dismiss(campaign.objective)
    report(campaign, run, result, options)
    if failure is not None:
        raise failure
    if 0 < before == campaign.steps and result.stopped in ("budget", "time", "steps"):
        option = "--set campaign.steps=N" if result.stopped == "steps" else f"--{result.stopped} N"
        print(
            f"that limit was met before; raise it: {again(run, options)} {option}",
            file=sys.stderr,
        )
    if result.stopped == "interrupted":
        raise Interrupted(f"interrupted; `{again(run, options)}` continues")


def again(run: RunDirectory, options: Options) -> str:
    """Return the command that goes on with a run."""
    return f"designer resume {run.path}{' --allow-plugins' if options.allow_plugins else ''}"


def out_of_memory(problem: BaseException, run: RunDirectory) -> Interrupted:
    """Return what is said where the GPU's memory does not do, not even for one row at a time."""
    said = str(problem).partition("\n")[0][:150]
    return Interrupted(
        f"the GPU ran out of memory ({said}); the last checkpoint is intact: free some of it, or "
        f"take a larger one, and `designer resume {run.path}`; --device cpu goes on without it"
    )


def dismiss(objective: Objective) -> None:
    """End the worker processes; a later call would start new ones."""
    for oracle in [*objective.oracles, *objective.penalty_oracles]:
        if isinstance(oracle, Parallel):
            oracle.close()


def report(campaign: Campaign, run: RunDirectory, result: Result, options: Options) -> None:
    """Write the run's exports and print its results."""
    task, told_by_task = campaign.task, None
    if task.tell is not None and result.best:
        told_by_task = task.tell(result.best, result.front)
        result = replace(result, best=told_by_task.best, front=told_by_task.front)
    shown = output.leading(task, result.best, options.top, diverse=options.diverse)
    output.write_files(task, result, run, shown, told_by_task)
    told = pareto.write(campaign, run)
    if told is not None and not options.quiet:
        print(told, file=sys.stderr)
    lost, why = run.store.unmeasured()
    if lost and not options.quiet:
        print(
            f"{lost:,} of {result.evaluations:,} evaluations gave no value (the last: {why}); "
            "nothing was learned from them, and campaign.sqlite says why of each",
            file=sys.stderr,
        )
    credit = by_part(campaign, shown)
    if options.as_json:
        found = output.as_object(task, result, run.path, told_by_task)
        found |= {"credit": credit} if credit else {}
        print(json.dumps(found, allow_nan=False))
    else:
        print(output.as_text(task, result, run.path, shown, told_by_task))
        for line in credit_lines(credit):
            print(line)


def _fresh_path(task: str) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{task}-{moment}-{secrets.token_hex(2)}"
