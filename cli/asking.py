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
from cli.output import as_object, as_text, write_files
from cli.session import apply, create, reopened
from designer import config, laboratory
from designer.campaign import Campaign
from designer.errors import InputError, listed, nearest
from designer.round import Batch
from designer.rundir import RunDirectory


def ask(where: Path, count: int, options: Options) -> None:
    """Print at most `count` designs as CSV, with an empty column for each measurement.

    `where` is a run directory, or a campaign file, from which a run is begun. The designs stay
    pending until they are told; asking again prints the same ones.
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
        waiting = campaign.pending is not None
        batch = laboratory.ask(campaign, count)
        run.save(campaign.state())
        print(_table(campaign, batch), end="")
    said = "still wait for results" if waiting else "wait for results"
    rows = sum(1 for _ in _designs(batch))
    print(f"{rows} designs {said}: designer tell {run.path} RESULTS.csv", file=sys.stderr)


def tell(path: Path, results: Path, options: Options) -> None:
    """Take the filled-in table, learn from it, save, and print what is best so far."""
    with RunDirectory.reopen(path) as run:
        campaign = reopened(run, options)
        if campaign.pending is None:
            raise InputError(f"{path}: no designs wait for results; run `designer ask {path} N`")
        columns = list(laboratory.laboratory(campaign).columns)
        measured = read(results, _ids(campaign.pending), columns)
        asked = len(_ids(campaign.pending))
        laboratory.tell(campaign, measured)
        run.save(campaign.state())
        known = sum(any(v == v for v in row.values()) for row in measured.values())
        print(
            f"{known} of {asked} designs are measured; the batch is closed, and designs left blank "
            "may be asked for again",
            file=sys.stderr,
        )
        result = campaign.result("waiting")
        write_files(campaign.task, result, run, options.top)
        if options.as_json:
            print(json.dumps(as_object(campaign.task, result, path), allow_nan=False))
        else:
            print(as_text(campaign.task, result, path, options.top))


def read(file: Path, ids: Mapping[str, Any], columns: list[str]) -> dict[str, dict[str, float]]:
    """Return the measurements by design key; a blank cell is unmeasured (NaN).

    Raises InputError with file, line and column: an id or a design that was not asked for, an
    id given twice, a missing column, text where a number belongs.
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
    filled = False
    for line, cells in lines:
        if any(cell.strip() for cell in cells):
            if len(cells) > len(header):
                raise InputError(
                    f"{file}:{line}: {len(cells)} cells, but the header has {len(header)}; a comma "
                    "splits a cell: write numbers without"
                )
            row = dict(zip(header, cells, strict=False))
            _take(f"{file}:{line}", row, ids, found, columns)
            filled = filled or any(row.get(name, "").strip() for name in columns)
    if not found:
        raise InputError(f"{file}: no rows; fill in what `designer ask` printed")
    if not filled:
        raise InputError(
            f"{file}: nothing is filled in under {listed(columns)}, so nothing was told and the "
            "designs still wait; write nan where a measurement failed"
        )
    return found


def _take(
    place: str,
    row: Mapping[str, str],
    ids: Mapping[str, Any],
    found: dict[str, dict[str, float]],
    columns: list[str],
) -> None:
    number = row.get("id", "").strip()
    if number not in ids:
        raise InputError(f"{place}: id {number!r} was not asked for; {nearest(number, ids)}")
    design = ids[number]
    written = row.get("design", "").strip()
    if written and written != design.text:
        raise InputError(f"{place}: id {number} is {design.text}, not {written}; ids were mixed up")
    if design.key in found:
        raise InputError(f"{place}: id {number} is there twice; keep one row a design")
    found[design.key] = {name: _number(row.get(name, ""), f"{place}: {name}") for name in columns}


def _number(text: str, place: str) -> float:
    text = text.strip()
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        hint = "; write a decimal point" if "," in text else ", or leave it blank if unmeasured"
        raise InputError(f"{place} is {text!r}, expected a number{hint}") from None


def _table(campaign: Campaign, batch: Batch) -> str:
    columns = list(laboratory.laboratory(campaign).columns)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "design", *columns])
    for number, design in _ids(batch).items():
        writer.writerow([number, design.text, *("" for _ in columns)])
    return text.getvalue()


def _ids(batch: Batch) -> dict[str, Any]:
    return {str(number): design for number, design in enumerate(_designs(batch), 1)}


def _designs(batch: Batch) -> list[Any]:
    return [design for design in batch.designs if design is not None]
