"""A process of its own for an oracle that may crash, hang or flood: watched, ended, replaced.

One slot is a pebble pool of one worker, so nothing is shared between workers: one that is killed
in the middle of a message takes no lock and no pipe of another with it. The worker leads a
process group and carries a mark in its environment. Whatever it started is found by these two
and killed with it, and a small guardian process ends the group when this program dies.

A grandchild escapes only by leaving the group and clearing its environment at once.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designer.errors import DesignerError, InputError
from designer.plugins import told
from designer.protocols import Measured, Oracle
from oracles import worker
from oracles.process import MARK, ending, said

if TYPE_CHECKING:
    from pebble import ProcessPool

BOOT = 300.0  # seconds a worker may take to start, imports of its oracle included
_PROC = Path("/proc")
_TAIL = 65_536  # bytes of a worker's output kept
_SETTLE = 0.5  # seconds in which the pool notices that its worker is gone
_environment = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What one design may cost. Beyond it, that design alone is unmeasured, with the reason.

    `memory_mb` counts what the oracle takes on top of its imports, for each process it starts.
    The wait before a second try is `backoff` seconds, and doubles with every further one.
    """

    timeout: float | None = 600.0  # seconds a design
    memory_mb: int | None = None
    retries: int = 0  # further tries where a design fails
    backoff: float = 1.0
    output_mb: float = 64.0  # of text printed on stdout and stderr, a design

    def __post_init__(self) -> None:
        for name in ("timeout", "memory_mb", "output_mb"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} is {value}, expected more than 0")
        for name in ("retries", "backoff"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 0")
        if self.memory_mb is not None and not _PROC.exists():
            raise InputError("memory_mb needs Linux; leave it out here")


class Slot:
    """One worker process and the one question it is asked at a time."""

    def __init__(self, oracle: Oracle[Any], limits: Limits) -> None:
        from pebble import ProcessPool

        self.limits = limits
        self._context = _Context()
        spawn = self._context.spawn
        self._printed, printing = spawn.Pipe(duplex=False)
        life, self._life = spawn.Pipe(duplex=False)  # its end tells the guardian that we are gone
        self._ours = [self._printed, printing, life, self._life]
        self._at = spawn.RawValue("l", 0)  # process id of the worker, once it is at the question
        start = (oracle, limits.memory_mb, printing, life, self._at)
        self._pool: ProcessPool = ProcessPool(
            max_workers=1,
            initializer=worker.begin,
            initargs=start,
            context=self._context,
        )
        self._output = _Output(self._printed)
        self.future: Future[Measured] | None = None
        self._count, self._asked, self._begun = 0, 0.0, 0.0

    def ask(self, designs: Sequence[Any]) -> None:
        """Hand over designs; raises InputError where they or the oracle cannot be sent."""
        self._at.value, self._count = 0, len(designs)
        self._asked, self._begun = time.monotonic(), 0.0
        self._output.clear()
        try:
            self.future = self._pool.schedule(worker.work, args=(list(designs),))
        except (TypeError, AttributeError, ValueError) as error:  # how pickling refuses
            raise self._unsendable(error) from None

    @staticmethod
    def _unsendable(error: Exception) -> InputError:
        return InputError(
            f"the oracle or a design cannot be sent to another process ({told(error)}); "
            "define them at the top level of a file, or use --workers 1 without `isolate`"
        )

    def answer(self) -> Measured | str | None:
        """Return what came back, the reason why nothing did, or None while it is running.

        After a reason the slot is spent: close it. Raises what broke the oracle's contract.
        """
        assert self.future is not None, "ask comes first"
        if self.future.done():
            return self._settled()
        now = time.monotonic()
        if self._begun == 0.0 and self._at.value:
            self._begun = now
        if self._output.seen > self.limits.output_mb * 1e6:
            return f"more than {self.limits.output_mb:g} MB of output" + said(self._output.tail)
        limit = None if self.limits.timeout is None else self.limits.timeout * self._count
        if limit is not None and self._begun and now - self._begun > limit:
            return f"no answer within {limit:g} s" + said(self._output.tail)
        if not self._begun and now - self._asked > BOOT:
            return f"its worker did not start within {BOOT:g} s" + said(self._output.tail)
        if self._begun and self._exit_code() is not None:
            wait([self.future], timeout=_SETTLE)  # its last words may be on the way
            return self._settled() if self.future.done() else self._death()
        return None

    def close(self) -> None:
        """Kill the worker and whatever it started, and let go of everything."""
        self._pool.stop()  # type: ignore[no-untyped-call]  # first, so that no new worker is started
        for process in self._context.started:
            _kill_all(process)
        self._pool.join()
        for process in self._context.started:  # one may have been on its way
            _kill_all(process)
        self._output.stop()
        for connection in self._ours:
            connection.close()

    def _settled(self) -> Measured | str:
        from pebble import ProcessExpired

        assert self.future is not None
        try:
            return self.future.result()
        except DesignerError:
            raise
        except (ProcessExpired, BrokenProcessPool):
            return self._death()
        except Exception as error:  # how pickling refuses: the question, or the answer
            if not self._at.value:
                raise self._unsendable(error) from None
            return told(error)

    def _death(self) -> str:
        code = self._exit_code()
        self._output.settle()
        how = "died" if code is None else ending(code, b"")
        return f"the worker process ended: {how}{said(self._output.tail)}"

    def _exit_code(self) -> int | None:
        mine = [p for p in self._context.started if p.pid == self._at.value]
        return mine[0].exitcode if mine else self._context.started[0].exitcode


class _Process(SpawnProcess):
    """A worker whose environment carries a mark, and so does that of all its children."""

    mark = ""

    def start(self) -> None:
        """Start it; the mark is in our own environment for that moment only."""
        self.mark = secrets.token_hex(8)
        with _environment:
            os.environ[MARK] = self.mark
            try:
                super().start()
            finally:
                del os.environ[MARK]


class _Context:
    """The spawn context, remembering the processes it made.

    A forked copy of a process that runs torch's threads may hang; a fresh one cannot.
    """

    def __init__(self) -> None:
        self.spawn: SpawnContext = get_context("spawn")
        self.started: list[_Process] = []

    def Process(self, *args: Any, **named: Any) -> _Process:  # noqa: N802
        """Return a marked worker."""
        self.started.append(_Process(*args, **named))
        return self.started[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.spawn, name)


class _Output:
    """Reads what a worker prints, so that it never blocks: counts it and keeps the end."""

    def __init__(self, source: Connection) -> None:
        self.seen, self.tail = 0, b""
        self._source, self._ended = source, False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def clear(self) -> None:
        """Begin anew with the next question."""
        self.seen, self.tail = 0, b""

    def settle(self) -> None:
        """Wait, at most about half a second, until all that was printed is read."""
        poll = select.poll()
        poll.register(self._source.fileno(), select.POLLIN)
        for _ in range(100):
            waiting = poll.poll(0)
            time.sleep(0.005)  # the reader adds what it took
            if not waiting:
                return

    def stop(self) -> None:
        """End the reading."""
        self._ended = True
        self._thread.join()

    def _read(self) -> None:
        handle = self._source.fileno()
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        while not self._ended:
            if not poll.poll(100):
                continue
            chunk = os.read(handle, 1 << 16)
            self.seen += len(chunk)
            self.tail = (self.tail + chunk)[-_TAIL:]


def _kill_all(process: _Process) -> None:
    """Kill a worker and whatever it started."""
    if process.pid is None:
        return
    with suppress(ProcessLookupError, PermissionError):  # one that does not lead a group yet
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
    worker.end(process.pid, process.mark)
