"""Ctrl-C and SIGTERM: the first ends the run after its step, the second stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Says whether somebody asked to stop; `Campaign.run` calls it between steps."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> str | None:
        """Return the reason to stop, None while there is none."""
        return "interrupted" if self.asked else None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Take a signal. Raises KeyboardInterrupt at the second one."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("stopping after this step; once more stops at once", file=sys.stderr)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Yield a `Stop` that listens while the `with` lasts."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may listen to signals
        return
    before = {number: signal.signal(number, stop.receive) for number in CAUGHT}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
