"""`designer bench equations`: which laws of the published suites are found, and how fast.

Each case is sampled, written as a CSV and searched by the shipped campaign, with nothing but the
suite's own token set changed. A law counts as recovered by its form (see `same_law`), not by its
error.
"""

from __future__ import annotations

import csv
import json
import math
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cli.build import build
from cli.options import Options
from cli.presets import shipped
from cli.session import apply
from data import path as shipped_data
from designer.errors import InputError, nearest
from designer.protocols import Floats
from tasks.symbolic.expression import Expression
from tasks.symbolic.library import library
from tasks.symbolic.names import safe_names
from tasks.symbolic.parser import parse
from tasks.symbolic.task import is_exact

_SPEC = re.compile(r"([UE])\(([^;]+);([^;]+);(\d+)\)")
_BASE = ("m", "s", "kg", "K", "volt")  # of the exponents in a list of formulas
_DIGITS = 50  # in which two laws are compared
_FITTED = 1e-8  # relative difference that fitted constants may leave


@dataclass(frozen=True)
class Case:
    """One law to be found, with its published token set and sampling."""

    suite: str
    name: str
    formula: str
    operators: str
    constants: int
    variables: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    points: int
    even: bool = False  # evenly spaced instead of random
    units: tuple[str, ...] | None = None  # of the variables, then of the target


@dataclass(frozen=True)
class Outcome:
    """What one search came to."""

    case: str
    seed: int
    recovered: bool
    exact: bool  # the error is at rounding level
    seconds: float
    evaluations: int
    size: int
    nmse: float
    found: str


def bench(
    suite: str,
    seeds: int,
    limit: float,
    only: Sequence[str],
    options: Options,
    with_units: bool = False,
) -> None:
    """Run the cases of a suite and print a line each, then the share that was recovered.

    The suite `speed` measures the evaluator instead.
    """
    if suite == "speed":
        from cli.bench_speed import speed

        return speed()
    cases = [case for case in cases_of(suite) if not only or case.name in only]
    if not cases:
        raise InputError(f"suite {suite!r} has no case {', '.join(only)}")
    done, first = [], options.seed or 0
    for case in cases:
        for seed in range(first, first + seeds):
            outcome = run(case, seed, limit, options, with_units)
            done.append(outcome)
            if not options.as_json:
                print(line(outcome), flush=True)
    share = sum(o.recovered for o in done) / len(done)
    if options.as_json:
        print(json.dumps({"suite": suite, "recovered": share, "runs": [asdict(o) for o in done]}))
    else:
        seconds = float(np.median([o.seconds for o in done]))
        print(f"{suite}: {share:.1%} of {len(done)} runs recovered, median {seconds:.1f} s")


def line(o: Outcome) -> str:
    """Return what a person reads of one run."""
    mark = "recovered" if o.recovered else ("other form" if o.exact else "not found")
    return (
        f"{o.case:14s} seed {o.seed}  {mark:10s} {o.seconds:6.1f} s {o.evaluations:9,d} evaluations"
        f"  size {o.size:2d}  nmse {o.nmse:.1e}  {o.found}"
    )


