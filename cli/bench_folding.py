"""`designer bench folding`: seconds of search to the best-known energy, and proposals a second.

Each sequence is one campaign, as `designer fold` runs it, with one configuration for all. Where
other work runs on the machine, processor seconds say more than the clock; both are told, for the
peers too (`cli.bench_peers`).
"""

from __future__ import annotations

import csv
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import data
from cli.bench_peers import LONGEST_EXACT, Outcome, exact, exchanged, peers
from cli.build import build
from cli.folding import campaign_of
from cli.kept import keep, read
from cli.options import Options
from cli.session import apply
from designer.errors import InputError, nearest
from tasks.folding.design import Fold, parse_fold
from tasks.folding.energy import matrix_named
from tasks.folding.exchange import ReplicaExchange, ready
from tasks.folding.lattices import lattice_named
from tasks.folding.recheck import recheck

SETS = {
    "2d": ("2D-",),
    "harvard": ("3D-Harvard",),
    "triangular": ("TRI-",),
    "fcc": ("FCC-Harvard", "FCC-F90"),
    "cubic": ("3D-2", "3D-36", "3D-46", "3D-48", "3D-50", "3D-58", "3D-60", "3D-64"),
    "long": ("3D-103", "3D-124", "3D-136", "3D-67"),
    "beyond": ("FCC-S1", "FCC-R1"),
}
_EXACT_ON = ("square", "cubic")
_CORES = 2  # that the bars are meant for; searches are limited in processor seconds
_BRIEF = 0.01  # seconds; shorter searches are not told apart


@dataclass(frozen=True)
class Problem:
    """A sequence with its best-known energy, and the seconds it should take on two cores."""

    name: str
    lattice: str
    sequence: str
    energy: float
    bar: float


def bench_folding(
    options: Options,
    only: Sequence[str],
    seeds: int,
    named: Sequence[str],
    stretch: float,
    kept: Path | None = None,
) -> None:
    """Search each sequence once a seed, and print a table.

    A search takes at most `stretch` times its bar, in processor seconds of two cores; a peer as
    many by its own clock. Searches are written into the file `kept` as they end; those that it
    holds are not made again.
    """
    programs, python = peers(named)
    ready()
    runs, found = Runs(kept), []
    for problem in problems(only):
        limit = stretch * _CORES * problem.bar
        first = options.seed or 0
        rows: dict[str, list[Outcome]] = {"ours": [], "peer": [], "exact": []}
        for seed in range(first, first + seeds):
            ours = partial(_ours, problem, seed, options, limit)
            rows["ours"].append(runs.get((problem.name, "ours", seed), ours))
            if problem.lattice in programs:
                theirs = partial(_theirs, programs[problem.lattice], problem, limit, seed)
                rows["peer"].append(runs.get((problem.name, "peer", seed), theirs))
        if python and len(problem.sequence) <= LONGEST_EXACT and problem.lattice in _EXACT_ON:
            asked = partial(exact, python, problem.sequence, problem.lattice)
            rows["exact"].append(runs.get((problem.name, "exact", 0), asked))
        found.append(_row(problem, rows))
        print(json.dumps(found[-1]), file=sys.stderr)
    lattices = dict.fromkeys(problem.lattice for problem in problems(only))
    speeds = {lattice: _speed(lattice, programs.get(lattice)) for lattice in lattices}
    if options.as_json:
        print(json.dumps({"searches": found, "proposals_per_second": speeds}))
    else:
        _print(found, speeds)


