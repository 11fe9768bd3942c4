"""From raw columns to a reward: transforms, aggregation, penalties.

reward = aggregate(transform(value) for every term) - sum(weight * penalty), unclipped. Raw
values are what is recorded; the reward is recomputed from them, so shaping can change without a
new oracle call. The three absences (see `designer.protocols`) are told apart here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from designer.constraints import Constraint
from designer.errors import InputError, nearest
from designer.meter import Meter
from designer.protocols import Floats, Oracle, Scored
from designer.robust import Robust, check_robust, combined

Aggregate = Literal["arithmetic", "geometric", "product"]


LARGEST = 1e30  # the learner works in float32, where 1e39 is infinite


def identity(values: Floats) -> Floats:
    """Return the values unchanged: the transform of a term that already is a reward."""
    return values


@dataclass(frozen=True)
class Term:
    """One thing that is wanted: a column of an oracle, shaped to where more is better."""

    oracle: Oracle[Any]
    column: str | None = None  # None = the column named like the oracle, or its only one
    transform: Callable[[Floats], Floats] = identity
    weight: float = 1.0
    ensemble: str | None = None  # terms that share this name are opinions of one thing


@dataclass(frozen=True)
class Penalty:
    """One thing that costs: weight times the raw column is subtracted from the reward."""

    oracle: Oracle[Any]
    column: str | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Objective:
    """Terms and penalties put together. `invalid_reward` lies below every valid one.

    Terms of one `ensemble` become one first, as `robust` says; it has their weights' sum.
    """

    terms: Sequence[Term]
    penalties: Sequence[Penalty] = ()
    constraints: Sequence[Constraint] = ()
    aggregate: Aggregate = "arithmetic"
    invalid_reward: float = -1.0
    robust: Robust = "worst"  # what an ensemble comes to: mean, worst, kl (in a ball), variance
    radius: float = 0.1  # nats of the ball
    risk: float = 1.0  # what a unit of variance costs

    def __post_init__(self) -> None:
        if not self.terms:
            raise InputError("the objective has no term; add at least one [[objective]] table")
        if self.aggregate not in ("arithmetic", "geometric", "product"):
            known = ("arithmetic", "geometric", "product")
            raise InputError(f"aggregate {self.aggregate!r}: {nearest(self.aggregate, known)}")
        check_robust(self.robust, self.radius, self.risk)
        weighed: list[Term | Penalty] = [*self.terms, *self.penalties]
        for one in weighed:
            if not np.isfinite(one.weight):
                raise InputError(f"a weight is {one.weight}; expected a finite number")
        if sum(term.weight for term in self.terms) <= 0:
            raise InputError("the weights of the objective's terms must add up to more than 0")

    @property
    def oracles(self) -> list[Oracle[Any]]:
        """The distinct oracles, in order: two terms may read columns of one oracle.

        Those of constraints are among them where their calls are paid for.
        """
        paid = [c.oracle for c in self.constraints if not c.oracle.cheap]
        return _distinct([*(term.oracle for term in self.terms), *paid])

    @property
    def penalty_oracles(self) -> list[Oracle[Any]]:
        """The distinct oracles of penalties and constraints, without those above."""
        costs = [penalty.oracle for penalty in self.penalties]
        theirs = _distinct([*costs, *(bound.oracle for bound in self.constraints)])
        return [oracle for oracle in theirs if not _among(oracle, self.oracles)]

    def __call__(self, designs: Sequence[Any], meter: Meter, *, run: bool = True) -> Scored:
        """Return the judged rows [B]; `run` False judges only what was measured before."""
        metered = meter(designs, run=run)
        valid = np.array([design is not None for design in designs], dtype=bool)
        value = merit = np.full(len(designs), np.nan)
        if metered.columns:
            merit = self.merit(metered.columns)
            value = self.penalised(merit, metered.columns)
        measured = ~np.isnan(value) | ~valid
        admissible = valid & measured & np.isfinite(value)
        lowest = value[admissible].min(initial=np.inf)
        # below every valid reward, also where penalties push those under `invalid_reward`
        margin = max(abs(self.invalid_reward), 1e-6 * abs(lowest)) if admissible.any() else 0.0
        invalid = min(self.invalid_reward, lowest - margin)
        reward = np.where(admissible, np.nan_to_num(value), np.where(measured, invalid, 0.0))
        return Scored(
            designs=metered.designs,
            columns=metered.columns,
            reward=reward,
            merit=np.where(admissible, merit, np.nan),
            weight=measured.astype(np.float64),
            fresh=metered.fresh,
            errors=metered.errors,
            exhausted=metered.exhausted,
        )

    def check(self, given: Mapping[str, Sequence[str]]) -> None:
        """Raise InputError where an oracle lacks a column that is asked of it; `given` are the
        columns of those that are known."""
        every = {column: np.empty(0) for columns in given.values() for column in columns}
        parts: list[Any] = [*self.terms, *self.penalties, *self.constraints]
        for part in parts:
            if part.oracle.name in given:
                _column(every, part.oracle, part.column)

    def merit(self, columns: Mapping[str, Floats]) -> Floats:
        """Return [B] the aggregate of the terms; NaN where unmeasured, -inf inadmissible."""
        total = float(sum(term.weight for term in self.terms))
        raw = [_column(columns, term.oracle, term.column) for term in self.terms]
        with np.errstate(all="ignore"):
            shaped = [t.transform(v) for t, v in zip(self.terms, raw, strict=True)]
            pairs = self._opinions(shaped)
            if self.aggregate == "arithmetic":
                value = np.asarray(sum(w * s for w, s in pairs) / total)
            else:
                power = 1.0 / total if self.aggregate == "geometric" else 1.0
                value = np.prod([_positive(v) ** (w * power) for w, v in pairs], 0)
        return _marked(value, raw)

    def _opinions(self, shaped: Sequence[Floats]) -> list[tuple[float, Floats]]:
        """Return weight and value [B] of each term, an ensemble's members put together."""
        members: dict[Any, list[int]] = {}
        for i, term in enumerate(self.terms):
            members.setdefault(i if term.ensemble is None else term.ensemble, []).append(i)
        out = []
        for name, rows in members.items():
            shares = np.array([self.terms[i].weight for i in rows])
            value = shaped[rows[0]]
            if isinstance(name, str):
                table = np.stack([shaped[i] for i in rows], axis=1)
                value = combined(table, shares, self.robust, self.radius, self.risk)
            out.append((float(shares.sum()), value))
        return out

    def penalised(self, merit: Floats, columns: Mapping[str, Floats]) -> Floats:
        """Return [B] the merit less the penalties: the reward, before absences are told apart."""
        costs = [_column(columns, penalty.oracle, penalty.column) for penalty in self.penalties]
        # a constraint has no price yet, but it must be known
        bounds = [_column(columns, bound.oracle, bound.column) for bound in self.constraints]
        value = merit
        with np.errstate(all="ignore"):
            for penalty, cost in zip(self.penalties, costs, strict=True):
                value = value - penalty.weight * cost
        return _marked(value, [merit, *costs, *bounds])


