"""What runs in an oracle's own process; see `oracles.isolation`."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from designer.calling import call
from designer.errors import DesignerError
from designer.plugins import told
from designer.protocols import Measured, Oracle
from oracles import rows
from oracles.process import MARK

_oracle: Any = None
_place: Any = None


def begin(
    oracle: Oracle[Any], memory_mb: int | None, printing: Connection, life: Connection, at: Any
) -> None:
    """Make a fresh process a worker: its own group, its output to us, its memory capped."""
    global _oracle, _place
    os.setsid()
    os.dup2(printing.fileno(), 1)
    os.dup2(printing.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _guard(life)
    _oracle, _place = oracle, at
    if memory_mb is not None:
        _cap(memory_mb)


def _guard(life: Connection) -> None:
    """Leave a process behind that ends the group when the worker or the program is gone."""
    worker = os.getpid()
    if os.fork():
        return
    os.dup2(life.fileno(), 0)
    os.closerange(1, 4096)  # or the pipes of others would look open
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    while os.getppid() == worker and not poll.poll(200):
        pass
    end(worker, os.environ[MARK])


def end(group: int, mark: str) -> None:
    """Kill every process that carries the mark, and then the group (the caller's own, maybe)."""
    for _ in range(50):  # a child may be starting another while we look
        marked = [pid for pid in _marked(mark) if pid != os.getpid()]
        for pid in marked:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgrp() != group:
                os.killpg(group, signal.SIGKILL)
        if not marked:
            break
        time.sleep(0.01)
    if os.getpgrp() == group:
        os.killpg(group, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    """Return the living processes with that mark; none where there is no /proc."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*") if mark else ():
        with suppress(OSError):  # it ended, or is somebody else's; a dead one shows nothing
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _cap(memory_mb: int) -> None:
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def work(designs: list[Any]) -> Measured:
    """Return the validated answer; whatever the oracle raises is a row's reason."""
    _place.value = os.getpid()
    try:
        given = call(_oracle, designs)
    except DesignerError:
        raise
    except BaseException as error:  # SystemExit too: it must not end the pool
        return rows.failure(len(designs), told(error))
    done = zip(given.designs, designs, strict=True)
    completed = None if all(one is other for one, other in done) else given.designs
    return Measured(given.columns, completed, given.errors)
