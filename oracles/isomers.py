"""What a molecule is made of: its atoms of one element, and how near it is to a formula."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from designer.errors import InputError
from designer.protocols import Measured
from oracles.rows import each, molecules

_PART = re.compile(r"([A-Z][a-z]?)(\d*)")


@dataclass(frozen=True)
class ElementCount:
    """Atoms of one element, hydrogens ("H") included where they are implicit."""

    element: str
    name: str = "element_count"

    cheap = True

    def __post_init__(self) -> None:
        _check_element(self.element, self.element)

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N] of counts."""
        mols = molecules(self.name, designs)
        return each(self.name, mols, lambda mol: composition(mol)[self.element])


@dataclass(frozen=True)
class Isomers:
    """How near a molecule's composition is to a formula, 0 to 1; 1 for an isomer.

    The geometric mean of a Gaussian for each element of the formula (deviation 1) and of one for
    the atoms in all, hydrogens included (deviation 2); see GuacaMol's IsomerScoringFunction.
    """

    formula: str
    name: str = "isomers"

    cheap = True

    def __post_init__(self) -> None:
        elements(self.formula)

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N], 0 to 1."""
        wanted = elements(self.formula)
        mols = molecules(self.name, designs)
        return each(self.name, mols, lambda mol: nearness(composition(mol), wanted))


def nearness(found: Counter[str], wanted: Counter[str]) -> float:
    """Return the geometric mean that `Isomers` tells of."""
    parts = [_bell(found[element] - count, 1.0) for element, count in wanted.items()]
    parts.append(_bell(found.total() - wanted.total(), 2.0))
    return math.prod(parts) ** (1.0 / len(parts))


def composition(mol: Any) -> Counter[str]:
    """Return how many atoms of each element an RDKit molecule has, hydrogens included."""
    found = Counter(atom.GetSymbol() for atom in mol.GetAtoms())
    found["H"] += sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())
    return found


@lru_cache(maxsize=64)
def elements(formula: str) -> Counter[str]:
    """Return how many atoms of each element a formula such as C9H10N2O2PF2Cl has.

    Raises InputError for text that is no formula, and for unknown elements.
    """
    parts = _PART.findall(formula)
    if not parts or "".join(element + count for element, count in parts) != formula:
        raise InputError(f"formula {formula!r}: expected elements and counts, such as C7H8N2O2")
    found: Counter[str] = Counter()
    for element, count in parts:
        _check_element(element, formula)
        found[element] += int(count or 1)
    return found


def _check_element(element: str, where: str) -> None:
    from rdkit import Chem

    table = Chem.GetPeriodicTable()
    known = {table.GetElementSymbol(number) for number in range(1, 119)}
    if element not in known:
        raise InputError(f"{where!r}: {element!r} is no element; expected a symbol such as 'Cl'")


def _bell(distance: float, sigma: float) -> float:
    return math.exp(-0.5 * (distance / sigma) ** 2)
