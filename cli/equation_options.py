"""The options of `designer equation`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Options, with_options

_LAW = "What is known of the law"


@with_options
def equation(
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="A table with a header line.")],
    options: Options,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column to explain. Without it, the last one. Repeat for several.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="COLUMN",
            help="Column to explain by; repeat. Without it, all others.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column to leave out; repeat.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of sample weights.")
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of labels: each has constants of its own."),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            metavar="drop|refuse",
            help="What to do with rows that have empty cells; dropped rows are counted.",
        ),
    ] = None,
    split: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Share of rows held out to judge the result, as 0.2."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(metavar="N", help="Rows to search on (all are fitted at the end); 0 for all."),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            metavar="auto|all|N", help="Inputs of a wide table to keep: auto, all, or how many."
        ),
    ] = None,
    units: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_LAW, help="CSV of name,unit: equations must balance."
        ),
    ] = None,
    guess: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMULA",
            rich_help_panel=_LAW,
            help="Formula to start from; single letters are fitted: 'a*x + b'. Repeat.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            metavar="FORM",
            rich_help_panel=_LAW,
            help="How it is put together: 'f(x)*g(y) + a', f and g are searched.",
        ),
    ] = None,
    increasing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=_LAW,
            help="Input with which the law never falls; repeat.",
        ),
    ] = None,
    decreasing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=_LAW,
            help="Input with which the law never rises; repeat.",
        ),
    ] = None,
    positive: Annotated[
        bool, typer.Option("--positive", rich_help_panel=_LAW, help="The law is never below 0.")
    ] = False,
    negative: Annotated[
        bool, typer.Option("--negative", rich_help_panel=_LAW, help="The law is never above 0.")
    ] = False,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMULA",
            rich_help_panel=_LAW,
            help="Formula to fit and judge, without any search. Repeat.",
        ),
    ] = None,
) -> None:
    """Discover an equation in a CSV."""
    from cli.equations import explain

    wishes = {
        "inputs": inputs, "ignore": ignore, "weights": weights, "category": category,
        "missing": missing, "split": split, "sample": sample, "select": select, "units": units,
        "guess": guess, "form": form, "increasing": increasing, "decreasing": decreasing,
        "positive": positive, "negative": negative,
    }  # fmt: skip
    explain(data, target or [], score or [], wishes, options)
