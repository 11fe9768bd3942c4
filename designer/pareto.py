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
    rows = rows[np.lexsort(tuple(-table[rows].T[::-1]))]
    left = table[rows]
    if table.shape[1] == 2:  # then a row stays where its second value is a record
        records = left[1:, 1] > np.maximum.accumulate(left[:-1, 1])
        found: list[int] = rows[np.append(True, records)[: len(rows)]].tolist()
        return found
    kept: list[int] = []
    while len(rows):
        kept.append(int(rows[0]))
        others = (left > left[0]).any(1)
        rows, left = rows[others], left[others]
    return kept


def hypervolume(values: ArrayLike, reference: Sequence[float] | None = None) -> float:
    """Return the volume between [N, K] values and a reference point that they dominate.

    The reference is 0 without one; what lies below it counts as at it. Exact; the time grows with
    the number of points in two columns, and about with its square in three, its cube in four.
    """
    table = np.asarray(values, dtype=np.float64)
    low = np.zeros(table.shape[1]) if reference is None else np.asarray(reference, dtype=np.float64)
    above = table[~np.isnan(table).any(1)] - low
    return _volume(above[(above > 0).all(1)])


def _volume(above: Floats) -> float:
    """Sum what each row adds to those that reach further in the last column.

    Exclusive volumes (While, Bradstreet & Barone, 2012): a row's own box, less what the others
    cover of it; since these reach further in the last column, one column less is left to measure.
    """
    if not len(above):
        return 0.0
    if above.shape[1] == 1:
        return float(above.max())
    if above.shape[1] == 2:
        wide, high = above[np.argsort(-above[:, 0])].T
        return float(-np.diff(wide, append=0.0) @ np.maximum.accumulate(high))
    above = above[nondominated(above)]
    above = above[np.argsort(above[:, -1])]
    flat, total = above[:, :-1], 0.0
    for i, height in enumerate(above[:, -1].tolist()):
        shared = np.minimum(flat[i + 1 :], flat[i])
        total += height * (float(flat[i].prod()) - _volume(shared))
    return total
