"""What was found, fitted to all rows and judged on rows that were held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Floats
from tasks.symbolic.fit.fitting import Fits, fit
from tasks.symbolic.fit.outer import Points, Settings
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.trees import pack
from tasks.symbolic.tables.table import Table

_WHOLE = 1e-9  # a scale this close to 1, an offset this close to 0, is 1 or 0


@dataclass(frozen=True)
class Judged:
    """An equation and its errors: mean squares over the variance of the target."""

    expression: Expression  # where numbers differ by label, they are free in it
    nmse: float
    held: float = math.nan  # on the rows held out
    by_label: tuple[Expression, ...] = ()  # with the numbers of each label, if there are labels

    @property
    def versions(self) -> tuple[Expression, ...]:
        """The equations with all their numbers: one, or one a label."""
        return self.by_label or (self.expression,)

    @property
    def numbers(self) -> int:
        """How many numbers were fitted."""
        return self.versions[0].parameters * len(self.versions)

    def predict(self, table: Table) -> Floats:
        """Return [P] what it says of a table's rows."""
        if not self.by_label or table.groups is None:
            return self.expression.predict(table.x)
        out = np.full(len(table.y), np.nan)
        for label, own in enumerate(self.by_label):
            rows = np.flatnonzero(table.groups == label)
            out[rows] = own.predict(table.x[rows])
        return out


def judge(
    design: Expression, table: Table, held: Table | None = None, *, again: bool = False
) -> Judged:
    """Return the equation with its numbers and errors.

    Numbers it holds stay; with `again` they are where the fit to the table begins.
    """
    if table.groups is None:
        done, nmse = _one(design, table, points_of(table), again)
        judged = Judged(done, nmse)
    else:
        parts = [_label(design, table, label) for label in range(len(table.labels))]
        total = sum(share * error for _, error, share in parts)
        judged = Judged(design, total, by_label=tuple(done for done, _, _ in parts))
    if held is None:
        return judged
    return Judged(judged.expression, judged.nmse, error(judged, held), judged.by_label)


def error(judged: Judged, table: Table) -> float:
    """Return the mean squared error over the variance of the target; inf where not finite."""
    w = np.ones(len(table.y)) if table.weights is None else table.weights
    variance = float(np.average((table.y - np.average(table.y, weights=w)) ** 2, weights=w))
    with np.errstate(all="ignore"):
        squares = float(np.average((judged.predict(table) - table.y) ** 2, weights=w))
    if not math.isfinite(squares):
        return math.inf
    return squares / variance if variance > 0 else math.nan


def points_of(table: Table, groups: bool = False) -> Points:
    """Return the table as tensors on the CPU; `groups` says whether its labels come along."""
    w, g = table.weights, table.groups if groups else None
    return Points(
        torch.from_numpy(np.ascontiguousarray(table.x)),
        torch.from_numpy(np.ascontiguousarray(table.y)),
        None if w is None else torch.from_numpy(w),
        None if g is None else torch.from_numpy(g),
    )


def held_numbers(designs: Sequence[Expression]) -> Tensor:
    """Return [N, K] the constants that the designs hold, NaN where they are free."""
    out = np.full((len(designs), max(len(design.constants) for design in designs)), np.nan)
    for row, design in enumerate(designs):
        out[row, : len(design.constants)] = design.constants
    return torch.from_numpy(out)


def completed(designs: Sequence[Expression], fits: Fits, spread: float) -> list[Expression]:
    """Return the designs with the numbers of their fits.

    A scale that is 1 but for rounding is 1, and an offset is 0 that is none against the target's
    deviation `spread`.
    """
    columns = (fits.constants.tolist(), fits.scale.tolist(), fits.offset.tolist())
    out = []
    for design, values, scale, offset in zip(designs, *columns, strict=True):
        scale = 1.0 if abs(scale - 1.0) < _WHOLE else scale
        offset = 0.0 if abs(offset) < _WHOLE * spread else offset
        own = tuple(values[: len(design.constants)])
        out.append(Expression(design.tokens, design.library, design.key, own, scale, offset))
    return out


def _label(design: Expression, table: Table, label: int) -> tuple[Expression, float, float]:
    """Return the equation with a label's numbers, its share of the error, and of the weight."""
    assert table.groups is not None
    points = points_of(table, groups=True).label(label)
    share = float(points.share) if points.share is not None else 0.0
    done, nmse = _one(design, table, points, False)
    return done, nmse, share


def _one(design: Expression, table: Table, points: Points, again: bool) -> tuple[Expression, float]:
    numbers = held_numbers([design])
    outer = torch.tensor([[design.scale, design.offset]], dtype=torch.float64)
    given: Tensor | None = numbers if numbers.numel() else None
    initial: Tensor | None = None
    settings = Settings(scale=True, offset=False, starts=8, iterations=60)
    if again:
        given, initial = None, given
        outer = torch.where((outer == 1.0) | (outer == 0.0), outer, math.nan)
        settings = Settings(True, bool(outer[0, 1].isnan()), 1, 3)
    fits = fit(pack([design.tokens]), design.library, points, settings, given, outer, initial)
    return completed([design], fits, float(np.std(table.y)))[0], float(fits.nmse[0])
