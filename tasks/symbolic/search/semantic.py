"""Children made to measure: a subtree gives way to the block that the target asks for there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from designer.protocols import Floats
from tasks.symbolic.fit.graph import build, values
from tasks.symbolic.language.strips import Ints, Segment, Strips, ends, single
from tasks.symbolic.language.trees import read
from tasks.symbolic.mask.units import UnitTables, balance
from tasks.symbolic.search.bank import Bank
from tasks.symbolic.search.desired import Match, Wanted, match
from tasks.symbolic.search.variation import Alphabet, Made, replaced, somewhere


@dataclass(frozen=True)
class Aim:
    """What is to be hit, on the points of the bank."""

    bank: Bank
    x: Floats  # [P, V]
    y: Floats  # [P]
    units: UnitTables | None = None


def made_to_measure(
    rows: Strips, outer: Floats, aim: Aim, a: Alphabet, mode: str, rng: np.random.Generator
) -> Made:
    """Return the rows with a subtree replaced, or added to, by the block wanted there.

    `outer` [N, 2] is each row's scale and offset.
    """
    at = somewhere(rows, rng)
    stop = ends(rows, at, a.arity)
    with np.errstate(all="ignore"):
        root = (aim.y - outer[:, 1:]) / outer[:, :1]
        wanted, here, unit = walked(rows, at, Wanted(root, np.ones_like(root)), aim, a)
        operator, left = _on_top(wanted, here, unit, a, rng)
    found = match(wanted, aim.bank, mode, rng)
    usable = np.flatnonzero(found.block >= 0)
    chosen = Match(found.block[usable], found.factor[usable], found.shift[usable])
    where = (at[usable], stop[usable], operator[usable], left[usable])
    return _rebuilt(rows.take(usable), where, chosen, aim.bank, mode, a)


def walked(
    rows: Strips, at: Ints, wanted: Wanted, aim: Aim, a: Alphabet
) -> tuple[Wanted, Floats, Floats | None]:
    """Return what the subtrees at `at` should be, what they are now [N, P], and in what unit."""
    library = a.library
    tokens = torch.from_numpy(rows.tokens)
    constants = torch.from_numpy(rows.constants(library))
    trees = read(tokens, library)
    graph = build(trees, library, constants.shape[1])
    out = values(graph, torch.from_numpy(aim.x), constants).numpy()
    node = graph.where.numpy()
    first, second = trees.first.numpy(), trees.second.numpy()
    place, every = np.zeros(len(rows), dtype=np.int64), np.arange(len(rows))
    units = None
    if aim.units is not None and aim.units.target is not None:
        units = balance(trees, aim.units)[0].numpy()
        goal = np.broadcast_to(aim.units.target.numpy(), units.shape[1:]).copy()
        wanted = replace(wanted, units=goal)
    while True:
        going = np.flatnonzero(place != at)
        if not len(going):
            break
        here = place[going]
        token = rows.tokens[going, here]
        one, two = first[here, going], second[here, going]
        right = (a.arity[token] == 2) & (at[going] >= two)
        beside = np.where(right, one, two)
        other = out[node[beside, going]]
        unit = None if units is None else units[beside, going]
        for kind in np.unique(token):
            for side in (False, True):
                some = np.flatnonzero((token == kind) & (right == side))
                if len(some):
                    name = library.operators[kind].name
                    own = None if unit is None else unit[some]
                    wanted.through(name, side, going[some], other[some], own)
        place[going] = np.where(right, two, one)
    return wanted, out[node[at, every]], None if units is None else units[at, every]


def _on_top(
    wanted: Wanted, here: Floats, unit: Floats | None, a: Alphabet, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Let some rows keep their subtree below a new operator; want that one's other operand.

    Return [N] the operator, or -1 where the subtree is replaced, and [N] 1 where the block comes
    first.
    """
    N = len(here)
    operator = np.full(N, -1)
    if len(a.binary):
        operator = np.where(rng.random(N) < 0.5, rng.choice(a.binary, size=N), -1)
    left = (rng.random(N) < 0.5).astype(np.int64)
    for kind in np.unique(operator[operator >= 0]):
        for side in (0, 1):
            some = np.flatnonzero((operator == kind) & (left == side))
            if len(some):
                name, own = a.library.operators[kind].name, None if unit is None else unit[some]
                wanted.through(name, side == 0, some, here[some], own)
    return operator, left


def _rebuilt(
    rows: Strips,
    where: tuple[Ints, Ints, Ints, Ints],
    found: Match,
    bank: Bank,
    mode: str,
    a: Alphabet,
) -> Made:
    """`where` holds where the edit starts and stops, the operator on top, and its side."""
    at, stop, operator, left = where
    block, zero = bank.rows.take(found.block), np.zeros(len(rows), dtype=np.int64)
    ids, constant = a.library.operator_ids, np.full(len(rows), a.library.constant_id)
    factor, shift = single(constant, found.factor), single(constant, found.shift)

    def scaled(present: Ints) -> list[Segment]:
        """The block with what is fitted around it, where `present` is 1."""
        parts: list[Segment] = []
        if mode == "affine" and "add" in ids:
            parts += [single(np.full(len(rows), ids["add"])), shift]
        if mode != "plain" and "mul" in ids:
            parts += [single(np.full(len(rows), ids["mul"])), factor]
        parts.append((block, zero, block.lengths))
        return [(strip, start, np.where(present > 0, end, start)) for strip, start, end in parts]

    topped = operator >= 0
    head = single(np.maximum(operator, 0))
    before = scaled(np.where(topped, left, 1))
    pieces = [
        (head[0], zero, topped.astype(np.int64)),
        *before,
        (rows, at, np.where(topped, stop, at)),
        *scaled(np.where(topped, 1 - left, 0)),
    ]
    return replaced(rows, at, stop, pieces)
