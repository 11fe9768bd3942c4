"""`progress.svg`: the best and the mean reward of each step against the evaluations spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from designer.axes import ticks
from designer.protocols import Floats

_WIDTH, _HEIGHT = 640.0, 360.0  # pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 36.0, 34.0, 44.0
_LINES = {"best": "#1f6f78", "reward": "#e07a3f"}
_SAID = {"best": "best so far", "reward": "mean of the step's samples"}
_INK, _GRID = "#3b4a54", "#d8dde0"
_POINTS = 600  # of a line; more are not seen


def progress(metrics: Sequence[Mapping[str, float]]) -> str | None:
    """Return an SVG document of the steps' metrics, None where no step was measured."""
    step = max(1, -(-len(metrics) // _POINTS))
    kept = [metrics[i] for i in sorted({*range(0, len(metrics), step), len(metrics) - 1} - {-1})]
    spent = np.array([row.get("evaluations", math.nan) for row in kept], dtype=np.float64)
    lines = {
        name: np.array([row.get(name, math.nan) for row in kept], dtype=np.float64)
        for name in _LINES
    }
    known = np.concatenate(list(lines.values()))
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    x_ticks = ticks(0.0, float(spent.max()))
    y_ticks = ticks(float(known.min()), float(known.max()))
    x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * _share(spent, x_ticks)
    body = [_axes(x_ticks, y_ticks)]
    for row, (name, values) in enumerate(lines.items()):
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _share(values, y_ticks)
        there = np.isfinite(y) & np.isfinite(x)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[there], y[there], strict=True))
        colour, place = _LINES[name], _LEFT + 8 + 150 * row
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body.append(_text(place, 20, _SAID[name], colour, "start"))
    size = f'width="{_WIDTH:g}" height="{_HEIGHT:g}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}"'
    font = 'font-family="Helvetica, Arial, sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>'
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, paper, *body, "</svg>"]) + "\n"


def _axes(x_ticks: Floats, y_ticks: Floats) -> str:
    shapes = []
    low, high = _HEIGHT - _BOTTOM, _TOP
    for value, share in zip(x_ticks, _share(x_ticks, x_ticks), strict=True):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * share
        shapes.append(f'<path d="M{x:.1f} {low:g}v5" stroke="{_INK}"/>')
        shapes.append(_text(x, low + 18, f"{value:,.10g}", _INK, "middle"))
    for value, share in zip(y_ticks, _share(y_ticks, y_ticks), strict=True):
        y = low - (low - high) * share
        shapes.append(f'<path d="M{_LEFT:g} {y:.1f}H{_WIDTH - _RIGHT:g}" stroke="{_GRID}"/>')
        shapes.append(_text(_LEFT - 8, y + 4, f"{value:.4g}", _INK, "end"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    shapes.append(_text(middle, _HEIGHT - 8, "evaluations", _INK, "middle"))
    shapes.append(_text(_LEFT - 8, 20, "reward", _INK, "end"))
    return "".join(shapes)


def _text(x: float, y: float, said: str, colour: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{said}</text>'


def _share(values: Floats, ticks: Floats) -> Floats:
    """Return where values lie between the first and the last tick, 0 to 1."""
    shares: Floats = (values - ticks[0]) / (ticks[-1] - ticks[0])
    return shares
