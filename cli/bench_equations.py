"""`designer bench equations`: which laws of the published suites are found, and how fast.

Each case is sampled, written as a CSV and searched by the shipped campaign, with nothing but the
suite's own token set changed, for so many processor seconds. A law counts as recovered by its
form (see `bench_equations_same`), not by its error, and only where it is what is recommended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cli.bench_equations_cases import Case, chosen
from cli.bench_equations_runs import Outcome, Setting, run, run_operon, warm_up
from cli.kept import keep, read
from cli.options import Options
from cli.output import number

OURS, PEER = "designer", "pyoperon"
_ROUNDING = 1e-12  # of 1 - R2: what is better than this is equally good


@dataclass(frozen=True)
class Plan:
    """Which cases, how often, and how they are asked for."""

    suites: tuple[str, ...] = ("nguyen",)
    only: tuple[str, ...] = ()
    every: int = 1
    offset: int = 0
    points: int | None = None
    seeds: int = 1
    setting: Setting = field(default_factory=Setting)
    peers: bool = False  # whether pyoperon is run beside
    kept: Path | None = None  # file of runs; only others are made
    ablate: bool = False  # whether parts are switched off, one at a time


@dataclass(frozen=True)
class Row:
    """A run: who searched, for what, how, and what came of it."""

    who: str
    suite: str
    case: str
    seed: int
    setting: Setting
    points: int
    outcome: Outcome

    @property
    def key(self) -> str:
        """Equal for the same run."""
        return _key(self.who, self.suite, self.case, self.seed, self.points, self.setting)


def bench(plan: Plan, options: Options) -> None:
    """Run the cases of the suites and print a line each, then what was recovered of each suite.

    The suite `speed` measures the evaluator instead.
    """
    if plan.suites == ("speed",):
        from cli.bench_speed import speed

        return speed()
    if plan.ablate:
        from cli.bench_equations_ablation import ablate

        return ablate(plan, options)
    cases = chosen(plan.suites, plan.only, plan.every, plan.offset, plan.points)
    whos = (OURS, PEER) if plan.peers else (OURS,)
    rows = []
    for row in made(cases, whos, [plan.setting], plan, options):
        rows.append(row)
        if not options.as_json:
            print(line(row), flush=True)
    if options.as_json:
        told = {"summary": summary(rows), "runs": [described(row) for row in rows]}
        print(json.dumps(told, allow_nan=False))
        return
    for text in [*lines(summary(rows)), *beside(rows)]:
        print(text)


def made(
    cases: Sequence[Case],
    whos: Sequence[str],
    settings: Sequence[Setting],
    plan: Plan,
    options: Options,
) -> Iterator[Row]:
    """Yield every run, those of the file `kept` without making them again; new ones are kept."""
    torch.set_num_threads(1)
    known = {row.key: row for row in read(plan.kept, _row)}
    first, warm = options.seed or 0, False
    for setting in settings:
        for case in cases:
            for seed, who in ((s, w) for s in range(first, first + plan.seeds) for w in whos):
                key = _key(who, case.suite, case.name, seed, case.points, setting)
                if key not in known:
                    if not warm:
                        warm_up(case, options)
                        warm = True
                    known[key] = _made(who, case, seed, setting, options)
                    keep(plan.kept, asdict(known[key]))
                yield known[key]


def _made(who: str, case: Case, seed: int, setting: Setting, options: Options) -> Row:
    ours = who == OURS
    outcome = run(case, seed, setting, options) if ours else run_operon(case, seed, setting)
    return Row(who, case.suite, case.name, seed, setting, case.points, outcome)


def described(row: Row) -> dict[str, Any]:
    """Return a run as JSON can hold it: null where a number is not finite."""
    outcome = asdict(row.outcome).items()
    return asdict(row) | {
        "outcome": {name: number(v) if isinstance(v, float) else v for name, v in outcome}
    }


def line(row: Row) -> str:
    """Return what a person reads of one run."""
    o = row.outcome
    mark = "recovered" if o.recovered else "on the front" if o.front else "not found"
    mark = "other form" if o.exact and not o.front else mark
    mark = mark if row.who == OURS else ""  # a peer with numbers of seven digits is not judged
    return (
        f"{row.who:8s} {row.case:14s} seed {row.seed}  {mark:12s} {o.seconds:6.1f} s "
        f"{o.evaluations:9,d} evaluations  size {o.size:2d}  nmse {o.nmse:.1e}  "
        f"1-R2 {1 - o.r2:.1e}  {o.found}"
    )


def summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what each of those who searched recovered of each suite."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for row in rows:
        groups.setdefault((row.suite, row.who), []).append(row.outcome)
    return [
        {
            "suite": suite,
            "who": who,
            "runs": len(some),
            "recovered": sum(o.recovered for o in some),
            "front": sum(o.front for o in some),
            "seconds": float(np.median([o.seconds for o in some])),
            "evaluations": float(np.median([o.evaluations for o in some])),
            "accurate": sum(o.r2 > 0.999 for o in some),
            "size": float(np.median([o.size for o in some])),
        }
        for (suite, who), some in groups.items()
    ]


def lines(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return a summary as a Markdown table."""
    head = ["| suite | who | recovered | on the front | median s | R2 > 0.999 | median size |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    out = []
    for s in found:
        share = f"{s['recovered']} of {s['runs']} ({s['recovered'] / s['runs']:.1%})"
        form = f"{share} | {s['front']}" if s["who"] == OURS else "not judged |"
        out.append(f"| {s['suite']} | {s['who']} | {form} | {s['seconds']:.1f} | {s['accurate']} | "
                   f"{s['size']:g} |")  # fmt: skip
    return head + out


def beside(rows: Sequence[Row]) -> list[str]:
    """Return how the fits compare with the peer's, case by case; nothing where it did not run."""
    pairs: dict[tuple[str, str, int], dict[str, Outcome]] = {}
    for row in rows:
        pairs.setdefault((row.suite, row.case, row.seed), {})[row.who] = row.outcome
    both = [(p[OURS], p[PEER]) for p in pairs.values() if len(p) == 2]
    if not both:
        return []
    left = [(max(1 - a.r2, _ROUNDING), max(1 - b.r2, _ROUNDING)) for a, b in both]
    better, same = sum(a < b for a, b in left), sum(a == b for a, b in left)
    sizes = [float(np.median([pair[i].size for pair in both])) for i in (0, 1)]
    return [
        f"of {len(both)} fits ours has the better R2 on held-out points in {better}, the same to "
        f"{_ROUNDING:g} in {same}; median size {sizes[0]:g} against {sizes[1]:g}"
    ]


def _key(who: str, suite: str, case: str, seed: int, points: int, setting: Setting) -> str:
    return json.dumps([who, suite, case, seed, points, asdict(setting)])


def _row(plain: dict[str, Any]) -> Row:
    setting, outcome = plain.pop("setting"), plain.pop("outcome")
    setting |= {name: tuple(setting[name]) for name in ("changes", "plain")}
    return Row(setting=Setting(**setting), outcome=Outcome(**outcome), **plain)
