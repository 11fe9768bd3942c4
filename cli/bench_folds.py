"""`designer bench samples | ablation | design`: what sampling alone reaches, and what adds to it.

`samples` folds each sequence by `data/campaigns/fold_samples.toml`: the policy's own samples and
their replay, nothing else. `ablation` changes one thing of REINFORCE at a time, at an equal number
of energies computed. `design` solves targets by `fold_design.toml`, drawn by `--seed` from all
structures of a length that some sequence has as its only ground state.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cli.bench_folding import Problem, Progress, problems
from cli.build import build
from cli.options import Options
from cli.presets import shipped
from cli.session import apply
from designer.campaign import Campaign
from designer.config import Document
from designer.errors import InputError
from tasks.folding.design import parse_fold
from tasks.folding.energy import matrix_named
from tasks.folding.maps import designed_by_all, fold_with, maps_of
from tasks.folding.recheck import recheck

Changes = Mapping[str, Any]
ROOMY: Changes = {  # beside `fold_samples.toml`, where a residue has more than four neighbours
    "task.grow": "start", "task.compact": 0.0, "task.cores": 2,
    "learner.sigma": 80.0, "campaign.restart": 100,
}  # fmt: skip
SAMPLED = ("2D-20A", "2D-20B", "2D-24", "2D-25", "2D-36", "2D-48", "2D-50")
ABLATED = ("2D-36", "2D-48", "3D-Harvard1", "TRI-36")
PLAIN: Changes = {  # what `ablation` changes: `fold_samples.toml` by REINFORCE
    "learner.kind": "reinforce", "learner.entropy": 0.02, "campaign.rounds": 1,
    "campaign.restart": 0, "task.grow": "start", "task.compact": 0.0, "learner.sampled": True,
}  # fmt: skip
VARIANTS: dict[str, Changes | None] = {  # beside PLAIN; None: the file as it is
    "plain": {},
    "as shipped": None,
    "no look-ahead": {"task.lookahead": False},
    "no symmetry breaking": {"task.symmetric": False},
    "no elites": {"campaign.replay": 0},
    "potential": {"learner.shaping": 1.0},
    "compact cores": {"task.compact": 0.5},
    "led through cores": {"task.cores": 2},
    "from the end": {"task.grow": "end"},
    "from the middle": {"task.grow": "middle"},
    "risk-seeking": {"learner.kind": "risk_seeking"},
    "ppo": {"learner.kind": "ppo"},
    "newest of equals": {"campaign.newest": True},
    "enrichment": {"campaign.proposals": 32, "task.search": "enrichment"},
    "replica exchange": {"campaign.proposals": 32},
    "batched search": {"campaign.proposals": 32, "task.search": "batched", "task.search_steps": 50},
    "taught prior": {"prior.run": "folds_{}", "policy.hidden": 128},  # as it was taught
    "taught prior, ppo": {"prior.run": "folds_{}", "policy.hidden": 128, "learner.kind": "ppo"},
}  # fmt: skip
TARGETS = 100  # of a length, unless all of them are asked for


def bench_samples(options: Options, only: Sequence[str], seeds: int, folds: int) -> None:
    """Fold each sequence once a seed with at most so many samples, and print a row each."""
    rows = []
    for problem in problems(only or SAMPLED):
        for seed in _seeds(options, seeds):
            document = _document(problem, options, seed, {"campaign.steps": folds}, _own(problem))
            rows.append({"name": problem.name, "seed": seed} | _sampled(document, problem, folds))
            _tell(rows[-1])
    _report(rows, options)


def bench_ablation(options: Options, only: Sequence[str], seeds: int, energies: int) -> None:
    """Fold each sequence in each variant with so many energies, and print the means."""
    rows = []
    for problem in problems(only or ABLATED):
        for name, own in VARIANTS.items():
            reached = []
            for seed in _seeds(options, seeds):
                document = _varied(own, problem, options, seed, energies)
                found = _sampled(document, problem, sys.maxsize)
                reached.append(found["reached"])
            mean = round(statistics.fmean(reached), 2)
            rows.append({"name": problem.name, "variant": name, "mean": mean, "each": reached})
            _tell(rows[-1])
    _report(rows, options)


def _own(problem: Problem) -> Changes:
    """Return what `fold_samples.toml` is on the problem's lattice."""
    return {} if problem.lattice == "square" else ROOMY


