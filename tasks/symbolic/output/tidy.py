"""Fitted numbers as people write them: short, or known, where the fit does not suffer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from tasks.symbolic.fit.fitting import fit
from tasks.symbolic.fit.outer import Settings
from tasks.symbolic.judging import points_of
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.printing import infix, number
from tasks.symbolic.language.trees import pack
from tasks.symbolic.tables.table import Table

KNOWN = {
    "pi": math.pi, "2*pi": 2 * math.pi, "pi/2": math.pi / 2, "E": math.e, "sqrt(2)": math.sqrt(2),
    "sqrt(2*pi)": math.sqrt(2 * math.pi),
}  # fmt: skip
_DENOMINATORS = (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 16)
_THIRDS = (3, 6, 9, 12)  # a fraction of these has no short decimals


def tidied(expression: Expression, table: Table, allowance: float = 1e-3) -> Expression:
    """Return the expression with each number replaced by the simplest that is as good.

    The error may grow by the share `allowance`, or stay at rounding level. The constants that
    are left are fitted again after each replacement, so two numbers that depend on each other
    find short values together.
    """
    free = [math.nan] * len(expression.constants)
    outer = (math.nan, expression.offset, expression.scale)
    first = _refit(expression, table, free, *outer)
    limit = max(first[1] * (1 + allowance), 1e-20)
    best = list(first[0].constants)
    scale, offset = first[0].scale, first[0].offset
    held = [math.nan] * len(best)
    for at in range(len(best)):
        for short in candidates(best[at]):
            tried = [*held[:at], short, *held[at + 1 :]]
            done, error = _refit(expression, table, tried, math.nan, offset, scale)
            if error <= limit:
                held, best, scale = tried, list(done.constants), done.scale
                break
    for short in candidates(scale):
        if _refit(expression, table, best, short, offset)[1] <= limit:
            return expression.fitted(best, short, offset)
    return expression.fitted(best, scale, offset)


def tidy_text(expression: Expression) -> str:
    """Return the expression with known numbers and fractions by name: pi, sqrt(2), 1/3."""
    library = expression.library
    scale = "1" if math.isnan(expression.scale) else spelled(expression.scale)
    offset = "0" if math.isnan(expression.offset) else spelled(expression.offset)
    plain = expression.numbers()
    texts = [
        name if math.isnan(value) else spelled(value)
        for name, value in zip(plain, expression.constants, strict=True)
    ]
    return infix(expression.tokens, library, texts, (scale, offset))


def spelled(value: float) -> str:
    """Return a number by its name, as a fraction in brackets, or in decimals."""
    sign = "-" if value < 0 else ""
    for name, known in KNOWN.items():
        if abs(value) == known:
            return f"{sign}{name}" if name.isidentifier() or "(" in name else f"{sign}({name})"
        if abs(value) == 1 / known:
            return f"({sign}1/({name}))" if "*" in name or "/" in name else f"({sign}1/{name})"
    for below in _THIRDS:
        above = round(abs(value) * below)
        if above and above / below == abs(value) and math.gcd(above, below) == 1:
            return f"({sign}{above}/{below})"
    return number(value)


def candidates(value: float) -> Iterator[float]:
    """Yield short numbers near a value, the simplest first: fractions, known ones, few digits."""
    if value == 0 or not math.isfinite(value):
        return
    near = 1e-3 * abs(value)
    for below in _DENOMINATORS:
        short = round(value * below) / below
        if short and abs(short - value) <= near:
            yield short
    for known in KNOWN.values():
        for short in (known, -known, 1 / known, -1 / known):
            if abs(short - value) <= near:
                yield short
    for digits in (2, 3, 4, 5, 6, 8, 10):
        yield float(f"{value:.{digits}g}")


def _refit(
    expression: Expression,
    table: Table,
    constants: list[float] | tuple[float, ...],
    scale: float,
    offset: float,
    usual: float = math.nan,
) -> tuple[Expression, float]:
    """Return the expression with NaN constants fitted, and its error.

    A `scale` that is NaN is fitted, unless `usual` is 1: then there was none.
    """
    scale = 1.0 if usual == 1.0 else scale
    offset = 0.0 if math.isnan(offset) else offset
    given = torch.tensor([list(constants)], dtype=torch.float64)
    begin = torch.tensor([list(expression.constants)], dtype=torch.float64)
    outer = torch.tensor([[scale, offset]], dtype=torch.float64)
    fits = fit(
        pack([expression.tokens]), expression.library, points_of(table), Settings(starts=1),
        given if given.numel() else None, outer, begin if begin.numel() else None,
    )  # fmt: skip
    numbers = fits.constants[0, : len(expression.constants)].tolist()
    done = expression.fitted(numbers, float(fits.scale[0]), float(fits.offset[0]))
    return done, float(fits.nmse[0])
