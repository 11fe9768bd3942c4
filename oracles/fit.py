"""How well an equation fits a table, with its constants fitted on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from designer.pathwise import Drawn
from designer.protocols import Floats, Measured
from tasks.symbolic.conditions import Conditions
from tasks.symbolic.fit.fitting import Fits, fit, smooth_nmse
from tasks.symbolic.fit.outer import Points, Settings
from tasks.symbolic.judging import completed, held_numbers, points_of
from tasks.symbolic.language.expression import Expression, explicit
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import pack
from tasks.symbolic.tables.table import Table


@dataclass(frozen=True)
class Fit:
    """Columns `fit` = 1 / (1 + sqrt(nmse)), in 0..1, more is better; `nmse`; and `r2`.

    `nmse` is the (weighted) mean squared error over the variance of the target, `r2` is
    1 - nmse. An expression that is not finite on the data is inadmissible: nmse inf, the others
    -inf. `scale` and `offset` multiply and shift the expression as a whole, in closed form;
    numbers that a design already holds stay as they are. The designs come back with their
    numbers filled in; where the table has a category, whose labels have numbers of their own,
    with c0, c1, ... in their place.
    """

    data: Table
    scale: bool = True
    offset: bool = False
    starts: int = 3  # starting points for the constants
    iterations: int = 16  # Levenberg-Marquardt steps from the best start
    device: str = "cpu"
    name: str = "fit"
    conditions: Conditions | None = None  # what breaks them is inadmissible

    cheap = True

    @property
    def relaxed_column(self) -> str:
        """The column that `relaxed` gives."""
        return self.name

    def __post_init__(self) -> None:
        if self.starts < 1 or self.iterations < 0:
            raise InputError(
                f"starts {self.starts}, iterations {self.iterations}; "
                "expected at least 1 start and at least 0 iterations"
            )

    def __call__(self, designs: Sequence[Expression], /) -> Measured:
        """Return the columns [N], and the designs with their numbers."""
        nmse = np.full(len(designs), np.inf)
        fitted: list[Expression] = list(designs)
        for library, rows in _by_library(designs).items():
            self._check(library)
            some = [designs[i] for i in rows]
            fits = self._fit(some, library)
            nmse[rows] = fits.nmse.cpu().numpy()
            done = completed(some, fits, self._spread)
            if self.data.groups is not None:
                done = [explicit(design, self.scale, self.offset) for design in some]
            for row, design in zip(rows, done, strict=True):
                fitted[row] = design
        self._refuse(fitted, nmse)
        admissible = np.isfinite(nmse)
        score = np.where(admissible, 1 / (1 + np.sqrt(nmse)), -np.inf)
        columns: dict[str, Floats] = {self.name: score, "nmse": nmse, "r2": 1 - nmse}
        return Measured(columns, fitted)

    def _refuse(self, designs: Sequence[Expression], nmse: Floats) -> None:
        """Make what breaks a condition inadmissible."""
        if self.conditions is not None:
            rows = np.flatnonzero(np.isfinite(nmse))
            kept = self.conditions.kept([designs[row] for row in rows.tolist()], self.data)
            nmse[rows[~kept]] = np.inf

    def relaxed(self, drawn: Drawn) -> Tensor:
        """Return [N] float64 the score of expressions, differentiable in the constants they drew.

        0, and no derivative, where a row is no expression or not finite on the data.
        """
        designs, constants = drawn.designs, drawn.packed().double()
        nmse = constants.new_full((len(designs),), torch.inf)
        whole = [(row, design) for row, design in enumerate(designs) if design is not None]
        if whole:
            rows = torch.tensor([row for row, _ in whole], device=constants.device)
            tokens = pack([design.tokens for _, design in whole]).to(constants.device)
            settings = Settings(self.scale, self.offset)
            library = whole[0][1].library
            found = smooth_nmse(tokens, library, self.points, settings, constants[rows])
            nmse = nmse.index_put((rows,), found)
        fine = nmse.isfinite()
        safe = torch.where(fine, nmse, 1.0).clamp_min(1e-24)
        return torch.where(fine, 1.0 / (1.0 + safe.sqrt()), 0.0)

    @cached_property
    def points(self) -> Points:
        """The data on the device."""
        return points_of(self.data, groups=True).to(self.device)

    def _check(self, library: Library) -> None:
        if library.variables != self.data.variables:
            raise InputError(
                f"the expressions speak of {', '.join(library.variables)}, but the table has "
                f"{', '.join(self.data.variables)}; use the table's own task"
            )

    def _fit(self, designs: Sequence[Expression], library: Library) -> Fits:
        tokens = pack([design.tokens for design in designs]).to(self.device)
        settings = Settings(self.scale, self.offset, self.starts, self.iterations)
        given = outer = None
        if any(design.constants for design in designs):
            given = held_numbers(designs).to(self.device)
        if not all(math.isnan(design.scale) and math.isnan(design.offset) for design in designs):
            pairs = [(design.scale, design.offset) for design in designs]
            outer = torch.tensor(pairs, dtype=torch.float64, device=self.device)
        return fit(tokens, library, self.points, settings, given, outer)

    @cached_property
    def _spread(self) -> float:
        return float(np.std(self.data.y))


def _by_library(designs: Sequence[Expression]) -> dict[Library, list[int]]:
    out: dict[Library, list[int]] = {}
    for row, design in enumerate(designs):
        out.setdefault(design.library, []).append(row)
    return out
