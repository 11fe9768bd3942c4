"""Compiled: what the SMILES environment observes, followed for many rows without its mask.

The same marks as `tasks.molecules.writing` keeps, less those that only the mask needs (families
of Kekule forms, parts that strayed). For every legal row the features equal `Smiles.observe`.

Needs numba; loaded by `tasks.molecules.sampler` when it begins.
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

NEVER, RINGS = -1, 9
QUIET, DENSE = 10 + RINGS, 17 + 3 * RINGS  # features beside the last action, see `observing`
LOUD = 4.0
ATOM, DIGITS, OPENED, CLOSED, ROOT, BOND = range(6)
LAST, LENGTH, COUNT, HERE, MODE, FRESH, BARE, BRANCHED, FIRST, NAME = range(10)  # of `marks`
TOKEN, USED, PART, MEMBERS, DOUBLE = range(5)  # of `atoms`
KIND, FREE, AROMATIC, ORDER, DIRECTED, DIGIT, NEED, N_LIKE = range(8)  # of `table`


def compiled(function: F) -> F:
    """Return the function compiled when first called; the code is kept beside this file."""
    return cast(F, njit(cache=True, nogil=True)(function))


@compiled
def begin(marks: Array, atoms: Array, ring: Array, b: int, name: int, end: int) -> None:
    """Make row b an empty string, which is the molecule of that number."""
    marks[b, :] = 0
    marks[b, LAST], marks[b, MODE], marks[b, NAME] = end, OPENED, name
    atoms[b, :, :] = 0
    atoms[b, PART, :] = NEVER
    ring[b, :] = NEVER


@compiled
def write(marks: Array, atoms: Array, ring: Array, table: Array, b: int, a: int) -> None:
    """Write token a at the end of row b."""
    kind, u, size = table[KIND, a], marks[b, HERE], atoms.shape[2]
    start, implicit = marks[b, COUNT] == 0, marks[b, MODE] != BOND
    symbol = min(marks[b, LAST], table.shape[1] - 1)
    order = 1 if implicit else max(1, table[ORDER, symbol])
    within = implicit or table[DIRECTED, symbol] == 1  # the bond may be one of a ring
    ours = table[AROMATIC, atoms[b, TOKEN, u]] == 1 and not start
    here = np.int64(1) << u
    if kind == 0:
        v = min(marks[b, COUNT], size - 1)
        new, bit = table[AROMATIC, a] == 1, np.int64(1) << v
        joined = ours and new and within
        if start:
            order = 0
        else:
            atoms[b, USED, u] += order
        part = atoms[b, PART, u] if joined else (v if new else NEVER)
        atoms[b, TOKEN, v], atoms[b, USED, v], atoms[b, PART, v] = a, order, part
        if order == 2:
            atoms[b, DOUBLE, u] |= table[NEED, atoms[b, TOKEN, u]]
        atoms[b, DOUBLE, v] = order == 2 and table[NEED, a] == 1
        if part != NEVER:
            atoms[b, MEMBERS, part] = (atoms[b, MEMBERS, part] if joined else 0) | bit
        if new:
            marks[b, BARE] |= bit
            if not joined:
                marks[b, FIRST] |= bit
        marks[b, MODE] = ROOT if new and not joined else ATOM
        marks[b, FRESH], marks[b, HERE] = 1, v
        marks[b, COUNT] += 1
    elif kind == 1:
        marks[b, MODE] = BOND
    elif kind == 2:
        d = table[DIGIT, a]
        v = ring[b, d]
        if v == NEVER:
            if not start:
                atoms[b, USED, u] += 1
            ring[b, d] = u
        else:
            if order == 2:
                for w in (u, v):
                    atoms[b, DOUBLE, w] |= table[NEED, atoms[b, TOKEN, w]]
            _close(marks, atoms, b, u, v, ours and table[AROMATIC, atoms[b, TOKEN, v]] == 1,
                   implicit, within, order)  # fmt: skip
            ring[b, d] = NEVER
        marks[b, MODE] = DIGITS
    elif kind == 3:
        marks[b, BRANCHED] |= here
        marks[b, MODE], marks[b, FRESH] = OPENED, 0
    else:
        top = 0
        for i in range(size):
            if (marks[b, BRANCHED] >> i) & 1:
                top = i
        marks[b, HERE] = top
        marks[b, BRANCHED] &= ~(np.int64(1) << top)
        marks[b, MODE], marks[b, FRESH] = CLOSED, 0
    marks[b, LAST] = a
    marks[b, LENGTH] += 1


@compiled
def _close(
    marks: Array, atoms: Array, b: int, u: int, v: int, both: bool, implicit: bool, within: bool,
    order: int,
) -> None:  # fmt: skip
    """Close the ring number that v holds at u."""
    one = np.int64(1)
    here, bit, part = one << u, one << v, atoms[b, PART, v]
    joins = both and implicit and part != atoms[b, PART, u]
    aromatic = joins or (both and within and part == atoms[b, PART, u])
    atoms[b, USED, u] += order
    atoms[b, USED, v] += order - 1
    if joins:
        atoms[b, PART, u] = part
        atoms[b, MEMBERS, part] |= here
    if aromatic:
        around = atoms[b, MEMBERS, part]
        if joins:
            around &= ~here
        around &= ~(bit | (bit - one)) | (bit & marks[b, FIRST])
        marks[b, BARE] &= ~around
    if joins:
        marks[b, FIRST] &= ~here


@compiled
def look(
    marks: Array, atoms: Array, ring: Array, table: Array, b: int, limit: int, out: Array
) -> None:
    """Write the features of row b beside its last action; see `Smiles.observe`."""
    here, size = marks[b, HERE], atoms.shape[2]
    part, top, depth = atoms[b, PART, here], NEVER, 0
    for i in range(size):
        if (marks[b, BRANCHED] >> i) & 1:
            top, depth = i, depth + 1
    out[b, 0] = marks[b, LENGTH] / limit
    out[b, 1] = marks[b, COUNT] / size
    out[b, 2] = min(_left(atoms, table, b, here), 4) / 4
    out[b, 3] = part != NEVER
    out[b, 4] = (marks[b, BARE] >> here) & 1
    out[b, 5] = marks[b, BARE] != 0
    out[b, 6] = depth > 0
    out[b, 7] = marks[b, MODE] == CLOSED
    out[b, 8] = marks[b, FRESH]
    above = atoms[b, PART, top] if top != NEVER else NEVER
    count, more = _unpaired(atoms, table, b, part), 10 + RINGS
    out[b, more] = min(count, 16) / 16
    out[b, more + 1] = count % 2
    out[b, more + 2] = min(depth, 6) / 6
    out[b, more + 3] = min(_left(atoms, table, b, top), 4) / 4 if top != NEVER else 0.0
    out[b, more + 4] = above != NEVER
    out[b, more + 5] = _unpaired(atoms, table, b, above) % 2
    out[b, more + 6] = above != NEVER and above == part
    more, open_ = more + 7, 0
    for d in range(RINGS):
        v = ring[b, d]
        out[b, 10 + d], out[b, more + d], out[b, more + RINGS + d] = 0.0, 0.0, 0.0
        if v != NEVER:
            open_ += 1
            out[b, 10 + d] = min(here - v + 1, 12) / 12
            out[b, more + d] = min(_left(atoms, table, b, v), 3) / 3
            if atoms[b, PART, v] != NEVER:
                out[b, more + RINGS + d] = 1.0 if atoms[b, PART, v] == part else 0.5
    out[b, 9] = open_ / RINGS
    out[b, QUIET:] *= LOUD


@compiled
def _left(atoms: Array, table: Array, b: int, u: int) -> int:
    """Return the bond orders that atom u of row b still offers."""
    left: int = table[FREE, atoms[b, TOKEN, u]] - atoms[b, USED, u]
    return max(0, left)


@compiled
def _unpaired(atoms: Array, table: Array, b: int, part: int) -> int:
    """Return how many atoms of an aromatic part of row b need a double bond; 0 for no part."""
    count = 0
    for v in range(atoms.shape[2] if part != NEVER else 0):
        if atoms[b, PART, v] == part:
            token = atoms[b, TOKEN, v]
            needs = table[NEED, token] == 1 and atoms[b, DOUBLE, v] == 0
            count += needs or (table[N_LIKE, token] == 1 and atoms[b, USED, v] < 3)
    return count


@compiled
def follow(
    tokens: Array, marks: Array, atoms: Array, ring: Array, table: Array, limit: int, most: int,
    started: int, rows: Array, dense: Array, last: Array,
) -> int:  # fmt: skip
    """Write the token [B] of each row and look again; return how many molecules were begun.

    `rows` [M, T] takes the tokens of each molecule, END last. A row that ends begins the next
    molecule; where all `most` are begun its name becomes NEVER. Tokens past `limit` or the last
    atom are not written: such a row ends.
    """
    end, size = table.shape[1], atoms.shape[2]
    for b in range(marks.shape[0]):
        name = marks[b, NAME]
        if name == NEVER:
            continue
        a, length = tokens[b], marks[b, LENGTH]
        if length >= limit or (a < end and table[KIND, a] == 0 and marks[b, COUNT] >= size):
            a = end
        rows[name, length] = a
        if a != end:
            write(marks, atoms, ring, table, b, a)
        elif started < most:
            begin(marks, atoms, ring, b, started, end)
            started += 1
        else:
            marks[b, NAME] = NEVER
        look(marks, atoms, ring, table, b, limit, dense)
        last[b] = marks[b, LAST]
    return started


@compiled
def begin_all(
    marks: Array, atoms: Array, ring: Array, table: Array, limit: int, dense: Array, last: Array
) -> None:
    """Begin a molecule in every row, the first ones in order."""
    for b in range(marks.shape[0]):
        begin(marks, atoms, ring, b, b, table.shape[1])
        look(marks, atoms, ring, table, b, limit, dense)
        last[b] = marks[b, LAST]


@compiled
def drawn(logits: Array, uniforms: Array) -> Array:
    """Return [B] tokens drawn by logits [B, A], each by one of the numbers [B] in [0, 1)."""
    size = logits.shape[1]
    tokens = np.empty(logits.shape[0], dtype=np.int64)
    for b in range(logits.shape[0]):
        top = logits[b, 0]
        for i in range(1, size):
            top = max(top, logits[b, i])
        total = 0.0
        for i in range(size):
            logits[b, i] = math.exp(logits[b, i] - top)
            total += logits[b, i]
        wanted, run, token = uniforms[b] * total, 0.0, size - 1
        for i in range(size):
            run += logits[b, i]
            if run > wanted:
                token = i
                break
        tokens[b] = token
    return tokens
