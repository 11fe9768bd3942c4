"""Equation discovery from a table, tied together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from data import path as shipped
from designer.protocols import Task
from tasks.symbolic import view
from tasks.symbolic.choice import Candidate, recommend
from tasks.symbolic.environment import Expressions
from tasks.symbolic.evolution import EXACT, Evolution
from tasks.symbolic.expression import Expression, expression
from tasks.symbolic.library import Library, library
from tasks.symbolic.parser import parse
from tasks.symbolic.proposer import Genetic
from tasks.symbolic.rules import DISTINCT, NESTING
from tasks.symbolic.table import Table, read_table
from tasks.symbolic.units import Units, read_units

TABLES = ("planets", "hubble_1929", "balmer", "boyle_1662", "water_vapour")  # shipped in data/

_COEFFICIENTS = 16  # that a polynomial may bring


def task(
    *,
    data: str | Path = "planets",
    target: str | None = None,
    weights: str | None = None,
    missing: Literal["drop", "refuse"] = "drop",
    operators: str | list[str] = "default",
    literals: list[str] | None = None,
    constants: int = 3,
    drawn: bool = False,
    min_length: int = 1,
    max_length: int = 24,
    max_depth: int = 0,
    nesting: list[list[str]] | None = None,
    scale: bool | None = None,
    offset: bool = False,
    search: Literal["evolution", "genetic", "none"] = "evolution",
    measure: bool = True,
    pairs: bool = True,
    poly: bool = False,
    units: str | Path | None = None,
    free_units: bool = False,
) -> Task:
    """Return the task of explaining one column of a CSV by the others.

    data        CSV file with a header line, or the name of a shipped table (planets, boyle_1662)
    target      header of the column to explain; left out: the last one
    weights     header of a column of sample weights
    missing     what happens to rows with empty cells: drop (and count), or refuse
    operators   names of operators, or the name of a set (default, koza, jin, ...)
    literals    numbers that may stand in an equation as they are: 1, 2, pi
    constants   how many fitted constants an equation may hold beside its factor; 0 for none
    drawn       whether the policy draws the constants, in place of their being fitted
    nesting     groups of operators of which none may stand within another of the same group
    scale       whether a factor in front is fitted; left out: where constants are allowed
    offset      whether a constant is added to the whole, and fitted
    search      what breeds equations beside the policy: evolution (many generations a step),
                genetic (one), or none
    measure     whether evolution also builds in what the target asks for at some place
    pairs       whether evolution also looks for two blocks that are exactly what a place wants
    poly        whether it also looks for quotients of polynomials there, with coefficients by
                least squares; these may hold more numbers than `constants`
    units       CSV file with the columns name,unit: equations must then balance
    free_units  whether constants may have units of their own
    """
    table = read_table(_located(data), target, weights, missing)
    return make_task(
        table,
        library(operators, table.variables, literals or (), constants > 0 or poly),
        max_constants=constants,
        drawn=drawn,
        min_length=min_length,
        max_length=max_length,
        max_depth=max_depth,
        nesting=NESTING if nesting is None else tuple(tuple(group) for group in nesting),
        scale=constants > 0 if scale is None else scale,
        offset=offset,
        search=search,
        measure=measure,
        pairs=pairs,
        poly=poly,
        units=None if units is None else _units(units, table, free_units),
    )


def make_task(
    table: Table,
    tokens: Library,
    *,
    max_constants: int = 3,
    drawn: bool = False,
    min_length: int = 1,
    max_length: int = 24,
    max_depth: int = 0,
    nesting: tuple[tuple[str, ...], ...] = NESTING,
    scale: bool = True,
    offset: bool = False,
    search: Literal["evolution", "genetic", "none"] = "evolution",
    measure: bool = True,
    pairs: bool = True,
    poly: bool = False,
    units: Units | None = None,
) -> Task:
    """Return the task for a table that is in memory already."""
    # where no number can be written, x / x is how to write 1
    one = not (tokens.constant and max_constants) and not tokens.literals
    environment = Expressions(
        tokens,
        max_length=max_length,
        min_length=min_length,
        max_depth=max_depth,
        max_constants=max_constants,
        coefficients=_COEFFICIENTS if poly else 0,
        nesting=nesting,
        distinct=tuple(name for name in DISTINCT if name != "div" or not one),
        units=units,
        drawn=drawn,
    )
    breed: Any = None
    bred = replace(environment, drawn=False)  # what is bred has its constants fitted
    if search == "evolution":
        breed = Evolution(bred, table, scale=scale, offset=offset)
        breed = breed if measure else replace(breed, measure=0.0)
        breed = replace(breed, poly=poly) if pairs else replace(breed, poly=poly, pairs=0)
    elif search == "genetic":
        breed = Genetic(bred)
    return Task(
        name="symbolic",
        environment=environment,
        parse=partial(parse, library=tokens, symbols=table.symbols),
        show=partial(view.show, target=table.target),
        draw=partial(view.draw, table=table),
        proposer=breed,
        bucket=skeleton,
        optimal=is_exact,
        examples=_examples(tokens),
        context={"data": table, "scale": scale, "offset": offset},
        symbols=table.symbols,
        notes=_notes(table),
        recommend=partial(recommended, tokens=tokens, table=table),
    )


def is_exact(scores: Mapping[str, float]) -> bool:
    """Return whether the error is what rounding leaves of the law itself."""
    return scores.get("nmse", math.inf) <= EXACT


def recommended(front: Sequence[Any], *, tokens: Library, table: Table) -> Any | None:
    """Return the found equation of least description length (see `choice`).

    None where the objective does not measure `nmse`: then there is nothing to weigh.
    """
    candidates = {
        Candidate(parse(found.design, tokens, table.symbols), error, found.complexity): found
        for found in front
        if (error := found.scores.get("nmse")) is not None
    }
    chosen = recommend(list(candidates), len(table.y))
    return None if chosen is None else candidates[chosen]


def _units(file: str | Path, table: Table, free: bool) -> Units:
    """Return the units that a file gives to the table's columns, by their headers."""
    headers = [table.symbols.get(name, name) for name in table.variables]
    return read_units(file, headers, table.target, free)


def _notes(table: Table) -> tuple[str, ...]:
    inputs = ", ".join(table.symbols.get(name, name) for name in table.variables)
    return (f"explaining {table.target!r} by {inputs}, {len(table.y)} rows", *table.notes)


def skeleton(design: Expression) -> str:
    """Return the operators an expression uses: the coarse class the diversity filter counts."""
    used = {t for t in design.tokens if t < design.library.first_variable}
    return " ".join(sorted(design.library.names[t] for t in used))


def _examples(tokens: Library) -> Sequence[Expression]:
    first = tokens.first_variable
    return [expression([first + i], tokens) for i in range(len(tokens.variables))]


def _located(data: str | Path) -> Path:
    """Return the path of a file, or of a shipped table where no file has that name."""
    given = Path(data)
    if not given.exists() and str(data) in TABLES:
        return shipped(f"{data}.csv")
    return given
