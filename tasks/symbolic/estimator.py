"""`SymbolicRegressor`: equation discovery as a scikit-learn estimator.

The same search as the command line's, without a run directory. By default it is limited by
evaluations, not by the clock, so that equal data and seeds give equal equations.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from designer.errors import InputError
from designer.protocols import Floats
from tasks.symbolic.choice import Candidate, description_length, front
from tasks.symbolic.fit.fitting import fit
from tasks.symbolic.fit.outer import Settings
from tasks.symbolic.judging import held_numbers, points_of
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.library import Library, library
from tasks.symbolic.language.trees import pack
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.units import Units, make_units
from tasks.symbolic.search.crowd import EXACT
from tasks.symbolic.search.evolution import Evolution
from tasks.symbolic.tables.names import safe_names
from tasks.symbolic.tables.table import Table


class SymbolicRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Finds an equation y = f(X) that is short and fits.

    operators        names of operators, or the name of a set (default, koza, ...)
    constants        how many fitted constants an equation may hold beside factor and offset
    max_length       tokens of the longest equation
    max_evaluations  equations tried
    max_time         seconds after which no new round of search begins; None for no limit
    population       equations bred at once
    offset           whether a constant is added to the whole, and fitted
    units            unit of each column and, last, of the target: equations must balance
    random_state     seed, or a numpy RandomState

    After `fit`: `equation_` is the recommended expression (least description length, see
    `tasks.symbolic.choice`), `front_` the best of each size as a list of dicts (equation,
    complexity, nmse, description_length), `evaluations_` how many equations were tried.
    """

    def __init__(
        self,
        *,
        operators: str | Sequence[str] = "default",
        constants: int = 2,
        max_length: int = 24,
        max_evaluations: int = 20_000,
        max_time: float | None = None,
        population: int = 500,
        offset: bool = True,
        units: Sequence[str] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.operators = operators
        self.constants = constants
        self.max_length = max_length
        self.max_evaluations = max_evaluations
        self.max_time = max_time
        self.population = population
        self.offset = offset
        self.units = units
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search for an equation; rows of weight 0 count as absent, whole weights as repeats."""
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64, ensure_min_samples=2)
        x, target, weight = _merged(X, np.asarray(y, dtype=np.float64), sample_weight)
        self.names_, self.symbols_ = safe_names(self._headers(X.shape[1]))
        tokens = library(self.operators, self.names_, (), self.constants > 0)
        purse = _Purse(self.max_evaluations)
        if bool((target == target[0]).all()):
            only = _constant(tokens, float(target[0]))
            self._settle_on([only], np.zeros(1), tokens, target, weight)
        else:
            even = weight * (len(x) / weight.sum())
            table = Table(x, target, self.names_, "y", self.symbols_, even)
            designs = self._search(table, tokens, purse)
            self._choose(designs, table, tokens, float(weight.sum()))
        self.evaluations_ = purse.spent
        return self

    def predict(self, X: Any) -> Floats:
        """Return [rows] what the recommended equation gives; the mean where it is not defined."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        value = self.equation_.predict(X)
        out: Floats = np.where(np.isfinite(value), value, self.mean_)
        return out

    def sympy(self) -> Any:
        """Return the recommended equation as a sympy expression."""
        check_is_fitted(self)
        return self.equation_.sympy()

    def latex(self, digits: int = 6) -> str:
        """Return the recommended equation as LaTeX."""
        from tasks.symbolic.output.export import to_latex

        check_is_fitted(self)
        return to_latex(self.equation_, digits)

    def _headers(self, count: int) -> list[str]:
        given = getattr(self, "feature_names_in_", None)
        return [f"x{i}" for i in range(count)] if given is None else [str(name) for name in given]

    def _search(self, table: Table, tokens: Library, purse: _Purse) -> list[Expression]:
        if self.max_evaluations < 1:
            raise InputError(f"max_evaluations is {self.max_evaluations}; expected at least 1")
        environment = Expressions(
            tokens, max_length=self.max_length, max_constants=self.constants, units=self._units()
        )
        evolution = Evolution(
            environment, table, scale=True, offset=self.offset, population=self.population,
            purse=purse, rejudged=False, blocks=min(5000, self.max_evaluations),
            pairs=min(20_000, 2 * self.max_evaluations),
        )  # fmt: skip
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        best: dict[str, Expression] = {}
        started = time.monotonic()
        while purse.left > 0:
            before = purse.spent
            parents = list(best.values())[-200:]
            found = evolution(parents, 100, rng)
            best |= {design.key: design for design in found}
            late = self.max_time is not None and time.monotonic() - started > self.max_time
            if late or purse.spent == before or _solved(found, table):
                break
        return list(best.values())

    def _units(self) -> Units | None:
        if self.units is None:
            return None
        *inputs, target = self.units
        if len(inputs) != len(self.names_):
            raise InputError(
                f"units has {len(self.units)} entries; expected one a column and one for the target"
            )
        return make_units(inputs, target, names=list(self.names_))

    def _choose(
        self, designs: Sequence[Expression], table: Table, tokens: Library, rows: float
    ) -> None:
        """Fit what was found once more, keep the front, and recommend."""
        first = tokens.first_variable
        env = Expressions(tokens, units=self._units())
        single = [[first + i] for i in range(len(self.names_))]
        leaves = [_leaf(tokens, row[0]) for row in single if env.legal([row])[0]]
        found = [*designs, *leaves]
        if not found:
            raise InputError("no equation was found; allow more evaluations, or mend the units")
        done, nmse = _fitted(found, table, tokens, self.offset)
        assert table.weights is not None
        self._settle_on(done, nmse, tokens, table.y, table.weights, rows)

    def _settle_on(
        self,
        done: Sequence[Expression],
        nmse: Floats,
        tokens: Library,
        y: Floats,
        weight: Floats,
        rows: float | None = None,
    ) -> None:
        points = max(2, round(float(weight.sum()) if rows is None else rows))
        kept = front(
            [Candidate(d, float(e), d.complexity) for d, e in zip(done, nmse, strict=True)]
        ) or [Candidate(_constant(tokens, float(np.average(y, weights=weight))), 1.0, 1)]
        bits = [description_length(c, points) for c in kept]
        self.equation_ = kept[int(np.argmin(bits))].expression
        self.mean_ = float(np.average(y, weights=weight))
        self.front_ = [
            {
                "equation": c.expression.text,
                "complexity": c.complexity,
                "nmse": c.nmse,
                "description_length": b,
            }
            for c, b in zip(kept, bits, strict=True)
        ]


class _Purse:
    """Counts evaluations up to a limit."""

    def __init__(self, limit: int) -> None:
        self.limit, self.spent = limit, 0

    @property
    def left(self) -> int:
        """Evaluations left."""
        return max(0, self.limit - self.spent)

    def spend(self, evaluations: int) -> None:
        """Count evaluations that were made."""
        self.spent += evaluations


def _merged(x: Floats, y: Floats, weight: Any) -> tuple[Floats, Floats, Floats]:
    """Return distinct rows in a fixed order with the sums of their weights.

    So neither the order of rows, nor a row twice instead of one of weight 2, changes anything.
    """
    if weight is None:
        w = np.ones(len(y))
    else:
        w = np.broadcast_to(np.asarray(weight, dtype=np.float64), (len(y),)).copy()
    if w.shape != (len(y),) or not np.isfinite(w).all() or (w < 0).any():
        raise ValueError("sample_weight: expected one finite number a row, none negative")
    if not (w > 0).any():
        raise ValueError("sample_weight: all weights are zero; expected at least one above 0")
    kept = w > 0
    rows, inverse = np.unique(np.column_stack([x, y])[kept], axis=0, return_inverse=True)
    total = np.asarray(
        np.bincount(inverse.ravel(), weights=w[kept], minlength=len(rows)), dtype=np.float64
    )
    return np.ascontiguousarray(rows[:, :-1]), rows[:, -1].copy(), total


def _leaf(tokens: Library, token: int) -> Expression:
    from tasks.symbolic.language.expression import expression

    return expression([token], tokens)


def _constant(tokens: Library, value: float) -> Expression:
    """Return the expression that is one number everywhere."""
    return _leaf(tokens, tokens.first_variable).fitted((), 0.0, value)


def _fitted(
    designs: Sequence[Expression], table: Table, tokens: Library, offset: bool
) -> tuple[list[Expression], Floats]:
    """Return the designs with their numbers, and their errors; held numbers are starting points."""
    rows = pack([design.tokens for design in designs])
    settings = Settings(True, offset, 3, 30)
    fits = fit(rows, tokens, points_of(table), settings, initial=held_numbers(designs))
    done = []
    for i, design in enumerate(designs):
        numbers = fits.constants[i, : len(design.constants)].tolist()
        done.append(design.fitted(numbers, float(fits.scale[i]), float(fits.offset[i])))
    return done, fits.nmse.numpy()


def _solved(designs: Sequence[Expression], table: Table) -> bool:
    """Return whether one of the designs is exact."""
    if not designs:
        return False
    errors = _fitted(designs[:20], table, designs[0].library, True)[1]
    return bool((errors <= EXACT).any())
