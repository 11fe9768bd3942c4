"""Whether what was found is the law: as a function where the data are exact, else as a form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cli.bench_equations_cases import Case
from designer.protocols import Floats
from tasks.symbolic.judging import judge
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.tables.names import safe_names
from tasks.symbolic.tables.table import Table

_DIGITS = 50  # in which two laws are compared
_FITTED = 1e-8  # relative difference that fitted constants may leave
_GONE = 1e-6  # a number that shrinks to this share of itself was a term the law does not have
_TURNS = 12  # fits of a form's numbers to the law, of three steps each
_ALLOWED = 3.0  # times the error that noise leaves in a fit of so many numbers


def same_law(found: Expression, law: Expression, case: Case, points: int = 12) -> bool:
    """Return whether two expressions are one function, by values in fifty digits.

    They are compared at random points of a range that reaches beyond the data. Without fitted
    numbers the difference must vanish to forty digits, which no other law of this size does;
    with them it may be what fitting leaves of their digits.
    """
    import sympy

    mine, theirs = found.sympy(), law.sympy()
    theirs = sympy.nsimplify(theirs, rational=True)
    fitted = bool(mine.atoms(sympy.Float))
    limit = _FITTED if fitted else 1e-40
    names, _ = safe_names(case.variables)  # what the search calls them
    rng, tested = np.random.default_rng(1), 0
    for _ in range(20 * points):
        place = {}
        for own, name, (low, high) in zip(names, case.variables, case.ranges, strict=True):
            width = high - low
            value = rng.uniform(low - 0.2 * width * (low < 0), high + 0.2 * width)
            number = sympy.Rational(round(value * 10**6), 10**6)
            place[sympy.Symbol(name)] = place[sympy.Symbol(own)] = number
        a, b = (_value(e, place) for e in (mine, theirs))
        if b is None:
            continue
        if a is None or abs(a - b) > limit * (abs(a) + abs(b)):
            return False
        tested += 1
        if tested == points:
            return True
    return tested > points // 2


def same_form(
    found: Expression, law: Expression, case: Case, x: Floats, y: Floats, noise: float
) -> bool:
    """Return whether an expression fitted to noisy data has the law's form.

    Its structure stays, and only the numbers that were fitted are free: started where they are,
    they are fitted to `y` [P], the law itself at `x` [P, V]. It has the form if (1) it then is
    the law, by `same_law`; (2) no number vanished on the way, which would have been a term that
    the law does not have; (3) it was no further from the law than noise explains: `noise` is the
    deviation of the noise, which leaves noise * sqrt(k / P) in a fit of k numbers, and three
    times that is allowed. A factor of 0.998 in front of the law passes; x^2.01 for x^2 does if
    the exponent was a fitted number; x + 0.02 for x does not.
    """
    fitted = [v for v in (*found.constants, found.scale, found.offset) if not math.isnan(v)]
    if not found.parameters:
        return same_law(found, law, case)
    with np.errstate(all="ignore"):
        away = float(np.sqrt(np.mean((found.predict(x) - y) ** 2)))
    if not away <= _ALLOWED * noise * math.sqrt(found.parameters / len(y)):
        return False
    moved = _refitted(found, x, y)
    again = [v for v in (*moved.constants, moved.scale, moved.offset) if not math.isnan(v)]
    if any(abs(new) < _GONE * abs(old) for old, new in zip(fitted, again, strict=True)):
        return False
    return same_law(moved, law, case)


def _refitted(found: Expression, x: Floats, y: Floats) -> Expression:
    """Return the expression with its numbers fitted to exact values, from where they are."""
    table = Table(x, y, found.library.variables, "target", {})
    last = math.inf
    for _ in range(_TURNS):
        judged = judge(found, table, again=True)
        if not judged.nmse < last:
            break
        found, last = judged.expression, judged.nmse
    return found


def size(expression: Expression) -> int:
    """Return how many nodes its sympy tree has, as SRBench counts."""
    import sympy

    return sum(1 for _ in sympy.preorder_traversal(expression.sympy()))


def _value(expression: Any, place: dict[Any, Any]) -> Any:
    """Return the value in fifty digits, None where it is not real and finite."""
    import sympy

    value = sympy.N(expression.subs(place), _DIGITS)
    return value if value.is_real and value.is_finite else None