def cases_of(suite: str) -> list[Case]:
    """Return the cases of a shipped suite, or of a CSV file in the layout of the Feynman list."""
    if suite.endswith(".csv"):
        return list(_listed(Path(suite)))
    with shipped_data("equation-suites.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = list(dict.fromkeys(row["suite"] for row in rows))
    if suite not in known:
        raise InputError(f"unknown suite {suite!r}: {nearest(suite, known)}, or a CSV of formulas")
    return [_shipped(row) for row in rows if row["suite"] == suite]


def sample(case: Case, seed: int) -> tuple[Floats, Floats]:
    """Return x [P, V] and y [P]; rows where the law is not finite are drawn anew."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    low, high = np.array(case.ranges).T
    law = truth(case)
    if case.even:
        x = np.linspace(low, high, case.points)
        return x, law.predict(x)
    x = np.zeros((0, len(low)))
    while len(x) < case.points:
        more = rng.uniform(low, high, size=(case.points, len(low)))
        y = law.predict(more)
        x = np.concatenate([x, more[np.isfinite(y) & (np.abs(y) < 1e30)]])
    x = x[: case.points]
    return x, law.predict(x)


def truth(case: Case) -> Expression:
    """Return the law as an expression."""
    return parse(case.formula, library("all", case.variables, constant=True))


def run(case: Case, seed: int, limit: float, options: Options, with_units: bool = False) -> Outcome:
    """Return what the shipped campaign finds of a case within `limit` seconds."""
    x, y = sample(case, seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.csv"
        np.savetxt(
            file, np.column_stack([x, y]), "%.17g", ",",
            header=",".join([*case.variables, "target"]), comments="",
        )  # fmt: skip
        document = shipped("equation")
        apply(document, options)
        task = {"data": str(file), "target": "target", "operators": case.operators}
        for key, value in {**task, "constants": case.constants}.items():
            document.override(("task", key), value, "the suite")
        if case.units is not None and with_units:
            document.override(("task", "units"), str(_unit_file(case, Path(folder))), "the list")
        document.override(("campaign", "seed"), seed, "--seeds")
        document.override(("campaign", "time"), limit, "--limit")
        campaign = build(document).campaign()
        started = time.perf_counter()
        result = campaign.run()
        seconds = time.perf_counter() - started
    best = result.best[0]
    exact = [f for f in result.front if is_exact(f.scores)]
    chosen = best if not exact or is_exact(best.scores) else exact[0]
    found = campaign.task.parse(chosen.design)
    nmse = float(chosen.scores["nmse"])
    same = same_law(found, truth(case), case)
    size = chosen.complexity
    return Outcome(case.name, seed, same, is_exact(chosen.scores), seconds,
                   result.evaluations, size, nmse, found.infix(6))  # fmt: skip


def same_law(found: Expression, law: Expression, case: Case, points: int = 12) -> bool:
    """Return whether two expressions are one function, by values in fifty digits.

    They are compared at random points of a range that reaches beyond the data. Without fitted
    numbers the difference must vanish to forty digits, which no other law of this size does;
    with them it may be what fitting leaves of their digits.
    """
    import sympy

    mine, theirs = found.sympy(), law.sympy()
    theirs = sympy.nsimplify(theirs, rational=True)
    fitted = bool(mine.atoms(sympy.Float))
    limit = _FITTED if fitted else 1e-40
    names, _ = safe_names(case.variables)  # what the search calls them
    rng, tested = np.random.default_rng(1), 0
    for _ in range(20 * points):
        place = {}
        for own, name, (low, high) in zip(names, case.variables, case.ranges, strict=True):
            width = high - low
            value = rng.uniform(low - 0.2 * width * (low < 0), high + 0.2 * width)
            number = sympy.Rational(round(value * 10**6), 10**6)
            place[sympy.Symbol(name)] = place[sympy.Symbol(own)] = number
        a, b = (_value(e, place) for e in (mine, theirs))
        if b is None:
            continue
        if a is None or abs(a - b) > limit * (abs(a) + abs(b)):
            return False
        tested += 1
        if tested == points:
            return True
    return tested > points // 2


def _value(expression: Any, place: dict[Any, Any]) -> Any:
    """Return the value in fifty digits, None where it is not real and finite."""
    import sympy

    value = sympy.N(expression.subs(place), _DIGITS)
    return value if value.is_real and value.is_finite else None


def _unit_file(case: Case, folder: Path) -> Path:
    """Write the units of a case as `--units` reads them."""
    assert case.units is not None
    names = [*case.variables, "target"]
    lines = ["name,unit"]
    for name, powers in zip(names, case.units, strict=True):
        factors = [f"{b}^{p}" for b, p in zip(_BASE, powers.split(";"), strict=True) if p != "0"]
        lines.append(f"{name},{' '.join(factors) or '1'}")
    file = folder / "units.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _shipped(row: dict[str, str]) -> Case:
    kind, low, high, count = _SPEC.fullmatch(row["points"]).groups()  # type: ignore[union-attr]
    variables = ("x", "y") if re.search(r"\by\b", row["formula"]) else ("x",)
    span = (float(low), float(high))
    return Case(
        row["suite"], row["name"], row["formula"], row["operators"], int(row["constants"]),
        variables, (span,) * len(variables), int(count), kind == "E",
    )  # fmt: skip


def _listed(file: Path) -> Iterator[Case]:
    """Yield the equations of a list: columns name, formula, v1, v1_low, v1_high, v1_units, ..."""
    if not file.exists():
        raise InputError(f"{file}: no such file; give the CSV of formulas")
    with file.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            numbers = [i for i in range(1, 11) if row.get(f"v{i}")]
            names = tuple(row[f"v{i}"] for i in numbers)
            spans = tuple((float(row[f"v{i}_low"]), float(row[f"v{i}_high"])) for i in numbers)
            units = tuple(row.get(f"v{i}_units", "") for i in numbers)
            target = row.get("output_units_m_s_kg_T_V", "")
            known = (*units, target) if target and math.prod(map(len, units)) else None
            yield Case(file.stem, row["name"], row["formula"], "default", 3, names, spans, 200,
                       False, known)  # fmt: skip