def _column(columns: Mapping[str, Floats], oracle: Oracle[Any], column: str | None) -> Floats:
    declared: Sequence[str] = getattr(oracle, "columns", ())  # by one that knows them beforehand
    name = column or (declared[0] if len(declared) == 1 else oracle.name)
    if name in columns:
        return columns[name]
    raise InputError(
        f"oracle {oracle.name!r} gave no column {name!r}: {nearest(name, columns)} "
        "(set `column` in its table, or --set objective.0.column=NAME)"
    )


def _marked(value: Floats, raw: Sequence[Floats]) -> Floats:
    """Return [B] the value, NaN where any raw one is NaN, else -inf where any is infinite.

    Whatever transforms and weights made of these; other values are held within LARGEST.
    """
    infinite, absent = np.isinf(raw).any(axis=0), np.isnan(raw).any(axis=0)
    marked = np.where(absent, np.nan, np.where(infinite, -np.inf, value))
    return np.where(np.isfinite(marked), np.clip(marked, -LARGEST, LARGEST), marked)


def _positive(values: Floats) -> Floats:
    low = values[np.isfinite(values)].min(initial=0.0)
    if low < 0:
        raise InputError(
            f"a product or geometric mean needs values of at least 0, and {low:g} came; "
            "give that term a transform"
        )
    return values


def _distinct(oracles: Sequence[Oracle[Any]]) -> list[Oracle[Any]]:
    out: list[Oracle[Any]] = []
    for oracle in oracles:
        if not _among(oracle, out):
            out.append(oracle)
    return out


def _among(oracle: Oracle[Any], others: Sequence[Oracle[Any]]) -> bool:
    return any(o is oracle or (type(o) is type(oracle) and o == oracle) for o in others)
