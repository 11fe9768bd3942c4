"""Compiled moves of one chain: pull moves and bond rebridging.

A chain lies on a torus wider than the chain is long, so points are single integers and stepping
is one addition and one mask. `chain` [L + 2] holds the points of residues 1 to L, with the end
points once more before and after them; `grid` says what lies on a point, 0 where nothing does,
else `KINDS` times the residue's number plus what kind it is.

Pull moves: N. Lesh, M. Mitzenmacher, S. Whitesides, RECOMB 2003. Rebridging, which rejoins bonds
of a dense chain without moving a point: J. M. Deutsch, J. Chem. Phys. 106, 8849 (1997).

A move is told as three numbers: the first residue that moves, which way the others follow (1 or
-1), and how many move (0: the move is not possible). `fresh[q]` is the new point of residue
first + way * q. Nothing changes before `shift` is called.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tasks.folding.dice import GOLDEN, Array, below, compiled, inlined, mixed

KINDS = 64
_ZERO, _ONE, _TWO, _THREE, _FOUR = (np.uint64(n) for n in range(5))
_SIX, _8, _20, _44 = (np.uint64(n) for n in (6, 8, 20, 44))  # 2**6 kinds
_KIND, _KINDS = np.uint64(KINDS - 1), np.uint64(KINDS)


class Ground(NamedTuple):
    """What the moves of one chain on one torus need; nothing of it changes."""

    length: Any  # L
    mask: Any  # the largest point; points wrap around beyond it
    bipartite: bool
    deltas: Array  # [Z] uint64 neighbour vectors
    letter: Array  # [mask + 1] uint8 which neighbour vector (from 1) a difference is; 0: none
    side: Array  # [Z + 1, C] uint64 where a pull may go from the anchor, by the bond that leaves it
    cells: Array  # [L + 2] uint16 what a residue writes on the grid; kind 0: it attracts nothing
    energy: Array  # [KINDS * KINDS] int32 energy of kind a beside kind b at KINDS * a + b
    angle: Array  # [Z + 1, Z + 1] int64 the class of two bonds, see `tasks.folding.leaning`
    bits: Any  # of a point that each axis takes
    middle: Any  # the point in the middle of the table of closing walks
    closings: Array  # [n, W] float32 free walks of n steps home from each point of that table


@inlined
def gain(ground: Ground, row: Any, point: Any, grid: Array) -> Any:
    """Return the energy of a residue with all around a point; `row` is where its kind's begin."""
    total = 0
    for delta in ground.deltas:
        total += ground.energy[row + (grid[(point + delta) & ground.mask] & _KIND)]
    return total


@inlined
def pull(ground: Ground, chain: Array, grid: Array, bits: Any, fresh: Array) -> Any:
    """Find the pull that the bits choose; see `tasks.folding.pull` for the moves.

    Only points beside both the anchor and (bipartite: a corner away from) the residue's own are
    tried. Tests are joined without branches: most fail, and the processor cannot guess which.
    """
    mask = ground.mask
    first = _ONE + (((bits >> _44) * ground.length) >> _20)
    way = _ONE - (bits & _TWO)
    here, anchor, follower = chain[first], chain[first - way], chain[first + way]
    if anchor == here:  # an end leads
        return first, way, _lead(ground, chain, grid, first, way, bits, fresh)
    bond = np.uint64(ground.letter[(here - anchor) & mask])
    step = ground.side[bond, (bits >> _TWO) & np.uint64(ground.side.shape[1] - 1)]
    target = (anchor + step) & mask
    if ground.bipartite:
        corner = (here + step) & mask
        short = (corner == follower) | (here == follower)
        if (grid[target] != 0) | ((grid[corner] != 0) & (not short)):
            return first, way, _ZERO
        fresh[0] = target
        if short:
            return first, way, _ONE
        fresh[1] = corner
        return first, way, drag(ground, chain, first, way, _TWO, fresh)
    if grid[target] != 0:
        return first, way, _ZERO
    fresh[0] = target
    return first, way, drag(ground, chain, first, way, _ONE, fresh)


@compiled
def _lead(
    ground: Ground, chain: Array, grid: Array, first: Any, way: Any, bits: Any, fresh: Array
) -> Any:
    """Let an end go ahead to a free point; returns how many residues move."""
    size = np.uint64(len(ground.deltas))
    ahead = (chain[first] + ground.deltas[below(bits >> _TWO, size)]) & ground.mask
    if grid[ahead] != 0:
        return _ZERO
    if not ground.bipartite:
        fresh[0] = ahead
        return drag(ground, chain, first, way, _ONE, fresh)
    again = mixed(bits + GOLDEN)
    beyond = (ahead + ground.deltas[below(again, size)]) & ground.mask
    if grid[beyond] != 0:
        return _ZERO
    fresh[0], fresh[1] = beyond, ahead
    return drag(ground, chain, first, way, _TWO, fresh)


@inlined
def drag(ground: Ground, chain: Array, first: Any, way: Any, moved: Any, fresh: Array) -> Any:
    """Let the residues behind follow until the chain is whole; returns how many moved."""
    behind = moved
    most = ground.length - first + _ONE if way == _ONE else first
    while moved < most:
        gap = (chain[first + way * moved] - fresh[moved - _ONE]) & ground.mask
        if ground.letter[gap] != 0:
            break
        fresh[moved] = chain[first + way * (moved - behind)]
        moved += _ONE
    return moved


