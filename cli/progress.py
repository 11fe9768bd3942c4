"""Progress on stderr: a bar on a terminal, now and then a line elsewhere, nothing when quiet."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console

from designer.settings import Settings

LINES_EVERY = 10.0  # seconds between lines where no bar can be drawn


class Watcher(Protocol):
    """What sees each step's metrics."""

    def __call__(self, metrics: Mapping[str, float], /) -> None:
        """Take the metrics of one step."""


@contextmanager
def watch(settings: Settings, *, quiet: bool = False) -> Iterator[Watcher]:
    """Yield what shows the progress of a campaign while the `with` lasts."""
    console = Console(stderr=True)  # honours NO_COLOR
    if quiet:
        yield lambda metrics: None
    elif console.is_terminal:
        with _bar(console, settings) as watcher:
            yield watcher
    else:
        yield _Lines(console, settings)


def summary(metrics: Mapping[str, float], settings: Settings) -> str:
    """Return one line: reward, best so far, distinct share, evaluations a second, time left."""
    seconds = max(metrics["seconds"], 1e-9)
    reward = "-" if math.isnan(metrics["reward"]) else f"{metrics['reward']:.4g}"
    best = "-" if math.isnan(metrics["best"]) else f"{metrics['best']:.6g}"
    return (
        f"step {metrics['step'] + 1:.0f}  reward {reward}  best {best}  "
        f"distinct {metrics['distinct']:.0%}  "
        f"{metrics['evaluations'] / seconds:.0f} evaluations/s  {_prices(metrics)}"
        f"{_troubles(metrics)}{left(metrics, settings)}"
    )


def _prices(metrics: Mapping[str, float]) -> str:
    """Return the constraints' multipliers and mean excesses, where there are constraints."""
    names = [name for name in metrics if name.startswith("multiplier_")]
    values = [(metrics[n], metrics[n.replace("multiplier", "excess")]) for n in names]
    return "".join(f"price {price:.3g} (excess {excess:+.2g})  " for price, excess in values)


def _troubles(metrics: Mapping[str, float]) -> str:
    """Return what went wrong and was survived; nothing where all is well."""
    told = ""
    if metrics.get("skipped"):
        told += f"{metrics['skipped']:.0f} steps without a finite gradient  "
    if metrics.get("halvings"):
        told += f"out of memory: {metrics['rows_at_a_time']:.0f} rows at a time  "
    return told


def share(metrics: Mapping[str, float], settings: Settings) -> float:
    """Return how much of the nearest limit is used up, 0 to 1."""
    used = [
        now / limit
        for now, limit in (
            (metrics["seconds"], settings.time),
            (metrics["evaluations"], settings.budget),
            (metrics["step"] + 1, settings.steps),
        )
        if limit
    ]
    return min(1.0, max(used, default=0.0))


def left(metrics: Mapping[str, float], settings: Settings) -> str:
    """Return the time left to the nearest limit, at the speed so far, as `1:05 left`."""
    used = share(metrics, settings)
    if used <= 0:
        return f"{_clock(metrics['seconds'])} so far"
    return f"{_clock(metrics['seconds'] * (1 / used - 1))} left"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


@contextmanager
def _bar(console: Console, settings: Settings) -> Iterator[Watcher]:
    from rich.progress import BarColumn, Progress, TextColumn

    columns: list[Any] = [BarColumn(bar_width=20), TextColumn("{task.description}")]
    with Progress(*columns, console=console, transient=True) as progress:
        row = progress.add_task("starting", total=1.0)

        def show(metrics: Mapping[str, float]) -> None:
            completed = share(metrics, settings)
            progress.update(row, completed=completed, description=summary(metrics, settings))

        yield show


class _Lines:
    """A line every few seconds, for logs."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self.console, self.settings = console, settings
        self.last = time.monotonic()

    def __call__(self, metrics: Mapping[str, float]) -> None:
        now = time.monotonic()
        if now - self.last >= LINES_EVERY:
            self.last = now
            line = summary(metrics, self.settings)
            self.console.print(line, highlight=False, soft_wrap=True)
