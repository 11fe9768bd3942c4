"""The command line: `designer equation | fold | molecule | run | ...`.

Every command is thin and imports what it needs when it runs, so that `--help` answers at once.
Errors are handled in one place, `outcome`: one line on stderr and the exit code of the error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import bench_options, equation_options, prior_options
from cli.options import LITTLE, MOLECULE_PRESETS, Options, with_options
from cli.outcome import outcome

app = typer.Typer(
    help="Inverse design by policy gradients: equations, folds, molecules, and your own tasks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SEARCH, PEOPLE, LOOK, MEASURE = (
    "Search",
    "Search with people",
    "Before and after",
    "Check, teach, measure",
)

Campaign = Annotated[Path, typer.Argument(metavar="CAMPAIGN.toml", help="A campaign file.")]
Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a run.")]


def _version(asked: bool) -> None:
    if asked:
        from designer import __version__

        print(f"designer {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Inverse design by policy gradients: equations, folds, molecules, and your own tasks."""


app.command(rich_help_panel=SEARCH)(equation_options.equation)


@app.command(rich_help_panel=SEARCH)
@with_options
def fold(
    options: Options,
    sequence: Annotated[
        str | None, typer.Argument(metavar="SEQUENCE|FILE", help="Letters, or a FASTA file.")
    ] = None,
    lattice: Annotated[
        str, typer.Option(metavar="NAME", help="square, triangular, cubic or fcc.")
    ] = "square",
    energy: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="hp, mj, mj-reduced, or a matrix file.")
    ] = "hp",
    target_energy: Annotated[
        float | None, typer.Option(metavar="E", help="Stop at a fold with so little.")
    ] = None,
    design: Annotated[
        str | None, typer.Option(metavar="TARGET", help="Design a sequence for this fold.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="LETTERS", help="--design: a letter a residue, ? for any, * for the rest."
        ),
    ] = None,
    composition: Annotated[
        str | None,
        typer.Option(metavar="BOUNDS", help="--design: shares or numbers: H=0.4..0.6, H=7..9."),
    ] = None,
) -> None:
    """Fold a chain to its lowest contact energy on a lattice, or design one for a fold."""
    from cli import folding
    from cli.session import start

    if (design is None) == (sequence is None):
        raise typer.BadParameter("give either a SEQUENCE to fold, or --design with a fold")
    if sequence is not None:
        if pattern is not None or composition is not None:
            raise typer.BadParameter("--pattern and --composition go with --design")
        return folding.fold_all(sequence, lattice, energy, target_energy, options)
    assert design is not None
    if target_energy is not None:
        raise typer.BadParameter("--target-energy goes with a SEQUENCE, not with --design")
    wishes = {"pattern": pattern, "composition": composition}
    start(folding.design(design, lattice, energy, wishes), options)


@app.command(rich_help_panel=SEARCH)
@with_options
def molecule(
    options: Options,
    objective: Annotated[
        str, typer.Argument(metavar="OBJECTIVE", help="An oracle's name, or FILE.py:FUNCTION.")
    ] = "qed",
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|NAME", help="A taught prior to start from: its directory, or a name."
        ),
    ] = None,
    scaffold: Annotated[
        str | None,
        typer.Option(
            metavar="SMILES", help="Grow from its points [*:1], or link its fragments; it is kept."
        ),
    ] = None,
    representation: Annotated[
        str | None, typer.Option(metavar="NAME", help="graph (atom by atom), fragments, or smiles.")
    ] = None,
    begin: Annotated[
        Path | None,
        typer.Option("--start", metavar="FILE", help="Molecules to begin from; they are judged."),
    ] = None,
    preset: Annotated[str | None, typer.Option(metavar="NAME", help=MOLECULE_PRESETS)] = None,
) -> None:
    """Design molecules for an objective."""
    from cli.presets import molecule
    from cli.session import start

    known = None if begin is None else str(begin.absolute())
    wishes = {"scaffold": scaffold, "start": known, "representation": representation}
    document, trusted = molecule(objective, prior, wishes, preset)
    start(document, options.trusting() if trusted else options)