def _varied(
    variant: Changes | None, problem: Problem, options: Options, seed: int, most: int
) -> Document:
    """Return what one of `VARIANTS` is, limited to so many energies."""
    limits = {"campaign.budget": most, "campaign.steps": 1_000_000}
    if variant is None:
        return _document(problem, options, seed, limits, _own(problem))
    changes = {**PLAIN, **variant, **limits}
    if "prior.run" in changes:
        changes["prior.run"] = changes["prior.run"].format(problem.lattice)
    return _document(problem, options, seed, changes, {})


def bench_design(options: Options, only: Sequence[str], budget: int, whole: bool) -> None:
    """Design a sequence for each target of these lengths, and print what part was solved."""
    rows = []
    for text in only or ("16",):
        if not text.isdigit():
            raise InputError(f"--only {text!r}: expected the length of the targets, such as 16")
        maps = maps_of(int(text))
        places = sorted(designed_by_all(maps.length))
        if not whole and len(places) > TARGETS:
            drawn = np.random.default_rng(options.seed or 0)
            places = sorted(drawn.choice(places, TARGETS, replace=False).tolist())
        calls, missed, before = [], [], time.process_time()
        for place in places:
            target = fold_with(maps, maps.words[place]).letters
            spent = _designed(target, options, budget)
            _tell({"target": target, "judged": spent})
            missed += [target] if spent is None else []
            calls += [] if spent is None else [spent]
        rows.append(
            {
                "residues": maps.length, "targets": len(places), "solved": len(calls),
                "mean": round(statistics.fmean(calls), 1) if calls else None,
                "median": statistics.median(calls) if calls else None,
                "most": max(calls, default=None), "missed": missed,
                "processor": round(time.process_time() - before, 1),
            }
        )  # fmt: skip
        _tell(rows[-1])
    _report(rows, options)


def _designed(target: str, options: Options, budget: int) -> int | None:
    """Return the judgements it took to design for the target, None where it was not solved."""
    document = shipped("fold_design")
    document.override(("task", "target"), target, "bench")
    document.override(("campaign", "budget"), budget, "bench")
    apply(document, options)
    result = build(document).campaign().run()
    return result.evaluations if result.stopped == "target" else None


def _seeds(options: Options, seeds: int) -> range:
    first = options.seed or 0
    return range(first, first + seeds)


def _document(
    problem: Problem, options: Options, seed: int, changes: Changes, base: Changes
) -> Document:
    """Return the file with `base`, then with `--set`, then with what is measured or compared."""
    document = shipped("fold_samples")
    _override(document, base)
    apply(document, options)
    given = {
        "task.sequence": problem.sequence, "task.lattice": problem.lattice,
        "task.target_energy": problem.energy, "campaign.seed": seed,
    }  # fmt: skip
    _override(document, {**given, **changes})
    return document


def _override(document: Document, changes: Changes) -> None:
    for name, value in changes.items():
        document.override(tuple(name.split(".")), value, "bench")


def _sampled(document: Document, problem: Problem, folds: int) -> dict[str, Any]:
    """Run a campaign of at most so many samples; its best fold is scored again from its letters."""
    campaign = build(document).campaign()
    size = campaign.settings.batch_size
    progress = Progress(problem.name, campaign.settings.seed, math.inf)
    result = campaign.run(
        on_step=progress.told,
        stop=lambda: "steps" if (campaign.steps + 1) * size > folds else None,
    )
    energy = min((_energy(found.design, problem) for found in result.best[:1]), default=0.0)
    return {
        "best_known": problem.energy, "reached": energy, "folds": campaign.steps * size,
        "found_at": _found_at(campaign), "energies": result.evaluations,
        "processor": round(progress.busy, 1),
    }  # fmt: skip


def _found_at(campaign: Campaign) -> int:
    """Return how many folds were sampled until the best one was found."""
    best = campaign.archive.best[:1]
    return (best[0].step + 1) * campaign.settings.batch_size if best else 0


def _energy(letters: str, problem: Problem) -> float:
    fold = parse_fold(letters, problem.sequence, problem.lattice)
    return recheck(fold, matrix_named("hp"))


def _tell(row: Mapping[str, Any]) -> None:
    print(json.dumps(row), file=sys.stderr, flush=True)


def _report(rows: Sequence[Mapping[str, Any]], options: Options) -> None:
    if options.as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
