"""Expressions for people: terminal text, and SVG plots of data and prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from xml.sax.saxutils import escape

import numpy as np

from designer.axes import ticks
from designer.protocols import Floats
from tasks.symbolic.judging import Judged
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.printing import tree
from tasks.symbolic.tables.table import Table

DIGITS = 6
PANELS = 6  # at most so many expressions are drawn
DOTS = 2000  # at most so many rows of a table are drawn, evenly taken
_W, _H, _PAD = 560, 340, 64  # size of a panel, and the room around its plot
_CURVE = 200  # points of a curve

Place = Callable[[float, float], tuple[float, float]]  # of a point, in pixels


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
    over = _over_input if table.x.shape[1] == 1 else _against
    return _document([over(Judged(e, math.nan), table, i * _H) for i, e in enumerate(shown)])


def draw_fit(judged: Judged, table: Table) -> str:
    """Return one SVG document: the equation as `draw` shows it, and the residuals below it."""
    table = _thinned(table)
    single = table.x.shape[1] == 1 and not judged.by_label
    over = _over_input if single else _against
    return _document([over(judged, table, 0), _residuals(judged, table, single)])


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


def _over_input(judged: Judged, table: Table, top: int) -> str:
    """Return the data and the curve over the only input."""
    across, curve = table.x[:, 0], judged.expression
    x, y = _ticks(across), _ticks(np.concatenate([table.y, curve.predict(table.x)]))
    place = partial(_place, x=x, y=y, top=top)
    grid = np.linspace(across.min(), across.max(), _CURVE)
    body = _dots(across, table.y, place) + _line(grid, curve.predict(grid[:, None]), place)
    return _frame(body, _title(curve, table), top, x, y, (table.headers[0], table.target))


def _against(judged: Judged, table: Table, top: int) -> str:
    """Return prediction against measurement."""
    predicted = judged.predict(table)
    both = _ticks(np.concatenate([table.y, predicted]))
    place = partial(_place, x=both, y=both, top=top)
    ends = both[[0, -1]]
    body = _dots(table.y, predicted, place) + _line(ends, ends, place)
    names = (f"measured {table.target}", "predicted")
    return _frame(body, _title(judged.expression, table), top, both, both, names)


def _residuals(judged: Judged, table: Table, single: bool) -> str:
    predicted = judged.predict(table)
    across, left = (table.x[:, 0] if single else predicted), table.y - predicted
    x, y = _ticks(across), _ticks(np.append(left, 0.0))
    place = partial(_place, x=x, y=y, top=_H)
    body = _dots(across, left, place) + _line(x[[0, -1]], np.zeros(2), place)
    spread = float(np.sqrt(np.mean(left[np.isfinite(left)] ** 2)))
    name = table.headers[0] if single else "predicted"
    title = f"residuals (root mean square {spread:.3g})"
    return _frame(body, title, _H, x, y, (name, "measured - predicted"))


def _dots(across: Floats, up: Floats, place: Place) -> str:
    size = 3 if len(across) <= 200 else 1.5
    return "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{size}" fill="#1f77b4"/>'
        for px, py in map(place, across, up)
        if math.isfinite(px) and math.isfinite(py)
    )


def _line(across: Floats, up: Floats, place: Place) -> str:
    points = [place(a, b) for a, b in zip(across, up, strict=True) if math.isfinite(b)]
    path = " ".join(f"{px:.1f},{min(max(py, -1e4), 1e4):.1f}" for px, py in points)
    return f'<polyline points="{path}" fill="none" stroke="#d62728" stroke-width="1.5"/>'


def _title(expression: Expression, table: Table) -> str:
    return f"{table.target} = {expression.infix(DIGITS)}"


def _ticks(values: Floats) -> Floats:
    """Return the numbers that an axis is marked with; it goes from the first to the last."""
    finite = values[np.isfinite(values)]
    return ticks(float(finite.min()), float(finite.max())) if len(finite) else ticks(0.0, 1.0)


def _place(a: float, b: float, x: Floats, y: Floats, top: int) -> tuple[float, float]:
    px = _PAD + (a - x[0]) / (x[-1] - x[0]) * (_W - 2 * _PAD)
    py = top + _H - _PAD - (b - y[0]) / (y[-1] - y[0]) * (_H - 2 * _PAD)
    return float(px), float(py)


def _frame(body: str, title: str, top: int, x: Floats, y: Floats, labels: tuple[str, str]) -> str:
    """Return a panel: the body, cut off outside its frame, with axes and a title around it."""
    left, high, width, height = _PAD, top + _PAD, _W - 2 * _PAD, _H - 2 * _PAD
    low = high + height
    size = min(13.0, (_W - 24) / (0.62 * len(title)))  # a long equation is written smaller
    place, box = partial(_place, x=x, y=y, top=top), (left - 4, high - 4, width + 8, height + 8)
    window = 'x="{}" y="{}" width="{}" height="{}" viewBox="{} {} {} {}"'.format(*box, *box)
    marks = "".join(
        [*(_mark(place(v, 0.0)[0], low, "v4", (0, 15), "middle", v) for v in x),
         *(_mark(left, place(0.0, v)[1], "h-4", (-6, 3), "end", v) for v in y)]
    )  # fmt: skip
    return (
        f'<rect x="{left}" y="{high}" width="{width}" height="{height}" '
        f'fill="none" stroke="#444"/><svg {window}>{body}</svg>{marks}'
        f'<text x="12" y="{top + 30}" font-size="{size:.1f}">{escape(title)}</text>'
        f'<text x="{left + width / 2}" y="{low + 32}" text-anchor="middle">'
        f"{escape(labels[0])}</text>"
        f'<text x="14" y="{(low + high) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(low + high) / 2})">{escape(labels[1])}</text>'
    )


def _mark(
    px: float, py: float, stroke: str, away: tuple[int, int], anchor: str, value: float
) -> str:
    """Return a tick of an axis, and its number."""
    return (
        f'<path d="M{px:.1f} {py:.1f}{stroke}" stroke="#444"/>'
        f'<text x="{px + away[0]:.1f}" y="{py + away[1]:.1f}" text-anchor="{anchor}" '
        f'font-size="10">{value:.6g}</text>'
    )
