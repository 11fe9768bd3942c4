"""The laws that `bench equations` asks for: published suites, and lists of formulas in a CSV."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data import path as shipped_data
from designer.errors import InputError, nearest
from designer.protocols import Floats
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse

_SPEC = re.compile(r"([UE])\(([^;]+);([^;]+);(\d+)\)")
_BASE = ("m", "s", "kg", "K", "volt")  # of the exponents in a list of formulas
_LISTED = 200  # points of a law that a list names
_DRAWS = 1000  # of as many points as are asked for, before a law counts as undefined
HELD_OUT = 1000  # points that only judge


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


def chosen(
    suites: Sequence[str], only: Sequence[str], every: int, offset: int, points: int | None
) -> list[Case]:
    """Return the cases of some suites: of each, those named `only`, and every so many of them.

    `points` replaces the number of points. Raises InputError for a name that no suite has, and
    where nothing is left.
    """
    lists = [cases_of(suite) for suite in suites]
    known = [case.name for cases in lists for case in cases]
    for name in only:
        if name not in known:
            told = f"no case {name} in the suites {', '.join(suites)}"
            raise InputError(f"--only: {told}; {nearest(name, known)}")
    kept = ([case for case in cases if not only or case.name in only] for cases in lists)
    out = [case for cases in kept for case in cases[offset::every]]
    if not out:
        raise InputError(f"no case from number {offset} on in the suites {', '.join(suites)}")
    return out if points is None else [replace(case, points=points) for case in out]


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


def truth(case: Case) -> Expression:
    """Return the law as an expression."""
    return parse(case.formula, library("all", case.variables, constant=True))


def sample(case: Case, seed: int) -> tuple[Floats, Floats]:
    """Return x [P, V] and y [P]; rows where the law is not finite are drawn anew.

    Raises InputError where hardly a row is: the law is not defined in its ranges.
    """
    rng = np.random.default_rng([seed, *case.name.encode()])
    low, high = np.array(case.ranges).T
    law = truth(case)
    if case.even:
        x = np.linspace(low, high, case.points)
        return x, law.predict(x)
    x = np.zeros((0, len(low)))
    for _ in range(_DRAWS):
        more = rng.uniform(low, high, size=(case.points, len(low)))
        y = law.predict(more)
        x = np.concatenate([x, more[np.isfinite(y) & (np.abs(y) < 1e30)]])[: case.points]
        if len(x) == case.points:
            return x, law.predict(x)
    raise InputError(
        f"{case.name}: {case.formula} is finite on {len(x)} of {_DRAWS * case.points:,} points of "
        "its ranges; mend them, or the formula"
    )


def held_out(case: Case, seed: int) -> tuple[Floats, Floats]:
    """Return x and y of random points that no search sees, without noise."""
    other = replace(case, name=f"{case.name}, held out", points=HELD_OUT, even=False)
    return sample(other, seed)


def noisy(case: Case, seed: int, y: Floats, level: float) -> tuple[Floats, float]:
    """Return y + N(0, level * root mean square of y), as SRBench adds it, and that deviation."""
    spread = level * float(np.sqrt(np.mean(y**2)))
    rng = np.random.default_rng([seed, *f"{case.name}, noise".encode()])
    return y + rng.normal(0.0, 1.0, len(y)) * spread, spread


def unit_file(case: Case, folder: Path) -> Path:
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
        reader = csv.DictReader(handle)
        for row in reader:
            numbers = [i for i in range(1, 11) if row.get(f"v{i}")]
            names = tuple(row[f"v{i}"] for i in numbers)
            try:
                own, formula = row["name"], row["formula"]
                spans = tuple((float(row[f"v{i}_low"]), float(row[f"v{i}_high"])) for i in numbers)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{file}:{reader.line_num}: {error}; expected the columns name, formula, v1, "
                    "v1_low, v1_high, v2, ... with numbers for the ranges"
                ) from error
            units = tuple(row.get(f"v{i}_units", "") for i in numbers)
            target = row.get("output_units_m_s_kg_T_V", "")
            known = (*units, target) if target and math.prod(map(len, units)) else None
            yield Case(file.stem, own, formula, "default", 3, names, spans, _LISTED, False, known)
