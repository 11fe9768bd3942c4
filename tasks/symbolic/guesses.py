"""The user's own formulas as places to start from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from designer.errors import InputError
from tasks.symbolic.forms import NUMBER
from tasks.symbolic.judging import judge
from tasks.symbolic.language.expression import Expression, expression
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.operators import OPERATORS, Operator
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.variants import ends
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.tables.table import Table


def with_operators(
    tokens: Library, guesses: Sequence[Expression], more: Sequence[str] = ()
) -> Library:
    """Return the library with the operators, and the constant, that the formulas need too."""
    known = set(tokens.operator_ids)
    names = dict.fromkeys(
        design.library.names[token]
        for design in guesses
        for token in design.tokens
        if token < design.library.first_variable
    )
    needed = [*dict.fromkeys([*names, *more])]
    new = tuple(OPERATORS[name] for name in needed if name not in known and name in OPERATORS)
    constant = tokens.constant or NUMBER in more or any(d.constants for d in guesses)
    return replace(tokens, operators=tokens.operators + new, constant=constant)


def begin(
    guesses: Sequence[Expression], environment: Expressions, table: Table
) -> tuple[tuple[Expression, ...], list[str]]:
    """Return the formulas as the search takes them, and notes on those it only judges.

    One with numbers written in it comes twice: as it is, and with the numbers as a place to
    begin their fit. Raises InputError for a formula that is not a finite number on the data.
    """
    notes, out = [], []
    for guess, legal in zip(guesses, environment.encode(guesses), strict=True):
        if not math.isfinite(judge(guess, table).nmse):
            raise InputError(undefined(guess, table))
        if legal is None:
            notes.append(
                f"guess {guess.infix(6)} is judged, but not bred from: it breaks a rule of the "
                "search (length, number of constants, nesting or units)"
            )
        out.append(guess)
        if table.groups is None and any(not math.isnan(value) for value in guess.constants):
            done = judge(guess, table, again=True).expression
            out.append(expression(done.tokens, done.library, done.constants, 1.0, 0.0))
    return tuple({guess.key: guess for guess in out}.values()), notes


def refuse_undefined(operators: Sequence[Operator], table: Table) -> None:
    """Raise InputError for an operator of the user's that is nowhere defined on the inputs."""
    for operator in operators:
        if operator.name in table.variables:
            raise InputError(
                f"operator {operator.name!r} has the name of a column; give it another name"
            )
        columns = torch.from_numpy(table.x.T.copy())
        if operator.arity == 1 and not operator.function(columns).isfinite().any():
            spans = ", ".join(
                f"{name} {low:g} to {high:g}"
                for name, low, high in zip(
                    table.headers, table.x.min(0), table.x.max(0), strict=True
                )
            )
            raise InputError(
                f"operator {operator.name!r} is undefined on all rows of all inputs ({spans}); "
                "mend its domain, or leave it out"
            )


def checked(text: str, tokens: Library, table: Table) -> Expression:
    """Return the formula that `text` says; raises InputError where it is not finite on the data.

    It may begin with the target and "=".
    """
    design = parse(formula(text, table.target), tokens, table.symbols)
    if not math.isfinite(judge(design, table).nmse):
        raise InputError(undefined(design, table))
    return design


def formula(text: str, target: str) -> str:
    """Return the right side of `target = ...`, or the text as it is."""
    left, equals, right = text.partition("=")
    return right if equals and left.strip().strip("`") in (target, "y") else text


def undefined(design: Expression, table: Table) -> str:
    """Return why a formula has no finite error on the data: the innermost part that fails."""
    done = judge(design, table).versions[0]
    numbers = [1.0 if math.isnan(value) else value for value in done.constants]
    for start, stop in _innermost(design):
        before = design.tokens[:start].count(design.library.constant_id)
        inner = design.tokens[start:stop]
        count = inner.count(design.library.constant_id)
        part = Expression(inner, design.library, "", tuple(numbers[before : before + count]))
        bad = ~np.isfinite(part.predict(table.x))
        if bad.any():
            row = int(bad.argmax())
            at = zip(table.headers, table.x[row], strict=True)
            where = ", ".join(f"{name} = {value:g}" for name, value in at)
            return (
                f"formula {design.infix(6)!r}: {part.infix(6)} is undefined or infinite on "
                f"{int(bad.sum()):,} of {len(bad):,} rows (first where {where}); choose a "
                "form that is defined there"
            )
    return f"formula {design.infix(6)!r} could not be fitted to the data; write down its constants"


def _innermost(design: Expression) -> list[tuple[int, int]]:
    """Return where each subexpression begins and ends, inner ones before outer ones."""
    spans = enumerate(ends(design.tokens, design.library))
    return sorted(spans, key=lambda span: span[1] - span[0])
