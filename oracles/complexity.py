"""What an equation costs to read and to tell: penalties on expressions.

The number of tokens is `oracles.penalties.Complexity`, which serves every task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from designer.errors import InputError, nearest
from designer.protocols import Floats
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.operators import OPERATORS


@dataclass(frozen=True)
class WeightedComplexity:
    """Sum of the costs of an expression's tokens: operators as weighted, leaves 1 each.

    Built-in costs run from 1 (add, mul) over 2 (div, sqrt) to 3 (exp, sin, pow); `costs`
    replaces some of them. A scale other than 1, or an offset other than 0, costs 2.
    """

    costs: Mapping[str, float] = field(default_factory=dict)
    leaf: float = 1.0
    name: str = "weighted_complexity"

    cheap = True
    flat = True  # the numbers in a design do not change its size

    def __post_init__(self) -> None:
        for operator in self.costs:
            if operator not in OPERATORS:
                raise InputError(f"costs: no operator {operator!r}: {nearest(operator, OPERATORS)}")

    def __call__(self, designs: Sequence[Expression], /) -> Floats:
        """Return [N] costs, at least that of a leaf."""
        return np.array([self._cost(design) for design in designs], dtype=np.float64)

    def _cost(self, design: Expression) -> float:
        library = design.library
        total = float(design.complexity - len(design.tokens))
        for token in design.tokens:
            if token < library.first_variable:
                operator = library.operators[token]
                total += self.costs.get(operator.name, operator.cost)
            else:
                total += self.leaf
        return total


@dataclass(frozen=True)
class DescriptionLength:
    """Bits to tell an expression: log2 A a token in an alphabet of A, and `bits` a number."""

    bits: float = 16.0  # for each fitted number, the scale and the offset included
    name: str = "description_length"

    cheap = True
    flat = True  # the numbers in a design do not change its size

    def __call__(self, designs: Sequence[Expression], /) -> Floats:
        """Return [N] bits."""
        return np.array(
            [
                len(d.tokens) * math.log2(max(2, len(d.library))) + self.bits * d.parameters
                for d in designs
            ],
            dtype=np.float64,
        )
