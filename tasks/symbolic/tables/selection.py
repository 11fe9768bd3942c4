"""Which columns of a wide table are worth searching over.

Each column competes with shuffled copies of all columns, which have nothing to say (Kursa and
Rudnicki 2010, "Boruta"): what a forest of trees needs more often than the best shuffled copy, in
most of several rounds, is kept.
"""

from __future__ import annotations

import numpy as np

from designer.errors import InputError
from designer.protocols import Floats
from tasks.symbolic.tables.table import Table

WIDE = 12  # tables with fewer inputs are searched whole
ROUNDS, TREES, ROWS = 8, 100, 2000  # of the forest, and at most so many rows


def selected(table: Table, select: str | int) -> tuple[list[int], str]:
    """Return which inputs are kept, and a line that says so and why (empty: all of them).

    `select` is "auto" (wide tables only), "all", or how many of the strongest to keep. Raises
    InputError for anything else.
    """
    count = table.x.shape[1]
    if select == "all" or (select == "auto" and count <= WIDE):
        return list(range(count)), ""
    if select != "auto" and not (str(select).isdecimal() and int(select) >= 1):
        raise InputError(f"select is {select!r}; expected auto, all, or how many inputs to keep")
    wins, strength = _compared(table)
    order = np.lexsort((np.arange(count), -strength))
    if select == "auto":
        kept = [int(i) for i in order if wins[i] > ROUNDS // 2]
        why = f"stronger than the best of {count} shuffled columns in most of {ROUNDS} rounds"
        if not kept:
            kept, why = [int(i) for i in order[:WIDE]], "no column stands out; the strongest are"
    else:
        kept, why = [int(i) for i in order[: int(select)]], "the strongest"
    named = [table.headers[i] for i in kept[:WIDE]] + (["..."] if len(kept) > WIDE else [])
    line = (
        f"kept {len(kept)} of {count} inputs: {', '.join(named)} ({why}; keep all with "
        "--select all)"
    )
    return sorted(kept), line


def _compared(table: Table) -> tuple[Floats, Floats]:
    """Return [V] rounds won against all shuffled copies, and [V] the mean importance."""
    from sklearn.ensemble import ExtraTreesRegressor

    rng = np.random.default_rng(0)
    rows = np.arange(len(table.y))
    if len(rows) > ROWS:
        rows = np.sort(rng.choice(len(rows), size=ROWS, replace=False))
    x, y = table.x[rows], table.y[rows]
    w = None if table.weights is None else table.weights[rows]
    count = x.shape[1]
    wins, strength = np.zeros(count), np.zeros(count)
    for turn in range(ROUNDS):
        shuffled = rng.permuted(x, axis=0)
        forest = ExtraTreesRegressor(TREES, max_features=0.5, min_samples_leaf=3, random_state=turn)
        forest.fit(np.hstack([x, shuffled]), y, sample_weight=w)
        own, theirs = np.split(forest.feature_importances_, 2)
        wins += own > theirs.max()
        strength += own / ROUNDS
    return wins, strength
