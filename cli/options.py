"""The options that every campaign command shares, declared once."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

MOLECULE_PRESETS = "scratch, prior (the default where one is there) or plausible."
Seed = Annotated[int | None, typer.Option(help="Same seed, same run. Without it, 0.")]
Device = Annotated[
    str | None, typer.Option(help="auto (a GPU where there is one), cpu, cuda or cuda:N.")
]
Out = Annotated[Path | None, typer.Option(help="Run directory; runs/TASK-TIME-ID without it.")]
Budget = Annotated[int | None, typer.Option(help="Most designs the oracles may judge.")]
Seconds = Annotated[float | None, typer.Option(help="Most seconds of search.")]
Workers = Annotated[int | None, typer.Option(help="Processes that judge designs; 1 without it.")]
Grace = Annotated[
    float | None, typer.Option(help="Seconds that Ctrl-C or SIGTERM gives a step; 30 without it.")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set a campaign value, such as policy.hidden=64."
    ),
]
Top = Annotated[int, typer.Option(help="Designs shown and drawn.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Trust = Annotated[
    bool, typer.Option("--allow-plugins", help="Run the user code that the campaign file names.")
]


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
    as_json: AsJson = False
    quiet: Quiet = False
    debug: Debug = False
    allow_plugins: Trust = False

    def trusting(self) -> Options:
        """Return the same with consent to run the code that a person named."""
        return replace(self, allow_plugins=True)


LITTLE = ("as_json", "debug", "allow_plugins")  # what commands that do not search need


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
