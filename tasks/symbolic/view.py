"""Expressions for people: terminal text, and SVG plots of data and prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from xml.sax.saxutils import escape

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.expression import Expression
from tasks.symbolic.printing import tree
from tasks.symbolic.table import Table

DIGITS = 6
PANELS = 6  # at most so many expressions are drawn
_W, _H, _PAD = 560, 340, 64  # size of a panel, and the room around its plot


def show(expression: Expression, target: str = "y") -> str:
    """Return the equation, then its tree, a line a token."""
    head = f"{target} = {expression.infix(DIGITS)}"
    lines = tree(expression.tokens, expression.library, expression.numbers(DIGITS))
    return "\n".join([head, *("  " + line for line in lines)])


def draw(expressions: Sequence[Expression], table: Table) -> str:
    """Return one SVG document with a panel an expression, the first `PANELS` of them.

    With one input the panel shows the data and the curve over that input; with more it shows
    prediction against measurement.
    """
    shown = list(expressions)[:PANELS]
    panels = "".join(_panel(e, table, i * _H) for i, e in enumerate(shown))
    height = max(1, len(shown)) * _H
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_W}" height="{height}" '
        f'viewBox="0 0 {_W} {height}" font-family="sans-serif" font-size="12">'
        f'<rect width="{_W}" height="{height}" fill="white"/>{panels}</svg>\n'
    )


def _panel(expression: Expression, table: Table, top: int) -> str:
    predicted = expression.predict(table.x)
    single = table.x.shape[1] == 1
    across = table.x[:, 0] if single else table.y
    up = table.y if single else predicted
    x, y = _span(across), _span(np.concatenate([table.y, predicted]))
    place = partial(_place, x=x, y=y, top=top)
    body = "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="#1f77b4"/>'
        for px, py in map(place, across, up)
        if math.isfinite(px) and math.isfinite(py)
    )
    labels = _labels(table, single)
    curve = _curve(expression, table, x, place) if single else [(y[0], y[0]), (y[1], y[1])]
    points = curve if single else [place(a, b) for a, b in curve]
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    body += f'<polyline points="{line}" fill="none" stroke="#d62728" stroke-width="1.5"/>'
    return body + _frame(expression, table, top, x, y, labels)


def _labels(table: Table, single: bool) -> tuple[str, str]:
    if single:
        name = table.variables[0]
        return table.symbols.get(name, name), table.target
    return f"measured {table.target}", "predicted"


def _curve(
    expression: Expression,
    table: Table,
    span: tuple[float, float],
    place: partial[tuple[float, float]],
) -> list[tuple[float, float]]:
    low, high = float(table.x.min()), float(table.x.max())
    grid = np.linspace(low, high, 200)
    values = expression.predict(grid[:, None])
    found = [place(a, b) for a, b in zip(grid, values, strict=True) if math.isfinite(b)]
    return [(px, min(max(py, -1e4), 1e4)) for px, py in found]


def _span(values: Floats) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = 0.05 * (high - low) or 0.5 * abs(low) or 0.5
    return low - room, high + room


def _place(
    a: float, b: float, x: tuple[float, float], y: tuple[float, float], top: int
) -> tuple[float, float]:
    px = _PAD + (a - x[0]) / (x[1] - x[0]) * (_W - 2 * _PAD)
    py = top + _H - _PAD - (b - y[0]) / (y[1] - y[0]) * (_H - 2 * _PAD)
    return float(px), float(py)


def _frame(
    expression: Expression,
    table: Table,
    top: int,
    x: tuple[float, float],
    y: tuple[float, float],
    labels: tuple[str, str],
) -> str:
    left, right, low, high = _PAD, _W - _PAD, top + _H - _PAD, top + _PAD
    text = f"{table.target} = {expression.infix(DIGITS)}"
    size = min(13.0, (_W - 24) / (0.62 * len(text)))  # a long equation is written smaller
    title = escape(text)
    return (
        f'<rect x="{left}" y="{high}" width="{right - left}" height="{low - high}" '
        'fill="none" stroke="#444"/>'
        f'<text x="12" y="{top + 30}" font-size="{size:.1f}">{title}</text>'
        f'<text x="{(left + right) / 2}" y="{low + 32}" text-anchor="middle">'
        f"{escape(labels[0])}</text>"
        f'<text x="14" y="{(low + high) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(low + high) / 2})">{escape(labels[1])}</text>'
        f'<text x="{left}" y="{low + 15}">{x[0]:.4g}</text>'
        f'<text x="{right}" y="{low + 15}" text-anchor="end">{x[1]:.4g}</text>'
        f'<text x="{left - 4}" y="{low}" text-anchor="end" font-size="10">{y[0]:.3g}</text>'
        f'<text x="{left - 4}" y="{high + 8}" text-anchor="end" font-size="10">{y[1]:.3g}</text>'
    )
