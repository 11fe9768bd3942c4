"""Equation discovery from a table: the options that people give, and the task they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from data import path as shipped
from designer.errors import InputError
from designer.protocols import Task
from tasks.symbolic.conditions import conditions
from tasks.symbolic.forms import NUMBER, Form
from tasks.symbolic.forms import form as read_form
from tasks.symbolic.guesses import formula, refuse_undefined, with_operators
from tasks.symbolic.language.library import Library, library
from tasks.symbolic.language.operators import SETS, Operator
from tasks.symbolic.language.parser import parse
from tasks.symbolic.making import Search, is_exact, make_task, recommended, skeleton
from tasks.symbolic.mask.occurrences import occurrences
from tasks.symbolic.mask.rules import NESTING
from tasks.symbolic.mask.units import Units, read_units
from tasks.symbolic.tables.parts import parted
from tasks.symbolic.tables.selection import selected
from tasks.symbolic.tables.table import Table, read_table

__all__ = ["TABLES", "is_exact", "make_task", "recommended", "skeleton", "task"]

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
    search: Search = "evolution",
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
    nesting     groups of operators of which none may stand within another of the same group
    at_least    how often a column must stand in an equation, such as {mass = 1}
    at_most     how often it may
    scale       whether a factor in front is fitted; left out: where constants are allowed, and
                no form is given
    offset      whether a constant is added to the whole, and fitted
    search      what breeds equations beside the policy: evolution (many generations a step),
                genetic (one), or none
    measure     whether evolution also builds in what the target asks for at some place
    pairs       whether evolution also looks for two blocks that are exactly what a place wants
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
    if line:
        parts = parts.columns(kept)
    refuse_undefined(operator, parts.whole)
    named = SETS.get(operators, (operators,)) if isinstance(operators, str) else operators
    chosen = [*named, *operator] if operator else operators
    tokens = library(chosen, parts.whole.variables, literals or (), constants > 0 or poly)
    texts = [formula(text, table.target) for text in guess or []]
    try:
        guesses = [parse(text, tokens, parts.whole.symbols) for text in texts]
    except InputError as problem:
        raise InputError(str(problem).replace("formula", "guess", 1)) from None
    shape = None if form is None else _form(form, tokens, table)
    tokens = with_operators(tokens, guesses, () if shape is None else shape.names)
    fixed = 0 if shape is None else shape.names.count(NUMBER)
    return make_task(
        parts,
        tokens,
        max_constants=max([constants + fixed, *(len(each.constants) for each in guesses)]),
        drawn=drawn,
        min_length=min_length,
        max_length=max([max_length, *(len(each.tokens) for each in guesses)]),
        guesses=guesses,
        form=shape,
        known=conditions(parts.whole, increasing or (), decreasing or (), positive, negative),
        notes=[line] if line else (),
        max_depth=max_depth,
        nesting=NESTING if nesting is None else tuple(tuple(group) for group in nesting),
        limits=occurrences(at_least or {}, at_most or {}, parts.whole),
        scale=(constants > 0 and shape is None) if scale is None else scale,
        offset=offset,
        search=search,
        measure=measure,
        pairs=pairs,
        sums=sums,
        ratios=ratios,
        products=products,
        poly=poly,
        units=None if units is None else _units(units, parts.whole, free_units),
    )


def _form(text: str, tokens: Library, table: Table) -> Form:
    try:
        return read_form(formula(text, table.target), tokens, table.symbols)
    except InputError as problem:
        raise InputError(str(problem).replace("formula", "form", 1)) from None


def _units(file: str | Path, table: Table, free: bool) -> Units:
    """Return the units that a file gives to the table's columns, by their headers."""
    return read_units(file, table.headers, table.target, free)


def _located(data: str | Path) -> Path:
    """Return the path of a file, or of a shipped table where no file has that name."""
    given = Path(data)
    if not given.exists() and str(data) in TABLES:
        return shipped(f"{data}.csv")
    return given
