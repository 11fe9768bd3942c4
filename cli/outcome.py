"""Running one command: its exit code, and what went wrong as one line on stderr."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer

_TYPER_INTERRUPTED = 130  # what Typer makes of a KeyboardInterrupt


def outcome(app: typer.Typer, arguments: list[str]) -> int:
    """Run one command and return its exit code; what went wrong is one line on stderr."""
    debug = "--debug" in arguments
    with _told_of_interrupts() as told:
        try:
            code = typer.main.get_command(app).main(arguments, "designer", standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            return _reader_gone()
        except (KeyboardInterrupt, Exception) as problem:
            if debug:
                import traceback

                traceback.print_exc()
            cut_short = bool(told) and not hasattr(problem, "exit_code")  # an import, for example
            return _explain(KeyboardInterrupt() if cut_short else problem, arguments)
    if code == _TYPER_INTERRUPTED:
        return _explain(KeyboardInterrupt(), arguments)
    return code if isinstance(code, int) else 0


@contextmanager
def _told_of_interrupts() -> Iterator[list[int]]:
    """Yield a list that grows with every Ctrl-C that nobody else listens to.

    A library that is being imported may swallow the exception and fail by another one later.
    """
    told: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield told
        return

    def receive(number: int, frame: FrameType | None) -> None:
        told.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, receive)
    try:
        yield told
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _explain(problem: BaseException, arguments: list[str]) -> int:
    from designer.errors import DesignerError, Interrupted

    notes = "".join(f" ({note})" for note in getattr(problem, "__notes__", ()))
    if isinstance(problem, DesignerError):
        return _say(f"{problem}{notes}", problem.exit_code)
    if isinstance(problem, KeyboardInterrupt) or type(problem).__name__ == "Abort":
        return _say(f"interrupted{notes}", Interrupted.exit_code)
    if hasattr(problem, "format_message"):  # what Typer raises for a wrong command line
        return _usage(problem, arguments)
    if isinstance(problem, OSError) and problem.filename is not None:
        return _say(f"{problem.filename}: {problem.strerror}", 3)
    where = "run again with --debug for the traceback, and please report it"
    return _say(f"a bug: {type(problem).__name__}: {problem}{notes} ({where})", 1)


def _usage(problem: Any, arguments: list[str]) -> int:
    context: Any = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":
        print(context.get_help())
        return 2
    text = " ".join(problem.format_message().split()).rstrip(".").removeprefix("Invalid value: ")
    path = context.command_path if context is not None else "designer"
    return _say(f"{text}; see `{path} --help`", 2)


def _say(text: str, code: int) -> int:
    line = " ".join(text.split("\n"))
    print(f"designer: {line}", file=sys.stderr)
    return code


def _reader_gone() -> int:
    """Nobody reads stdout any more (`designer ... | head`): end quietly."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
