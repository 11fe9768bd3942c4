"""The record under fire: kills, torn files, races."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import torch

from cli.drills.toy import Row, forked, killed_after
from designer import checkpoint
from designer.errors import DesignerError, LockedError
from designer.rundir import RunDirectory
from designer.store import Evaluation, Part, Store


def writer_kills(folder: Path, tries: int, rng: random.Random) -> Row:
    """SIGKILL a process that commits evaluations as fast as it can, and go on in the same file."""
    path, lost, broken, kept = folder / "kills.sqlite", 0, 0, 0
    first = 0
    for _ in range(tries):
        reader, writer = os.pipe()
        begin = first

        def work(begin: int = begin, writer: int = writer) -> None:
            store = Store(path)
            for i in range(begin, begin + 10**6):
                row = Evaluation(0, f"k{i}", "t", {"x": float(i)})
                store.keep_parts([Part(row.key, "0 x", row.columns)], durable=i % 50 == 0)
                store.keep([row], durable=False)
                os.write(writer, f"{i}\n".encode())

        pid = forked(work)
        os.close(writer)
        said = _drain(reader, pid, rng.uniform(0.005, 0.1))
        first += 10**6
        store = Store(path)
        found = {row.key for row in store.evaluations()}
        lost += sum(f"k{i}" not in found for i in said) + max(0, kept - len(found))
        kept = len(found)
        broken += store._db.execute("PRAGMA integrity_check").fetchone() != ("ok",)
        store.close()
    note = f"{kept} evaluations acknowledged, {broken} unreadable files"
    return Row("SIGKILL while committing", tries, tries - broken, lost, note)


def _drain(reader: int, pid: int, seconds: float) -> list[int]:
    """Kill the writer after a while; return what it had acknowledged."""
    chunks, deadline = [], time.monotonic() + seconds
    os.set_blocking(reader, False)
    while time.monotonic() < deadline:
        try:
            chunks.append(os.read(reader, 1 << 16))
        except BlockingIOError:
            time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.set_blocking(reader, True)
    while chunk := os.read(reader, 1 << 16):
        chunks.append(chunk)
    os.close(reader)
    lines = b"".join(chunks).split(b"\n")[:-1]  # a last line without its end was not said
    return [int(line) for line in lines]


def wal_cuts(folder: Path, tries: int, rng: random.Random) -> Row:
    """Cut the write-ahead log at random bytes: the record opens with a prefix of what was kept."""
    source = folder / "whole.sqlite"
    store = Store(source)
    store._db.execute("PRAGMA wal_autocheckpoint=0")
    ends = []  # bytes of the log after each commit
    for i in range(120):
        store.keep([Evaluation(0, f"k{i}", "t", {"x": float(i)})], durable=False)
        ends.append(source.with_name("whole.sqlite-wal").stat().st_size)
    log = source.with_name("whole.sqlite-wal").read_bytes()
    main = source.read_bytes()
    store.close()
    opened = lost = 0
    for number in range(tries):
        copy = folder / f"cut{number}.sqlite"
        copy.write_bytes(main)
        at = rng.randrange(len(log))
        copy.with_name(copy.name + "-wal").write_bytes(log[:at])
        try:
            cut = Store(copy)
            keys = [row.key for row in cut.evaluations()]
            cut.keep([Evaluation(0, "new", "t", {})], durable=False)  # and it can be written on
            sound = cut._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            cut.close()
        except (DesignerError, sqlite3.Error):
            continue
        opened += sound
        whole = sum(end <= at for end in ends)  # these were complete before the cut
        lost += keys != [f"k{i}" for i in range(len(keys))] or len(keys) < whole
    return Row("write-ahead log cut", tries, opened, lost, "opens with all before the cut")


def torn_checkpoints(folder: Path, rng: random.Random) -> Row:
    """Cut a checkpoint at every 4 KiB and flip bits in it: the one before is used."""
    torch.manual_seed(0)
    for step in (1, 2):
        checkpoint.save(folder, {"step": step, "w": torch.randn(64, 500)})
    path = folder / checkpoint.NAME
    whole = path.read_bytes()
    cuts = [whole[:at] for at in range(0, len(whole), 4096)]
    flips = [_flipped(whole, rng.randrange(len(whole))) for _ in range(len(cuts))]
    survived = 0
    for text in cuts + flips:
        path.write_bytes(text)
        state = checkpoint.load(folder)
        survived += state is not None and state["step"] == 1
    total = len(cuts) + len(flips)
    return Row("checkpoint torn or altered", total, survived, total - survived)


def _flipped(text: bytes, place: int) -> bytes:
    return text[:place] + bytes([text[place] ^ 0x10]) + text[place + 1 :]


def races(folder: Path, tries: int, racers: int = 20) -> Row:
    """Start many processes on one directory at the same moment: one wins, the others are told."""
    fair = 0
    for number in range(tries):
        path = folder / f"race{number}"
        said = _race(racers, lambda path=path: _start(path))  # type: ignore[misc]
        fair += said.count("won") == 1 and said.count("locked") == racers - 1
    return Row(f"{racers} starts at once", tries, fair, tries - fair, "one winner each time")


def _start(path: Path) -> str:
    try:
        run = RunDirectory.create(path, "", {})
    except LockedError:
        return "locked"
    time.sleep(1.0)  # longer than all need to try
    run.close()
    return "won"


def _race(count: int, work: Callable[[], str]) -> list[str]:
    ready, go = os.pipe()
    answers, pids = [], []
    for _ in range(count):
        reader, writer = os.pipe()

        def racer(writer: int = writer) -> None:
            os.close(go)
            os.read(ready, 1)  # returns when the starter closes its end
            os.write(writer, work().encode())

        pids.append(forked(racer))
        os.close(writer)
        answers.append(reader)
    os.close(go)
    for pid in pids:
        os.waitpid(pid, 0)
    said = [os.read(reader, 100).decode() for reader in answers]
    for handle in (ready, *answers):
        os.close(handle)
    return said


def stale_locks(folder: Path, tries: int, rng: random.Random) -> Row:
    """Kill the process that holds a directory: the next one gets it at once."""
    path, survived = folder / "stale", 0
    RunDirectory.create(path, "", {}).close()
    for _ in range(tries):

        def hold() -> None:
            with RunDirectory.reopen(path):
                time.sleep(60)

        killed_after(forked(hold), rng.uniform(0.02, 0.1))
        try:
            RunDirectory.reopen(path).close()
            survived += 1
        except DesignerError:
            pass
    return Row("lock left by a killed process", tries, survived, tries - survived)


def clean(folder: Path) -> Path:
    """Return an empty folder of that name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
