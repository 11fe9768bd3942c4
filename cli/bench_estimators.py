"""`designer bench estimators`: every member of the family on small problems, at equal oracle calls.

The same policy, batches, budget and seeds for all; only the `[learner]` table differs. On
`folding`, `symbolic` and `molecules` there is no search in the loop and no replay: what is
compared is what the gradient alone finds. `fold`, `equation` and `molecule` are the shipped
campaigns, with all that they do.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cli.build import build
from cli.kept import keep, read
from cli.options import Options
from cli.presets import shipped
from designer import config
from designer.config import Document
from designer.errors import InputError, nearest

CHAIN = "HPHPPHHPHPPHPHHPPHPH"
TASKS: dict[str, dict[str, Any]] = {
    "folding": {
        "campaign": {"batch_size": 128, "budget": 5000},
        "task": {"kind": "folding", "sequence": CHAIN},
        "objective": [{"kind": "energy", "column": "fraction"}],
    },
    "symbolic": {
        "campaign": {"batch_size": 64, "budget": 1000},
        "task": {"kind": "symbolic", "data": "planets", "target": "period_days"},
        "objective": [{"kind": "fit"}],
    },
    "molecules": {
        "campaign": {"batch_size": 32, "budget": 1000},
        "task": {"kind": "molecules"},
        "objective": [{"kind": "qed"}],
    },
}
# what changes of the shipped campaigns, so that a run ends by its count and not by the clock
SHIPPED: dict[str, dict[str, Any]] = {
    "fold": {
        "campaign": {"time": None, "budget": 300_000},
        "task": {"sequence": "PPHPPHHPPHHPPPPPHHHHHHHHHHPPPPPPHHPPHHPPHPPHHHHH"},
    },
    "equation": {"campaign": {"time": None, "budget": 150_000}},
    "molecule": {"campaign": {"budget": 1000}},
}
MEMBERS: dict[str, dict[str, Any]] = {
    "reinforce, no baseline": {"baseline": "none"},
    "running mean": {"baseline": "running_mean"},
    "batch mean": {"baseline": "batch_mean"},
    "leave one out": {},
    "normalised": {"normalise": True},
    "learned value": {"baseline": "critic"},
    "actor-critic": {"kind": "actor_critic"},
    "natural": {"kind": "natural"},
    "ppo": {"kind": "ppo"},
    "grpo": {"kind": "grpo"},
    "dr. grpo": {"kind": "dr_grpo"},
    "risk seeking": {"kind": "risk_seeking"},
    "max@8": {"kind": "max_at_k"},
    "entropic, eta 4 to 1": {"kind": "entropic", "eta_steps": 50},
    "entropic, eta -2": {"baseline": "entropic", "eta": -2.0},
    "robust, KL 0.1": {"kind": "robust"},
    "mean - variance": {"baseline": "mean_variance"},
    "coma, 4 parts": {"kind": "coma"},
    "trajectory balance": {"kind": "trajectory_balance"},
}
LR = 3e-3  # of all that move by Adam: these runs are short
AS_SHIPPED = "as shipped"  # of the shipped campaigns: their own [learner] table
FIGURES = ("last", "calls", "seconds")
HEAD = (
    "| task | member | best: median (least to most) | last mean | calls | s |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def bench_estimators(
    tasks: str, only: Sequence[str], seeds: int, options: Options, kept: Path | None = None
) -> None:
    """Run the members on the tasks; print medians and spreads over the seeds, as Markdown.

    Runs are written into the file `kept` as they end, and those that it holds are not made again.
    """
    chosen = [name.strip() for name in tasks.split(",") if name.strip()] or list(TASKS)
    members = _members(chosen, only)
    torch.set_num_threads(1)
    first = options.seed or 0
    numbers = range(first, first + seeds)
    runs = dict(read(kept, _read))
    rows = []
    for task, name in [(task, name) for task in chosen for name in members]:
        for seed in numbers:
            if (task, name, seed) not in runs:
                found = runs[task, name, seed] = measure(task, name, seed)
                keep(kept, {"task": task, "member": name, "seed": seed, **found})
        rows.append(_row(task, name, [runs[task, name, seed] for seed in numbers]))
        print(f"{task}: {name}", file=sys.stderr)
        if not options.as_json:
            print(*([HEAD] if len(rows) == 1 else []), _line(rows[-1]), sep="\n", flush=True)
    if options.as_json:
        print(json.dumps(rows))


def measure(task: str, member: str, seed: int, **campaign: Any) -> dict[str, float]:
    """Return what one run finds: best reward, mean reward of the last five batches, calls made
    and seconds of the processor."""
    made = build(document(task, member, seed, **campaign)).campaign()
    means: list[float] = []
    started = time.process_time()

    def told(metrics: Mapping[str, float]) -> None:
        if not math.isnan(metrics["reward"]):  # else nothing of that batch was measured
            means.append(metrics["reward"])

    result = made.run(on_step=told)
    return {
        "best": max((found.reward for found in result.best), default=float("nan")),
        "last": statistics.fmean(means[-5:]),
        "calls": result.evaluations,
        "seconds": time.process_time() - started,
    }


def document(task: str, member: str, seed: int, **campaign: Any) -> Document:
    """Return the campaign of one run."""
    if task in SHIPPED:
        return _with_search(task, member, seed, campaign)
    base, learner = TASKS[task], MEMBERS[member]
    # a policy that has collapsed repeats itself for nothing: it gets so many batches, no more
    steps = 2 * base["campaign"]["budget"] // base["campaign"]["batch_size"]
    data = {
        "campaign": {**base["campaign"], "steps": steps, "seed": seed, **campaign},
        "machine": {"device": "cpu"},
        "task": dict(base["task"]),
        "policy": {"hidden": 32},
        "learner": {**({} if learner.get("kind") == "natural" else {"lr": LR}), **learner},
        "objective": [dict(entry) for entry in base["objective"]],
    }
    return config.Document(data, f"{task}, {member}")


def _with_search(task: str, member: str, seed: int, campaign: dict[str, Any]) -> Document:
    """Return a shipped campaign with another `[learner]` table, at the member's own step size."""
    found = shipped(task)
    changes = SHIPPED[task] | {"machine": {"device": "cpu"}}
    changes["campaign"] = {**changes["campaign"], "seed": seed, **campaign}
    for table, values in changes.items():
        held = {**found.data.get(table, {}), **values}
        found.data[table] = {key: value for key, value in held.items() if value is not None}
    if member != AS_SHIPPED:
        found.data["learner"] = dict(MEMBERS[member])
    return found


