"""Penalties: what a design costs in size or effort, each in its own unit.

A penalty is an oracle that costs nothing and is subtracted. With `above`, only what exceeds it
counts (and is recorded): `above = 30` charges the 31st heavy atom and those after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designer.protocols import Floats, Measured
from oracles.rows import each, molecules
from oracles.sa import sa_score


@dataclass(frozen=True)
class Complexity:
    """The design's own size: heavy atoms, tokens of an expression, residues of a chain."""

    above: float = 0.0
    name: str = "complexity"

    cheap = True
    flat = True  # the numbers in a design do not change its size

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N], at least 0."""
        return _excess(each(self.name, designs, lambda design: design.complexity), self.above)


@dataclass(frozen=True)
class TokenLength:
    """How long a design is written: its own `tokens`, those of a molecule's SMILES, or letters.

    A fold has one letter a bond, so its text is its tokens.
    """

    above: float = 0.0
    name: str = "token_length"

    cheap = True

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N], at least 0."""
        return _excess(each(self.name, designs, _tokens), self.above)


@dataclass(frozen=True)
class HeavyAtoms:
    """Atoms other than hydrogen."""

    above: float = 0.0
    name: str = "heavy_atoms"

    cheap = True

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N], at least 0."""
        mols = molecules(self.name, designs)
        return _excess(each(self.name, mols, lambda mol: mol.GetNumHeavyAtoms()), self.above)


@dataclass(frozen=True)
class SyntheticAccessibility:
    """The SA score of `oracles.sa`, 1 (easy to make) to 10; 3 and less is commonplace."""

    above: float = 0.0
    name: str = "sa"

    cheap = True

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N], at least 0."""
        return _excess(each(self.name, molecules(self.name, designs), sa_score), self.above)


def _excess(measured: Measured, above: float) -> Measured:
    """Return what exceeds `above`, 0 where nothing does; NaN stays NaN."""
    columns: dict[str, Floats] = {
        name: np.maximum(values - above, 0.0) for name, values in measured.columns.items()
    }
    return Measured(columns, errors=measured.errors)


def _tokens(design: Any) -> int:
    own = getattr(design, "tokens", None)
    if own is not None:
        return len(own)
    if hasattr(design, "mol"):
        from tasks.molecules.tokens import tokenize

        return len(tokenize(design.text))
    return len(design.text)
