"""Compiled search: Metropolis walks by pull moves and bond rebridging, with replica exchange.

A chain lies on a torus wider than the chain is long, so points are single integers and stepping
is one addition and one mask. `grid` says which residue (from 1) lies on a point, 0 where none.
Energies are whole numbers; `pairs` [L, L] holds that of each contact, 0 for bonded residues.

Pull moves: N. Lesh, M. Mitzenmacher, S. Whitesides, RECOMB 2003. Rebridging, which rejoins bonds
of a dense chain without moving a point: J. M. Deutsch, J. Chem. Phys. 106, 8849 (1997). Replica
exchange: C. Thachuk, A. Shmygelska, H. Hoos, BMC Bioinformatics 8:342 (2007).

Needs numba; loaded by `tasks.folding.exchange` when a search begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]

BEST, KEPT, COMPUTED, PROPOSED, PARITY, DONE = range(6)  # places in a ladder's `books`
_16, _24, _27, _37, _40 = (np.uint64(n) for n in (16, 24, 27, 37, 40))
_11, _ONE, _TWO, _THREE = (np.uint64(n) for n in (11, 1, 2, 3))
_30, _14BITS, _10BITS = np.uint64(30), np.uint64(0x3FFF), np.uint64(0x3FF)
_14 = np.uint64(14)
_UNIT = 2.0**-53


def compiled(function: F) -> F:
    """Return the function compiled when first called; the code is kept beside this file."""
    return cast(F, njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """Return the function compiled into its callers: for what is called at every step."""
    return cast(F, njit(cache=True, nogil=True, inline="always")(function))


@inlined
def draw(state: Array) -> Any:
    """Return 64 random bits: xoroshiro128+ (D. Blackman, S. Vigna); `state` [2] uint64.

    From the top: 24 bits choose a residue, 10 the kind of move, 14 a direction, 14 another.
    """
    a, b = state[0], state[1]
    both = a + b
    b ^= a
    state[0] = ((a << _24) | (a >> _40)) ^ b ^ (b << _16)
    state[1] = (b << _37) | (b >> _27)
    return both


@inlined
def uniform(state: Array) -> float:
    """Return a number from 0 to 1, 1 left out."""
    return float(draw(state) >> _11) * _UNIT


@inlined
def beside(difference: Any, deltas: Array, mask: Any) -> bool:
    """Return whether two points so far apart are neighbours."""
    far = difference & mask
    near = False  # no branch: faster than to leave early
    for delta in deltas:
        near |= far == delta
    return near


@inlined
def gain(residue: int, point: Any, grid: Array, pairs: Array, deltas: Array, mask: Any) -> int:
    """Return the energy of a residue on a point with what lies around it."""
    total = 0
    for delta in deltas:
        total += pairs[residue, grid[(point + delta) & mask]]
    return total


@compiled
def whole_energy(chain: Array, grid: Array, pairs: Array, deltas: Array, mask: Any) -> int:
    """Return the energy of a chain that lies on the grid."""
    total = 0
    for residue in range(len(chain)):
        total += gain(residue, chain[residue], grid, pairs, deltas, mask)
    return total // 2


@inlined
def pull(
    chain: Array, grid: Array, deltas: Array, mask: Any, bipartite: bool, bits: Any, fresh: Array
) -> tuple[int, int, int]:
    """Make the pull that the bits choose; returns who leads, which way, how many move (0: none).

    Residue `first + way * q` would go to fresh[q]. See `tasks.folding.pull` for the moves.
    """
    length = len(chain)
    first: Any = np.int64(((bits >> _40) * np.uint64(length)) >> _24)
    turn = (((bits >> _16) & _14BITS) * np.uint64(len(deltas))) >> _14
    if bits & _TWO:
        way, last, anchor = 1, length - 1 - first, first - 1
    else:
        way, last, anchor = -1, first, first + 1
    here = chain[first]  # `last` residues follow, on the side of `way`
    if 0 <= anchor < length:
        pivot = chain[anchor]
        target = (pivot + deltas[turn]) & mask
        if grid[target]:
            return first, way, 0
        fresh[0] = target
        if last == 0:
            return first, way, 1
        if not bipartite:
            if not beside(target - here, deltas, mask):
                return first, way, 0
            return first, way, _drag(chain, deltas, mask, first, way, last, 1, fresh)
        corner = (target + here - pivot) & mask
        if corner == chain[first + way]:
            return first, way, 1
        if corner == pivot or grid[corner]:
            return first, way, 0
        fresh[1] = corner
        return first, way, _drag(chain, deltas, mask, first, way, last, 2, fresh)
    ahead = (here + deltas[turn]) & mask  # an end leads
    if grid[ahead]:
        return first, way, 0
    if not bipartite:
        fresh[0] = ahead
        return first, way, _drag(chain, deltas, mask, first, way, last, 1, fresh)
    turn = (((bits >> _TWO) & _14BITS) * np.uint64(len(deltas))) >> _14
    beyond = (ahead + deltas[turn]) & mask
    if grid[beyond]:
        return first, way, 0
    fresh[0], fresh[1] = beyond, ahead
    return first, way, _drag(chain, deltas, mask, first, way, last, 2, fresh)


@compiled
def _drag(
    chain: Array,
    deltas: Array,
    mask: Any,
    first: int,
    way: int,
    last: int,
    moved: int,
    fresh: Array,
) -> int:
    """Let the residues behind follow until the chain is whole; returns how many moved."""
    shift = moved
    while moved <= last and not beside(chain[first + way * moved] - fresh[moved - 1], deltas, mask):
        fresh[moved] = chain[first + way * (moved - shift)]
        moved += 1
    return moved


@compiled
def change(
    chain: Array,
    grid: Array,
    pairs: Array,
    active: Array,
    deltas: Array,
    mask: Any,
    first: int,
    way: int,
    moved: int,
    fresh: Array,
) -> int:
    """Move residues on the grid and return the energy that adds; the chain itself stays."""
    before, after = 0, 0
    for q in range(moved):
        residue = first + way * q
        point = chain[residue]
        if active[residue]:
            before += gain(residue, point, grid, pairs, deltas, mask)
        grid[point] = 0
    for q in range(moved):
        residue = first + way * q
        point = fresh[q]
        if active[residue]:
            after += gain(residue, point, grid, pairs, deltas, mask)
        grid[point] = residue + 1
    return after - before


@compiled
def rebridge(
    chain: Array, grid: Array, deltas: Array, mask: Any, bits: Any, state: Array, fresh: Array
) -> tuple[int, int]:
    """Make the rebridging that the bits choose; returns which residues move (high < low: none).

    Where two bonds lie side by side, they are exchanged: part of the chain is walked the other
    way round, or becomes a ring that is opened and joined to the chain elsewhere.
    `fresh` [L] gets the new points of residues low..high.
    """
    length = len(chain)
    i: Any = np.int64(((bits >> _40) * np.uint64(length)) >> _24)
    turn = (((bits >> _16) & _14BITS) * np.uint64(len(deltas))) >> _14
    j: Any = np.int64(grid[(chain[i] + deltas[turn]) & mask]) - 1
    if j < 0:
        return 0, -1
    if j < i:
        i, j = j, i
    if j - i < 2:
        return 0, -1
    kind = bits & _THREE
    if kind == 0:
        if j == length - 1 or beside(chain[i + 1] - chain[j + 1], deltas, mask):
            for k in range(i + 1, j + 1):
                fresh[k] = chain[i + 1 + j - k]
            return i + 1, j
        return 0, -1
    if kind == _ONE:
        if i == 0 or beside(chain[i - 1] - chain[j - 1], deltas, mask):
            for k in range(i, j):
                fresh[k] = chain[i + j - 1 - k]
            return i, j - 1
        return 0, -1
    if j - i < 4 or not beside(chain[i + 1] - chain[j - 1], deltas, mask):
        return 0, -1
    return _through_ring(chain, grid, deltas, mask, state, i, j, fresh)


@compiled
def _through_ring(
    chain: Array,
    grid: Array,
    deltas: Array,
    mask: Any,
    state: Array,
    i: int,
    j: int,
    fresh: Array,
) -> tuple[int, int]:
    """Close residues i + 1 to j - 1 to a ring, open it elsewhere and join it to the rest."""
    length, bits = len(chain), draw(state)
    size = j - i - 1
    turn = (((bits >> _16) & _14BITS) * np.uint64(len(deltas))) >> _14
    k: Any = i + 1 + np.int64(((bits >> _40) * np.uint64(size)) >> _24)
    after = k + 1 if k + 1 < j else i + 1
    m: Any = np.int64(grid[(chain[k] + deltas[turn]) & mask]) - 1
    if m < 0 or i < m < j:
        return 0, -1
    forwards = (bits & _ONE) == 0
    following = m + 1 if m != i else j  # ... m, k, ring backwards, after, following ...
    if not forwards:  # ... following, after, ring forwards, k, m ...
        following = m - 1 if m != j else i
    if following < 0 or following >= length:
        return 0, -1
    if not beside(chain[following] - chain[after], deltas, mask):
        return 0, -1
    entry = m if forwards else following  # the last residue before the ring
    at = 0
    low, high = min(i + 1, entry + 1), max(j - 1, entry)
    for old in range(length):
        if i < old < j:
            continue
        fresh[at] = chain[old]
        at += 1
        if old == entry:
            spot = k if forwards else after
            for _ in range(size):
                fresh[at] = chain[spot]
                at += 1
                if forwards:
                    spot = spot - 1 if spot > i + 1 else j - 1
                else:
                    spot = spot + 1 if spot < j - 1 else i + 1
    return low, high


@compiled
def keep(chain: Array, kept: Array, books: Array, mask: Any, better: bool) -> None:
    """Write a chain down among the best, if it is not there; `better` forgets the others."""
    if better:
        books[KEPT] = 0
    for row in range(books[KEPT]):
        same = True
        for k in range(1, len(chain)):
            if ((chain[k] - chain[0]) & mask) != ((kept[row, k] - kept[row, 0]) & mask):
                same = False
                break
        if same:
            return
    if books[KEPT] < len(kept):
        kept[books[KEPT]] = chain
        books[KEPT] += 1


@compiled
def sweep(
    chain: Array,
    grid: Array,
    pairs: Array,
    active: Array,
    deltas: Array,
    mask: Any,
    bipartite: bool,
    energy: int,
    beta: float,
    steps: int,
    share: Any,
    target: int,
    allowance: int,
    state: Array,
    books: Array,
    kept: Array,
    fresh: Array,
) -> int:
    """Make `steps` Metropolis steps of one chain; returns its energy afterwards."""
    length = len(chain)
    left = allowance - books[COMPUTED]
    for _ in range(steps):
        if left <= 0:
            books[DONE] = 1
            return energy
        bits = draw(state)
        if ((bits >> _30) & _10BITS) >= share:
            first, way, moved = pull(chain, grid, deltas, mask, bipartite, bits, fresh)
            if moved == 0:
                continue
            left -= 1
            books[COMPUTED] += 1
            added = change(chain, grid, pairs, active, deltas, mask, first, way, moved, fresh)
            if added <= 0 or uniform(state) < math.exp(-added * beta):
                energy += added
                for q in range(moved):
                    chain[first + way * q] = fresh[q]
            else:
                for q in range(moved):
                    grid[fresh[q]] = 0
                for q in range(moved):
                    residue = first + way * q
                    grid[chain[residue]] = residue + 1
                continue
        else:
            low, high = rebridge(chain, grid, deltas, mask, bits, state, fresh)
            if high < low:
                continue
            left -= 1
            books[COMPUTED] += 1
            for k in range(low, high + 1):
                grid[fresh[k]] = k + 1
            added = -energy
            total = 0
            for k in range(length):
                if active[k]:
                    point = fresh[k] if low <= k <= high else chain[k]
                    total += gain(k, point, grid, pairs, deltas, mask)
            added += total // 2
            if added <= 0 or uniform(state) < math.exp(-added * beta):
                energy += added
                for k in range(low, high + 1):
                    chain[k] = fresh[k]
            else:
                for k in range(low, high + 1):
                    grid[chain[k]] = k + 1
                continue
        if energy < books[BEST]:
            books[BEST] = energy
            keep(chain, kept, books, mask, True)
            if energy <= target:
                books[DONE] = 1
                return energy
    return energy


@compiled
def climb(
    chains: Array,
    grids: Array,
    pairs: Array,
    active: Array,
    deltas: Array,
    mask: Any,
    bipartite: bool,
    energies: Array,
    betas: Array,
    order: Array,
    rounds: int,
    steps: int,
    share: Any,
    target: int,
    allowance: int,
    state: Array,
    books: Array,
    kept: Array,
    fresh: Array,
) -> None:
    """Let a ladder of R chains walk and exchange temperatures; everything changes in place.

    chains [R, L] and grids [R, S], energies [R], betas [R] falling, order [R] the chain at each
    temperature, kept [M, L] the best folds met, books as named above. Stops at the target energy,
    or when `allowance` energies were computed.
    """
    for _ in range(rounds):
        for place in range(len(order)):
            who = order[place]
            energies[who] = sweep(
                chains[who], grids[who], pairs, active, deltas, mask, bipartite, energies[who],
                betas[place], steps, share, target, allowance, state, books, kept, fresh,
            )  # fmt: skip
            books[PROPOSED] += steps
            if books[DONE]:
                return
            if energies[who] == books[BEST] and books[KEPT] < len(kept):
                keep(chains[who], kept, books, mask, False)
        for place in range(books[PARITY], len(order) - 1, 2):
            upper, lower = order[place], order[place + 1]
            gap = (betas[place] - betas[place + 1]) * (energies[upper] - energies[lower])
            if gap >= 0 or uniform(state) < math.exp(gap):
                order[place], order[place + 1] = lower, upper
        books[PARITY] = 1 - books[PARITY]
