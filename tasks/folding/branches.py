"""Compiled: how many folds of a short chain lie at or below an energy? Depth first, with bounds.

Needs numba; loaded by `tasks.folding.certain`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.folding.dice import inlined, stored

Array = NDArray[Any]
UNKNOWN = -1


class Chain(NamedTuple):
    """A chain of L residues on a lattice; energies are whole numbers."""

    pairs: Array  # [L, L] int64 energy of two residues side by side; 0 where they are bonded
    gains: Array  # [L + 1] int64 the most that residues t, t + 1, ... can gain together
    deltas: Array  # [Z] int64 neighbour vectors
    legal: Array  # [S, Z] bool letters that keep a walk in its first symmetric form
    after: Array  # [S, Z] int64 what that makes of the state
    sticky: Array  # [L] int64 1 for each residue that attracts
    room: Array  # [L + 1, 2] int64 contacts for which those from t on have room, by parity
    strongest: int  # the most that one contact can gain
    bipartite: bool


@inlined
def _most(chain: Chain, k: Any, one: Any, two: Any) -> Any:
    """Return what residues after k can gain at most: new contacts join two of them, or one to a
    free point beside an earlier one; on bipartite lattices they join even to odd.
    """
    held = chain.sticky[k] if k < len(chain.pairs) - 1 else 0  # the next bond takes a point
    even, odd = chain.room[k + 1, 0], chain.room[k + 1, 1]
    if not chain.bipartite:
        early = min(one + two - held, even + odd)
        return (early + (even + odd - early) // 2) * chain.strongest
    early, late = min(one - held * (1 - (k & 1)), odd), min(two - held * (k & 1), even)
    return (early + late + min(even - late, odd - early)) * chain.strongest


@stored
def count(chain: Chain, grid: Array, limit: int, nodes: int, folds: Array) -> int:
    """Return how many folds have an energy of `limit` or less, symmetric ones counted once.

    Their letters' numbers are written to folds [N, L - 1] uint8; once there are N, N is returned,
    and UNKNOWN after so many nodes. grid [S] int16 of zeros is wide enough for a straight chain
    from its middle either way.
    """
    found = 0
    length, choices = len(chain.pairs), len(chain.deltas)
    at, tried = np.zeros(length, np.int64), np.zeros(length + 1, np.int64)
    state, energy = np.zeros(length + 1, np.int64), np.zeros(length, np.int64)
    slots = np.zeros((length, 2), np.int64)  # free points beside H's of either parity
    at[0] = len(grid) // 2
    at[1] = at[0] + chain.deltas[0]
    grid[at[0]], grid[at[1]] = 1, 2
    slots[1, 0] = chain.sticky[0] * (choices - 1)
    slots[1, 1] = chain.sticky[1] * (choices - 1)
    state[2] = chain.after[0, 0]
    k = 2
    while k >= 2:
        if tried[k] == choices:
            tried[k] = 0
            k -= 1
            grid[at[k]] = 0
            continue
        letter = tried[k]
        tried[k] += 1
        point = at[k - 1] + chain.deltas[letter]
        if not chain.legal[state[k], letter] or grid[point] != 0:
            continue
        own, parity, free, one, two = energy[k - 1], k & 1, 0, slots[k - 1, 0], slots[k - 1, 1]
        for delta in chain.deltas:
            other = grid[point + delta] - 1
            if other < 0:
                free += 1
                continue
            own += chain.pairs[k, other]
            if other & 1:
                two -= chain.sticky[other]
            else:
                one -= chain.sticky[other]
        if parity:
            two += free * chain.sticky[k]
        else:
            one += free * chain.sticky[k]
        nodes -= 1
        if nodes < 0:
            return UNKNOWN
        if own + chain.gains[k + 1] > limit or own - _most(chain, k, one, two) > limit:
            continue
        if k == length - 1:
            for bond in range(2, length):
                folds[found, bond - 1] = tried[bond] - 1
            found += 1
            if found == len(folds):
                return found
            continue
        at[k], energy[k], slots[k, 0], slots[k, 1] = point, own, one, two
        grid[point] = k + 1
        state[k + 1] = chain.after[state[k], letter]
        k += 1
    return found
