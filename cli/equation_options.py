"""The options of `designer equation`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.options import Options, with_options

_column = partial(typer.Option, metavar="COLUMN")
_law = partial(typer.Option, rich_help_panel="What is known of the law")


@with_options
def equation(
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="A table with a header line.")],
    options: Options,
    target: Annotated[
        list[str] | None,
        _column(help="Column to explain. Without it, the last one. Repeat for several."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        _column("--input", help="Column to explain by; repeat. Without it, all others."),
    ] = None,
    ignore: Annotated[list[str] | None, _column(help="Column to leave out; repeat.")] = None,
    weights: Annotated[str | None, _column(help="Column of sample weights.")] = None,
    category: Annotated[
        str | None, _column(help="Column of labels: each has constants of its own.")
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
        Path | None, _law(metavar="FILE", help="CSV of name,unit: equations must balance.")
    ] = None,
    guess: Annotated[
        list[str] | None,
        _law(
            metavar="FORMULA",
            help="Formula to start from; single letters are fitted: 'a*x + b'. Repeat.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        _law(
            metavar="FORM",
            help="How it is put together: 'f(x)*g(y) + a', f and g are searched.",
        ),
    ] = None,
    increasing: Annotated[
        list[str] | None,
        _law(metavar="COLUMN", help="Input with which the law never falls; repeat."),
    ] = None,
    decreasing: Annotated[
        list[str] | None,
        _law(metavar="COLUMN", help="Input with which the law never rises; repeat."),
    ] = None,
    positive: Annotated[bool, _law("--positive", help="The law is never below 0.")] = False,
    negative: Annotated[bool, _law("--negative", help="The law is never above 0.")] = False,
    score: Annotated[
        list[str] | None,
        _law(metavar="FORMULA", help="Formula to fit and judge, without any search. Repeat."),
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
