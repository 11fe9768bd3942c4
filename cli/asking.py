"""`ask` and `tell`: designs out as CSV, measurements back days later."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.build import build
from cli.options import Options
from cli.output import as_object, as_text, leading, write_files
from cli.session import apply, create, reopened
from designer import config, laboratory
from designer.campaign import Campaign
from designer.errors import InputError, listed, nearest
from designer.rundir import RunDirectory


def ask(where: Path, count: int, options: Options) -> None:
    """Print at most `count` designs as CSV, with an empty column for each measurement.

    `where` is a run directory, or a campaign file, from which a run is begun. Until any of the
    designs is told, asking again prints the same ones.
    """
    if where.is_dir():
        run = RunDirectory.reopen(where)
        campaign = reopened(run, options)
    else:
        document = config.load(where)
        apply(document, options)
        parts = build(document, allow_plugins=options.allow_plugins)
        laboratory.laboratory(parts.campaign())  # before a directory is made for nothing
        run = create(document, parts, options)
        campaign = parts.campaign(run.store)
    with run:
        waiting = campaign.outstanding.batch is not None
        laboratory.ask(campaign, count)
        run.save(campaign.state())
        outstanding = campaign.outstanding
        print(_table(campaign, outstanding.newest()), end="")
    said = "still wait for results" if waiting else "wait for results"
    late = f" ({len(outstanding.late)} of before too)" if outstanding.late else ""
    rows = len(outstanding.newest())
    print(f"{rows} designs {said}{late}: designer tell {run.path} RESULTS.csv", file=sys.stderr)


def tell(path: Path, results: Path, options: Options) -> None:
    """Take the filled-in table, learn from it, save, and print what is best so far."""
    with RunDirectory.reopen(path) as run:
        campaign = reopened(run, options)
        asked = campaign.outstanding.designs()
        if not asked:
            raise InputError(f"{path}: no designs wait for results; run `designer ask {path} N`")
        before = {row.text: row.columns for row in run.store.evaluations()}
        told = read(results, asked, before, list(laboratory.laboratory(campaign).columns))
        laboratory.tell(campaign, told)
        run.save(campaign.state())
        known = sum(any(v == v for v in row.values()) for row in told.values())
        failed = f", {len(told) - known} could not be" if known < len(told) else ""
        print(
            f"{known} of {len(asked)} designs are measured{failed}; "
            f"{len(campaign.outstanding.designs())} go on waiting",
            file=sys.stderr,
        )
        result = campaign.result("waiting")
        shown = leading(campaign.task, result.best, options.top, diverse=options.diverse)
        write_files(campaign.task, result, run, shown)
        if options.as_json:
            print(json.dumps(as_object(campaign.task, result, path), allow_nan=False))
        else:
            print(as_text(campaign.task, result, path, shown))


def read(
    file: Path,
    ids: Mapping[str, Any],
    before: Mapping[str, Mapping[str, float]],
    columns: list[str],
) -> dict[str, dict[str, float]]:
    """Return the measurements by design key; a blank cell is unmeasured (NaN).

    Rows of which nothing is filled in are left out, those with `nan` are not; so are rows that
    say again what was told `before` (by design), so that one table may be filled in bit by bit.
    Raises InputError with file, line and column: an id or a design that was not asked for, an id
    given twice, another value than told before, a missing column, text where a number belongs.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text; save it as CSV in UTF-8") from None
    rows = csv.reader(io.StringIO(text))
    try:
        (_, first), *lines = [(rows.line_num, cells) for cells in rows] or [(1, [])]
    except csv.Error as error:
        raise InputError(f"{file}:{rows.line_num}: not valid CSV: {error}") from None
    header = [name.strip() for name in first]
    for name in ("id", *columns):
        if name not in header:
            raise InputError(f"{file}:1: no column {name!r}; {nearest(name, header)}")
    found: dict[str, dict[str, float]] = {}
    repeated = 0
    for line, cells in lines:
        if any(cell.strip() for cell in cells):
            if len(cells) > len(header):
                raise InputError(
                    f"{file}:{line}: {len(cells)} cells, but the header has {len(header)}; a comma "
                    "splits a cell: write numbers without"
                )
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
            if row.get("id") not in ids and row.get("design") in before:
                _check_same(f"{file}:{line}", row, before[row["design"]], columns)
                repeated += 1
                continue
            _take(f"{file}:{line}", row, ids, found, columns)
    if not found and not repeated:
        raise InputError(f"{file}: no rows; fill in what `designer ask` printed")
    filled = {key: row for key, row in found.items() if row}
    if not filled:
        raise InputError(
            f"{file}: nothing{' new' if repeated else ''} is filled in under {listed(columns)}, so "
            "nothing was told and the designs still wait; write nan where a measurement failed"
        )
    return filled


def _take(
    place: str,
    row: Mapping[str, str],
    ids: Mapping[str, Any],
    found: dict[str, dict[str, float]],
    columns: list[str],
) -> None:
    """Put a row's measurements among those found: none where nothing is filled in."""
    number = row.get("id", "")
    if number not in ids:
        raise InputError(f"{place}: id {number!r} was not asked for; {nearest(number, ids)}")
    design = ids[number]
    written = row.get("design", "")
    if written and written != design.text:
        raise InputError(f"{place}: id {number} is {design.text}, not {written}; ids were mixed up")
    if design.key in found:
        raise InputError(f"{place}: id {number} is there twice; keep one row a design")
    written_in = any(row.get(name) for name in columns)
    values = {name: _number(row.get(name, ""), f"{place}: {name}") for name in columns}
    found[design.key] = values if written_in else {}


def _check_same(
    place: str, row: Mapping[str, str], before: Mapping[str, float], columns: list[str]
) -> None:
    for name in columns:
        now, then = _number(row.get(name, ""), f"{place}: {name}"), before.get(name, math.nan)
        if not (now == then or (math.isnan(now) and math.isnan(then))):
            raise InputError(
                f"{place}: {name} of {row['design']} was told before as {then:g}, and what was "
                "learned from it cannot be taken back; leave the row out"
            )


def _number(text: str, place: str) -> float:
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        hint = "; write a decimal point" if "," in text else ", or leave it blank if unmeasured"
        raise InputError(f"{place} is {text!r}, expected a number{hint}") from None


def _table(campaign: Campaign, designs: Mapping[str, Any]) -> str:
    columns = list(laboratory.laboratory(campaign).columns)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "design", *columns])
    for number, design in designs.items():
        writer.writerow([number, design.text, *("" for _ in columns)])
    return text.getvalue()
