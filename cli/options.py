"""The options that every campaign command shares, declared once."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

MOLECULE_PRESETS = "scratch, prior (the default where one is there) or plausible."
_search = partial(typer.Option, rich_help_panel="Campaign options")
_output = partial(typer.Option, rich_help_panel="Output options")

Seed = Annotated[int | None, _search(metavar="N", help="Same seed, same run. Without it, 0.")]
Device = Annotated[
    str | None,
    _search(metavar="NAME", help="auto (a GPU where there is one), cpu, cuda or cuda:N."),
]
Out = Annotated[
    Path | None, _search(metavar="DIR", help="Run directory; runs/TASK-TIME-ID without it.")
]
Budget = Annotated[
    int | None, _search(metavar="N", help="Most designs the oracles may judge; repeats are free.")
]
Seconds = Annotated[float | None, _search(metavar="SECONDS", help="Most seconds of search.")]
Workers = Annotated[
    int | None, _search(metavar="N", help="Processes that judge designs; 1 without it.")
]
Grace = Annotated[
    float | None,
    _search(metavar="SECONDS", help="What Ctrl-C or SIGTERM gives a step; 30 without it."),
]
Assignments = Annotated[
    list[str] | None,
    _search(
        "--set",
        metavar="KEY=VALUE",
        help="Set a value of the campaign file, as policy.hidden=64; repeat.",
    ),
]
Trust = Annotated[
    bool, _search("--allow-plugins", help="Run the user code that the campaign file names.")
]
Top = Annotated[int, _output(metavar="N", help="Designs shown and drawn.", min=1)]
Diverse = Annotated[
    bool, _output(help="Show only the best design of each class (of molecules: each scaffold).")
]
AsJson = Annotated[bool, _output("--json", help="Print one JSON object instead of text.")]
Quiet = Annotated[bool, _output("--quiet", "-q", help="No progress, only results and errors.")]
Debug = Annotated[bool, _output("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True)
class Options:
    """What the shared options said; None where an option was not given."""

    seed: Seed = None
    device: Device = None
    out: Out = None
    budget: Budget = None
    time: Seconds = None
    workers: Workers = None
    grace: Grace = None
    assignments: Assignments = None
    top: Top = 10
    diverse: Diverse = False
    as_json: AsJson = False
    quiet: Quiet = False
    debug: Debug = False
    allow_plugins: Trust = False

    def trusting(self) -> Options:
        """Return the same with consent to run the code that a person named."""
        return replace(self, allow_plugins=True)


LITTLE = ("debug", "allow_plugins")  # what commands that do not search need


def with_options(
    command: Callable[..., Any] | None = None, *, only: Sequence[str] = ()
) -> Callable[..., Any]:
    """Return the command with its parameter `options` replaced by the shared options."""
    if command is None:
        return lambda wrapped: with_options(wrapped, only=only)
    chosen = [f for f in fields(Options) if not only or f.name in only]

    def called(**given: Any) -> None:
        shared = {f.name: given.pop(f.name) for f in chosen}
        command(options=Options(**shared), **given)

    hints = typing.get_type_hints(Options, include_extras=True)
    ours = [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name]
        )
        for f in chosen
    ]
    parameters = [*_own_parameters(command), *ours]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    return called


def _own_parameters(command: Callable[..., Any]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(command, include_extras=True)
    return [
        p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(command).parameters.values()
        if p.name != "options"
    ]
