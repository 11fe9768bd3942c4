"""What an oracle can do to itself: that design is lost with its reason, everything else is not."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from drugs import Plain

from designer.errors import InputError, OracleError
from oracles.isolation import Limits
from oracles.pool import Parallel
from oracles.python import python

FILE = """
import ctypes, os, pathlib, signal, subprocess, sys, time

HERE = pathlib.Path(__file__).parent

def score(text: str):
    what, _, rest = text.partition(" ")
    if what == "segv":
        print("about to fail", file=sys.stderr)
        ctypes.string_at(0)
    if what == "exit":
        os._exit(int(rest))
    if what == "quit":
        sys.exit("enough")
    if what == "hang":
        time.sleep(60)
    if what == "deaf":  # a hang that no polite signal ends
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(60)
    if what == "child":  # in a session of its own, and one without a program of its own
        subprocess.Popen(["sleep", "61"], start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            time.sleep(61)
        time.sleep(60) if rest == "hang" else os._exit(7)
    if what == "bomb":
        while True:
            if os.fork() == 0:
                time.sleep(61)
            time.sleep(0.005)
    if what == "flood":
        while True:
            sys.stdout.write("x" * 1_000_000)
    if what == "memory":
        return float(len(bytearray(4_000_000_000)))
    if what == "flaky":
        log = HERE / "log"
        with log.open("a") as file:
            file.write(f"{time.monotonic()}\\n")
        if len(log.read_text().splitlines()) < 3:
            os._exit(5) if rest == "crash" else 1 / 0
    if what == "wrong":
        return "text"
    return float(len(text))
"""

FAST = Limits(timeout=1.0, output_mb=2.0, backoff=0.1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    return file


OURS = f"DESIGNER_TEST={os.getpid()}"  # what other runs on this machine start does not have it


def plain(texts: Sequence[str]) -> list[Plain]:
    return [Plain(text) for text in texts]


def descendants() -> set[str]:
    """Return the living processes that came from this one's workers, by command line."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            held = (entry / "environ").read_bytes()
            marked = b"DESIGNER_WORKER=" in held and OURS.encode() in held
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marked and state != "Z":
            found.add(f"{entry.name} {(entry / 'cmdline').read_bytes()[:60]!r}")
    return found


@pytest.fixture(autouse=True)
def no_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*OURS.split("="))
    before = descendants()
    yield  # type: ignore[misc]
    deadline = time.monotonic() + 20
    while (left := descendants() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("segv", "the worker process ended: killed by SIGSEGV: about to fail"),
        ("exit 9", "the worker process ended: exit code 9"),
        ("exit 0", "the worker process ended: exit code 0"),
        ("quit", r"\w+.py:\d+: SystemExit: enough"),
        ("hang", "no answer within 1 s"),
        ("deaf", "no answer within 1 s"),
        ("child hang", "no answer within 1 s"),
        ("child crash", "the worker process ended: exit code 7"),
        ("bomb", "no answer within 1 s"),
        ("flood", "more than 2 MB of output"),
    ],
)
def test_one_fault_costs_one_design(path: Path, fault: str, reason: str) -> None:
    texts = [f"good{i}" for i in range(4)] + [fault] + [f"fine{i}" for i in range(5)]
    with Parallel(python(path, "score"), workers=2, limits=FAST) as oracle:
        oracle(plain(["warm", "up"]))
        started = time.monotonic()
        measured = oracle(plain(texts))
        assert time.monotonic() - started < 30, "the fault lasts 60 s, or for ever"
        expected = [5.0] * 4 + [np.nan] + [5.0] * 5
        assert measured.columns["score"].tolist() == pytest.approx(expected, nan_ok=True)
        assert list(measured.errors) == [4] and re.match(reason, measured.errors[4])
        living = [d for d in descendants() if b"sleep".decode() in d]
        assert not living  # gone as soon as the design is given up, not only at the end
        assert oracle(plain(["again"])).columns["score"].tolist() == [5.0]


