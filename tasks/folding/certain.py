"""Proof that a fold of a short chain is optimal: every fold that may be lower is looked for.

And the degeneracy of its ground state: how many folds are as low.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.folding.design import Fold, spelled
from tasks.folding.energy import matrix_named
from tasks.folding.growth import Order
from tasks.folding.lattices import Ints, lattice_named

if TYPE_CHECKING:
    from tasks.folding.branches import Chain

LONGEST = 40  # residues; longer chains are not done in so many nodes
NODES = 100_000_000  # residues placed, in two seconds or three
COUNTED = 25_000_000  # the same where folds are only counted, for the last line of a run
MANY = 10_000  # folds; no more are counted
_FINE = 1000  # steps of an energy of 1


@lru_cache(maxsize=256)
def nothing_below(sequence: str, lattice: str, matrix: str, energy: float) -> bool:
    """Return whether it is certain that no fold has less energy; False where it is not known.

    Branch and bound over all folds; it gives up after `NODES` residues placed.
    """
    limit = int(np.ceil(energy * _FINE - 1e-6)) - 1
    found = _folds(sequence, lattice, matrix, limit, NODES, 1)
    return found is not None and len(found) == 0


@lru_cache(maxsize=256)
def as_low(sequence: str, lattice: str, matrix: str, energy: float) -> int | None:
    """Return how many folds have this energy or less, symmetric ones counted once, and so a fold
    and its reverse where the sequence reads the same backwards. None where that is not known:
    after `COUNTED` residues placed or `MANY` folds, and for energies with more than three decimals.
    """
    steps = matrix_named(matrix).pairs(sequence) * _FINE
    if abs(steps - np.rint(steps)).max() > 1e-6:
        return None
    found = _folds(sequence, lattice, matrix, round(energy * _FINE), COUNTED, MANY)
    if found is None or not 0 < len(found) < MANY:
        return None
    if sequence != sequence[::-1]:
        return len(found)
    walks = spelled(found.astype(np.int64), lattice_named(lattice))
    return len({Fold(sequence, lattice, letters).key for letters in walks})


def _folds(
    sequence: str, lattice: str, matrix: str, limit: int, nodes: int, most: int
) -> NDArray[np.uint8] | None:
    """Return letters' numbers [N, L - 1] of the folds with a whole-number energy of `limit` or
    less, at most so many; None after so many nodes, for a long chain, and without numba.
    """
    if not 3 <= len(sequence) <= LONGEST or find_spec("numba") is None:
        return None
    from tasks.folding import branches

    side = 2 * len(sequence) + 2
    grid = np.zeros(side ** lattice_named(lattice).dimensions, dtype=np.int16)
    folds = np.zeros((most, len(sequence) - 1), dtype=np.uint8)
    found = branches.count(_chain(sequence, lattice, matrix, side), grid, limit, nodes, folds)
    return None if found == branches.UNKNOWN else folds[:found]


def _chain(sequence: str, lattice: str, matrix: str, side: int) -> Chain:
    """Return the chain for the compiled search; energies are rounded down, if at all."""
    from tasks.folding.branches import Chain

    place, pairs = lattice_named(lattice), matrix_named(matrix).pairs(sequence)
    whole = np.floor(pairs * _FINE + 1e-6).astype(np.int64)
    most = np.floor(np.array(Order(len(pairs)).gains(pairs, place)) * _FINE - 1e-6).astype(np.int64)
    widths = np.array([1, side, side * side if place.dimensions == 3 else 0])
    sticky: Ints = np.asarray((pairs < 0).any(axis=1), dtype=np.int64)
    ends = np.arange(len(pairs)) == len(pairs) - 1
    own = sticky * (place.size - 2 + ends)  # contacts that each has room for
    room = np.zeros((len(pairs) + 1, 2), dtype=np.int64)
    room[:-1:2, 0], room[1:-1:2, 1] = own[::2], own[1::2]
    return Chain(
        pairs=whole,
        gains=most,
        deltas=(place.steps @ widths).astype(np.int64),
        legal=place.breaking.legal,
        after=place.breaking.after.astype(np.int64),
        sticky=sticky,
        room=room[::-1].cumsum(axis=0)[::-1].copy(),
        strongest=-int(whole.min()),
        bipartite=place.bipartite,
    )
