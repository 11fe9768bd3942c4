"""Bounds that must be kept, by Lagrangian relaxation: each has a price, and the price is learned.

The learner earns reward - sum of multiplier times excess; a multiplier rises while the policy's
designs exceed the bound on average and falls while they do not, never below 0 (dual ascent), or
by a PID law on the same excess (Stooke, Achiam and Abbeel 2020), which oscillates less. At
multiplier 0 a constraint changes nothing. Designs that break a bound are learned from, but are
neither remembered nor reported, unless `on_average` asks for the mean alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from designer.errors import InputError
from designer.protocols import Floats, Oracle, Scored


@dataclass(frozen=True)
class Constraint:
    """One bound on one column: exactly one of `at_most` and `at_least`, in the column's unit.

    The excess is (value - bound) / scale, above 0 where the bound is broken; `scale` is the size
    of the bound where it is left out, so that `rate` needs no unit.
    """

    oracle: Oracle[Any]
    column: str | None = None  # None = the column named like the oracle
    at_most: float | None = None
    at_least: float | None = None
    scale: float | None = None
    method: Literal["dual", "pid"] = "dual"
    rate: float = 0.05  # of dual ascent; the integral gain of the PID form
    proportional: float = 0.1  # PID: answers the present excess
    derivative: float = 0.01  # PID: answers a rising excess
    start: float = 0.0  # the multiplier before the first batch
    most: float = 1000.0  # the multiplier stops here: by then the bound cannot be met
    on_average: bool = False  # True: only the mean must keep the bound, single designs need not

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise InputError(f"constraint on {self.name!r}: expected at_most or at_least, one only")
        if not np.isfinite(self.bound):
            raise InputError(f"constraint on {self.name!r}: the bound is {self.bound}")
        for name in ("scale", "most"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"constraint: {name} is {value}, expected above 0")
        for name in ("rate", "proportional", "derivative", "start"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"constraint: {name} is {getattr(self, name)}, expected 0 or more")

    @property
    def name(self) -> str:
        """The column that is bound."""
        return self.column or self.oracle.name

    @property
    def bound(self) -> float:
        """The bound, in the column's unit."""
        return float(self.at_least if self.at_most is None else self.at_most)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """What people read: `sa <= 4`."""
        return f"{self.name} {'>=' if self.at_most is None else '<='} {self.bound:g}"

    def excess(self, columns: Mapping[str, Floats]) -> Floats:
        """Return [B] how far beyond the bound, in scales; NaN where unmeasured."""
        sign = -1.0 if self.at_most is None else 1.0
        return sign * (columns[self.name] - self.bound) / (self.scale or abs(self.bound) or 1.0)


def dual_step(multiplier: float, excess: float, rate: float) -> float:
    """Return the multiplier after one step of projected dual ascent, at least 0."""
    return max(0.0, multiplier + rate * excess)


@dataclass(frozen=True)
class Controller:
    """A PID controller's memory: the integral (at least 0) and the excess before."""

    integral: float = 0.0
    before: float = 0.0


def pid_step(
    memory: Controller, excess: float, proportional: float, integral: float, derivative: float
) -> tuple[float, Controller]:
    """Return the multiplier, at least 0, and the controller after one step.

    Stooke et al. 2020, algorithm 2. With proportional = derivative = 0 it is `dual_step` at the
    rate `integral`.
    """
    total = max(0.0, memory.integral + excess)
    rise = max(0.0, excess - memory.before)
    out = proportional * excess + integral * total + derivative * rise
    return max(0.0, out), Controller(total, excess)


@dataclass
class _Seen:
    """What became of one constraint so far."""

    multiplier: float
    integral: float
    before: float = 0.0
    mean: float = float("nan")  # excess of the last batch
    count: int = 0  # designs looked at
    kept: int = 0  # of which within the bound
    nearest: float = float("inf")  # least excess of any design


