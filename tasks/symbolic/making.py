"""The task for a table that is in memory: environment, proposer, and how results are told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from designer.errors import InputError
from designer.protocols import Task
from tasks.symbolic.choice import Candidate, recommend
from tasks.symbolic.conditions import Conditions
from tasks.symbolic.forms import Form
from tasks.symbolic.guesses import begin
from tasks.symbolic.language.expression import Expression, expression
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.occurrences import Occurrence
from tasks.symbolic.mask.rules import DISTINCT, NESTING, undefined
from tasks.symbolic.mask.units import Units
from tasks.symbolic.output import view
from tasks.symbolic.output.report import Reporter
from tasks.symbolic.search.crowd import EXACT
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.search.proposer import Genetic
from tasks.symbolic.tables.parts import Parts
from tasks.symbolic.tables.table import Table

Search = Literal["evolution", "genetic", "none"]

_COEFFICIENTS = 16  # that a polynomial may bring


def make_task(
    data: Table | Parts,
    tokens: Library,
    *,
    max_constants: int = 3,
    drawn: bool = False,
    min_length: int = 1,
    max_length: int = 24,
    max_depth: int = 0,
    nesting: tuple[tuple[str, ...], ...] = NESTING,
    limits: tuple[Occurrence, ...] = (),
    scale: bool = True,
    offset: bool = False,
    search: Search = "evolution",
    measure: bool = True,
    pairs: bool = True,
    sums: bool = True,
    ratios: bool = True,
    products: bool = True,
    poly: bool = False,
    units: Units | None = None,
    guesses: Sequence[Expression] = (),
    form: Form | None = None,
    known: Conditions | None = None,
    notes: Sequence[str] = (),
) -> Task:
    """Return the task for a table, or the parts of one, that is in memory already."""
    parts = data if isinstance(data, Parts) else Parts(data, data)
    table = parts.search
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
        occurrences=limits,
        undefined=undefined(tokens, table.x),
        form=form,
    )
    if (guesses or form) and search != "evolution":
        what = "guess" if guesses else "form"
        raise InputError(
            f"{what} needs search = 'evolution', not {search!r}; leave one of them out"
        )
    bred = replace(environment, drawn=False)  # what is bred has its constants fitted
    given, doubts = begin(guesses, bred, table)
    breed: Any = Genetic(bred) if search == "genetic" else None
    if search == "evolution":
        breed = Evolution(
            bred,
            table,
            scale=scale,
            offset=offset,
            sums=sums,
            ratios=ratios or poly,
            products=products,
            guesses=given,
        )
        breed = _without(breed, measure, pairs)
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
        context={"data": table, "scale": scale, "offset": offset, "conditions": known},
        symbols=table.symbols,
        notes=(*_notes(parts), *notes, *doubts),
        recommend=partial(recommended, tokens=tokens, table=table),
        tell=Reporter(parts, tokens, known),
    )


def is_exact(scores: Mapping[str, float]) -> bool:
    """Return whether the error is what rounding leaves of the law itself."""
    return scores.get("nmse", math.inf) <= EXACT


def recommended(front: Sequence[Any], *, tokens: Library, table: Table) -> Any | None:
    """Return the found equation of least description length (see `choice`).

    None where the objective does not measure `nmse`: then there is nothing to weigh.
    """
    copies = max(1, len(table.labels))
    candidates = {
        Candidate(
            parse(found.design, tokens, table.symbols), error, found.complexity, copies
        ): found
        for found in front
        if (error := found.scores.get("nmse")) is not None
    }
    chosen = recommend(list(candidates), len(table.y))
    return None if chosen is None else candidates[chosen]


def _without(breed: Evolution, measure: bool, pairs: bool) -> Evolution:
    """Return the evolution without the parts that are switched off, or cannot work."""
    labels = breed.table.groups is not None  # no single numbers lead to the target
    breed = breed if measure and not labels else replace(breed, measure=0.0)
    breed = breed if pairs and not labels else replace(breed, pairs=0)
    return replace(breed, ratios=False) if labels else breed


def _notes(parts: Parts) -> tuple[str, ...]:
    table = parts.whole
    inputs = [f"{n} = {table.symbols[n]}" if n in table.symbols else n for n in table.variables]
    line = f"explaining {table.target!r} by {', '.join(inputs)}; {len(table.y):,} rows"
    labels = ", ".join(table.labels)
    own = f"each {table.category!r} has constants of its own: {labels}"
    return (line, *([own] if table.labels else []), *table.notes, *parts.notes)


def skeleton(design: Expression) -> str:
    """Return the operators an expression uses: the coarse class the diversity filter counts."""
    used = {t for t in design.tokens if t < design.library.first_variable}
    return " ".join(sorted(design.library.names[t] for t in used))


def _examples(tokens: Library) -> Sequence[Expression]:
    first = tokens.first_variable
    return [expression([first + i], tokens) for i in range(len(tokens.variables))]
