"""A pass over all short chains of operators and 1, each closed by products of powers and blocks.

The chains are the functions of one argument, x + 1, x - 1, 1 - x, 1/x, up to three on top of each
other. What is wanted below them is looked up in `tasks.symbolic.search.products`, and the target
itself also in `tasks.symbolic.search.twins`.
"""

from __future__ import annotations

from itertools import product as every

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.strips import Ints, Strips, numbered
from tasks.symbolic.language.trees import PAD
from tasks.symbolic.search.bank import prints
from tasks.symbolic.search.desired import Wanted
from tasks.symbolic.search.products import LESS, MORE, PLAIN, Factor, Product, Products, products
from tasks.symbolic.search.ratios import Written
from tasks.symbolic.search.semantic import Aim, walked
from tasks.symbolic.search.twins import Twins, twins
from tasks.symbolic.search.variation import Alphabet
from tasks.symbolic.search.whole import number

_CHAIN = 3
_BENT = 1  # steps of the longest chain below which a factor may hold a number
_MOST = 400  # chains that are closed
_FEW = 3  # products that are handed over for a chain

Step = tuple[Written, Written]  # tokens before the place, and after it


def closed(
    among: Products, aim: Aim, a: Alphabet, width: int, constants: bool, scaled: bool
) -> Strips:
    """Return the rows that are exactly the target.

    `constants` says whether numbers are written, `scaled` whether a factor in front is fitted.
    """
    library, one = a.library, _one(a.library, aim, constants)
    rows, at, depth = _chains(library, one, width)
    goal = np.broadcast_to(aim.y, (len(rows), len(aim.y))).copy()
    with np.errstate(all="ignore"):
        wanted = walked(rows, at, Wanted(goal, np.ones_like(goal)), aim, a)[0].values
    out: list[Written] = []
    for row in _different(wanted):
        found = products(wanted[row][among.points], among, constants and depth[row] <= _BENT)
        made = [written(each, among, library, one, constants) for each in found]
        for tokens in sorted((each for each in made if each), key=len)[:_FEW]:
            before, after = _around(rows, row, int(at[row]))
            out.append([*before, *tokens, *after])
    if constants and among.bank.units is None:
        pairs = twins(aim.y[among.points], among.bank, among.bends)
        out += [_twins(pair, among, library, one, scaled) for pair in pairs]
    return numbered([tokens for tokens in out if 0 < len(tokens) <= width], width)


def written(
    found: Product, among: Products, library: Library, one: Written, constants: bool
) -> Written:
    """Return the tokens of a product; [] where the library lacks one, or a number."""
    ids = library.operator_ids
    sides: tuple[list[Written], list[Written]] = ([], [])
    for variable, power in enumerate(found.powers):
        token = (library.first_variable + variable, np.nan)
        sides[power < 0].extend([[token]] * int(abs(power)))
        if power % 1 and "sqrt" not in ids:
            return []
        if power % 1:
            sides[power < 0].append([(ids["sqrt"], np.nan), token])
    for factor in found.factors:
        tokens = _factor(factor, among, library, one)
        if not tokens:
            return []
        sides[factor.power < 0].append(tokens)
    if abs(found.scale - 1.0) > 1e-9:
        if not constants:
            return []
        sides[0].append([(library.constant_id, found.scale)])
    above, below = (_multiplied(side, ids) for side in sides)
    if not below:
        return above or one
    return [(ids["div"], np.nan), *(above or one), *below] if "div" in ids else []


def _multiplied(parts: list[Written], ids: dict[str, int]) -> Written:
    """Return the product of parts; squares where two are equal and the library has them."""
    parts, out = list(parts), list[tuple[int, float]]()
    while parts:
        part = parts.pop(0)
        if part in parts and "square" in ids:
            parts.remove(part)
            part = [(ids["square"], np.nan), *part]
        if out and "mul" not in ids:
            return []
        out = [(ids["mul"], np.nan), *part, *out] if out else part
    return out


