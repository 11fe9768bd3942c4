"""What is known of the law beforehand: where it rises or falls, and its sign.

Judged over the data's range by differences, on rows of the table and on points between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError, nearest
from designer.protocols import Floats
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.tables.table import Table

ROWS, BETWEEN = 200, 200  # rows of the table that are looked at, and points drawn in their box
_STEP = 1e-5  # of a difference, as a share of the column's range
_SLACK = 1e-6  # of the target's range: what rounding may do


@dataclass(frozen=True)
class Conditions:
    """Columns, by their names in the table, in which the law rises or falls; and its sign."""

    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    sign: int = 0  # 1: never below 0, -1: never above 0, 0: either

    def kept(self, designs: Sequence[Expression], table: Table) -> NDArray[np.bool_]:
        """Return [N] whether designs with all their numbers keep every condition."""
        x = _places(table)
        return np.array([self._keeps(design, x, table) for design in designs], dtype=bool)

    def _keeps(self, design: Expression, x: Floats, table: Table) -> bool:
        slack = _SLACK * float(np.ptp(table.y))
        with np.errstate(all="ignore"):
            if self.sign and bool((self.sign * design.predict(x) < -slack).any()):
                return False
            signs = [*((name, 1) for name in self.increasing)]
            signs += [(name, -1) for name in self.decreasing]
            for name, sign in signs:
                at = table.variables.index(name)
                step = np.zeros(x.shape[1])
                step[at] = _STEP * float(np.ptp(table.x[:, at]))
                rise = design.predict(x + step) - design.predict(x - step)
                # over the whole range it would rise by so much; NaN is where nothing is said
                if bool((sign * rise / (2 * _STEP) < -slack).any()):
                    return False
        return True


def conditions(
    table: Table,
    increasing: Sequence[str] = (),
    decreasing: Sequence[str] = (),
    positive: bool = False,
    negative: bool = False,
) -> Conditions | None:
    """Return the conditions on a table's columns, None where there are none.

    Raises InputError for a column that is no input, or conditions that contradict each other.
    """
    names = dict(zip(table.headers, table.variables, strict=True))
    for what, headers in (("increasing", increasing), ("decreasing", decreasing)):
        for header in headers:
            if header not in names:
                hint = nearest(header, names)
                raise InputError(f"{what}: {header!r} is no input of the table; {hint}")
    both = [header for header in increasing if header in decreasing]
    if both:
        raise InputError(f"{both[0]!r} is both increasing and decreasing; keep one of them")
    if positive and negative:
        raise InputError("positive and negative contradict each other; keep one of them")
    if not (increasing or decreasing or positive or negative):
        return None
    if table.groups is not None:
        raise InputError(
            f"conditions are not judged where labels ({table.category!r}) have numbers of their "
            "own; leave out one of them"
        )
    rising, falling = (tuple(names[h] for h in each) for each in (increasing, decreasing))
    return Conditions(rising, falling, int(positive) - int(negative))


def _places(table: Table) -> Floats:
    """Return rows of the table, and points in the box that they span."""
    rows = np.linspace(0, len(table.y) - 1, min(ROWS, len(table.y))).astype(np.int64)
    drawn = np.random.default_rng(0).uniform(size=(BETWEEN, table.x.shape[1]))
    low, high = table.x.min(0), table.x.max(0)
    return np.vstack([table.x[rows], low + drawn * (high - low)])
