"""The control tasks, tied together: traffic signals and a server pool."""

from __future__ import annotations

from functools import partial
from typing import Any

from designer.protocols import Task
from tasks.control.schedule import draw, lived, parse_schedule, show
from tasks.control.servers import Servers
from tasks.control.signals import Signals


def signals(
    rows: int = 2,
    columns: int = 2,
    ticks: int = 12,
    north: float = 0.6,
    west: float = 0.3,
    flow: int = 2,
    day: int | None = None,
) -> Task:
    """Return the task of `rows` x `columns` traffic signals, agents that choose in turn.

    See `tasks.control.signals.Signals`. Raises InputError for values out of range.
    """
    return _task("signals", Signals(rows, columns, ticks, north, west, flow, day))


def servers(
    most: int = 6,
    ticks: int = 24,
    users: int = 40,
    load: float = 0.25,
    swing: float = 0.6,
    rate: int = 4,
    bound: float = 1.0,
    day: int | None = None,
) -> Task:
    """Return the task of a server pool that promises a latency; see `Servers`.

    Raises InputError for values out of range.
    """
    return _task("servers", Servers(most, ticks, users, load, swing, rate, bound, day))


def _task(name: str, env: Any) -> Task:
    return Task(
        name=name,
        environment=env,
        parse=partial(parse_schedule, env=env),
        show=show,
        draw=draw,
        examples=lived(env, [[0] * env.max_steps], [[0]]),
    )
