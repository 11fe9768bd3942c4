"""Polynomials and quotients of two that are exactly what is wanted, by linear least squares.

w = p / q is p - w q = 0: linear in the coefficients of both, so they are the null vector of one
matrix (Loeb 1957's linearisation, which is exact where the fit is). Coefficients are rounded to
short numbers. A smooth function is nearly a quotient of high degree, so one whose coefficients
are many and not short is not believed.

Letters in shapes: P points, V variables, n monomials.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.strips import Ints

_ALONE = 10  # highest degree of a polynomial
_ABOVE, _BELOW = 6, 4  # and of the two in a quotient
_COLUMNS = 36  # coefficients at most, above and below together
_NULL = 1e-11  # a singular value this small, against the largest, is none
_EXACT = 1e-18  # mean squared miss against the variance
_LOOSE, _FREE = 2, 5  # coefficients that are not short; coefficients where there are such
_DENOMINATORS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16)

Terms = dict[tuple[int, ...], float]  # exponents of the variables -> coefficient
Written = list[tuple[int, float]]  # tokens, with the number where it is a constant


@dataclass(frozen=True)
class Ratio:
    """A polynomial above another; `below` is {(0, ...): 1} where there is none."""

    above: Terms
    below: Terms

    def values(self, x: Floats) -> Floats:
        """Return [P] at x [P, V]."""
        top, under = (
            sum((c * (x ** np.array(e)).prod(1) for e, c in terms.items()), np.zeros(len(x)))
            for terms in (self.above, self.below)
        )
        out: Floats = top / under
        return out


def ratio(wanted: Floats, x: Floats) -> Ratio | None:
    """Return the simplest quotient that is `wanted` [P] at x [P, V], None where none is."""
    size = np.abs(x).max(0)
    if not (np.isfinite(wanted).all() and np.ptp(wanted) > 0 and (size > 0).all()):
        return None
    for tries in _degrees(*x.shape):  # polynomials, then quotients; the last contains the others
        if not tries or _null(wanted, x / size, *_powers(x.shape[1], tries[-1])) is None:
            continue
        for degrees in tries:
            powers = _powers(x.shape[1], degrees)
            vector = _null(wanted, x / size, *powers)
            found = None if vector is None else _believed(vector, wanted, x, size, *powers)
            if found is not None:
                return found
    return None


def written(found: Ratio, library: Library) -> Written | None:
    """Return the tokens of a quotient, None where the library lacks one."""
    ids = library.operator_ids
    if not library.constant or not {"add", "mul"} <= set(ids):
        return None
    above = _spelled(found.above, library)
    one = (0,) * len(library.variables)
    if found.below == {one: 1.0}:
        return above
    if "div" not in ids:
        return None
    return [(ids["div"], np.nan), *above, *_spelled(found.below, library)]


def _degrees(points: int, variables: int) -> list[list[tuple[int, int]]]:
    """Return degrees above and below of polynomials and of quotients, fewest coefficients first."""
    most = min(_COLUMNS, points - 4)

    def count(p: int, q: int) -> int:
        return comb(variables + p, p) + comb(variables + q, q)

    alone = [(p, 0) for p in range(1, _ALONE + 1) if count(p, 0) <= most]
    below = max((q for q in range(_BELOW + 1) if count(q, q) <= most), default=-1)
    above = max((p for p in range(_ABOVE + 1) if count(p, max(below, 0)) <= most), default=-1)
    pairs = [(p, q) for p in range(above + 1) for q in range(1, below + 1)]
    return [alone, sorted(pairs, key=lambda pair: count(*pair))]


def _powers(variables: int, degrees: tuple[int, int]) -> tuple[Ints, Ints]:
    """Return [n, V] exponents of the monomials above, and below."""
    out = []
    for degree in degrees:
        rows = [
            np.bincount(np.array(chosen, dtype=np.int64), minlength=variables)
            for d in range(degree + 1)
            for chosen in combinations_with_replacement(range(variables), d)
        ]
        out.append(np.array(rows))
    return out[0], out[1]


def _columns(wanted: Floats, x: Floats, above: Ints, below: Ints) -> Floats:
    monomials = [(x[:, None, :] ** powers).prod(2) for powers in (above, below)]
    with np.errstate(all="ignore"):
        return np.concatenate([monomials[0], -wanted[:, None] * monomials[1]], axis=1)


def _null(wanted: Floats, x: Floats, above: Ints, below: Ints) -> Floats | None:
    """Return the coefficients [n] that make the difference vanish, largest 1, or None."""
    A = _columns(wanted, x, above, below)
    with np.errstate(all="ignore"):
        length = np.sqrt((A * A).sum(0))
    if not np.isfinite(length).all() or (length == 0).any():
        return None
    _, s, rows = np.linalg.svd(A / length, full_matrices=False)
    if s[-1] > _NULL * s[0]:
        return None
    vector: Floats = rows[-1] / length
    share = np.abs(vector * length)
    vector[share < 1e-8 * share.max()] = 0.0
    vector /= np.abs(vector).max()
    return vector


def _believed(
    vector: Floats, wanted: Floats, x: Floats, size: Floats, above: Ints, below: Ints
) -> Ratio | None:
    """Return the quotient with short coefficients where they do, if it is to be believed."""
    n, powers = len(above), np.concatenate([above, below])
    with np.errstate(all="ignore"):
        vector = vector / (size**powers).prod(1)
    if not (np.isfinite(vector).all() and vector[n:].any() and vector[:n].any()):
        return None
    best: tuple[int, Ratio] | None = None
    with np.errstate(all="ignore"):
        variance = ((wanted - wanted.mean()) ** 2).mean()
    for leader in np.flatnonzero(vector):
        with np.errstate(all="ignore"):
            scaled = vector / vector[leader]
        if not np.isfinite(scaled).all():
            continue
        short = np.array([_short(c) for c in scaled])
        rounded = np.where(np.isnan(short), scaled, short)
        made = Ratio(_terms(above, rounded[:n]), _terms(below, rounded[n:]))
        made = _plain(made)
        with np.errstate(all="ignore"):
            miss = ((made.values(x) - wanted) ** 2).mean()
        loose = int(np.isnan(short).sum())
        many = loose > _LOOSE or (loose and len(made.above) + len(made.below) > _FREE)
        if not miss <= _EXACT * variance or many:
            continue
        odd = sum(c != 1.0 for terms in (made.above, made.below) for c in terms.values())
        if best is None or 100 * loose + odd < best[0]:
            best = (100 * loose + odd, made)
    return None if best is None else best[1]


def _plain(made: Ratio) -> Ratio:
    """Return the quotient with a constant below moved above."""
    if len(made.below) > 1 or any(sum(e) for e in made.below):
        return made
    ((one, under),) = made.below.items()
    return Ratio({e: c / under for e, c in made.above.items()}, {one: 1.0})


def _terms(powers: Ints, coefficients: Floats) -> Terms:
    pairs = zip(powers.tolist(), coefficients.tolist(), strict=True)
    return {tuple(e): c for e, c in pairs if c != 0.0}


def _short(value: float) -> float:
    """Return the short number that this is but for rounding, NaN where there is none."""
    near = 1e-6 * abs(value)
    for below in _DENOMINATORS:
        whole = round(value * below)
        if abs(whole) <= 1000 and abs(whole / below - value) <= near:
            return whole / below
    digits = float(f"{value:.3g}")
    return digits if abs(digits - value) <= near else np.nan


def _spelled(terms: Terms, library: Library) -> Written:
    """Return a polynomial as tokens, by Horner's rule in the variable that most terms share."""
    ids = library.operator_ids
    if len(terms) == 1:
        ((powers, coefficient),) = terms.items()
        return _product(powers, coefficient, library)
    uses = np.array([[power > 0 for power in powers] for powers in terms]).sum(0)
    variable = int(uses.argmax())
    if uses[variable] < 2:
        inside, rest = dict(list(terms.items())[:1]), dict(list(terms.items())[1:])
        first = _spelled(inside, library)
    else:
        inside = {e: c for e, c in terms.items() if e[variable]}
        rest = {e: c for e, c in terms.items() if not e[variable]}
        common = min(e[variable] for e in inside)
        shift = np.eye(len(uses), dtype=int)[variable] * common
        lower = {tuple((np.array(e) - shift).tolist()): c for e, c in inside.items()}
        head = [(ids["mul"], np.nan), (library.first_variable + variable, np.nan)] * common
        first = [*head, *_spelled(lower, library)]
    if not rest:
        return first
    if len(rest) == 1 and "sub" in ids:
        ((powers, coefficient),) = rest.items()
        if coefficient < 0:
            return [(ids["sub"], np.nan), *first, *_product(powers, -coefficient, library)]
    return [(ids["add"], np.nan), *first, *_spelled(rest, library)]


def _product(powers: tuple[int, ...], coefficient: float, library: Library) -> Written:
    leaves: Written = [
        (library.first_variable + v, np.nan) for v, power in enumerate(powers) for _ in range(power)
    ]
    if coefficient != 1.0 or not leaves:
        leaves.insert(0, (library.constant_id, coefficient))
    mul = (library.operator_ids["mul"], np.nan)
    return [t for leaf in leaves[:-1] for t in (mul, leaf)] + leaves[-1:]
