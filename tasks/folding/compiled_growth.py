"""Compiled: one more residue for each of B growing chains, looked at once a step, in one pass.

`tasks.folding.tensors` says the same in operations on tensors, for other devices. Needs numba;
loaded by `tasks.folding.stepping` when chains first grow on the CPU.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tasks.folding.dice import Array, inlined, stored
from tasks.folding.lattices import WORD
from tasks.folding.surroundings import ENERGY, EXITS, FAR_BITS, SHIFT, STICKY, TAKEN

_NEXT, _AFTER = WORD - 3, 2 * (WORD - 3)


class Rules(NamedTuple):
    """What one chain's growth needs at every step; nothing of it changes."""

    slot: Array  # [512] int64 the near point at each address, see `surroundings`; W: none
    beside: Array  # [Z, K] int64 the near points next to each neighbour of the head
    points: int  # W + 1
    letters: Array  # [G, A - 1], and so on: see `frames.Frames`
    turned: Array
    legal: Array
    after: Array
    steps: Array
    deltas: Array
    back: Array
    sticky: Array  # [L + 1] float32, 1 where the residue of placement k - 1 is hydrophobic
    pairs: Array  # [L + 1, L + 1] float32 energy of a placement beside placement k - 1


class Rows(NamedTuple):
    """The fields of `growth.Growth` of these names, as arrays."""

    cells: Array
    near: Array
    head: Array
    core: Array
    frame: Array
    broken: Array
    last: Array
    stuck: Array
    energy: Array


class Standing(NamedTuple):
    """Those of them that say which moves are legal."""

    near: Array
    frame: Array
    broken: Array
    stuck: Array


class Seen(NamedTuple):
    """Those of them that are observed."""

    near: Array
    head: Array
    core: Array
    frame: Array
    last: Array
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
def look(
    rules: Rules, cells: Array, near: Array, head: int, coming: int, room: tuple[Array, Array]
) -> None:
    """Write what is around placement `head` of one chain [t], for placement `coming` [4, Z].

    First the chain is sifted, then looked up: no branch that the processor could guess wrong.
    """
    found, held = room
    points, size = len(held), near.shape[1]
    middle, count = cells[head] - SHIFT, 0
    for k in range(len(cells)):
        found[count] = k
        count += ((cells[k] - middle) & FAR_BITS) == 0
    for point in range(points):
        held[point] = 0
    for n in range(count):
        shifted = cells[found[n]] - middle
        held[rules.slot[(shifted | shifted >> _NEXT | shifted >> _AFTER) & 511]] = found[n] + 1
    for z in range(size):
        free, energy = size - 1, np.float32(0.0)
        for point in rules.beside[z]:
            free -= held[point] > 0
            energy += rules.pairs[coming, held[point]]
        near[TAKEN, z] = held[z] > 0
        near[STICKY, z] = rules.sticky[held[z]]
        near[EXITS, z] = free
        near[ENERGY, z] = energy


@stored
def grow(rules: Rules, before: Rows, after: Rows, action: Array, place: Place) -> None:
    """Write `after`: B chains with one more residue, or where they were if they gave up."""
    placed, side, give_up = place.placed, place.side, rules.letters.shape[1]
    room = np.zeros(placed + 2, dtype=np.int64), np.zeros(rules.points, dtype=np.int64)
    for row in range(len(action)):
        for k in range(placed):
            after.cells[row, k] = before.cells[row, k]
        for end in range(before.frame.shape[1]):
            after.frame[row, end] = before.frame[row, end]
            after.last[row, end] = before.last[row, end]
            for axis in range(3):
                after.head[row, end, axis] = before.head[row, end, axis]
        turn, broken, energy = action[row], before.broken[row], before.energy[row]
        cell, sticky = before.cells[row, place.beside], place.sticky
        stuck = before.stuck[row] or turn == give_up
        if stuck:
            sticky = False
        else:
            frame = before.frame[row, side]
            letter = rules.letters[frame, turn]
            cell += rules.deltas[letter]
            for axis in range(3):
                after.head[row, side, axis] += rules.steps[letter, axis]
            after.frame[row, side] = rules.turned[frame, turn]
            after.last[row, side] = turn
            broken = rules.after[broken, letter]
            energy += before.near[row, ENERGY, letter]
        for axis in range(3):
            added = after.head[row, side, axis] if sticky else np.float32(0.0)
            after.core[row, axis] = before.core[row, axis] + added
        after.cells[row, placed], after.stuck[row] = cell, stuck
        after.broken[row], after.energy[row] = broken, energy
        if place.last:
            after.near[row] = before.near[row]
        else:
            look(rules, after.cells[row], after.near[row], place.following, placed + 1, room)


@stored
def mask(
    rules: Rules, state: Standing, side: int, exits: bool, room: Array, wider: Array, out: Array
) -> None:
    """Write the legal moves out [B, A]. With `exits` points without one are closed.

    `room` [B] or [0] is how many lines may be added, `wider` [B, Z] or [B, 0] how many each point
    adds, see `Chain.room`.
    """
    moves = rules.letters.shape[1]
    limited, counted = len(room) > 0, wider.shape[1] > 0
    for row in range(len(out)):
        near, some = state.near[row], False
        frame, broken = state.frame[row, side], state.broken[row]
        for move in range(moves):
            z = rules.letters[frame, move]
            free = near[TAKEN, z] == 0.0 and rules.legal[broken, z] and not state.stuck[row]
            if exits:
                free = free and near[EXITS, z] > 0.0
            if limited:
                free = free and room[row] >= (wider[row, z] if counted else 0)
            out[row, move] = free
            some = some or free
        out[row, moves] = not some


@stored
def observe(
    rules: Rules, state: Seen, side: int, along: Array, units: Array, scales: Array, out: Array
) -> None:
    """Write observations out [B, F or more], see `Describe`.

    `along` [C] is what is known of the chain, `units` [4] those of the surroundings. `scales` are
    the number of hydrophobic residues placed, the unit of the way to them, that of the energy.
    """
    moves, first = rules.letters.shape[1], len(along)
    sticky, way, unit = scales
    for row in range(len(out)):
        frame, seen = state.frame[row, side], out[row]
        seen[:first] = along
        for channel in range(4):
            for move in range(moves):
                value = state.near[row, channel, rules.letters[frame, move]] * units[channel]
                seen[first + channel * moves + move] = value
        at = first + 4 * moves
        for move in range(moves):
            seen[at + move] = 1.0 if move == state.last[row, side] else 0.0
        at += moves
        seen[at] = state.energy[row] / unit
        for axis in range(3):
            total = np.float32(0.0)
            for other in range(3):
                away = state.core[row, other] - state.head[row, side, other] * sticky
                total += rules.back[frame, axis, other] * away
            seen[at + 1 + axis] = total * way
