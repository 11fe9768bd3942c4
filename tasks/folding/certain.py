"""Proof that a fold of a short chain is optimal: every fold that may be lower is looked for."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from tasks.folding.energy import matrix_named
from tasks.folding.growth import Order
from tasks.folding.lattices import Ints, lattice_named

if TYPE_CHECKING:
    from tasks.folding.branches import Chain

LONGEST = 40  # residues; longer chains are not done in so many nodes
NODES = 100_000_000  # residues placed, in two seconds or three
_FINE = 1000  # steps of an energy of 1


@lru_cache(maxsize=256)
def nothing_below(sequence: str, lattice: str, matrix: str, energy: float) -> bool:
    """Return whether it is certain that no fold has less energy; False where it is not known.

    Branch and bound over all folds; it gives up after `NODES` residues placed.
    """
    if not 3 <= len(sequence) <= LONGEST or find_spec("numba") is None:
        return False
    from tasks.folding import branches

    side = 2 * len(sequence) + 2
    grid = np.zeros(side ** lattice_named(lattice).dimensions, dtype=np.int16)
    limit = int(np.ceil(energy * _FINE - 1e-6)) - 1
    chain = _chain(sequence, lattice, matrix, side)
    return bool(branches.lower(chain, grid, limit, NODES) == branches.NONE)


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
