"""Sets of atoms as the bits of an int64: one number a row instead of N booleans."""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 61  # atoms that fit, so that one bit above them does too


def bit(index: Tensor) -> Tensor:
    """Return the set with this one element; the empty set where the index is negative."""
    return torch.where(index >= 0, torch.ones_like(index) << index.clamp(min=0), 0)


def holds(members: Tensor, index: Tensor) -> Tensor:
    """Return whether the set has the element; False where the index is negative."""
    return (members & bit(index)) != 0


def lowest(members: Tensor) -> Tensor:
    """Return the set of the smallest element alone."""
    return members & -members


def up_to_highest(members: Tensor) -> Tensor:
    """Return all elements from 0 to the largest of the set."""
    for shift in (1, 2, 4, 8, 16, 32):
        members = members | (members >> shift)
    return members


def reaches_below(first: Tensor, second: Tensor) -> Tensor:
    """Return whether the largest element of the first set is smaller than that of the second.

    The empty set is below every other. H. S. Warren, Hacker's Delight, 2nd ed., 5-3.
    """
    return (first < second) & (first < (first ^ second))


def highest_index(members: Tensor) -> Tensor:
    """Return the largest element, -1 for the empty set."""
    above = (up_to_highest(members) + 1).double()  # a power of two, exact
    return torch.frexp(above).exponent.long() - 2
