"""Compiled: one more residue for each of B growing chains, looked at once a step, in one pass.

`tasks.folding.environment` says the same in operations on tensors, for other devices. Needs numba;
loaded by `tasks.folding.stepping` when chains first grow on the CPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tasks.folding.dice import Array, inlined, stored
from tasks.folding.lattices import WORD
from tasks.folding.surroundings import ENERGY, EXITS, FAR_BITS, SHIFT, STICKY, TAKEN

_NEXT, _AFTER = WORD - 3, 2 * (WORD - 3)


class Rules(NamedTuple):
    """What one chain's growth needs at every step; nothing of it changes."""

    slot: Array  # [512] int64 the near point at each address, see `surroundings`; -1: none
    beside: (
        Array  # [W, K] int64 the head's neighbours that lie next to each near point; -1: no more
    )
    letters: Array  # [G, A - 1], and so on: see `frames.Frames`
    turned: Array
    legal: Array
    after: Array
    steps: Array
    deltas: Array
    back: Array
    sticky: Array  # [L] float32, 1 where the residue of that placement is hydrophobic
    pairs: Array  # [L + 1, L] float32 energy of one placement beside another; the last row is 0


class Rows(NamedTuple):
    """The fields of `environment.Growth` of these names, as arrays."""

    cells: Array
    near: Array
    head: Array
    core: Array
    frame: Array
    broken: Array
    last: Array
    stuck: Array
    energy: Array


class Place(NamedTuple):
    """Where residue number `placed` goes, and the one after it; see `growth.Order`."""

    placed: int
    side: int  # the end that it is put to
    beside: int  # the placement that it is put next to
    following: int  # the placement that the one after it is put next to
    sticky: bool
    last: bool  # no other one comes


@inlined
def look(rules: Rules, cells: Array, near: Array, head: int, coming: int) -> None:
    """Write what is around placement `head` of one chain [t], for placement `coming` [4, Z]."""
    size = near.shape[1]
    for z in range(size):
        near[TAKEN, z] = near[STICKY, z] = near[ENERGY, z] = 0.0
        near[EXITS, z] = size - 1
    middle = cells[head] - SHIFT
    for k in range(len(cells)):
        shifted = cells[k] - middle
        if shifted & FAR_BITS:
            continue
        point = rules.slot[(shifted | shifted >> _NEXT | shifted >> _AFTER) & 511]
        if point < 0:
            continue
        if point < size:
            near[TAKEN, point] = 1.0
            near[STICKY, point] = rules.sticky[k]
        for z in rules.beside[point]:
            if z < 0:
                break
            near[EXITS, z] -= 1.0
            near[ENERGY, z] += rules.pairs[coming, k]


@stored
def grow(rules: Rules, before: Rows, after: Rows, action: Array, place: Place) -> None:
    """Write `after`: B chains with one more residue, or where they were if they gave up."""
    placed, side = place.placed, place.side
    give_up = rules.letters.shape[1]
    for row in range(len(action)):
        cells = after.cells[row]
        cells[:placed] = before.cells[row]
        after.head[row] = before.head[row]
        after.core[row] = before.core[row]
        after.frame[row] = before.frame[row]
        after.last[row] = before.last[row]
        turn = action[row]
        if before.stuck[row] or turn == give_up:
            cells[placed] = cells[place.beside]
            after.broken[row] = before.broken[row]
            after.energy[row] = before.energy[row]
            after.stuck[row] = True
        else:
            frame = before.frame[row, side]
            letter = rules.letters[frame, turn]
            cells[placed] = cells[place.beside] + rules.deltas[letter]
            for axis in range(3):
                after.head[row, side, axis] += rules.steps[letter, axis]
                if place.sticky:
                    after.core[row, axis] += after.head[row, side, axis]
            after.frame[row, side] = rules.turned[frame, turn]
            after.last[row, side] = turn
            after.broken[row] = rules.after[before.broken[row], letter]
            after.energy[row] = before.energy[row] + before.near[row, ENERGY, letter]
            after.stuck[row] = False
        if place.last:
            after.near[row] = before.near[row]
        else:
            look(rules, cells, after.near[row], place.following, placed + 1)


@stored
def mask(
    rules: Rules, rows: Rows, side: int, exits: bool, room: Array, wider: Array, out: Array
) -> None:
    """Write the legal moves out [B, A]. With `exits` points without one are closed.

    `room` [B] or [0] is how many lines may be added, `wider` [B, Z] or [B, 0] how many each point
    adds, see `Chain.room`.
    """
    moves = rules.letters.shape[1]
    limited, counted = len(room) > 0, wider.shape[1] > 0
    for row in range(len(out)):
        near, some = rows.near[row], False
        frame, broken = rows.frame[row, side], rows.broken[row]
        for move in range(moves):
            z = rules.letters[frame, move]
            free = near[TAKEN, z] == 0.0 and rules.legal[broken, z] and not rows.stuck[row]
            if exits:
                free = free and near[EXITS, z] > 0.0
            if limited:
                free = free and room[row] >= (wider[row, z] if counted else 0)
            out[row, move] = free
            some = some or free
        out[row, moves] = not some


@stored
def observe(
    rules: Rules, rows: Rows, side: int, along: Array, units: Array, scales: Any, out: Array
) -> None:
    """Write observations out [B, F or more], see `Describe`.

    `along` [C] is what is known of the chain, `units` [4] those of the surroundings. `scales` are
    the number of hydrophobic residues placed, the unit of the way to them, that of the energy.
    """
    moves, first = rules.letters.shape[1], len(along)
    sticky, way, unit = scales
    for row in range(len(out)):
        frame, seen = rows.frame[row, side], out[row]
        seen[:first] = along
        for channel in range(4):
            for move in range(moves):
                value = rows.near[row, channel, rules.letters[frame, move]] * units[channel]
                seen[first + channel * moves + move] = value
        at = first + 4 * moves
        for move in range(moves):
            seen[at + move] = 1.0 if move == rows.last[row, side] else 0.0
        at += moves
        seen[at] = rows.energy[row] * unit
        for axis in range(3):
            total = np.float32(0.0)
            for other in range(3):
                away = rows.core[row, other] - rows.head[row, side, other] * sticky
                total += rules.back[frame, axis, other] * away
            seen[at + 1 + axis] = total * way