@app.command(rich_help_panel=SEARCH)
@with_options
def run(campaign: Campaign, options: Options) -> None:
    """Run any campaign file."""
    from cli.session import start
    from designer import config

    start(config.load(campaign), options)


@app.command(rich_help_panel=SEARCH)
@with_options
def resume(directory: Directory, options: Options) -> None:
    """Continue an interrupted run, or one whose limit is raised (--time, --budget)."""
    from cli.session import resume

    resume(directory, options)


@app.command(rich_help_panel=PEOPLE)
@with_options(only=(*LITTLE, "seed", "device", "out", "workers", "assignments"))
def ask(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR|CAMPAIGN.toml", help="A run, or a campaign to begin.")
    ],
    options: Options,
    count: Annotated[int, typer.Argument(metavar="N", help="Designs wanted.", min=1)] = 8,
) -> None:
    """Print designs for people or a laboratory to measure, as CSV."""
    from cli.asking import ask

    ask(directory, count, options)


@app.command(rich_help_panel=PEOPLE)
@with_options(only=("as_json", *LITTLE, "top", "diverse"))
def tell(
    directory: Directory,
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS.csv", help="What `ask` printed, filled in.")
    ],
    options: Options,
) -> None:
    """Learn from measurements of the designs that `ask` printed."""
    from cli.asking import tell

    tell(directory, results, options)


@app.command(rich_help_panel=LOOK)
@with_options(only=("as_json", *LITTLE, "top", "diverse"))
def report(directory: Directory, options: Options) -> None:
    """Print what a run found so far and write its exports again."""
    from cli.session import report_on

    report_on(directory, options)


@app.command(rich_help_panel=LOOK)
@with_options(only=LITTLE)
def validate(campaign: Campaign, options: Options) -> None:
    """Check a campaign file, its data and its oracles without running it."""
    from cli.inspecting import validate

    validate(campaign, options)


@app.command(rich_help_panel=LOOK)
@with_options(only=("as_json", *LITTLE, "assignments"))
def score(
    oracle: Annotated[str, typer.Argument(metavar="ORACLE", help="A name, or FILE.py:FUNCTION.")],
    options: Options,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="Designs, one a line. Without it, stdin.")
    ] = "-",
    task: Annotated[
        str | None, typer.Option(help="The designs' task, where it is not plain.")
    ] = None,
    serve: Annotated[
        str | None, typer.Option(help="Answer as another program wants it: reinvent4.")
    ] = None,
    skip: Annotated[
        bool,
        typer.Option(
            "--skip", help="Go on past lines that are no design; they get nan. --serve always does."
        ),
    ] = False,
) -> None:
    """Judge given designs: a line each, the value, a tab, the design."""
    if serve is not None:
        from cli.serving import serve as answer

        return answer(oracle, file, task, serve, options)
    from cli.inspecting import score

    score(oracle, file, task, options, skip)


@app.command("list", rich_help_panel=LOOK)
def list_(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="tasks, oracles, penalties, policies, ...")
    ] = "",
) -> None:
    """List what can be named in a campaign file, with its settings."""
    from cli.listing import listing

    listing(what)


@app.command(rich_help_panel=LOOK)
def init(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="One of `designer list campaigns`: equation, fold, servers."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="File to write. Without it, KIND.toml.")] = None,
) -> None:
    """Write a commented campaign file to start from."""
    from cli.presets import init

    init(kind, out)


@app.command(rich_help_panel=MEASURE)
@with_options(only=("allow_plugins", "debug"))
def doctor(
    options: Options,
    campaign: Annotated[
        Path | None, typer.Argument(metavar="CAMPAIGN.toml", help="A campaign to try out.")
    ] = None,
) -> None:
    """Say whether this installation, this machine and a campaign work, with remedies."""
    from cli.doctor import doctor

    doctor(campaign, allow_plugins=options.allow_plugins)


app.add_typer(prior_options.app, name="prior", rich_help_panel=MEASURE)
app.add_typer(bench_options.app, name="bench", rich_help_panel=MEASURE)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def invoke(arguments: list[str]) -> int:
    """Run one command and return its exit code; what went wrong is one line on stderr."""
    return outcome(app, arguments)


if __name__ == "__main__":
    main()
