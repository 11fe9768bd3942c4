"""Which equation to believe: the front of error against size, and one choice from it.

The rule is a description length (Rissanen 1978, in the two-part form): nats to tell the data
once the equation is known, plus nats to tell the equation,

    P/2 * ln(nmse + floor) + k/2 * ln P + length * ln A

with P points, k fitted numbers and an alphabet of A tokens. Twice the first two terms are the
BIC; the third is the price of having searched: among A^length equations, one fits by chance.
On exact data the law wins by its vanishing error; on noisy data no longer equation gains enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.symbolic.language.expression import Expression

FLOOR = 1e-20  # errors below this come from rounding, and tell nothing


@dataclass(frozen=True)
class Candidate:
    """An expression, its error over the variance of the target, and its size."""

    expression: Expression
    nmse: float
    complexity: int
    copies: int = 1  # how often its numbers are fitted: once a label, where there are labels


def front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those that nothing simpler fits as well, simplest first. Not finite means out."""
    ordered = sorted(
        (c for c in candidates if math.isfinite(c.nmse)),
        key=lambda c: (c.complexity, c.nmse, c.expression.key),
    )
    out: list[Candidate] = []
    for candidate in ordered:
        if not out or candidate.nmse < out[-1].nmse:
            if out and out[-1].complexity == candidate.complexity:
                out.pop()
            out.append(candidate)
    return out


def description_length(candidate: Candidate, points: int, floor: float = FLOOR) -> float:
    """Return nats, lower is better; only differences mean something."""
    alphabet = max(2, len(candidate.expression.library))
    error = 0.5 * points * math.log(max(0.0, candidate.nmse) + floor)
    numbers = 0.5 * (candidate.expression.parameters * candidate.copies + 1) * math.log(points)
    return error + numbers + candidate.complexity * math.log(alphabet)


def recommend(
    candidates: Sequence[Candidate], points: int, floor: float = FLOOR
) -> Candidate | None:
    """Return the candidate of least description length on the front; None where it is empty.

    `points` is the number of data rows. Raise `floor` to the squared resolution of the target
    over its variance where that is known.
    """
    best = front(candidates)
    return min(best, key=lambda c: description_length(c, points, floor)) if best else None
