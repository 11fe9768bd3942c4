"""`designer bench estimators`: every member of the family on small problems, at equal oracle calls.

No search in the loop and no replay: what is compared is what the gradient alone finds. The same
policy, batches, budget and seeds for all; only the `[learner]` table differs.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from cli.build import build
from cli.options import Options
from designer import config
from designer.config import Document
from designer.errors import InputError, nearest

TASKS: dict[str, dict[str, Any]] = {
    "folding": {
        "campaign": {"batch_size": 128, "budget": 5000},
        "task": {"kind": "folding", "sequence": "HPHPPHHPHPPHPHHPPHPH"},
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


def bench_estimators(tasks: str, only: Sequence[str], seeds: int, options: Options) -> None:
    """Run the members on the tasks; print medians and spreads over the seeds, as Markdown."""
    chosen = [name.strip() for name in tasks.split(",") if name.strip()] or list(TASKS)
    for name in chosen:
        if name not in TASKS:
            raise InputError(f"unknown task {name!r} for this benchmark; {nearest(name, TASKS)}")
    names = _members(only)
    torch.set_num_threads(1)
    rows = []
    for task in chosen:
        for name in names:
            first = options.seed or 0
            row = measure(task, name, range(first, first + seeds))
            rows.append(row)
            if not options.as_json:
                if len(rows) == 1:
                    print("| task | member | best: median (least to most) | last mean | s |")
                    print("| --- | --- | --- | --- | --- |")
                print(_line(row), flush=True)
            print(f"{task}: {name}", file=sys.stderr)
    if options.as_json:
        print(json.dumps(rows))


def measure(task: str, member: str, seeds: Sequence[int], **campaign: Any) -> dict[str, Any]:
    """Return what one member finds on one task: the best reward and the last batches' mean."""
    best, last, started = [], [], time.monotonic()
    for seed in seeds:
        found = _run(document(task, member, seed, **campaign))
        best.append(found[0])
        last.append(found[1])
    return {
        "task": task,
        "member": member,
        "best": best,
        "last": last,
        "seconds": (time.monotonic() - started) / len(best),
    }


def document(task: str, member: str, seed: int, **campaign: Any) -> Document:
    """Return the campaign of one run."""
    base, learner = TASKS[task], MEMBERS[member]
    # a policy that has collapsed repeats itself for nothing: it gets so many batches, no more
    steps = 2 * base["campaign"]["budget"] // base["campaign"]["batch_size"]
    rate = {} if learner.get("kind") == "natural" else {"lr": LR}
    data = {
        "campaign": {**base["campaign"], "steps": steps, "seed": seed, **campaign},
        "machine": {"device": "cpu"},
        "task": dict(base["task"]),
        "policy": {"hidden": 32},
        "learner": {**rate, **learner},
        "objective": [dict(entry) for entry in base["objective"]],
    }
    return config.Document(data, f"{task}, {member}")


def _run(document: Document) -> tuple[float, float]:
    """Return the best reward, and the mean reward of the last five batches."""
    campaign = build(document).campaign()
    means: list[float] = []
    result = campaign.run(on_step=lambda metrics: means.append(metrics["reward"]))
    best = max((found.reward for found in result.best), default=float("nan"))
    return best, statistics.fmean(means[-5:])


def _members(only: Sequence[str]) -> list[str]:
    for name in only:
        if name not in MEMBERS:
            raise InputError(f"unknown member {name!r}; {nearest(name, MEMBERS)}")
    return list(only) or list(MEMBERS)


def _line(row: dict[str, Any]) -> str:
    best, last = row["best"], row["last"]
    spread = f"{statistics.median(best):.4f} ({min(best):.4f} to {max(best):.4f})"
    return (
        f"| {row['task']} | {row['member']} | {spread} | {statistics.median(last):.4f} | "
        f"{row['seconds']:.1f} |"
    )