class Multipliers:
    """The prices of a campaign's constraints. Everything that changes is in `state()`."""

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        refuse_contradictions(constraints)
        self.constraints = list(constraints)
        self.seen = [_Seen(c.start, c.start / c.rate if c.rate else 0.0) for c in constraints]

    def priced(self, scored: Scored) -> Floats:
        """Return [B] the reward less what broken bounds cost; the same where there are none.

        What is no valid design stays below all that are, whatever the prices.
        """
        if not self.constraints:
            return scored.reward
        admissible = np.isfinite(scored.merit) & (scored.weight > 0)
        cost = np.zeros(len(scored.reward))
        for constraint, seen in zip(self.constraints, self.seen, strict=True):
            cost += seen.multiplier * np.where(admissible, _excess(constraint, scored), 0.0)
        priced = scored.reward - cost
        if not admissible.any():
            return priced
        lowest = priced[admissible].min()
        invalid = scored.reward[~admissible & (scored.weight > 0)]
        gap = max(scored.reward[admissible].min() - invalid.max(initial=-1e30), 0)
        return np.where(admissible, priced, np.minimum(scored.reward, lowest - min(gap, 1.0)))

    def keeps(self, scored: Scored) -> Any:
        """Return [B] bool, True where a design keeps every bound that each design must keep."""
        out = np.ones(len(scored.reward), dtype=bool)
        for constraint in self.constraints:
            if not constraint.on_average:
                out &= _excess(constraint, scored) <= 0.0  # NaN does not keep it
        return out

    def learn(self, scored: Scored, rows: int) -> None:
        """Move the multipliers by the mean excess of the first `rows` designs, the policy's own."""
        for constraint, seen in zip(self.constraints, self.seen, strict=True):
            excess = _excess(constraint, scored)
            valid = np.isfinite(excess) & (scored.weight > 0)
            seen.count += int(valid.sum())
            seen.kept += int((excess[valid] <= 0).sum())
            seen.nearest = min(seen.nearest, float(excess[valid].min(initial=np.inf)))
            own = valid[:rows]
            if own.any():
                seen.mean = float(excess[:rows][own].mean())
                _move(constraint, seen)

    def metrics(self) -> dict[str, float]:
        """Return each multiplier and its batch's mean excess, for the progress."""
        out: dict[str, float] = {}
        for i, seen in enumerate(self.seen):
            out |= {f"multiplier_{i + 1}": seen.multiplier, f"excess_{i + 1}": seen.mean}
        return out

    def report(self) -> list[dict[str, Any]]:
        """Return what became of each constraint, in the column's own unit where it has one."""
        return [_told(c, s) for c, s in zip(self.constraints, self.seen, strict=True)]

    def state(self) -> list[dict[str, float]]:
        """Return plain data for a checkpoint."""
        return [asdict(seen) for seen in self.seen]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go back to a checkpoint."""
        self.seen = [_Seen(**entry) for entry in state]


def refuse_contradictions(constraints: Sequence[Constraint]) -> None:
    """Raise InputError where two bounds on one column leave nothing between them."""
    floors = [c for c in constraints if c.at_most is None]
    for floor in floors:
        for ceiling in constraints:
            same = ceiling.oracle == floor.oracle and ceiling.name == floor.name
            if ceiling.at_most is not None and same and ceiling.bound < floor.bound:
                raise InputError(
                    f"the constraints {floor.text} and {ceiling.text} contradict each other: no "
                    "design keeps both; widen one of them, or swap the bounds"
                )


def _excess(constraint: Constraint, scored: Scored) -> Floats:
    """Return [B], NaN throughout while nothing was ever measured: there are no columns then."""
    if not scored.columns:
        return np.full(len(scored.reward), np.nan)
    return constraint.excess(scored.columns)


def _move(constraint: Constraint, seen: _Seen) -> None:
    if constraint.method == "dual":
        seen.multiplier = dual_step(seen.multiplier, seen.mean, constraint.rate)
    else:
        gains = (constraint.proportional, constraint.rate, constraint.derivative)
        memory = Controller(seen.integral, seen.before)
        seen.multiplier, memory = pid_step(memory, seen.mean, *gains)
        seen.integral, seen.before = memory.integral, memory.before
    seen.multiplier = min(seen.multiplier, constraint.most)


def _told(constraint: Constraint, seen: _Seen) -> dict[str, Any]:
    scale = constraint.scale or abs(constraint.bound) or 1.0
    sign = -1.0 if constraint.at_most is None else 1.0
    met = seen.mean <= 0.0 if constraint.on_average else seen.kept > 0
    return {
        "constraint": constraint.text,
        "multiplier": seen.multiplier,
        "mean": constraint.bound + sign * scale * seen.mean,
        "kept": seen.kept / seen.count if seen.count else 0.0,
        "nearest": constraint.bound + sign * scale * seen.nearest,
        "met": bool(met),
    }
