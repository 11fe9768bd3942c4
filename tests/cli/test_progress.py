"""Progress and signals: what is shown while a campaign runs, and how it is stopped."""

from __future__ import annotations

import signal

import pytest

from cli import progress
from cli.signals import stopping
from designer.settings import Settings

METRICS = {
    "step": 9.0, "reward": 0.25, "best": 0.75, "distinct": 0.5, "evaluations": 500.0,
    "seconds": 20.0,
}  # fmt: skip


def test_a_line_says_what_matters() -> None:
    line = progress.summary(METRICS, Settings(budget=2000, steps=15, time=3600))
    assert line == (
        "step 10  reward 0.25  best 0.75  distinct 50%  25 evaluations/s  0:10 left"
    )  # 10 of 15 steps took 20 s
    none = METRICS | {"reward": float("nan"), "best": float("nan")}  # nothing was measured yet
    assert progress.summary(none, Settings()).startswith("step 10  reward -  best -  distinct")


@pytest.mark.parametrize(
    ("settings", "share", "left"),
    [
        (Settings(), 0.0, "0:20 so far"),
        (Settings(time=80), 0.25, "1:00 left"),
        (Settings(budget=1000), 0.5, "0:20 left"),
        (Settings(budget=50_000, time=40), 0.5, "0:20 left"),
        (Settings(steps=100_000), 1e-4, "55:33:00 left"),
        (Settings(time=10), 1.0, "0:00 left"),
    ],
)
def test_time_left_to_the_nearest_limit(settings: Settings, share: float, left: str) -> None:
    assert progress.share(METRICS, settings) == pytest.approx(share)
    assert progress.left(METRICS, settings) == left


def test_no_bar_off_a_terminal_and_nothing_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (True, False):
        with progress.watch(Settings(), quiet=quiet) as watcher:
            watcher(METRICS)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "", "a line comes only after some seconds"


def test_a_line_every_few_seconds_off_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINES_EVERY", 0.0)
    with progress.watch(Settings()) as watcher:
        watcher(METRICS)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "\x1b" not in captured.err


def test_the_first_signal_asks_and_the_second_stops(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping() as stop:
        assert stop() is None
        signal.raise_signal(signal.SIGINT)
        assert stop() == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before
    assert "once more stops at once" in capsys.readouterr().err
