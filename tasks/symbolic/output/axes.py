"""The axes of a plot: where a value lies between their ends, and the round numbers on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from designer.axes import decades, ticks
from designer.protocols import Floats

W, H, LEFT, PAD = 560, 340, 84, 56  # size of a panel, and the room around its plot
_WIDE = 50.0  # values that spread over more than this factor get a logarithmic axis


@dataclass(frozen=True)
class Axis:
    """From low to high, in powers of ten where `log`."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Return where the value lies, 0 at low to 1 at high; NaN where it lies nowhere."""
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        if value <= 0:
            return math.nan
        return math.log(value / self.low) / math.log(self.high / self.low)

    def between(self, count: int) -> Floats:
        """Return so many values from low to high, evenly spaced on paper."""
        spaced = np.geomspace if self.log else np.linspace
        values: Floats = spaced(self.low, self.high, count)
        return values

    def marks(self) -> list[float]:
        """Return the round numbers on it."""
        marks = (decades if self.log else ticks)(self.low, self.high)
        return [float(mark) for mark in marks if self.low <= mark <= self.high]


def wide(*several: Floats) -> bool:
    """Return whether plots of these are better logarithmic: all positive, one spread widely."""
    finite = [values[np.isfinite(values)] for values in several]
    if any(not len(values) or values.min() <= 0 for values in finite):
        return False
    spreads = [float(values.max() / values.min()) for values in finite]
    return max(spreads) > _WIDE and min(spreads) > math.sqrt(_WIDE)


def axis(values: Floats, log: bool = False, around: float | None = None) -> Axis:
    """Return an axis with a little room around the finite values, and around `around`."""
    finite = values[np.isfinite(values)]
    if log:
        finite = finite[finite > 0]
    if around is not None:
        finite = np.append(finite, around)
    if not len(finite):
        return Axis(0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if log:
        room = (high / low) ** 0.05
        return Axis(low / room, high * room, True)
    room = 0.05 * (high - low) or 0.5 * abs(low) or 0.5
    return Axis(low - room, high + room)


Place = Callable[[float, float], tuple[float, float]]


def placed(x: Axis, y: Axis, top: int) -> Place:
    """Return what turns values into pixels of the panel that begins at `top`."""

    def place(a: float, b: float) -> tuple[float, float]:
        return (
            LEFT + x.share(float(a)) * (W - LEFT - PAD),
            top + H - PAD - y.share(float(b)) * (H - 2 * PAD),
        )

    return place


def frame(body: str, title: str, top: int, x: Axis, y: Axis, labels: tuple[str, str]) -> str:
    """Return a panel: the body, cut off outside its frame, with axes and a title around it."""
    left, right, low, high = LEFT, W - PAD, top + H - PAD, top + PAD
    size = min(13.0, (W - 24) / (0.62 * len(title)))  # a long equation is written smaller
    shapes = [
        f'<rect x="{left}" y="{high}" width="{right - left}" height="{low - high}" '
        f'fill="none" stroke="#444"/>{_window(body, top)}',
        f'<text x="12" y="{top + 30}" font-size="{size:.1f}">{escape(title)}</text>',
        f'<text x="{(left + right) / 2}" y="{low + 38}" text-anchor="middle">'
        f"{escape(labels[0])}</text>",
        f'<text x="16" y="{(low + high) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(low + high) / 2})">{escape(labels[1])}</text>',
    ]
    place = placed(x, y, top)
    for mark in x.marks():
        across, _ = place(mark, y.low)
        shapes.append(f'<path d="M{across:.1f} {low}v4" stroke="#444"/>')
        shapes.append(_number(across, low + 18, mark, "middle"))
    for mark in y.marks():
        _, up = place(x.low, mark)
        shapes.append(f'<path d="M{left} {up:.1f}h-4" stroke="#444"/>')
        shapes.append(_number(left - 7, up + 4, mark, "end"))
    return "".join(shapes)


def _window(body: str, top: int) -> str:
    box = (LEFT, top + PAD, W - LEFT - PAD, H - 2 * PAD)
    place = 'x="{}" y="{}" width="{}" height="{}" viewBox="{} {} {} {}"'.format(*box, *box)
    return f"<svg {place}>{body}</svg>"


def _number(x: float, y: float, value: float, anchor: str) -> str:
    said = f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11"'
    return f"<text {place}>{said}</text>"
