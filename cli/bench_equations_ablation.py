"""`designer bench equations --ablate`: what each part of the search is worth, on a few laws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from cli.bench_equations import OURS, Plan, made, summary
from cli.bench_equations_cases import cases_of, chosen
from cli.bench_equations_runs import Setting
from cli.options import Options
from designer.errors import InputError

LAWS = (
    "Nguyen-5", "Nguyen-12*", "Livermore-11", "Livermore-14", "R-1", "Jin-1", "Constant-8",
    "I.12.11", "I.15.3t", "II.6.15a", "II.35.21",
)  # fmt: skip
CHANGES: Mapping[str, tuple[str, ...]] = {
    "no constants, where they are allowed": ("task.constants=0",),
    "no evolution": ("task.search=none", "campaign.proposals=0"),
    "nothing made to measure": ("task.measure=false",),
    "no pairs": ("task.pairs=false",),
    "no sums": ("task.sums=false",),
    "no quotients of polynomials": ("task.ratios=false",),
    "no replay": ("campaign.replay=0",),
    "policy not taught": ("learner.lr=1e-30",),
    "poly": ("task.poly=true",),
}


def settings(whole: Setting) -> dict[str, Setting]:
    """Return how the search is asked for in each row of the table, the whole of it first."""
    rows = {"as shipped": whole, "no sharing in the evaluator": replace(whole, plain=("sharing",))}
    for name, changes in CHANGES.items():
        rows[name] = replace(whole, changes=(*whole.changes, *changes))
    return rows | ({"no units": replace(whole, units=False)} if whole.units else {})


def ablate(plan: Plan, options: Options) -> None:
    """Run the laws with each part switched off, and print a row of the table for each."""
    there = {case.name for suite in plan.suites for case in cases_of(suite)}
    only = plan.only or [law for law in LAWS if law in there]
    if not only:
        raise InputError(f"none of the laws of the ablation is in {', '.join(plan.suites)}; name "
                         "some with --only, or add suites")  # fmt: skip
    cases = chosen(plan.suites, only, plan.every, plan.offset, plan.points)
    told, texts = [], []
    for name, setting in settings(plan.setting).items():
        rows = list(made(cases, (OURS,), [setting], plan, options))
        lost = [f"{row.case} ({row.seed})" for row in rows if not row.outcome.recovered]
        found, count = len(rows) - len(lost), len(rows)
        seconds = sum(row.outcome.seconds for row in rows)
        evaluations = sum(row.outcome.evaluations for row in rows)
        told.append({"row": name, "summary": summary(rows), "lost": lost, "seconds": seconds,
                     "evaluations": evaluations})  # fmt: skip
        texts.append(f"| {name} | {found} of {count} | {seconds:.0f} | {evaluations:,d} | "
                     f"{', '.join(lost)} |")  # fmt: skip
        if not options.as_json:
            head = ["| | recovered | seconds | evaluations | not |", "|---|---|---|---|---|"]
            print(*(head if len(texts) == 1 else []), texts[-1], sep="\n", flush=True)
    if options.as_json:
        print(json.dumps(told))
