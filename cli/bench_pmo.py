"""`designer bench pmo`: benchmark tasks at a hard budget, judged as PMO judges them.

One configuration for all tasks, every call counted, nothing scored beside the budget. Beside the
AUC of the ten best: how alike the hundred best are, how hard to make, and how many pass the
basic filters of `oracles.filters`.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.build import build
from cli.options import Options
from cli.presets import aim, molecule
from cli.session import apply
from designer import config
from designer.errors import InputError
from designer.store import Store
from oracles.filters import Filters
from oracles.sa import sa_score
from oracles.suites import auc_top, chosen, diversity, guacamol_score, suites

COLUMNS = ("auc_top10", "guacamol", "top1", "top10", "top100", "diversity", "sa", "passing")
TIMES = ("seconds", "processor")  # by the clock, and of all cores of this process
TOP = 100


def bench_pmo(
    tasks: Sequence[str], seeds: int, budget: int, campaign: Path | str | None, options: Options
) -> None:
    """Run every task with every seed and print a row each, their means and the sum of these.

    `campaign` is a file, or the name of a preset; None takes what `designer molecule` runs.
    """
    names = chosen(tasks or ["pmo20"])
    if budget < 1:
        raise InputError(f"budget is {budget}, expected at least 1 call")
    rows = []
    for name in names:
        for seed in range(options.seed or 0, (options.seed or 0) + seeds):
            rows.append(one(name, seed, budget, campaign, options))
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    means = [_mean(name, [row for row in rows if row["task"] == name]) for name in names]
    total = sum(row["auc_top10"] for row in means)
    if options.as_json:
        whole = {"budget": budget, "seeds": seeds, "runs": rows, "means": means, "sum": total}
        print(json.dumps(whole))
        return
    print(f"{budget:,} calls, {seeds} seeds, means; AUC of the ten best as PMO defines it")
    print("task".ljust(26) + "".join(column.rjust(11) for column in (*COLUMNS, *TIMES)))
    for row in means:
        figures = [f"{row[column]:.3f}" for column in COLUMNS]
        figures += [f"{row[column]:.0f}" for column in TIMES]
        print(row["task"].ljust(26) + "".join(figure.rjust(11) for figure in figures))
    print(f"{'sum':26}{total:11.3f}")


def one(
    task: str, seed: int, budget: int, campaign: Path | str | None, options: Options
) -> dict[str, Any]:
    """Return the figures of one run."""
    if isinstance(campaign, Path):
        document = config.load(campaign)
        aim(document, task, "--tasks")
    else:
        document, _ = molecule(task, preset=campaign)
    apply(document, options)
    document.override(("campaign", "seed"), seed, "--seed")
    document.override(("campaign", "budget"), budget, "--budget")
    parts = build(document, allow_plugins=options.allow_plugins)
    if all(oracle.cheap for oracle in parts.objective.oracles):
        raise InputError(
            f"task {task!r} is cheap, so its calls are not written down and make no curve; take "
            "one that is not: qed, logp, or an objective (`designer list objectives`)"
        )
    if any(not table.cheap for table in parts.objective.penalty_oracles):
        raise InputError("a paid penalty would add calls that are not counted; leave it out")
    started = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "campaign.sqlite")
        result = parts.campaign(store).run()
        judged = [(row.text, row.columns.get(task, math.nan)) for row in store.evaluations()]
        store.close()
    figures = summary(judged, budget, task)
    facts = {"task": task, "seed": seed, "calls": result.evaluations, "stopped": result.stopped}
    ended = time.monotonic(), time.process_time()
    times = {name: b - a for name, a, b in zip(TIMES, started, ended, strict=True)}
    return facts | figures | times


def summary(judged: Sequence[tuple[str, float]], budget: int, task: str = "") -> dict[str, float]:
    """Return the figures of molecules and scores in the order in which they were judged.

    A call that failed counts, with a score of 0: PMO has it so.
    """
    from tasks.molecules.design import Molecule

    scores = [0.0 if math.isnan(score) else score for _, score in judged]
    whole = sorted(zip(scores, (text for text, _ in judged), strict=True), reverse=True)
    ranked = whole[:TOP]
    tops = suites()["guacamol"]["own"].get(task, suites()["guacamol"]["tops"])
    mols = [Molecule(text).mol for _, text in ranked]
    best = [score for score, _ in ranked]
    filters = Filters()
    return {
        "auc_top10": auc_top(scores, budget),
        "guacamol": guacamol_score(_flat(whole, max(tops)), tops),
        "top1": statistics.fmean(best[:1]),
        "top10": statistics.fmean(best[:10]),
        "top100": statistics.fmean(best),
        "diversity": diversity(mols),
        "sa": statistics.fmean(sa_score(mol) for mol in mols),
        "passing": statistics.fmean(filters.failed(mol) is None for mol in mols),
    }


def _flat(ranked: Sequence[tuple[float, str]], most: int) -> list[float]:
    """Return the best scores of molecules that differ in more than stereo marks."""
    from rdkit import Chem

    found: dict[str, float] = {}
    for score, text in ranked:
        if len(found) == most:
            break
        found.setdefault(Chem.MolToSmiles(Chem.MolFromSmiles(text), isomericSmiles=False), score)
    return list(found.values())


def _mean(task: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over seeds, and the deviation of the AUC where there are several."""
    mean: dict[str, Any] = {"task": task}
    mean |= {column: statistics.fmean(row[column] for row in rows) for column in (*COLUMNS, *TIMES)}
    if len(rows) > 1:
        mean["auc_deviation"] = statistics.stdev(row["auc_top10"] for row in rows)
    return mean


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['task']} seed {row['seed']}: AUC top-10 {row['auc_top10']:.4f}, best "
        f"{row['top1']:.4f}, {row['calls']:,} calls in {row['seconds']:.0f} s ({row['stopped']})"
    )
