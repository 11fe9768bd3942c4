"""The drills of `designer bench reliability`, a few of each: nothing is lost."""

from __future__ import annotations

import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.drills import campaigns, disk, interrupts, record
from cli.drills.toy import Row


def unharmed(row: Row) -> bool:
    return row.tries > 0 and row.survived == row.tries and row.lost == 0


@pytest.mark.parametrize(
    "drill",
    [
        lambda folder: record.writer_kills(folder, 20, random.Random(7)),
        lambda folder: record.wal_cuts(folder, 80, random.Random(7)),
        lambda folder: record.torn_checkpoints(folder, random.Random(7)),
        lambda folder: record.races(folder, 1),
        lambda folder: record.stale_locks(folder, 5, random.Random(7)),
    ],
    ids=["kills", "cuts", "torn", "races", "stale"],
)
def test_the_record(tmp_path: Path, drill: Callable[[Path], Row]) -> None:
    row = drill(tmp_path)
    assert unharmed(row), row


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="needs Linux and a C compiler",
)
def test_a_full_disk(tmp_path: Path) -> None:
    rows = disk.full_disk(tmp_path, stride=19)
    assert len(rows) == 2 and all(map(unharmed, rows)), rows


def test_a_campaign_of_every_kind_of_part_is_killed_and_ends_the_same(tmp_path: Path) -> None:
    row = campaigns.kills(tmp_path, "fold", "ppo", 1, random.Random(1))
    assert unharmed(row), row


@pytest.mark.parametrize(
    ("place", "number", "times", "how"),
    [
        ("here", signal.SIGUSR2, 1, "sleeps"),
        ("isolated", signal.SIGTERM, 1, "sleeps"),
        ("here", signal.SIGINT, 2, "sleeps"),
        ("here", signal.SIGTERM, 1, "swallows"),
        ("here", signal.SIGTERM, 1, "native"),
    ],
)
def test_a_signal_while_an_oracle_hangs(
    tmp_path: Path, place: str, number: int, times: int, how: str
) -> None:
    row = interrupts.drill("signal", tmp_path, place, [(number, times, how)])
    assert unharmed(row), row
