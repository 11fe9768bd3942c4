"""What the graph environment builds with: kinds of atoms and small groups, and which may bond.

A kind offers a fixed number of bond orders. Groups whose inner bonds break the rule of fixed
valence (sulfone, nitro) are one kind each, so every construction has plain valences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from designer.errors import InputError, nearest


@dataclass(frozen=True)
class Kind:
    """An atom, or an atom with terminal oxygens: (bond order, charge of the oxygen) each."""

    element: str
    number: int  # atomic number
    valence: int  # bond orders it offers
    oxygens: tuple[tuple[int, int], ...] = ()
    charge: int = 0

    @property
    def weight(self) -> int:
        """The number of heavy atoms."""
        return 1 + len(self.oxygens)


KINDS: dict[str, Kind] = {
    "C": Kind("C", 6, 4),
    "N": Kind("N", 7, 3),
    "O": Kind("O", 8, 2),
    "F": Kind("F", 9, 1),
    "S": Kind("S", 16, 2),
    "Cl": Kind("Cl", 17, 1),
    "Br": Kind("Br", 35, 1),
    "I": Kind("I", 53, 1),
    "P": Kind("P", 15, 3),
    "B": Kind("B", 5, 3),
    "Si": Kind("Si", 14, 4),
    "SO": Kind("S", 16, 2, ((2, 0),)),
    "SO2": Kind("S", 16, 2, ((2, 0), (2, 0))),
    "NO2": Kind("N", 7, 1, ((2, 0), (1, -1)), charge=1),
}
DEFAULT_KINDS = ("C", "N", "O", "F", "S", "Cl", "SO2")

_HALOGENS = ("F", "Cl", "Br", "I")
# Bonds between two heteroatoms, and multiple bonds, that occur in drugs; others only without
# `plausible`. Single bonds of carbon are always fine.
_PLAUSIBLE = {
    ("N", "N", 1), ("N", "N", 2), ("N", "O", 1), ("N", "SO2", 1), ("N", "SO", 1),
    ("B", "O", 1), ("O", "Si", 1),
    ("C", "C", 2), ("C", "N", 2), ("C", "O", 2), ("C", "C", 3), ("C", "N", 3),
}  # fmt: skip


def check_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names; raises InputError for an unknown or repeated one, and without carbon."""
    for name in names:
        if name not in KINDS:
            raise InputError(f"unknown kind of atom {name!r}; {nearest(name, KINDS)}")
    if len(set(names)) < len(names) or "C" not in names:
        raise InputError(f"kinds {list(names)}: expected each once, carbon 'C' among them")
    return tuple(names)


def may_bond(first: str, second: str, order: int, plausible: bool) -> bool:
    """Return whether two kinds may be joined by a bond of this order (1 to 3)."""
    if order > min(KINDS[first].valence, KINDS[second].valence):
        return False
    if not plausible:
        return True
    a, b = sorted((first, second))
    if a in _HALOGENS or b in _HALOGENS:
        return "C" in (a, b)
    return (order == 1 and "C" in (a, b)) or (a, b, order) in _PLAUSIBLE
