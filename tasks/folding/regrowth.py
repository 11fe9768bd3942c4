"""Compiled: a stretch of a chain is taken out and grown anew, residue by residue.

Each residue goes to a free neighbour point with a probability in proportion to e^(-E / kT), E its
contacts so far, times the number of free walks that from there still meet the rest of the chain.
The stretch is taken with the probability that makes Boltzmann's distribution stand: configurational
bias (J. I. Siepmann and D. Frenkel, Mol. Phys. 75, 59, 1992) with fixed ends (M. Dijkstra, D.
Frenkel, J.-P. Hansen, J. Chem. Phys. 101, 3179, 1994). As a search for folds: J. Zhang, S. Kou,
J. Liu, J. Chem. Phys. 126, 225101 (2007).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tasks.folding.closing import LONGEST, SPAN
from tasks.folding.compiled_moves import KINDS, Ground, gain, settle
from tasks.folding.dice import GOLDEN, Array, below, compiled, inlined, mixed
from tasks.folding.leaning import ANGLES

_ZERO, _ONE, _TWO, _11, _20, _44 = (np.uint64(n) for n in (0, 1, 2, 11, 20, 44))
_KIND, _KINDS, _SPAN = np.uint64(KINDS - 1), np.uint64(KINDS), np.uint64(SPAN)
_LONGEST = np.uint64(LONGEST)
_UNIT = 2.0**-53 * (1.0 - 2.0**-50)  # no share of a sum may round up to the sum
_STEEPEST = 80.0  # kT; stronger contacts weigh as these, so that no product leaves the numbers


@inlined
def closing(ground: Ground, gap: Any, left: Any) -> Any:
    """Return how many free walks of `left` steps cross a gap, as a share of the most there are."""
    shifted = (gap + ground.middle) & ground.mask
    low = (_ONE << ground.bits) - _ONE
    x, y = shifted & low, (shifted >> ground.bits) & low
    z = shifted >> (_TWO * ground.bits)
    if (x >= _SPAN) | (y >= _SPAN) | (z >= _SPAN):
        return 0.0
    return ground.closings[left, (z * _SPAN + y) * _SPAN + x]


@compiled
def _grow(
    ground: Ground, chain: Array, grid: Array, first: Any, way: Any, size: Any, closes: bool,
    beta: float, lean: Array, dice: Any, again: bool, fresh: Array, tally: Array,
) -> Any:  # fmt: skip
    """Put a stretch on the grid: drawn into `fresh`, or `again` where the chain has it.

    Returns how many residues found a place. tally[0] gets the product of the sums of weights over
    that of the chosen weights without their Boltzmann factors, tally[1] the energy; tally[2:] is
    scratch.
    """
    at, anchor, residue = chain[first - way], chain[first + way * size], first
    tally[0], tally[1] = 1.0, 0.0
    last, earlier = _bonds(ground, chain, first, way)
    for q in range(size):
        row, total = (ground.cells[residue] & _KIND) * _KINDS, 0.0
        leans = lean[0 if way == _ONE else 1, residue]
        for d in range(len(ground.deltas)):
            point = (at + ground.deltas[d]) & ground.mask
            weight = 0.0
            if grid[point] == 0:
                weight = closing(ground, anchor - point, size - q) if closes else 1.0
                weight *= leans[ground.angle[d + 1, last] * ANGLES + ground.angle[d + 1, earlier]]
                if weight > 0.0 and row:
                    felt = -beta * gain(ground, row, point, grid)
                    weight *= math.exp(max(-_STEEPEST, min(_STEEPEST, felt)))
            total += weight
            tally[2 + d] = total
        if total == 0.0:
            return q
        if again:
            d = int(ground.letter[(chain[residue] - at) & ground.mask]) - 1
        else:
            dice += GOLDEN
            drawn, d = float(mixed(dice) >> _11) * _UNIT * total, 0
            while tally[2 + d] <= drawn:
                d += 1
            fresh[q] = (at + ground.deltas[d]) & ground.mask
        at = (at + ground.deltas[d]) & ground.mask
        share = closing(ground, anchor - at, size - q) if closes else 1.0
        share *= leans[ground.angle[d + 1, last] * ANGLES + ground.angle[d + 1, earlier]]
        last, earlier = d + 1, last
        tally[0] *= total / share
        if row:
            tally[1] += gain(ground, row, at, grid)
        grid[at] = ground.cells[residue]
        residue += way
    return size


@inlined
def _bonds(ground: Ground, chain: Array, first: Any, way: Any) -> Any:
    """Return the letters, from 1, of the last bond before a stretch and of the one before it."""
    near = first - way
    far = near - way
    last = int(ground.letter[(chain[near] - chain[far]) & ground.mask])
    earlier = 0
    if last != 0:  # else the chain begins here, and there is nothing before `far`
        earlier = int(ground.letter[(chain[far] - chain[far - way]) & ground.mask])
    return last, earlier


@compiled
def regrow(
    ground: Ground, chain: Array, grid: Array, bits: Any, beta: float, lean: Array, fresh: Array,
    tally: Array,
) -> Any:  # fmt: skip
    """Grow the stretch that the bits choose anew, and keep it or the old one.

    Returns the energy added, and whether a new one was computed: growth may find no way on.
    """
    first = _ONE + (((bits >> _44) * ground.length) >> _20)
    way = _ONE - (bits & _TWO)
    dice = mixed(bits + GOLDEN)
    size = _TWO + below(dice, _LONGEST - _ONE)
    room = ground.length - first + _ONE if way == _ONE else first
    if room == ground.length:  # nothing to begin at
        return 0, False
    closes = size < room
    size = size if closes else room
    _clear(grid, chain, first, way, size)
    placed = _grow(
        ground, chain, grid, first, way, size, closes, beta, lean, dice, False, fresh, tally
    )
    weight, energy = tally[0], tally[1]
    for q in range(placed):
        grid[fresh[q]] = 0
    if placed < size:
        residue = first
        for _ in range(size):
            grid[chain[residue]] = ground.cells[residue]
            residue += way
        return 0, False
    _grow(ground, chain, grid, first, way, size, closes, beta, lean, dice, True, fresh, tally)
    if float(mixed(~dice) >> _11) * _UNIT * tally[0] >= weight:
        return 0, True
    added = int(energy - tally[1])
    _clear(grid, chain, first, way, size)
    residue = first
    for q in range(size):
        grid[fresh[q]] = ground.cells[residue]
        residue += way
    settle(ground, chain, first, way, size, fresh)
    return added, True


@inlined
def _clear(grid: Array, chain: Array, first: Any, way: Any, size: Any) -> None:
    residue = first
    for _ in range(size):
        grid[chain[residue]] = 0
        residue += way
