"""Several objectives at once: what nothing else beats, and how much space that covers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from designer.protocols import Floats


def nondominated(values: ArrayLike) -> list[int]:
    """Return the rows of [N, K] values, more being better, that no other row dominates.

    A row dominates another where it is at least as good in every column and better in one. Equal
    rows keep the first of them; rows with NaN are left out. Best in the first column first.
    """
    table = np.asarray(values, dtype=np.float64)
    rows = np.flatnonzero(~np.isnan(table).any(1))
    # best first in every column after another: who dominates a row comes before it
    order = rows[np.lexsort(tuple(-table[rows].T[::-1]))]
    kept: list[int] = []
    front = np.empty((0, table.shape[1]))
    for row in order.tolist():
        if not (front >= table[row]).all(1).any():
            kept.append(row)
            front = np.vstack([front, table[row]])
    return kept


def hypervolume(values: ArrayLike, reference: Sequence[float] | None = None) -> float:
    """Return the volume between [N, K] values and a reference point that they dominate.

    The reference is 0 without one; what lies below it counts as at it. Exact, by slicing along
    the last column; meant for a few columns and fronts of some hundred rows.
    """
    table = np.asarray(values, dtype=np.float64)
    low = np.zeros(table.shape[1]) if reference is None else np.asarray(reference, dtype=np.float64)
    above = table[~np.isnan(table).any(1)] - low
    return _volume(above[(above > 0).all(1)])


def _volume(above: Floats) -> float:
    if not len(above):
        return 0.0
    if above.shape[1] == 1:
        return float(above.max())
    heights = np.unique(above[:, -1])
    total = below = 0.0
    for height in heights.tolist():
        slab = above[above[:, -1] >= height][:, :-1]
        total += (height - below) * _volume(slab[nondominated(slab)])
        below = height
    return total
