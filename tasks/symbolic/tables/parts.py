"""A table in parts: rows to search on, all rows to fit and judge by, rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from designer.errors import InputError
from tasks.symbolic.tables.table import Table


@dataclass(frozen=True, eq=False)
class Parts:
    """`search` is `whole`, or some of its rows; no row of `held` is in either."""

    search: Table
    whole: Table
    held: Table | None = None

    def columns(self, which: Sequence[int]) -> Parts:
        """Return the same rows with some of the inputs."""
        whole = self.whole.columns(which)
        search = whole if self.search is self.whole else self.search.columns(which)
        return Parts(search, whole, None if self.held is None else self.held.columns(which))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was set aside, a line each."""
        out = []
        if self.held is not None:
            out.append(f"{len(self.held.y):,} rows held out: they only judge what was found")
        if self.search is not self.whole:
            out.append(
                f"the search looks at {len(self.search.y):,} of {len(self.whole.y):,} rows; what "
                "it finds is fitted again and judged on all of them"
            )
        return tuple(out)


def parted(table: Table, split: float = 0.0, sample: int = 0, seed: int = 0) -> Parts:
    """Return the table with the share `split` held out, and at most `sample` rows to search on.

    `sample` 0 means all of them. Rows are drawn by `seed` and stay in the file's order. Raises
    InputError where too few are left.
    """
    if not 0.0 <= split < 1.0:
        raise InputError(f"split is {split}; expected the share of rows to hold out, such as 0.2")
    if sample < 0 or sample == 1:
        raise InputError(f"sample is {sample}; expected at least 2 rows, or 0 for all of them")
    rng = np.random.default_rng(seed)
    rows = len(table.y)
    out = round(split * rows)
    if split and (out < 1 or rows - out < 2):
        raise InputError(
            f"split {split} of {rows} rows holds out {out} and leaves {rows - out}; expected at "
            "least 1 and 2"
        )
    order = rng.permutation(rows) if out else np.arange(rows)
    held = table.rows(np.sort(order[:out])) if out else None
    whole = table.rows(np.sort(order[out:])) if out else table
    _check(whole, "what is left of", table)
    if held is not None and held.weights is not None and not held.weights.any():
        raise InputError(
            f"split {split} holds out {out} row(s) of weight 0, which judge nothing; hold out more"
        )
    if not sample or sample >= len(whole.y):
        return Parts(whole, whole, held)
    search = whole.rows(np.sort(rng.choice(len(whole.y), size=sample, replace=False)))
    _check(search, f"the sample of {sample:,} rows of", table)
    return Parts(search, whole, held)


def _check(part: Table, what: str, table: Table) -> None:
    if not part.varies:
        raise InputError(
            f"{what} target {table.target!r} has one value in all rows that weigh anything; keep "
            "more rows"
        )
    if part.groups is not None:
        counts = np.bincount(part.groups, minlength=len(part.labels))
        if counts.min() < 2:
            label = part.labels[int(counts.argmin())]
            raise InputError(
                f"{what} {table.category!r} has {counts.min()} row(s) of {label!r}; its constants "
                "need two or more: keep more rows"
            )
