"""Several oracles as one: each shaped by a transform, all put together, every raw value kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from designer.calling import call
from designer.protocols import Floats, Measured, Oracle


@dataclass(frozen=True)
class Part:
    """One term: a label for its column, an oracle of one column, a transform to 0 ... 1."""

    label: str
    oracle: Oracle[Any]
    transform: Callable[[Floats], Floats]


@dataclass(frozen=True)
class Composite:
    """Terms of equal weight put together to one score; its own column is called `name`.

    The raw value of each term goes into a column `name.label`. A molecule on which one term
    fails is unmeasured. Never `cheap`: what is judged by a benchmark is written down.
    """

    name: str
    parts: tuple[Part, ...]
    aggregate: Literal["arithmetic", "geometric"] = "geometric"

    cheap = False

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return the score [N], 0 to 1, and the raw values of the terms."""
        answers = [call(part.oracle, designs) for part in self.parts]
        raw = [a.columns[p.oracle.name] for p, a in zip(self.parts, answers, strict=True)]
        shaped = np.stack([p.transform(v) for p, v in zip(self.parts, raw, strict=True)])
        columns = {self.name: combine(shaped, self.aggregate)}
        columns |= {f"{self.name}.{p.label}": v for p, v in zip(self.parts, raw, strict=True)}
        errors: dict[int, str] = {}
        for part, answer in zip(self.parts, answers, strict=True):
            errors |= {row: f"{part.label}: {why}" for row, why in answer.errors.items()}
        return Measured(columns, errors=errors)


def combine(shaped: Floats, aggregate: str) -> Floats:
    """Return [N] the mean of [K, N] values of at least 0, NaN where one of them is."""
    if aggregate == "arithmetic":
        return np.asarray(shaped.mean(0), dtype=np.float64)
    with np.errstate(under="ignore"):
        return np.asarray(np.prod(shaped, axis=0) ** (1.0 / len(shaped)), dtype=np.float64)
