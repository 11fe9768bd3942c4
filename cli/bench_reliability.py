"""`designer bench reliability`: faults made on purpose, and what was lost to them."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from cli.drills import campaigns, disk, interrupts, oracles, record
from cli.drills.toy import Row
from cli.presets import KINDS

Drill = Callable[[Path], Row | list[Row]]


def bench_reliability(*, long: bool = False, as_json: bool = False, seed: int = 0) -> list[Row]:
    """Run every drill and print a line each as it ends; return the rows.

    The short form takes minutes; the long one has 1,000 kills of a writer, every write of a run
    failing, and more of everything else.
    """
    torch.set_num_threads(1)
    rows: list[Row] = []
    for number, drill in enumerate(_drills(long, random.Random(seed))):
        with tempfile.TemporaryDirectory(prefix=f"designer-drill-{number}-") as folder:
            started = time.monotonic()
            found = drill(Path(folder))
            seconds = time.monotonic() - started
        new = found if isinstance(found, list) else [found]
        if not as_json:
            if not rows:
                print(_line("fault", "tries", "survived", "lost", "", "seconds"))
            for row in new:
                cells = (str(row.tries), str(row.survived), str(row.lost), row.note)
                print(_line(row.fault, *cells, f"{seconds / len(new):.0f}"), flush=True)
        rows += new
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
    return rows


def _drills(long: bool, rng: random.Random) -> Iterator[Drill]:
    kills, each = (1000, 12) if long else (100, 2)
    yield lambda folder: record.writer_kills(folder, kills, rng)
    yield lambda folder: record.wal_cuts(folder, 2000 if long else 200, rng)
    yield lambda folder: record.torn_checkpoints(folder, rng)
    yield lambda folder: record.races(folder, 20 if long else 5)
    yield lambda folder: record.stale_locks(folder, 100 if long else 10, rng)
    yield lambda folder: disk.full_disk(folder, 1 if long else 5)
    yield lambda folder: disk.small_disk(folder, 40 if long else 10)
    yield lambda folder: oracles.isolation(folder, 20 if long else 3)
    yield interrupts.interrupts
    for kind in KINDS:
        for learner in ("reinforce", "ppo"):
            yield lambda folder, kind=kind, learner=learner: campaigns.kills(  # type: ignore[misc]
                folder, kind, learner, each, rng
            )


def _line(fault: str, tries: str, survived: str, lost: str, note: str, seconds: str) -> str:
    counts = "".join(cell.rjust(9) for cell in (tries, survived, lost, seconds))
    return f"{fault:44}{counts}  {note}".rstrip()
