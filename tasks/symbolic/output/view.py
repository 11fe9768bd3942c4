"""Expressions for people: terminal text, and SVG plots of data and prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from xml.sax.saxutils import escape

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.judging import Judged
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.printing import tree
from tasks.symbolic.tables.table import Table

DIGITS = 6
PANELS = 6  # at most so many expressions are drawn
DOTS = 2000  # at most so many rows of a table are drawn, evenly taken
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
    table = _thinned(table)
    shown = list(expressions)[:PANELS]
    return _document([_panel(e, table, i * _H) for i, e in enumerate(shown)])


def draw_fit(judged: Judged, table: Table) -> str:
    """Return one SVG document: prediction against measurement, and the residuals below it."""
    table = _thinned(table)
    single = table.x.shape[1] == 1 and not judged.by_label
    top = _panel(judged.expression, table, 0) if single else _against(judged, table)
    return _document([top, _residuals(judged, table, single)])


def _thinned(table: Table) -> Table:
    if len(table.y) <= DOTS:
        return table
    return table.rows(np.linspace(0, len(table.y) - 1, DOTS).astype(np.int64))


def _document(panels: Sequence[str]) -> str:
    height = max(1, len(panels)) * _H
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_W}" height="{height}" '
        f'viewBox="0 0 {_W} {height}" font-family="sans-serif" font-size="12">'
        f'<rect width="{_W}" height="{height}" fill="white"/>{"".join(panels)}</svg>\n'
    )


def _against(judged: Judged, table: Table) -> str:
    predicted = judged.predict(table)
    span = _span(np.concatenate([table.y, predicted]))
    place = partial(_place, x=span, y=span, top=0)
    body = _dots(table.y, predicted, place) + _line([place(v, v) for v in span])
    return body + _frame(_title(judged.expression, table), 0, span, span, _labels(table, False))


def _residuals(judged: Judged, table: Table, single: bool) -> str:
    predicted = judged.predict(table)
    across, left = (table.x[:, 0] if single else predicted), table.y - predicted
    x, y = _span(across), _span(left)
    y = (min(y[0], 0.0), max(y[1], 0.0))
    place = partial(_place, x=x, y=y, top=_H)
    body = _dots(across, left, place) + _line([place(x[0], 0.0), place(x[1], 0.0)])
    spread = float(np.sqrt(np.mean(left[np.isfinite(left)] ** 2))) if len(left) else 0.0
    name = _labels(table, True)[0] if single else "predicted"
    title = f"residuals (root mean square {spread:.3g})"
    return body + _frame(title, _H, x, y, (name, "measured - predicted"))


def _dots(across: Floats, up: Floats, place: partial[tuple[float, float]]) -> str:
    size = 3 if len(across) <= 200 else 1.5
    return "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{size}" fill="#1f77b4"/>'
        for px, py in map(place, across, up)
        if math.isfinite(px) and math.isfinite(py)
    )


def _line(points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    return f'<polyline points="{path}" fill="none" stroke="#d62728" stroke-width="1.5"/>'


def _title(expression: Expression, table: Table) -> str:
    return f"{table.target} = {expression.infix(DIGITS)}"


def _panel(expression: Expression, table: Table, top: int) -> str:
    predicted = expression.predict(table.x)
    single = table.x.shape[1] == 1
    across = table.x[:, 0] if single else table.y
    up = table.y if single else predicted
    x, y = _span(across), _span(np.concatenate([table.y, predicted]))
    place = partial(_place, x=x, y=y, top=top)
    labels = _labels(table, single)
    curve = _curve(expression, table, x, place) if single else [(y[0], y[0]), (y[1], y[1])]
    points = curve if single else [place(a, b) for a, b in curve]
    body = _dots(across, up, place) + _line(points)
    return body + _frame(_title(expression, table), top, x, y, labels)


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
    text: str,
    top: int,
    x: tuple[float, float],
    y: tuple[float, float],
    labels: tuple[str, str],
) -> str:
    left, right, low, high = _PAD, _W - _PAD, top + _H - _PAD, top + _PAD
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