class Runs:
    """Searches made so far, one a line in a file, if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._held = dict(read(path, lambda pair: (tuple(pair[0]), Outcome(**pair[1]))))

    def get(self, key: tuple[str, str, int], make: Callable[[], Outcome]) -> Outcome:
        """Return the search of that sequence, program and seed; it is made where it is new."""
        if key not in self._held:
            self._held[key] = made = make()
            keep(self.path, [key, asdict(made)])
        return self._held[key]


def problems(only: Sequence[str]) -> list[Problem]:
    """Return the problems of the named sets, or of these names; raises InputError."""
    with data.path("hp-sequences.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    chosen: list[str] = []
    for name in only or ("2d", "harvard"):
        if name in SETS:
            chosen += [row for row in rows if row.startswith(SETS[name])]
        elif name in rows:
            chosen.append(name)
        else:
            raise InputError(f"unknown sequence {name!r}; {nearest(name, [*SETS, *rows])}")
    return [_problem(rows[name]) for name in dict.fromkeys(chosen)]


def _problem(row: dict[str, str]) -> Problem:
    length, lattice = int(row["length"]), row["lattice"]
    bar = 60.0
    if lattice == "square":
        bar = 5.0 if length <= 64 else 30.0 if length <= 85 else 60.0
    elif row["name"].startswith("3D-Harvard"):
        bar = 20.0
    elif row["name"].startswith(SETS["long"]):
        bar = 900.0
    elif row["name"].startswith(SETS["beyond"]):
        bar = 600.0
    return Problem(row["name"], lattice, row["sequence"], float(row["best_energy"]), bar)


def _ours(problem: Problem, seed: int, options: Options, limit: float) -> Outcome:
    """Run one campaign to the best-known energy; it is scored again from the letters."""
    document = campaign_of(problem.sequence, problem.lattice, "hp", problem.energy, options)
    document.table(("campaign",)).pop("time")
    apply(document, options)
    document.override(("campaign", "seed"), seed, "bench")
    campaign = build(document).campaign()
    progress = Progress(problem.name, seed, limit)
    result = campaign.run(on_step=progress.told, stop=progress.over)
    best = min((_energy(found.design, problem) for found in result.best[:1]), default=math.inf)
    return Outcome(best, result.seconds, progress.busy, result.evaluations)


class Progress:
    """Stops a search at its limit of processor seconds, all threads added up, and tells of it."""

    def __init__(self, name: str, seed: int, limit: float) -> None:
        self.name, self.seed, self.limit = name, seed, limit
        self.began, self.best = time.process_time(), -math.inf

    @property
    def busy(self) -> float:
        """Processor seconds so far."""
        return time.process_time() - self.began

    def told(self, metrics: Mapping[str, float]) -> None:
        """Print one line where the best reward has risen."""
        if metrics["best"] > self.best:
            self.best = metrics["best"]
            row = {"name": self.name, "seed": self.seed, "share_of_bound": self.best}
            counts = {name: int(metrics[name]) for name in ("step", "evaluations")}
            told = row | counts | {"processor": round(self.busy, 1)}
            print(json.dumps(told), file=sys.stderr, flush=True)

    def over(self) -> str | None:
        """Return why to stop now, if so."""
        return "time" if self.busy >= self.limit else None


def _theirs(program: Path, problem: Problem, limit: float, seed: int) -> Outcome:
    given = (problem.sequence, problem.lattice, problem.energy)
    return exchanged(program, *given, limit, seed)[0]


def _energy(letters: str, problem: Problem) -> float:
    found = parse_fold(letters, problem.sequence, problem.lattice)
    return recheck(found, matrix_named("hp"))


def _row(problem: Problem, rows: dict[str, list[Outcome]]) -> dict[str, Any]:
    """Return one line of the table as plain data: medians over the seeds."""
    row: dict[str, Any] = {"name": problem.name, "energy": problem.energy, "bar": problem.bar}
    for who, outcomes in rows.items():
        if outcomes:
            hits = sum(one.energy <= problem.energy for one in outcomes)
            row[who] = {
                "reached": min(one.energy for one in outcomes),
                "hits": f"{hits}/{len(outcomes)}",
                "seconds": round(statistics.median(one.seconds for one in outcomes), 3),
                "processor": round(statistics.median(one.busy for one in outcomes), 3),
                "evaluations": int(statistics.median(one.evaluations for one in outcomes)),
            }
    return row


def _speed(lattice: str, program: Path | None) -> dict[str, float]:
    """Return what one core does with a 48-mer in a processor second, and what the peer does.

    `proposals` are moves tried, `possible` those that the chain can make, whose energy is counted.
    """
    name = {"square": "2D-48", "cubic": "3D-48", "triangular": "TRI-48", "fcc": "FCC-Harvard1"}
    (problem,) = problems([name[lattice]])
    straight = lattice_named(lattice).letters[0] * (len(problem.sequence) - 1)
    ladder = ReplicaExchange().ladder(
        [Fold(problem.sequence, lattice, straight)], np.random.default_rng(0)
    )
    ladder.climb(100_000)  # loads the code
    proposed, computed, before = ladder.proposed, ladder.computed, time.process_time()
    ladder.climb(10_000_000)
    busy = time.process_time() - before
    speeds = {
        "proposals": (ladder.proposed - proposed) / busy,
        "possible": (ladder.computed - computed) / busy,
    }
    if program is not None:
        speeds["peer"] = exchanged(program, problem.sequence, lattice, -1000, 1.0, 0)[1]
    return speeds


def _print(found: list[dict[str, Any]], speeds: dict[str, dict[str, float]]) -> None:
    for row in found:
        parts = [f"{row['name']}  {row['energy']:g}  bar {row['bar']:g} s"]
        for who in ("ours", "peer", "exact"):
            if who in row:
                one = row[who]
                parts.append(
                    f"{who} {one['reached']:g} ({one['hits']}) {one['seconds']} s, "
                    f"processor {one['processor']} s"
                )
        print("; ".join(parts))
    for measure in ("seconds", "processor"):
        ratios = [_ratio(row, measure) for row in found if "peer" in row]
        if ratios:
            print(
                f"our {measure} over the peer's, geometric mean of {len(ratios)}: "
                f"{statistics.geometric_mean(ratios):.2f}"
            )
    for lattice, speed in speeds.items():
        said = ", ".join(f"{who} {value / 1e6:.1f} million" for who, value in speed.items())
        print(f"{lattice}: a processor second of one core: {said}")


def _ratio(row: dict[str, Any], measure: str) -> float:
    """Return ours over the peer's; what takes less than `_BRIEF` counts as that much."""
    ours, theirs = (max(float(row[who][measure]), _BRIEF) for who in ("ours", "peer"))
    return ours / theirs