def _row(task: str, member: str, runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    columns = {name: [run[name] for run in runs] for name in runs[0]}
    return {"task": task, "member": member, **columns}


def _read(run: dict[str, Any]) -> tuple[tuple[str, str, int], dict[str, float]]:
    return (run.pop("task"), run.pop("member"), run.pop("seed")), run


def _members(tasks: Sequence[str], only: Sequence[str]) -> list[str]:
    """Return the members asked for; raises InputError for an unknown one, or an unknown task."""
    known = [*TASKS, *SHIPPED]
    for task in tasks:
        if task not in known:
            raise InputError(f"unknown task {task!r} for this benchmark; {nearest(task, known)}")
    for name in only:
        if name == AS_SHIPPED and set(tasks) <= set(SHIPPED):
            continue
        if name not in MEMBERS:
            raise InputError(f"unknown member {name!r}; {nearest(name, MEMBERS)}")
    return list(only) or list(MEMBERS)


def _line(row: dict[str, Any]) -> str:
    best, middle = row["best"], {name: statistics.median(row[name]) for name in FIGURES}
    spread = f"{statistics.median(best):.4f} ({min(best):.4f} to {max(best):.4f})"
    return (
        f"| {row['task']} | {row['member']} | {spread} | {middle['last']:.4f} | "
        f"{middle['calls']:.0f} | {middle['seconds']:.1f} |"
    )