def _factor(factor: Factor, among: Products, library: Library, one: Written) -> Written:
    ids, row = library.operator_ids, among.bank.rows.tokens[factor.block]
    own: Written = [(int(token), np.nan) for token in row[row != PAD]]
    if factor.kind == PLAIN and not factor.bend:
        return own
    add, sub = [(ids.get("add", -1), np.nan)], [(ids.get("sub", -1), np.nan)]
    if factor.bend:
        name = {"exp-": "exp", "exp+": "exp", "1+": ""}.get(factor.bend, factor.bend)
        own = [(ids["mul"], np.nan), *own, (library.constant_id, factor.number)]
        own = [(ids[name], np.nan), *own] if name else own
        own = {
            "exp-": [*sub, *own, *one],
            "exp+": [*add, *own, *one],
            "1+": [*add, *own, *one],
        }.get(factor.bend, own)
    made = {PLAIN: own, MORE: [*add, *own, *one], LESS: [*sub, *one, *own]}[factor.kind]
    return [] if any(token < 0 for token, _ in made) else made


def _twins(found: Twins, among: Products, library: Library, one: Written, scaled: bool) -> Written:
    """Return the tokens of two functions with their numbers; [] where the library lacks one."""
    ids = library.operator_ids
    if found.operator not in ids or "mul" not in ids:
        return []
    bents = (found.first, found.second)
    parts = [
        _factor(Factor(each.block, 1, PLAIN, each.bend, each.number), among, library, one)
        for each in bents
    ]
    by = found.factors[0] if scaled else 1.0
    for i, factor in enumerate(found.factors):
        if abs(factor / by - 1.0) > 1e-9:
            parts[i] = [(ids["mul"], np.nan), *parts[i], (library.constant_id, factor / by)]
    return [(ids[found.operator], np.nan), *parts[0], *parts[1]]


def bends(library: Library) -> tuple[str, ...]:
    """Return the functions of one number and a block that the library can write."""
    ids = set(library.operator_ids)
    need = {
        "exp": {"exp", "mul"}, "exp-": {"exp", "sub", "mul"}, "exp+": {"exp", "add", "mul"},
        "1+": {"add", "mul"}, "sin": {"sin", "mul"}, "cos": {"cos", "mul"}, "tanh": {"tanh", "mul"},
    }  # fmt: skip
    return tuple(name for name, those in need.items() if those <= ids)


def _one(library: Library, aim: Aim, constants: bool) -> Written:
    """Return how 1 is written; [] where it cannot be."""
    if 1.0 in library.values:
        return [(library.first_literal + library.values.index(1.0), np.nan)]
    if constants:
        return [(library.constant_id, 1.0)]
    spelled = number(1, library, int((aim.x != 0).all(0).argmax()))
    return [(token, np.nan) for token in spelled or []]


def _steps(library: Library, one: Written) -> list[Step]:
    steps: list[Step] = []
    ids = library.operator_ids
    for token, operator in enumerate(library.operators):
        if operator.arity == 1:
            steps.append(([(token, np.nan)], []))
    if one:
        steps += [([(ids[n], np.nan)], one) for n in ("add", "sub") if n in ids]
        steps += [([(ids[n], np.nan), *one], []) for n in ("sub", "div") if n in ids]
    return steps


def _chains(library: Library, one: Written, width: int) -> tuple[Strips, Ints, Ints]:
    """Return all chains, where their place is, and how many steps they have; short ones first."""
    steps, place = _steps(library, one), [(library.first_variable, np.nan)]
    rows: list[Written] = []
    at, depth = [], []
    for long in range(_CHAIN + 1):
        for chosen in every(steps, repeat=long):
            before = [token for first, _ in chosen for token in first]
            after = [token for _, last in reversed(chosen) for token in last]
            if len(before) + len(after) < width:
                rows.append([*before, *place, *after])
                at.append(len(before))
                depth.append(long)
    return numbered(rows, width), np.array(at), np.array(depth)


def _different(wanted: Floats) -> list[int]:
    """Return which rows are finite and unlike those before."""
    fine = np.flatnonzero(np.isfinite(wanted).all(1) & (np.abs(wanted).max(1) < 1e100))
    _, first = np.unique(prints(wanted[fine]), return_index=True)
    chosen: list[int] = fine[np.sort(first)][:_MOST].tolist()
    return chosen


def _around(rows: Strips, row: int, at: int) -> Step:
    """Return the tokens of a chain before its place, and after it."""
    tokens, numbers = rows.tokens[row].tolist(), rows.numbers[row].tolist()
    length = int(rows.lengths[row])
    both = list(zip(tokens, numbers, strict=True))[:length]
    return both[:at], both[at + 1 :]
