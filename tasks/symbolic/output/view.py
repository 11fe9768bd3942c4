"""Expressions for people: terminal text, and SVG plots of data and prediction."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.judging import Judged
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.printing import tree
from tasks.symbolic.output.axes import Axis, H, Place, W, axis, frame, placed, wide
from tasks.symbolic.tables.table import Table

DIGITS = 6
PANELS = 6  # at most so many expressions are drawn
DOTS = 2000  # at most so many rows of a table are drawn, evenly taken


def show(expression: Expression, target: str = "y") -> str:
    """Return the equation, then its tree, a line a token."""
    head = f"{target} = {expression.infix(DIGITS)}"
    lines = tree(expression.tokens, expression.library, expression.numbers(DIGITS))
    return "\n".join([head, *("  " + line for line in lines)])


def draw(expressions: Sequence[Expression], table: Table) -> str:
    """Return one SVG document with a panel an expression, the first `PANELS` different functions.

    With one input the panel shows the data and the curve over that input; with more it shows
    prediction against measurement.
    """
    table = _thinned(table)
    shown: list[tuple[Expression, Floats]] = []
    for expression in expressions:
        predicted = expression.predict(table.x)
        same = any(np.allclose(predicted, known, rtol=1e-6, equal_nan=True) for _, known in shown)
        if not same and len(shown) < PANELS:  # x*x and x**2 are one picture
            shown.append((expression, predicted))
    return _document([_panel(e, table, i * H) for i, (e, _) in enumerate(shown)])


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
    height = max(1, len(panels)) * H
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{W}" height="{height}" '
        f'viewBox="0 0 {W} {height}" font-family="sans-serif" font-size="12">'
        f'<rect width="{W}" height="{height}" fill="white"/>{"".join(panels)}</svg>\n'
    )


def _against(judged: Judged, table: Table) -> str:
    predicted = judged.predict(table)
    title = _title(judged.expression, table)
    return _diagonal(table, predicted, title, 0)


def _diagonal(table: Table, predicted: Floats, title: str, top: int) -> str:
    """Return prediction against measurement, both on the same axis."""
    one = axis(np.concatenate([table.y, predicted]), wide(table.y, predicted))
    place = placed(one, one, top)
    body = _dots(table.y, predicted, place) + _line([place(v, v) for v in (one.low, one.high)])
    return frame(body, title, top, one, one, (f"measured {table.target}", "predicted"))


def _residuals(judged: Judged, table: Table, single: bool) -> str:
    predicted = judged.predict(table)
    across, left = (table.x[:, 0] if single else predicted), table.y - predicted
    ours = table.y if single else predicted
    x, y = axis(across, wide(across, ours)), axis(left, around=0.0)
    place = placed(x, y, H)
    body = _dots(across, left, place) + _line([place(x.low, 0.0), place(x.high, 0.0)])
    spread = float(np.sqrt(np.mean(left[np.isfinite(left)] ** 2))) if len(left) else 0.0
    name = table.headers[0] if single else "predicted"
    title = f"residuals (root mean square {spread:.3g})"
    return frame(body, title, H, x, y, (name, "measured \N{MINUS SIGN} predicted"))


def _dots(across: Floats, up: Floats, place: Place) -> str:
    size = 3 if len(across) <= 200 else 1.5
    return "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{size}" fill="#1f77b4"/>'
        for px, py in map(place, across, up)
        if math.isfinite(px) and math.isfinite(py)
    )


def _line(points: Iterable[tuple[float, float]]) -> str:
    """Return a line through the points, with a gap where one lies nowhere or far away."""
    path, pen = "", "M"
    for px, py in points:
        near = abs(px) < 1e4 and abs(py) < 1e4  # False for NaN
        path += f"{pen}{px:.1f} {py:.1f}" if near else ""
        pen = "L" if near else "M"
    return f'<path d="{path}" fill="none" stroke="#d62728" stroke-width="1.5"/>'


def _title(expression: Expression, table: Table) -> str:
    text = expression.infix(DIGITS)
    used = {name: table.symbols[name] for name in re.findall(r"\w+", text) if name in table.symbols}
    where = ", ".join(f"{name} is {column}" for name, column in used.items())
    return f"{table.target} = {text}" + (f", where {where}" if where else "")


def _panel(expression: Expression, table: Table, top: int) -> str:
    predicted, title = expression.predict(table.x), _title(expression, table)
    if table.x.shape[1] != 1:
        return _diagonal(table, predicted, title, top)
    across = table.x[:, 0]
    log = wide(across, table.y)
    x, y = axis(across, log), axis(np.concatenate([table.y, predicted]), log)
    place = placed(x, y, top)
    grid = Axis(float(across.min()), float(across.max()), log).between(200)
    curve = _line(map(place, grid, expression.predict(grid[:, None])))
    body = curve + _dots(across, table.y, place)
    return frame(body, title, top, x, y, (table.headers[0], table.target))
