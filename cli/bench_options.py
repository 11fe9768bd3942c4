"""`designer bench NAME`: a command for each benchmark, with the options that it uses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import MOLECULE_PRESETS, Options, with_options

app = typer.Typer(help="Measure this installation: speed, searches, faults.", no_args_is_help=True)

TOLD = ("as_json", "debug")
RUN = (*TOLD, "seed", "device", "workers", "assignments")  # of benches that run campaigns
Seeds = Annotated[int, typer.Option(help="Searches of each, by seeds that follow --seed.", min=1)]
Chains = Annotated[
    list[str] | None, typer.Option("--only", help="A set or a sequence; repeat. All without it.")
]
Kept = Annotated[
    Path | None, typer.Option(help="File of what was measured; only the rest is done.")
]


@app.command()
@with_options(only=RUN)
def pipeline(options: Options) -> None:
    """Time each stage of a step of the shipped campaigns."""
    from cli.bench_pipeline import bench_pipeline

    bench_pipeline(options)


@app.command()
@with_options(only=TOLD)
def gradients(options: Options) -> None:
    """List every estimator's exact bias and variance."""
    from cli.bench_gradients import bench_gradients

    bench_gradients(options)


@app.command()
@with_options(only=(*TOLD, "seed"))
def estimators(
    options: Options,
    tasks: Annotated[
        str, typer.Option(help="By commas: folding, symbolic, molecules; fold, equation, molecule.")
    ] = "",
    only: Annotated[list[str] | None, typer.Option(help="An estimator's name; repeat.")] = None,
    seeds: Seeds = 1,
    kept: Kept = None,
) -> None:
    """Compare the estimators on small problems at equal oracle calls."""
    from cli.bench_estimators import bench_estimators

    bench_estimators(tasks, only or [], seeds, options, kept)


@app.command()
@with_options(only=RUN)
def equations(
    options: Options,
    suite: Annotated[
        str,
        typer.Option(
            help="By commas: nguyen, nguyen-c, jin, constant, livermore, r, LIST.csv; or speed."
        ),
    ] = "nguyen",
    only: Annotated[list[str] | None, typer.Option(help="A case's name; repeat.")] = None,
    every: Annotated[int, typer.Option(help="Each K-th case of a suite only.", min=1)] = 1,
    offset: Annotated[int, typer.Option(help="The first of these.", min=0)] = 0,
    seeds: Seeds = 1,
    points: Annotated[int | None, typer.Option(help="Data points of each law.", min=2)] = None,
    limit: Annotated[float, typer.Option(help="Processor seconds for each search.")] = 90.0,
    noise: Annotated[
        float, typer.Option(help="Noise of the target, over its root mean square.", min=0)
    ] = 0.0,
    units: Annotated[bool, typer.Option("--units", help="Tell the search the units.")] = False,
    peers: Annotated[bool, typer.Option("--peers", help="Run pyoperon on the same data.")] = False,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Switch one part after another off.")
    ] = False,
    kept: Kept = None,
) -> None:
    """Recover the laws of a suite; `--suite speed` counts expressions a second."""
    from cli.bench_equations import Plan, bench
    from cli.bench_equations_runs import Setting

    setting = Setting(limit, noise, units, tuple(options.assignments or ()))
    suites = tuple(part.strip() for part in suite.split(",") if part.strip())
    chosen = (tuple(only or ()), every, offset, points)
    bench(Plan(suites, *chosen, seeds, setting, peers, kept, ablate), options)


@app.command()
@with_options(only=RUN)
def folding(
    options: Options,
    only: Chains = None,
    seeds: Seeds = 1,
    peer: Annotated[
        list[str] | None, typer.Option(metavar="LATTICES=PROGRAM", help="A program to compare.")
    ] = None,
    stretch: Annotated[float, typer.Option(help="Time allowed, in multiples of the bar.")] = 1.0,
    kept: Kept = None,
) -> None:
    """Fold known sequences down to their best-known energies."""
    from cli.bench_folding import bench_folding

    bench_folding(options, only or [], seeds, peer or [], stretch, kept)


