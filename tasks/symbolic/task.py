"""Equation discovery from a table: the options that people give, and the task they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from data import path as shipped
from designer.errors import InputError
from designer.protocols import Task
from tasks.symbolic.conditions import conditions
from tasks.symbolic.forms import NUMBER
from tasks.symbolic.forms import form as read_form
from tasks.symbolic.guesses import formula, refuse_undefined, with_operators
from tasks.symbolic.language.library import Library, library
from tasks.symbolic.language.operators import SETS, Operator
from tasks.symbolic.language.parser import parse
from tasks.symbolic.making import COEFFICIENTS, Breeding, make_task
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.occurrences import occurrences
from tasks.symbolic.mask.rules import NESTING
from tasks.symbolic.mask.units import read_units
from tasks.symbolic.tables.parts import parted
from tasks.symbolic.tables.selection import selected
from tasks.symbolic.tables.table import Table, read_table

TABLES = ("planets", "hubble_1929", "balmer", "boyle_1662", "water_vapour")  # shipped in data/


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
    at_least: dict[str, int] | None = None,
    at_most: dict[str, int] | None = None,
    scale: bool | None = None,
    offset: bool = False,
    search: Literal["evolution", "genetic", "none"] = "evolution",
    measure: bool = True,
    pairs: bool = True,
    sums: bool = True,
    ratios: bool = True,
    products: bool = True,
    poly: bool = False,
    units: str | Path | None = None,
    free_units: bool = False,
    inputs: list[str] | None = None,
    ignore: list[str] | None = None,
    category: str | None = None,
    select: str | int = "auto",
    split: float = 0.0,
    sample: int = 2000,
    guess: list[str] | None = None,
    form: str | None = None,
    increasing: list[str] | None = None,
    decreasing: list[str] | None = None,
    positive: bool = False,
    negative: bool = False,
    operator: Sequence[Operator] = (),
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
    min_length  tokens of the shortest equation
    max_length  tokens of the longest; a guess may be longer
    max_depth   levels of an equation's tree; 0 for no limit
    nesting     groups of operators of which none may stand within another of the same group
    at_least    how often a column must stand in an equation, such as {mass = 1}
    at_most     how often it may
    scale       whether a factor in front is fitted; left out: where constants are allowed, and
                no form is given
    offset      whether a constant is added to the whole, and fitted
    search      what breeds equations beside the policy: evolution (many generations a step),
                genetic (one), or none
    measure     whether evolution also builds in what the target asks for at some place
    pairs       whether evolution also looks for two blocks that are exactly what a place wants;
                without it neither sums nor products are looked for
    sums        whether it also looks for sums of two or three blocks, each with a factor
    ratios      whether it also looks for quotients of polynomials; where no number may be
                written, those with whole coefficients, in plain symbols: 2 is (x + x)/x
    poly        whether these quotients may hold more numbers than `constants`
    products    whether it tries, once, all short chains of functions and 1 above products of
                powers of the inputs and of two blocks, and two functions with a number in each
    units       CSV file with the columns name,unit: equations must then balance
    free_units  whether constants may have units of their own
    inputs      headers of the columns to explain by; left out: all others
    ignore      headers of columns to leave out
    category    header of a column of labels: each label has fitted constants of its own
    select      of a table with many inputs keep those that matter (auto), all, or so many
    split       share of the rows held out to judge what was found, such as 0.2
    sample      rows that the search looks at; what it finds is fitted again on all. 0: all
    guess       formulas to start from; single letters that are no column are fitted
    form        how it is put together, such as f(x)*g(y) + a: unknown functions are searched
    increasing  headers of inputs with which the law never falls, over the data's range
    decreasing  headers of inputs with which it never rises
    positive    whether it is never below 0
    negative    whether it is never above 0
    operator    your own operators, beside those named: [[task.operator]] tables in a file
    """
    table = read_table(
        _located(data), target, weights, missing,
        inputs=inputs or (), ignore=ignore or (), category=category,
    )  # fmt: skip
    parts = parted(table, split, sample)
    kept, line = selected(parts.search, select)
    parts = parts.columns(kept) if line else parts
    whole = parts.whole
    tokens = _alphabet(operators, operator, whole, literals or (), constants > 0 or poly)
    with _reading("guess"):
        texts = [formula(text, whole.target) for text in guess or []]
        guesses = [parse(text, tokens, whole.symbols) for text in texts]
    with _reading("form"):
        text = None if form is None else formula(form, whole.target)
        shape = None if text is None else read_form(text, tokens, whole.symbols)
    holds = () if shape is None else shape.names
    environment = Expressions(
        with_operators(tokens, guesses, holds),
        max_length=max([max_length, *(len(each.tokens) for each in guesses)]),
        min_length=min_length,
        max_depth=max_depth,
        max_constants=max(
            [constants + holds.count(NUMBER), *(len(each.constants) for each in guesses)]
        ),
        coefficients=COEFFICIENTS if poly else 0,
        nesting=NESTING if nesting is None else tuple(tuple(group) for group in nesting),
        units=None if units is None else read_units(units, whole.headers, whole.target, free_units),
        form=shape,
        drawn=drawn,
        occurrences=occurrences(at_least or {}, at_most or {}, whole),
    )
    return make_task(
        parts,
        environment,
        Breeding(search, measure, pairs, sums, ratios or poly, products),
        scale=(constants > 0 and shape is None) if scale is None else scale,
        offset=offset,
        guesses=guesses,
        known=conditions(whole, increasing or (), decreasing or (), positive, negative),
        notes=[line] if line else (),
    )


def _alphabet(
    named: str | list[str],
    own: Sequence[Operator],
    table: Table,
    literals: Sequence[str],
    constant: bool,
) -> Library:
    """Return the tokens: operators by name or set, the user's own, columns and numbers."""
    refuse_undefined(own, table)
    chosen = SETS.get(named, (named,)) if own and isinstance(named, str) else named
    return library([*chosen, *own] if own else chosen, table.variables, literals, constant)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Within, errors about a formula say what it is."""
    try:
        yield
    except InputError as problem:
        raise InputError(str(problem).replace("formula", what, 1)) from None


def _located(data: str | Path) -> Path:
    """Return the path of a file, or of a shipped table where no file has that name."""
    given = Path(data)
    if not given.exists() and str(data) in TABLES:
        return shipped(f"{data}.csv")
    return given