def test_memory_is_capped_for_one_worker_only(path: Path) -> None:
    limits = Limits(memory_mb=500)
    with Parallel(python(path, "score"), workers=1, limits=limits) as oracle:
        measured = oracle(plain(["a", "memory", "bb"]))
    assert measured.columns["score"].tolist() == pytest.approx([1, np.nan, 2], nan_ok=True)
    assert re.fullmatch(r"mine.py:\d+: MemoryError", measured.errors.pop(1)) and not measured.errors


@pytest.mark.parametrize("how", ["raise", "crash"])
def test_retries_wait_longer_each_time_and_are_counted(path: Path, how: str) -> None:
    limits = Limits(retries=2, backoff=0.3)
    with Parallel(python(path, "score"), workers=2, limits=limits) as oracle:
        measured = oracle(plain(["a", f"flaky {how}"]))
    assert measured.columns["score"].tolist() == [1.0, 11.0] and not measured.errors
    assert measured.attempts == {1: 3}
    first, second, third = map(float, (path.parent / "log").read_text().split())
    assert second - first >= 0.3 and third - second >= 0.6


def test_tries_end_and_the_last_reason_stays(path: Path) -> None:
    limits = Limits(retries=1, backoff=0.0)
    with Parallel(python(path, "score"), limits=limits) as oracle:
        measured = oracle(plain(["exit 3"]))
    assert measured.errors == {0: "the worker process ended: exit code 3"}
    assert measured.attempts == {0: 2}


def test_a_broken_contract_stops_and_leaves_nothing_running(path: Path) -> None:
    with (
        Parallel(python(path, "score"), workers=2, limits=FAST) as oracle,
        pytest.raises(OracleError, match="'text'"),
    ):
        oracle(plain(["hang", "wrong"]))


def test_results_come_one_by_one(path: Path) -> None:
    with Parallel(python(path, "score"), workers=2, limits=Limits(timeout=1.5)) as oracle:
        oracle(plain(["warm", "up"]))
        assert [rows for rows, _ in oracle.stream(plain(["hang", "b"]))] == [[1], [0]]


def test_what_cannot_be_sent_is_said() -> None:
    class Local:
        name, cheap = "local", False

        def __call__(self, designs: Sequence[Plain]) -> list[float]:
            return [1.0] * len(designs)

    with (
        Parallel(Local(), limits=FAST) as oracle,  # type: ignore[arg-type]
        pytest.raises(InputError, match="cannot be sent to another process"),
    ):
        oracle(plain(["a"]))


def test_a_design_that_cannot_be_sent_is_said(path: Path) -> None:
    design = Plain("a")
    object.__setattr__(design, "text", lambda: "a")
    with (
        Parallel(python(path, "score"), limits=FAST) as oracle,
        pytest.raises(InputError, match="a design cannot be sent to another process"),
    ):
        oracle([design])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"timeout": 0.0}, "timeout is 0.0, expected more than 0"),
        ({"memory_mb": -1}, "memory_mb is -1, expected more than 0"),
        ({"retries": -1}, "retries is -1, expected at least 0"),
        ({"backoff": -0.5}, "backoff is -0.5, expected at least 0"),
    ],
)
def test_impossible_limits_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Limits(**setting)  # type: ignore[arg-type]


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from drugs import Plain
from oracles.isolation import Limits
from oracles.pool import Parallel
from oracles.python import python
if __name__ == "__main__":
    oracle = Parallel(python(Path(sys.argv[1]), "score"), workers=2, limits=Limits(timeout=50))
    oracle([Plain("a"), Plain("b")])
    print("ready", flush=True)
    oracle([Plain("child hang"), Plain("deaf")])
"""


def test_nothing_outlives_a_program_that_is_killed(path: Path) -> None:
    import subprocess
    import sys

    script = path.parent / "parent.py"
    script.write_text(PARENT)
    before = descendants()
    here = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, str(script), str(path), here], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    assert len(descendants() - before) >= 2
    os.kill(process.pid, 9)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 20
    while (left := descendants() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
