"""`designer bench reliability`: faults made on purpose, and what was lost to them."""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from cli.drills import campaigns, disk, interrupts, oracles, record
from cli.drills.toy import LANE, Row, forked
from cli.presets import KINDS

Drill = Callable[[Path, random.Random], Row | list[Row]]
LANES = 2  # drills side by side: most of them wait much of their time


def bench_reliability(
    *, long: bool = False, as_json: bool = False, seed: int = 0, scale: float = 1.0
) -> list[Row]:
    """Run every drill and print a line for each fault as it ends; return the rows.

    The short form takes minutes; the long one has 1,000 kills of a writer, every write of a run
    failing, and more of everything else. `scale` below 1 tries less of each.
    """
    if not as_json:
        print(_line("fault", "tries", "survived", "lost", "", "seconds"), flush=True)
    rows: list[Row] = []
    for found, seconds in _side_by_side(_drills(long, scale), seed):
        rows += found
        for row in found if not as_json else ():
            cells = (str(row.tries), str(row.survived), str(row.lost), row.note)
            print(_line(row.fault, *cells, f"{seconds / len(found):.0f}"), flush=True)
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
    return rows


def _side_by_side(drills: Mapping[str, Drill], seed: int) -> Iterator[tuple[list[Row], float]]:
    """Yield each drill's rows and its seconds; LANES of them run at a time, each in a process."""
    waiting, running = list(drills.items()), dict[int, tuple[str, Path, float]]()
    with tempfile.TemporaryDirectory(prefix="designer-drills-") as folder:
        while waiting or running:
            while waiting and len(running) < LANES:
                name, drill = waiting.pop(0)
                path = Path(folder) / str(len(waiting))
                path.mkdir()
                pid = forked(lambda d=drill, p=path, n=name: _run(d, p, f"{seed} {n}"))  # type: ignore[misc]
                running[pid] = (name, path, time.monotonic())
            pid, status = os.wait()
            if pid not in running:
                continue
            name, path, started = running.pop(pid)
            rows = [Row(f"{name}: the drill itself failed", 1, 0, 1, "see stderr")]
            if status == 0:
                rows = [Row(**row) for row in json.loads((path / "rows.json").read_text())]
            yield rows, time.monotonic() - started


def _run(drill: Drill, folder: Path, seed: str) -> None:
    """Run a drill with chance of its own, so that the order of the drills changes nothing."""
    os.environ[LANE] = str(os.getpid())
    work = folder / "work"
    work.mkdir()
    found = drill(work, random.Random(seed))
    rows = found if isinstance(found, list) else [found]
    (folder / "rows.json").write_text(json.dumps([asdict(row) for row in rows]))


def _drills(long: bool, scale: float) -> dict[str, Drill]:
    """Return the drills by name, those that take longest first."""

    def tries(short: int, many: int) -> int:
        return max(1, round((many if long else short) * scale))

    named: dict[str, Drill] = {}
    for kind in KINDS:
        for learner in ("reinforce", "ppo"):
            named[f"SIGKILL: {kind}, {learner}"] = lambda folder, rng, kind=kind, learner=learner: (
                campaigns.kills(  # type: ignore[misc]
                    folder, kind, learner, tries(2, 12), rng
                )
            )
    stride = max(1, round((1 if long else 5) / scale))
    return named | {
        "oracles": lambda folder, rng: oracles.isolation(folder, tries(3, 20)),
        "full disk": lambda folder, rng: disk.full_disk(folder, stride),
        "small disk": lambda folder, rng: disk.small_disk(folder, tries(10, 40)),
        "signals": lambda folder, rng: interrupts.interrupts(folder),
        "writer": lambda folder, rng: record.writer_kills(folder, tries(100, 1000), rng),
        "log": lambda folder, rng: record.wal_cuts(folder, tries(200, 2000), rng),
        "checkpoint": lambda folder, rng: record.torn_checkpoints(folder, rng),
        "races": lambda folder, rng: record.races(folder, tries(5, 20)),
        "locks": lambda folder, rng: record.stale_locks(folder, tries(10, 100), rng),
    }


def _line(fault: str, tries: str, survived: str, lost: str, note: str, seconds: str) -> str:
    counts = "".join(cell.rjust(9) for cell in (tries, survived, lost, seconds))
    return f"{fault:44}{counts}  {note}".rstrip()
