"""Signals that come while an oracle hangs: the run ends in time, and loses nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import signals
from cli.drills.oracles import marked
from cli.drills.record import clean
from cli.drills.toy import LANE, Match, Row, campaign, finish, forked, opened, own_tracker
from designer.campaign import Campaign
from designer.protocols import Measured
from designer.sequences import TokenDesign
from designer.store import Store
from oracles.isolation import Limits
from oracles.pool import Parallel

GRACE = 0.5  # seconds
SOON = GRACE + 5.0  # seconds after which it must have ended, on a busy machine too
Try = tuple[int, int, str]  # the signal, how many times, and how the oracle hangs
BEFORE = 20  # designs measured before one hangs


@dataclass(frozen=True)
class Stuck:
    """The toy's oracle, one design at a time, hanging where the file `hang` is; it logs."""

    folder: Path
    how: str = "sleeps"
    name: str = "match"
    cheap: bool = False

    def __call__(self, designs: Sequence[TokenDesign]) -> Any:
        """Return values in [0, 1]."""
        return [self._one(design) for design in designs]

    def stream(self, designs: Sequence[TokenDesign]) -> Iterator[tuple[list[int], Measured]]:
        """Yield a row at a time."""
        for row, design in enumerate(designs):
            yield [row], Measured({self.name: self([design])})

    def _one(self, design: TokenDesign) -> float:
        if (self.folder / "hang").exists() and len(_said(self.folder)) >= BEFORE:
            (self.folder / "hanging").touch()
            HANGS[self.how]()
        value = float(Match()([design])[0])
        with (self.folder / "calls").open("a") as log:
            log.write(f"{design.text}\n")
        return value


def _sleeps() -> None:
    time.sleep(3600)


def _swallows() -> None:
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            continue


def _locked() -> None:
    """Wait for a lock in native code, which no signal ends."""
    import ctypes

    library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


HANGS = {"sleeps": _sleeps, "swallows": _swallows, "native": _locked}


def interrupts(folder: Path) -> list[Row]:
    """Send each signal while an oracle hangs: in this process, in its own, and twice."""
    each = [(number, 1, "sleeps") for number in signals.CAUGHT]
    never = [(signal.SIGTERM, 1, how) for how in ("swallows", "native")]
    return [
        drill("signal while an oracle hangs", folder, "here", each),
        drill("signal while an isolated oracle hangs", folder, "isolated", each),
        drill("two signals", folder, "isolated", [(signal.SIGINT, 2, "sleeps")]),
        drill("signal in code that never ends", folder, "here", never),
    ]


def drill(fault: str, folder: Path, place: str, tries: Sequence[Try]) -> Row:
    """Start a run for each try, signal it once its oracle hangs, resume it, and compare."""
    os.environ.setdefault(LANE, str(os.getpid()))
    whole = finish(clean(folder / "whole"), campaign)
    survived = lost = 0
    longest = 0.0
    for number, times, how in tries:
        path = folder / f"{place}-{number}-{times}-{how}"
        path.mkdir()
        seconds, code = _interrupted(path, place, number, times, how)
        longest = max(longest, seconds)
        paid = _said(path)
        store = Store(path / "run" / "campaign.sqlite")
        kept = {row.text for row in store.evaluations()}
        kept |= {part.key for part in store.parts()}
        store.close()
        (path / "hang").unlink()
        ended = _resumed(path, _maker(path, "here", how))  # where it runs changes nothing
        again = set(_said(path)[len(paid) :]) & set(paid)
        lost += len(set(paid) - kept) + len(again)
        given_up = "code that does not end" in (path / "said").read_text()
        orderly = given_up == (how != "sleeps") and seconds < SOON and not marked()
        sound = (code, ended) == (75, whole) and orderly
        survived += sound
        if not sound:
            told = f"code {code}, same end: {ended == whole}, given up: {given_up}"
            print(f"{path.name}: {told}, left: {marked()}", file=sys.stderr)
    note = f"exit 75 after at most {longest:.1f} s (grace {GRACE:g} s), resumed to the same end"
    return Row(fault, len(tries), survived, lost, note)


def _interrupted(
    path: Path, place: str, number: int, times: int, how: str
) -> tuple[float, int | None]:
    """Start a run, signal it once it hangs; return the seconds it took to end, and its code."""
    (path / "hang").touch()
    pid = forked(lambda: _search(path, _maker(path, place, how), 60.0 if times > 1 else GRACE))
    while not (path / "hanging").exists():
        time.sleep(0.02)
        if os.waitpid(pid, os.WNOHANG)[0]:
            return 0.0, None
    started = time.monotonic()
    for _ in range(times):
        os.kill(pid, number)
        time.sleep(0.2)
    while time.monotonic() < started + 60.0:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return time.monotonic() - started, os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return time.monotonic() - started, None


def _maker(path: Path, place: str, how: str) -> Callable[[Any], Campaign]:
    def make(store: Any = None) -> Campaign:
        stuck = Stuck(path, how)
        apart = Parallel(stuck, limits=Limits(timeout=None))
        return campaign(store, apart if place == "isolated" else stuck)

    return make


def _search(path: Path, make: Callable[[Any], Campaign], grace: float) -> None:
    """Search as a command does, and end with its exit code."""
    from dataclasses import replace

    from cli.options import Options
    from cli.session import search
    from designer.errors import Interrupted

    quiet = os.open(path / "said", os.O_WRONLY | os.O_CREAT)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    own_tracker()
    signals.LAST = 1.0
    run, job = opened(path / "run", make)
    job.settings = replace(job.settings, grace=grace)
    try:
        with run:
            search(job, run, Options(quiet=True))
    except (Interrupted, KeyboardInterrupt):
        os._exit(Interrupted.exit_code)


def _resumed(path: Path, make: Callable[[Any], Campaign]) -> str:
    """Run to the end in a process of its own; return the SHA-256 of what was learned."""
    os.waitpid(forked(lambda: (path / "sha256").write_text(finish(path / "run", make))), 0)
    return (path / "sha256").read_text() if (path / "sha256").exists() else ""


def _said(folder: Path) -> list[str]:
    file = folder / "calls"
    return file.read_text().splitlines() if file.exists() else []
