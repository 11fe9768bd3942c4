"""Children that close a context exactly: with two blocks, a quotient of polynomials, or a sum.

A context is an expression with one open place: a parent of which a subtree is taken out, or a
short chain of operators and small blocks. The target is carried down to the place by inverting
the operators on the way; where two blocks (`pairs`), a quotient (`ratios`) or a sum (`sums`, all of
`tasks.symbolic.search`) is exactly what is wanted there, the law is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.strips import Ints, Strips, ends, joined, numbered, single, whole
from tasks.symbolic.language.trees import PAD
from tasks.symbolic.search.bank import Bank
from tasks.symbolic.search.desired import Wanted
from tasks.symbolic.search.pairs import Pairs, meeting
from tasks.symbolic.search.ratios import Written, ratio, written
from tasks.symbolic.search.semantic import Aim, walked
from tasks.symbolic.search.sums import Sums, Term, sums
from tasks.symbolic.search.variation import Alphabet, blocks, gathered, replaced
from tasks.symbolic.search.whole import number, spelled

_CHAIN = 3  # operators of the longest chain
_SMALL = 3  # tokens of the largest block beside it
_FEW = 4  # sums that are handed over for a context
_CLOSE = 1e-9  # a factor this close to 1 is none


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


@dataclass(frozen=True)
class Ways:
    """What may close a context."""

    pairs: Pairs | None = None
    sums: Sums | None = None
    ratios: bool = False
    constants: bool = True  # whether numbers may be written; else whole ones are spelled
    scaled: bool = False  # whether a factor in front of the whole is fitted


def met(
    rows: Strips, at: Ints, outer: Floats, aim: Aim, ways: Ways, a: Alphabet, beside: Ints
) -> Strips:
    """Return the rows with the subtree at `at` replaced by what fits there exactly.

    `outer` [N, 2] is each row's scale and offset. Rows that nothing fits have no child; some
    have several. `beside` are the blocks that sums may have as a third.
    """
    with np.errstate(all="ignore"):
        root = (aim.y - outer[:, 1:]) / outer[:, :1]
        wanted = walked(rows, at, Wanted(root, np.ones_like(root)), aim, a)[0]
    found: list[tuple[int, Written]] = []
    variable = int((aim.x != 0).all(0).argmax())  # of which 1 is a quotient
    for row, values in enumerate(wanted.values):
        unit = None if wanted.units is None else wanted.units[row]
        own = _paired(values, ways, a.library, variable)
        own += _divided(values, ways, aim.x, a.library, variable)
        if not own:
            own = _summed(values, ways, unit, a.library, beside, bool(at[row] == 0))
        found += [(row, each) for each in own]
    which = np.array([row for row, _ in found], dtype=np.int64)
    width = max((len(tokens) for _, tokens in found), default=1)
    block = numbered([tokens for _, tokens in found], width)
    stop = ends(rows, at, a.arity) if len(rows) else at
    return gathered([replaced(rows.take(which), at[which], stop[which], [whole(block)])])


def _paired(values: Floats, ways: Ways, library: Library, variable: int) -> list[Written]:
    pairs, out = ways.pairs, []
    if pairs is None:
        return []
    names = frozenset(library.operator_ids)
    for pair in meeting(values[pairs.points], pairs, names, _FEW if ways.constants else 4 * _FEW):
        blocks = [_tokens(pairs.bank, i) for i in (pair.first, pair.second)]
        made = _plain([library.operator_ids[pair.operator], *blocks[0], *blocks[1]])
        whole_ = None if ways.constants else variable
        out.append(
            _shifted(_scaled(made, pair.factor, library, whole_), pair.shift, library, whole_)
        )
    return [each for each in out if each]


def _divided(
    values: Floats, ways: Ways, x: Floats, library: Library, variable: int
) -> list[Written]:
    """Return a quotient of polynomials, where one fits."""
    quotient = ratio(values, x) if ways.ratios else None
    if quotient is None:
        return []
    plain = spelled(quotient, library, variable) if not ways.constants else None
    made = written(quotient, library) if plain is None else _plain(plain)
    return [made] if made else []


def _summed(
    values: Floats, ways: Ways, unit: Floats | None, library: Library, beside: Ints, root: bool
) -> list[Written]:
    """Return sums with coefficients, where some fit."""
    if ways.sums is None or not ways.constants or not {"add", "mul"} <= set(library.operator_ids):
        return []
    out: list[Written] = []
    among, goal = ways.sums, values[ways.sums.points]
    count = len(among.family(unit).block)
    for third in (None, *(int(i) for i in beside if i < count)):
        for one in sums(goal, among, unit, third):
            by = one.terms[0].coefficient if root and ways.scaled else 1.0
            parts = [_term(term, term.coefficient / by, among.bank, library) for term in one.terms]
            made = parts[0]
            for more in parts[1:]:
                made = [(library.operator_ids["add"], np.nan), *made, *more]
            out.append(_shifted(made, one.shift / by, library, None))
    return sorted(out, key=len)[:_FEW]


def _term(term: Term, coefficient: float, bank: Bank, library: Library) -> Written:
    block, ids = _plain(_tokens(bank, term.block)), library.operator_ids
    if term.phase is not None:
        block = [(ids["sin"], np.nan), *_shifted(block, term.phase, library, None)]
    return _scaled(block, coefficient, library, None)


def _scaled(made: Written, factor: float, library: Library, variable: int | None) -> Written:
    """Return factor * made; [] where it cannot be written. `variable` spells whole numbers."""
    if abs(factor - 1.0) < _CLOSE or not made:
        return made
    ids = library.operator_ids
    for name, value in (("mul", factor), ("div", 1 / factor if factor else np.nan)):
        spelt = _number(value, library, variable)
        if spelt and name in ids:
            return [(ids[name], np.nan), *made, *spelt]
    return []


def _shifted(made: Written, shift: float, library: Library, variable: int | None) -> Written:
    """Return made + shift; [] where it cannot be written."""
    if shift == 0.0 or not made:
        return made
    ids = library.operator_ids
    for name, value in (("add", shift), ("sub", -shift)):
        spelt = _number(value, library, variable)
        if spelt and name in ids:
            return [(ids[name], np.nan), *made, *spelt]
    return []


def _number(value: float, library: Library, variable: int | None) -> Written:
    if variable is None:
        return [(library.constant_id, value)]
    near = round(value) if np.isfinite(value) and abs(value) < 1e6 else 0
    plain = number(near, library, variable) if abs(value - near) < 1e-8 else None
    return [] if plain is None else _plain(plain)


def _plain(tokens: Sequence[int]) -> Written:
    return [(token, np.nan) for token in tokens]


def _tokens(bank: Bank, block: int) -> list[int]:
    row = bank.rows.tokens[block]
    tokens: list[int] = row[row != PAD].tolist()
    return tokens