@app.command()
@with_options(only=(*TOLD, "device", "assignments"))
def growth(options: Options, only: Chains = None) -> None:
    """Time the growth of chains by the policy, by its network alone, and blindly."""
    from cli.bench_growth import bench_growth

    bench_growth(options, only or [])


@app.command()
@with_options(only=RUN)
def samples(
    options: Options,
    only: Chains = None,
    seeds: Seeds = 1,
    budget: Annotated[int, typer.Option(help="Most folds of a run.", min=1)] = 300_000,
) -> None:
    """Count the folds that the policy alone samples until the best one."""
    from cli.bench_folds import bench_samples

    bench_samples(options, only or [], seeds, budget)


@app.command()
@with_options(only=RUN)
def ablation(
    options: Options,
    only: Chains = None,
    seeds: Seeds = 1,
    budget: Annotated[int, typer.Option(help="Energies computed in a run.", min=1)] = 20_000,
) -> None:
    """Fold without one part of the search after another."""
    from cli.bench_folds import bench_ablation

    bench_ablation(options, only or [], seeds, budget)


@app.command()
@with_options(only=(*TOLD, "seed"))
def amortised(
    options: Options,
    prior: Annotated[
        str, typer.Option(help="A prior of folds, or a shipped one.")
    ] = "folds_square",
    chains: Annotated[int, typer.Option(help="Random chains that it never saw.", min=1)] = 200,
    budget: Annotated[int, typer.Option(help="Energies computed for each.", min=100)] = 100_000,
) -> None:
    """Fold unseen chains with and without the taught policy, energies equal."""
    from cli.bench_amortised import bench_amortised

    bench_amortised(options, prior, chains, budget)


@app.command()
@with_options(only=RUN)
def design(
    options: Options,
    only: Annotated[
        list[str] | None, typer.Option(help="Residues of the targets; repeat. 16 without it.")
    ] = None,
    budget: Annotated[int, typer.Option(help="Most judgements for a target.", min=1)] = 2_000,
    long: Annotated[bool, typer.Option("--long", help="Every target, not a sample.")] = False,
) -> None:
    """Design sequences for every fold that a sequence can have as its only best one."""
    from cli.bench_folds import bench_design

    bench_design(options, only or [], budget, long)


@app.command()
@with_options(only=(*RUN, "allow_plugins"))
def pmo(
    options: Options,
    tasks: Annotated[
        str, typer.Option(help="By commas: objectives, or pmo20, pmo, guacamol.")
    ] = "pmo20",
    seeds: Seeds = 1,
    budget: Annotated[int, typer.Option(help="Oracle calls of a run.", min=1)] = 10_000,
    campaign: Annotated[
        Path | None, typer.Option(help="The campaign file; the shipped one without it.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=MOLECULE_PRESETS)] = None,
) -> None:
    """Optimise molecules as the PMO benchmark does, every call counted."""
    from cli.bench_pmo import bench_pmo

    if campaign is not None and preset is not None:
        raise typer.BadParameter("give either --campaign or --preset: a preset is a campaign file")
    names = [part.strip() for part in tasks.split(",") if part.strip()]
    bench_pmo(names, seeds, budget, campaign or preset, options)


@app.command()
@with_options(only=(*TOLD, "device", "workers"))
def molecules(
    options: Options,
    prior: Annotated[str | None, typer.Option(help="A prior; the shipped one without it.")] = None,
) -> None:
    """Time sampling and scoring of SMILES against plain loops."""
    from cli.bench_molecules import bench_molecules

    bench_molecules(prior, options)


@app.command()
@with_options(only=TOLD)
def walks(options: Options) -> None:
    """Count random walks of the molecule tasks that are molecules."""
    from cli.bench_walks import bench_walks

    bench_walks(options.as_json)


@app.command()
@with_options(only=(*TOLD, "seed"))
def reliability(
    options: Options,
    long: Annotated[bool, typer.Option("--long", help="More of everything; hours.")] = False,
) -> None:
    """Make faults on purpose and count what is lost."""
    from cli.bench_reliability import bench_reliability

    bench_reliability(long=long, as_json=options.as_json, seed=options.seed or 0)
