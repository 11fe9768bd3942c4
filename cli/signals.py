"""Ctrl-C, SIGTERM and SIGUSR2: the first ends the run after its step, the second stops at once.

The step has `grace` seconds to finish, where that is finite. A thread keeps the time, because
the main one may be deep in an oracle's code: it wakes the main thread with a signal of its own,
which raises `Overdue` there. If even that changes nothing (native code that never returns, a
handler that swallows everything), it ends the process: what was paid for is in the record, the
last checkpoint is intact, and worker processes are ended by their guardians.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from designer.errors import Interrupted

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
LAST = 10.0  # seconds after which a main thread that does not come back is given up
_ENDED = b"\0"  # no signal has this number


class Overdue(KeyboardInterrupt):
    """The step did not end within its grace. No `except Exception` of an oracle stops it."""


class Stop:
    """Says whether somebody asked to stop; `Campaign.run` calls it between steps."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.asked = self.overdue = False

    def __call__(self) -> str | None:
        """Return the reason to stop, None while there is none."""
        return "interrupted" if self.asked else None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Take a signal. Raises KeyboardInterrupt at the second one, Overdue after the grace."""
        if self.overdue:
            self.overdue = False
            raise Overdue
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        late = f", or in {self.grace:g} s" if self.grace < math.inf else ""
        print(f"stopping after this step{late}; once more stops at once", file=sys.stderr)


@contextmanager
def stopping(grace: float = math.inf) -> Iterator[Stop]:
    """Yield a `Stop` that listens while the `with` lasts."""
    stop = Stop(grace)
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may listen to signals
        return
    told, telling = os.pipe()
    os.set_blocking(telling, False)
    clock = threading.Thread(target=_keep_time, args=(told, stop), daemon=True)
    before = {number: signal.signal(number, stop.receive) for number in CAUGHT}
    woken = signal.set_wakeup_fd(telling, warn_on_full_buffer=False)  # each signal's number
    clock.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(telling, _ENDED)
        clock.join()
        os.close(telling)
        os.close(told)


def _keep_time(told: int, stop: Stop) -> None:
    """Wait for signals; see that the main thread comes back in time after them."""
    poll = select.poll()
    poll.register(told, select.POLLIN)
    signals, end = 0, math.inf
    while True:
        left = 1000 * max(0.0, end - time.monotonic()) if end < math.inf else None
        for number in os.read(told, 64) if poll.poll(left) else b"":
            if number == _ENDED[0]:
                return
            if number in CAUGHT and signals < 2:
                signals += 1
                end = time.monotonic() + (stop.grace if signals == 1 else LAST)
        if time.monotonic() < end:
            continue
        if signals == 2:
            _give_up()
        signals, end = 2, time.monotonic() + LAST
        stop.overdue = True
        main = threading.main_thread().ident
        assert main is not None, "it has begun"
        signal.pthread_kill(main, signal.SIGINT)


def _give_up() -> None:
    os.write(2, b"designer: interrupted in code that does not end; the record is intact\n")
    os._exit(Interrupted.exit_code)
