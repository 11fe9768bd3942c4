"""Oracles that crash, hang, flood and breed: only the design that did it is lost."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cli.drills.toy import LANE, Row
from oracles.isolation import Limits
from oracles.pool import Parallel
from oracles.python import python

FAULTY = """
import ctypes, os, subprocess, sys, time

def score(text: str):
    if text == "segfault":
        ctypes.string_at(0)
    if text == "os._exit":
        os._exit(0)
    if text == "hang":
        time.sleep(3600)
    if text == "children":
        subprocess.Popen(["sleep", "3600"], start_new_session=True)
        while True:
            if os.fork() == 0:
                os.setsid()
                time.sleep(3600)
            time.sleep(0.05)
    if text == "gigabyte of output":
        for _ in range(1000):
            sys.stdout.write("x" * 1_000_000)
    if text == "memory":
        bytearray(64_000_000_000)
    if text == "exception":
        raise ValueError("no")
    return float(len(text))
"""
FAULTS = (
    *("segfault", "os._exit", "hang", "children"),
    *("gigabyte of output", "memory", "exception"),
)
TIMEOUT = 1.0


@dataclass(frozen=True)
class Plain:
    """A design that is its text."""

    text: str
    complexity: int = 1

    @property
    def key(self) -> str:
        """The text."""
        return self.text


def isolation(folder: Path, tries: int) -> list[Row]:
    """Put one faulty design among good ones, `tries` times for each fault."""
    os.environ.setdefault(LANE, str(os.getpid()))
    file = folder / "faulty.py"
    file.write_text(FAULTY)
    limits = Limits(timeout=TIMEOUT, memory_mb=2000, output_mb=64)
    return [
        _fault(fault, tries, Parallel(python(file, "score"), 2, limits=limits)) for fault in FAULTS
    ]


def _fault(fault: str, tries: int, oracle: Parallel) -> Row:
    survived = lost = 0
    longest, said = 0.0, ""
    with oracle:
        oracle([Plain("warm"), Plain("up")])
        for number in range(tries):
            texts = [f"good {i}" for i in range(19)]
            texts.insert(number % 20, fault)
            started = time.monotonic()
            measured = oracle([Plain(text) for text in texts])
            longest = max(longest, time.monotonic() - started)
            missing = {texts[row] for row in np.flatnonzero(np.isnan(measured.columns["score"]))}
            survived += missing == {fault} == {texts[row] for row in measured.errors}
            lost += len(missing - {fault})
            said = next(iter(measured.errors.values()), "")
    left = len(marked())
    note = f"{said[:44]}; at most {longest:.1f} s a batch of 20; {left} processes left"
    return Row(f"oracle: {fault}", tries, survived if not left else 0, lost, note)


def marked() -> list[Path]:
    """Return the living processes that any worker of this drill started."""
    found, lane = [], f"{LANE}={os.environ[LANE]}\0".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            held = (entry / "environ").read_bytes()
            if b"DESIGNER_WORKER=" in held and lane in held:
                found.append(entry)
        except OSError:
            continue
    return found