@inlined
def shift(
    ground: Ground, chain: Array, grid: Array, first: Any, way: Any, moved: Any, fresh: Array
) -> Any:
    """Move residues on the grid and return the energy that adds; the chain itself stays.

    Bonded neighbours are counted too: they are neighbours before and after.
    """
    before, after = 0, 0
    residue = first
    for _ in range(moved):
        point, row = chain[residue], (ground.cells[residue] & _KIND) * _KINDS
        if row:
            before += gain(ground, row, point, grid)
        grid[point] = 0
        residue += way
    residue = first
    for q in range(moved):
        point, cell = fresh[q], ground.cells[residue]
        row = (cell & _KIND) * _KINDS
        if row:
            after += gain(ground, row, point, grid)
        grid[point] = cell
        residue += way
    return after - before


@inlined
def settle(ground: Ground, chain: Array, first: Any, way: Any, moved: Any, fresh: Array) -> None:
    """Let the chain follow what was moved on the grid."""
    residue = first
    for q in range(moved):
        chain[residue] = fresh[q]
        residue += way
    chain[0], chain[ground.length + _ONE] = chain[1], chain[ground.length]


@inlined
def undo(
    ground: Ground, chain: Array, grid: Array, first: Any, way: Any, moved: Any, fresh: Array
) -> None:
    """Put the grid back to what the chain says."""
    for q in range(moved):
        grid[fresh[q]] = 0
    residue = first
    for _ in range(moved):
        grid[chain[residue]] = ground.cells[residue]
        residue += way


@inlined
def rebridge(ground: Ground, chain: Array, grid: Array, bits: Any, fresh: Array) -> Any:
    """Find the rebridging that the bits choose; residues first, first + 1, ... would move.

    Where two bonds lie side by side, they are exchanged: part of the chain is walked the other
    way round, or becomes a ring that is opened and joined to the chain elsewhere.
    """
    length, mask = ground.length, ground.mask
    i = _ONE + (((bits >> _44) * length) >> _20)
    delta = ground.deltas[below(bits >> _8, np.uint64(len(ground.deltas)))]
    j = np.uint64(grid[(chain[i] + delta) & mask]) >> _SIX
    if j == 0:
        return i, _ONE, _ZERO
    if j < i:
        i, j = j, i
    kind = bits & _THREE
    ring = kind > _ONE
    left = i - _ONE if kind == _ONE else i + _ONE
    right = j + _ONE if kind == _ZERO else j - _ONE
    beside = ground.letter[(chain[left] - chain[right]) & mask] != 0
    beside |= (right > length) | (left == _ZERO)
    if (not beside) | (j - i < (_FOUR if ring else _TWO)):
        return i, _ONE, _ZERO
    if ring:
        return _through_ring(ground, chain, grid, bits, i, j, fresh)
    first = i + _ONE if kind == _ZERO else i
    count = j - i
    for q in range(count):
        fresh[q] = chain[first + count - _ONE - q]
    return first, _ONE, count


@compiled
def _through_ring(
    ground: Ground, chain: Array, grid: Array, bits: Any, i: Any, j: Any, fresh: Array
) -> Any:
    """Close residues i + 1 to j - 1 to a ring, open it elsewhere and join it to the rest."""
    size, bits = j - i - _ONE, mixed(bits + GOLDEN)
    delta = ground.deltas[below(bits >> _8, np.uint64(len(ground.deltas)))]
    k = i + _ONE + (((bits >> _44) * size) >> _20)
    after = k + _ONE if k + _ONE < j else i + _ONE
    m = np.uint64(grid[(chain[k] + delta) & ground.mask]) >> _SIX
    if m == 0 or (i < m and m < j):
        return i, _ONE, _ZERO
    forwards = (bits & _ONE) == 0
    forth = m + _ONE if m != i else j  # ... m, k, ring backwards, after, forth ...
    back = m - _ONE if m != j else i  # ... back, after, ring forwards, k, m ...
    following = forth if forwards else back
    if following == 0 or following > ground.length:
        return i, _ONE, _ZERO
    if ground.letter[(chain[following] - chain[after]) & ground.mask] == 0:
        return i, _ONE, _ZERO
    entry = m if forwards else following  # the last residue before the ring
    spot = k if forwards else after
    if entry > i:  # what follows the ring moves up, then comes the ring
        moved = entry - j + _ONE
        for q in range(moved):
            fresh[q] = chain[j + q]
        _unroll(chain, i, j, spot, forwards, fresh, moved)
        return i + _ONE, _ONE, moved + size
    _unroll(chain, i, j, spot, forwards, fresh, _ZERO)
    for q in range(i - entry):
        fresh[size + q] = chain[entry + _ONE + q]
    return entry + _ONE, _ONE, size + i - entry


@inlined
def _unroll(
    chain: Array, i: Any, j: Any, spot: Any, forwards: bool, fresh: Array, start: Any
) -> None:
    """Write the ring of residues i + 1 to j - 1 down from residue `spot` on."""
    for q in range(j - i - _ONE):
        fresh[start + q] = chain[spot]
        if forwards:
            spot = spot - _ONE if spot > i + _ONE else j - _ONE
        else:
            spot = spot + _ONE if spot < j - _ONE else i + _ONE
