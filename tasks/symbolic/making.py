"""The task for a table that is in memory: environment, proposer, and how results are told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from designer.errors import InputError
from designer.protocols import Task
from tasks.symbolic.choice import Candidate, recommend
from tasks.symbolic.conditions import Conditions
from tasks.symbolic.guesses import begin
from tasks.symbolic.language.expression import Expression, expression
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.rules import undefined
from tasks.symbolic.output import view
from tasks.symbolic.output.report import Reporter
from tasks.symbolic.search.crowd import EXACT
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.search.proposer import Genetic
from tasks.symbolic.tables.parts import Parts
from tasks.symbolic.tables.table import Table

COEFFICIENTS = 16  # that a polynomial may bring


@dataclass(frozen=True)
class Breeding:
    """What breeds equations beside the policy; the parts are those of `search.evolution`."""

    search: Literal["evolution", "genetic", "none"] = "evolution"
    measure: bool = True
    pairs: bool = True
    sums: bool = True
    ratios: bool = True
    products: bool = True


def make_task(
    data: Table | Parts,
    environment: Expressions,
    breeding: Breeding | None = None,
    *,
    scale: bool = True,
    offset: bool = False,
    guesses: Sequence[Expression] = (),
    known: Conditions | None = None,
    notes: Sequence[str] = (),
) -> Task:
    """Return the task for a table, or the parts of one, that is in memory already.

    What the data rule out is ruled out in the environment too (see `rules.undefined`).
    """
    parts = data if isinstance(data, Parts) else Parts(data, data)
    table, tokens, breeding = parts.search, environment.library, breeding or Breeding()
    environment = _suited(environment, table)
    if (guesses or environment.form) and breeding.search != "evolution":
        what = "guess" if guesses else "form"
        raise InputError(
            f"{what} needs search = 'evolution', not {breeding.search!r}; leave one of them out"
        )
    bred = replace(environment, drawn=False)  # what is bred has its constants fitted
    given, doubts = begin(guesses, bred, table)
    proposer: Any = Genetic(bred) if breeding.search == "genetic" else None
    if breeding.search == "evolution":
        proposer = _evolution(Evolution(bred, table, scale, offset, guesses=given), breeding)
    return Task(
        name="symbolic",
        environment=environment,
        parse=partial(parse, library=tokens, symbols=table.symbols),
        show=partial(view.show, target=table.target),
        draw=partial(view.draw, table=table),
        proposer=proposer,
        bucket=skeleton,
        optimal=is_exact,
        examples=_examples(tokens),
        context={"data": table, "scale": scale, "offset": offset, "conditions": known},
        symbols=table.symbols,
        notes=(*_notes(parts), *notes, *doubts),
        recommend=partial(recommended, tokens=tokens, table=table),
        tell=Reporter(parts, tokens, known),
    )


def _suited(environment: Expressions, table: Table) -> Expressions:
    """Return the environment with the rules that the data and the alphabet ask for."""
    tokens, distinct = environment.library, environment.distinct
    if not (tokens.constant and environment.max_constants) and not tokens.literals:
        distinct = tuple(name for name in distinct if name != "div")  # x / x is how 1 is written
    return replace(environment, distinct=distinct, undefined=undefined(tokens, table.x))


def _evolution(whole: Evolution, breeding: Breeding) -> Evolution:
    """Return the evolution without the parts that are switched off, or cannot work."""
    labels = whole.table.groups is not None  # no single numbers lead to the target
    return replace(
        whole,
        measure=whole.measure if breeding.measure and not labels else 0.0,
        pairs=whole.pairs if breeding.pairs and not labels else 0,
        sums=breeding.sums,
        ratios=breeding.ratios and not labels,
        products=breeding.products,
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
