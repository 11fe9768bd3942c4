"""The options of `designer bench`: which benchmark, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import MOLECULE_PRESETS, Options, with_options

BENCHES = (
    "pipeline, gradients, estimators, equations, folding, samples, ablation, design, pmo, "
    "reliability, walks, molecules"
)


@with_options(only=("as_json", "debug", "device", "seed", "workers", "assignments"))
def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help=BENCHES)],
    options: Options,
    long: Annotated[bool, typer.Option("--long", help="More of everything; hours.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="folding: sets or sequences.")] = None,
    seeds: Annotated[int, typer.Option(help="folding: searches of each.", min=1)] = 1,
    peer: Annotated[
        list[str] | None, typer.Option(metavar="LATTICES=PROGRAM", help="folding: compare.")
    ] = None,
    stretch: Annotated[float, typer.Option(help="folding: time allowed, in bars.")] = 1.0,
    suite: Annotated[
        str,
        typer.Option(help="equations: nguyen, jin, constant, livermore, r, speed, or LIST.csv."),
    ] = "nguyen",
    limit: Annotated[float, typer.Option(help="equations: seconds for each search.")] = 90.0,
    units: Annotated[bool, typer.Option("--units", help="equations: with their units.")] = False,
    tasks: Annotated[str, typer.Option(help="estimators, pmo: which tasks, by commas.")] = "",
    budget: Annotated[
        int | None,
        typer.Option(help="pmo: calls a run; samples, ablation, design: a fold's.", min=1),
    ] = None,
    campaign: Annotated[
        Path | None, typer.Option(help="pmo: the campaign file; the shipped one without it.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=f"pmo: {MOLECULE_PRESETS}")] = None,
    kept: Annotated[
        Path | None,
        typer.Option(help="estimators, folding: file of runs; only others are made."),
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="molecules: a prior; the shipped one without it.")
    ] = None,
) -> None:
    """Measure: `pipeline` times the stages, `folding` the search, `reliability` injects faults."""
    if name == "folding":
        from cli.bench_folding import bench_folding

        return bench_folding(options, only or [], seeds, peer or [], stretch, kept)
    if name in ("samples", "ablation", "design"):
        from cli import bench_folds

        if name == "samples":
            return bench_folds.bench_samples(options, only or [], seeds, budget or 300_000)
        if name == "ablation":
            return bench_folds.bench_ablation(options, only or [], seeds, budget or 20_000)
        return bench_folds.bench_design(options, only or [], budget or 2_000, long)
    if name == "equations":
        from cli.bench_equations import bench as bench_equations

        return bench_equations(suite, seeds, limit, only or [], options, units)
    if name == "estimators":
        from cli.bench_estimators import bench_estimators

        return bench_estimators(tasks, only or [], seeds, options, kept)
    if name == "molecules":
        from cli.bench_molecules import bench_molecules

        return bench_molecules(prior, options)
    if name == "pmo":
        from cli.bench_pmo import bench_pmo

        names = [part.strip() for part in tasks.split(",") if part.strip()]
        return bench_pmo(names, seeds, budget or 10_000, campaign or preset, options)
    from cli.bench import bench

    bench(name, options, long)
