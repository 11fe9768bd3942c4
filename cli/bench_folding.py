"""`designer bench folding`: seconds of search to the best-known energy, and proposals a second.

Each sequence is one campaign, as `designer fold` runs it, with one configuration for all. A peer
is a program that takes SEQUENCE KIND TARGET SECONDS REPLICAS COLDEST HOTTEST SEED (kind 2, 3, 6
or 12: square, cubic, triangular, fcc) and prints `best=`, `t_best=` and `prop/s=`.
"""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import data
from cli.build import build
from cli.options import Options
from cli.presets import fold
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
_PEER = {  # kind, replicas, coldest, hottest: as the peer is tuned
    "square": (2, 5, 0.3, 0.5), "cubic": (3, 2, 0.3, 0.44),
    "triangular": (6, 5, 0.3, 0.5), "fcc": (12, 2, 0.3, 0.5),
}  # fmt: skip
_BRIEF = 0.1  # seconds; shorter searches are not told apart


@dataclass(frozen=True)
class Problem:
    """A sequence with its best-known energy, and the seconds it should take."""

    name: str
    lattice: str
    sequence: str
    energy: float
    bar: float


@dataclass(frozen=True)
class Outcome:
    """One search: the energy reached (scored again), wall and processor seconds to its end."""

    energy: float
    seconds: float
    busy: float
    evaluations: int


def bench_folding(
    options: Options, only: Sequence[str], seeds: int, peers: Sequence[str], stretch: float
) -> None:
    """Search each sequence once a seed, for at most `stretch` times its bar, and print a table."""
    rivals = dict(pair for text in peers for pair in _peer(text))
    ready()
    found = []
    for problem in problems(only):
        first = options.seed or 0
        ours = [_ours(problem, seed, options, stretch) for seed in range(first, first + seeds)]
        rival = rivals.get(problem.lattice)
        theirs = [
            _theirs(rival, problem, seed, stretch) for seed in range(first, first + seeds) if rival
        ]
        found.append(_row(problem, ours, theirs))
        print(json.dumps(found[-1]), file=sys.stderr)
    speeds = {lattice: _speed(lattice, rivals.get(lattice)) for lattice in _PEER}
    if options.as_json:
        print(json.dumps({"searches": found, "proposals_per_second": speeds}))
    else:
        _print(found, speeds)


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
    return Problem(row["name"], lattice, row["sequence"], float(row["best_energy"]), bar)


def _ours(problem: Problem, seed: int, options: Options, stretch: float) -> Outcome:
    """Run one campaign to the best-known energy; it is scored again from the letters."""
    document = fold(problem.sequence, problem.lattice, "hp")
    document.override(("task", "target_energy"), problem.energy, "bench")
    document.override(("campaign", "time"), stretch * problem.bar, "bench")
    apply(document, options)
    document.override(("campaign", "seed"), seed, "bench")
    campaign = build(document).campaign()
    before = time.process_time()
    result = campaign.run()
    busy = time.process_time() - before
    best = min((_energy(found.design, problem) for found in result.best[:1]), default=math.inf)
    return Outcome(best, result.seconds, busy, result.evaluations)


def _energy(letters: str, problem: Problem) -> float:
    found = parse_fold(letters, problem.sequence, problem.lattice)
    return recheck(found, matrix_named("hp"))


def _peer(text: str) -> Iterator[tuple[str, Path]]:
    lattices, _, program = text.partition("=")
    path = Path(program)
    if not program or not path.is_file():
        raise InputError(f"--peer {text!r}: expected LATTICE,LATTICE=PROGRAM with a program there")
    for name in lattices.split(","):
        yield lattice_named(name).name, path.absolute()


def _asked(program: Path, sequence: str, lattice: str, rest: Sequence[Any]) -> dict[str, float]:
    kind, replicas, coldest, hottest = _PEER[lattice]
    target, seconds, seed = rest
    command = [program, sequence, kind, target, seconds, replicas, coldest, hottest, seed]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=True
    )
    said = dict(re.findall(r"([\w/]+)=(-?[\d.e+]+)", done.stdout))
    return {name: float(value) for name, value in said.items()}


def _theirs(program: Path, problem: Problem, seed: int, stretch: float) -> Outcome:
    rest = (int(problem.energy), stretch * problem.bar, seed)
    said = _asked(program, problem.sequence, problem.lattice, rest)
    reached = said["best"] <= problem.energy
    seconds = said["t_best"] if reached else stretch * problem.bar
    return Outcome(said["best"], seconds, math.nan, 0)


def _row(problem: Problem, ours: list[Outcome], theirs: list[Outcome]) -> dict[str, Any]:
    """Return one line of the table as plain data."""
    met = [one.energy <= problem.energy for one in ours]
    row = {
        "name": problem.name,
        "energy": problem.energy,
        "reached": min(one.energy for one in ours),
        "hits": f"{sum(met)}/{len(met)}",
        "seconds": round(statistics.median(one.seconds for one in ours), 2),
        "processor": round(statistics.median(one.busy for one in ours), 2),
        "evaluations": int(statistics.median(one.evaluations for one in ours)),
        "bar": problem.bar,
    }
    if theirs:
        hits = sum(one.energy <= problem.energy for one in theirs)
        row["peer_hits"] = f"{hits}/{len(theirs)}"
        row["peer_seconds"] = round(statistics.median(one.seconds for one in theirs), 2)
    return row


def _speed(lattice: str, program: Path | None) -> dict[str, float]:
    """Return proposals a processor second on one core for a 48-mer, ours and the peer's."""
    name = {"square": "2D-48", "cubic": "3D-48", "triangular": "TRI-48", "fcc": "FCC-Harvard1"}
    (problem,) = problems([name[lattice]])
    straight = lattice_named(lattice).letters[0] * (len(problem.sequence) - 1)
    search = ReplicaExchange(steps=4_000_000, ladders=1, threads=1)
    before = time.process_time()
    search([Fold(problem.sequence, lattice, straight)], 1, np.random.default_rng(0))
    speeds = {"ours": 4_000_000 / (time.process_time() - before)}
    if program is not None:
        said = _asked(program, problem.sequence, lattice, (-1000, 2, 0))
        speeds["peer"] = said["prop/s"]
    return speeds


def _print(found: list[dict[str, Any]], speeds: dict[str, dict[str, float]]) -> None:
    for row in found:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    ratios = [
        max(row["seconds"], _BRIEF) / max(row["peer_seconds"], _BRIEF)
        for row in found
        if "peer_seconds" in row
    ]
    if ratios:
        mean = statistics.geometric_mean(ratios)
        print(
            f"our seconds over the peer's, geometric mean of {len(ratios)} (below {_BRIEF} s "
            f"counts as {_BRIEF} s): {mean:.2f}"
        )
    for lattice, speed in speeds.items():
        said = ", ".join(f"{who} {value / 1e6:.1f} million" for who, value in speed.items())
        print(f"{lattice}: proposals a second on one core: {said}")
