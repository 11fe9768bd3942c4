"""Children that close a context exactly: with two blocks, or with a quotient of polynomials.

A context is an expression with one open place: a parent of which a subtree is taken out, or a
short chain of operators and small blocks. The target is carried down to the place by inverting
the operators on the way; where two blocks (see `tasks.symbolic.pairs`) or a quotient (see
`tasks.symbolic.ratios`) are exactly what is wanted there, the law is found.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.bank import Bank
from tasks.symbolic.desired import Wanted
from tasks.symbolic.pairs import Pair, Pairs, meeting
from tasks.symbolic.ratios import Written, ratio, written
from tasks.symbolic.semantic import Aim, walked
from tasks.symbolic.strips import Ints, Segment, Strips, ends, joined, single, strips, whole
from tasks.symbolic.variation import Alphabet, Made, blocks, gathered, replaced

_CHAIN = 3  # operators of the longest chain
_SMALL = 3  # tokens of the largest block beside it


def contexts(
    bank: Bank, a: Alphabet, count: int, width: int, rng: np.random.Generator, plain: bool = False
) -> tuple[Strips, Ints]:
    """Return chains of operators with a place [N] open, `count` of them at random.

    With `plain` also the bare place, and each function of one argument of it.
    """
    some = len(a.unary) + 1 if plain else 0
    count += some
    start = single(np.full(count, a.library.first_variable))[0]
    rows, at = joined([whole(start)], width)[0], np.zeros(count, dtype=np.int64)
    small = replace(bank, starts=bank.starts[: _SMALL + 1])
    depth = rng.integers(1, _CHAIN + 1, size=count)
    depth[:some] = 1
    depth[: min(some, 1)] = 0
    operators = np.concatenate([a.unary, a.binary])
    for level in range(_CHAIN if len(operators) else 0):
        on = (level < depth).astype(np.int64)
        operator = rng.choice(operators, size=count)
        if plain:
            operator[1:some] = a.unary
        two = (a.arity[operator] == 2) & (on > 0)
        left = two & (rng.random(count) < 0.5)
        other, zero = blocks(small, count, rng), np.zeros(count, dtype=np.int64)
        head = single(operator)[0]
        before = (other, zero, np.where(left, other.lengths, 0))
        after = (other, zero, np.where(two & ~left, other.lengths, 0))
        rows, _ = joined([(head, zero, on), before, whole(rows), after], width)
        at = at + on + before[2]
    return rows, at


def met(
    rows: Strips, at: Ints, outer: Floats, aim: Aim, pairs: Pairs | None, poly: bool, a: Alphabet
) -> Strips:
    """Return the rows with the subtree at `at` replaced by what fits there exactly.

    `outer` [N, 2] is each row's scale and offset. Rows that nothing fits have no child; some
    have several. `poly` also tries quotients of polynomials.
    """
    with np.errstate(all="ignore"):
        root = (aim.y - outer[:, 1:]) / outer[:, :1]
        wanted = walked(rows, at, Wanted(root, np.ones_like(root)), aim, a)[0].values
    stop = ends(rows, at, a.arity) if len(rows) else at
    made = [] if pairs is None else [_paired(rows, at, stop, wanted, pairs, a)]
    if poly:
        made.append(_divided(rows, at, stop, wanted, aim.x, a))
    return gathered(made)


def _paired(rows: Strips, at: Ints, stop: Ints, wanted: Floats, pairs: Pairs, a: Alphabet) -> Made:
    names = frozenset(a.library.operator_ids)
    found: list[tuple[int, Pair]] = []
    for row, values in enumerate(wanted[:, pairs.points]):
        found += [(row, pair) for pair in meeting(values, pairs, names)]
    which = np.array([row for row, _ in found], dtype=np.int64)
    pieces = _pieces([pair for _, pair in found], pairs.bank, a)
    return replaced(rows.take(which), at[which], stop[which], pieces)


def _divided(rows: Strips, at: Ints, stop: Ints, wanted: Floats, x: Floats, a: Alphabet) -> Made:
    """Return the rows with a quotient of polynomials in place, where one fits."""
    found: list[tuple[int, Written]] = []
    for row, values in enumerate(wanted):
        quotient = ratio(values, x)
        spelled = None if quotient is None else written(quotient, a.library)
        if spelled is not None:
            found.append((row, spelled))
    which = np.array([row for row, _ in found], dtype=np.int64)
    width = max((len(spelled) for _, spelled in found), default=1)
    block = strips([[token for token, _ in spelled] for _, spelled in found], width)
    for i, (_, spelled) in enumerate(found):
        block.numbers[i, : len(spelled)] = [number for _, number in spelled]
    return replaced(rows.take(which), at[which], stop[which], [whole(block)])


def _pieces(found: list[Pair], bank: Bank, a: Alphabet) -> list[Segment]:
    """Return [shift +] [factor *] operator, first, second for each pair."""
    ids, N = a.library.operator_ids, len(found)
    zero = np.zeros(N, dtype=np.int64)
    constant = np.full(N, a.library.constant_id)
    factor, shift = np.array([(p.factor, p.shift) for p in found]).reshape(N, 2).T
    scaled, shifted = (factor != 1.0).astype(np.int64), (shift != 0.0).astype(np.int64)
    out: list[Segment] = []
    for name, present, value in (("add", shifted, shift), ("mul", scaled, factor)):
        for strip, _, _ in (single(np.full(N, ids.get(name, 0))), single(constant, value)):
            out.append((strip, zero, present))
    out.append(single(np.array([ids[p.operator] for p in found], dtype=np.int64)))
    for chosen in ([p.first for p in found], [p.second for p in found]):
        block = bank.rows.take(np.array(chosen, dtype=np.int64))
        out.append(whole(block))
    return out
