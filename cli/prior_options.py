"""The options of `designer prior train` and `designer prior info`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Teach a prior known designs, or measure one.", no_args_is_help=True)

Threads = Annotated[int, typer.Option(help="Threads of torch.", min=1)]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, cuda or cuda:N.")]


OWN = {  # options that only one task reads
    "molecules": (
        "file", "earlier", "dataset", "max_length", "max_atoms", "min_count", "unknown", "check",
        "legality",
    ),
    "folding": ("lattice", "chains", "shortest", "longest", "proposals"),
}  # fmt: skip


@app.command()
def train(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE.smi", help="SMILES, one a line; or a CSV; .gz.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory of the prior.")] = Path("prior"),
    dataset: Annotated[
        str | None, typer.Option(help="moses: the training set of the installed molsets.")
    ] = None,
    earlier: Annotated[
        Path | None,
        typer.Option("--from", help="A prior to go on from; its tokens and sizes are kept."),
    ] = None,
    task: Annotated[str, typer.Option(help="molecules, or folding.")] = "molecules",
    lattice: Annotated[
        str, typer.Option(help="folding: square, triangular, cubic or fcc.")
    ] = "square",
    chains: Annotated[int, typer.Option(help="folding: random chains, each searched.")] = 1000,
    shortest: Annotated[int, typer.Option(help="folding: residues of the shortest.")] = 20,
    longest: Annotated[int, typer.Option(help="folding: residues of the longest.")] = 60,
    proposals: Annotated[int, typer.Option(help="folding: of each chain's search.")] = 500_000,
    hidden: Annotated[
        int | None,
        typer.Option(help="Width of the network; 512 for molecules, 128 for folds.", min=1),
    ] = None,
    layers: Annotated[int, typer.Option(help="Its layers.", min=1)] = 1,
    embedding: Annotated[int, typer.Option(help="Width before them; 0 for none.", min=0)] = 0,
    epochs: Annotated[float, typer.Option(help="Passes over the molecules; 0.1 is a tenth.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Molecules a step.", min=1)] = 256,
    lr: Annotated[float, typer.Option(help="Step size at first; falls to 0.")] = 1e-3,
    held_out: Annotated[float, typer.Option(help="Share of the molecules held out.")] = 0.02,
    check_every: Annotated[int, typer.Option(help="Steps between looks at these.", min=1)] = 500,
    patience: Annotated[int, typer.Option(help="Looks without improvement to end.", min=1)] = 5,
    legality: Annotated[
        float, typer.Option(help="Weight of keeping to the mask without being held by it.", min=0)
    ] = 5.0,
    max_length: Annotated[int, typer.Option(help="Most tokens of a molecule.")] = 100,
    max_atoms: Annotated[int, typer.Option(help="Most heavy atoms of a molecule.")] = 50,
    min_count: Annotated[
        int, typer.Option(help="Leave out molecules with tokens that fewer ones have.", min=1)
    ] = 1,
    unknown: Annotated[
        str, typer.Option(help="Lines that cannot be taught: skip or stop.")
    ] = "skip",
    check: Annotated[bool, typer.Option(help="Have RDKit read every line first.")] = True,
    seed: Annotated[int, typer.Option(help="Same seed, same prior.", min=0)] = 0,
    seconds: Annotated[
        float | None, typer.Option("--time", help="Most seconds; the same command goes on.")
    ] = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Teach a prior by maximum likelihood; run again, the same command goes on."""
    from cli.machine import Machine
    from cli.prior_command import Plan, Teachable, train
    from designer.errors import InputError
    from designer.likelihood import Lessons

    if task not in ("molecules", "folding"):
        raise InputError(f"--task {task}: expected molecules or folding")
    _refuse_unread(context, task)
    sized = hidden is not None or layers != 1 or embedding
    if earlier is not None and sized:
        raise InputError("--from keeps the network of a prior of molecules; leave its sizes out")
    if unknown not in ("skip", "stop"):
        raise InputError(f"--unknown {unknown}: expected skip or stop")
    lessons = Lessons(
        epochs, batch_size, lr, check_every=check_every, patience=patience, seed=seed,
        legality=legality if task == "molecules" else 0.0,
    )  # fmt: skip
    plan: Teachable
    if task == "folding" and device not in ("auto", "cpu"):
        raise InputError(f"--device {device}: folds are taught on the CPU; leave it out")
    if task == "folding":
        from cli.prior_folding import FoldPlan

        plan = FoldPlan(
            lattice, chains, shortest, longest, proposals, hidden=hidden or 128, layers=layers,
            embedding=embedding, held_out=held_out, lessons=lessons,
        )  # fmt: skip
        return train(plan, out, Machine("cpu", threads=threads), seconds, quiet=quiet)
    plan = Plan(
        file, dataset, hidden or 512, layers, embedding, max_length, max_atoms, min_count, held_out,
        check, unknown == "stop", earlier, lessons,
    )  # fmt: skip
    train(plan, out, Machine(device, threads=threads), seconds, quiet=quiet)


def _refuse_unread(context: typer.Context, task: str) -> None:
    """Raise InputError for an option that was given and that teaching this task does not read."""
    from designer.errors import InputError

    for other, names in OWN.items():
        for name in names:
            source = context.get_parameter_source(name)
            if other != task and source is not None and source.name == "COMMANDLINE":
                shown = {"file": "FILE", "earlier": "--from"}.get(name, "--" + name)
                shown = shown.replace("_", "-")
                raise InputError(f"{shown} is for --task {other}, and this is {task}; leave it out")


@app.command()
def info(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A prior, or a shipped one.")],
    samples: Annotated[int, typer.Option(help="Molecules to sample.", min=1)] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the sampling.", min=0)] = 0,
    device: Device = "auto",
    threads: Threads = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Say what a prior is: size, data, validity, uniqueness and novelty of its samples."""
    from cli.machine import Machine
    from cli.prior_info import info

    info(directory, samples, Machine(device, threads=threads), seed, as_json=as_json)
