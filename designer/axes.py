"""Round numbers along an axis of a plot."""

from __future__ import annotations

import math

import numpy as np

from designer.protocols import Floats


def ticks(low: float, high: float, count: int = 5) -> Floats:
    """Return about `count` round numbers, evenly spaced: from at most low to at least high."""
    if not high > low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = min((unit * k for k in (1, 2, 5, 10)), key=lambda size: abs(size - rough))
    counts: Floats = np.arange(math.floor(low / step), math.ceil(high / step) + 1.0)
    return counts * step


def decades(low: float, high: float, count: int = 7) -> Floats:
    """Return about `count` round numbers for a logarithmic axis, between low and high (above 0)."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, -(-(last - first) // count))
    factors = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0,)
    marks = [10.0**k * factor for k in range(first, last + 1, every) for factor in factors]
    return np.array([mark for mark in marks if low <= mark <= high], dtype=np.float64)
