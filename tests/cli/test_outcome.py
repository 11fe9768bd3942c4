"""Ctrl-C outside a campaign: one line and the exit code of an interrupted run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
import typer

from cli.outcome import outcome
from designer.errors import Interrupted


def _run(body: Callable[[], None]) -> int:
    app = typer.Typer()
    app.command()(body)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = outcome(app, [])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    return code


def test_an_interrupted_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert _run(body) == Interrupted.exit_code
    assert capsys.readouterr().err == "designer: interrupted\n"


def test_an_interrupt_that_a_library_swallows_is_no_bug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise AttributeError("half imported") from None

    assert _run(body) == Interrupted.exit_code
    assert capsys.readouterr().err == "designer: interrupted\n"


def test_a_command_that_copes_with_it_ends_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise typer.Exit(4) from None

    assert _run(body) == 4
    assert capsys.readouterr().err == ""
