"""Whole numbers, and polynomials with whole coefficients, where no number can be written.

1 is x/x, 3 is (x + x + x)/x, and 3 x^2 is (x + x + x)*x.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm

import numpy as np

from tasks.symbolic.language.library import Library
from tasks.symbolic.search.ratios import Ratio, Terms

LARGEST = 9  # number that is spelled so


def number(value: int, library: Library, variable: int = 0) -> list[int] | None:
    """Return the tokens of 1 to `LARGEST`, None where the library has no + or /.

    `variable` must be nowhere 0.
    """
    ids, x = library.operator_ids, library.first_variable + variable
    if not {"add", "div"} <= set(ids) or not 1 <= value <= LARGEST:
        return None
    return [ids["div"], *[ids["add"]] * (value - 1), *[x] * value, x]


def spelled(found: Ratio, library: Library, variable: int = 0) -> list[int] | None:
    """Return the tokens of a quotient; None where a coefficient is not short, or a token lacks."""
    ids = library.operator_ids
    shared = _whole(found)
    if shared is None or not {"add", "sub", "mul", "div"} <= set(ids):
        return None
    sign, above = _sum(shared.above, library, variable)
    other, below = _sum(shared.below, library, variable)
    one = (0,) * len(library.variables)
    flat = set(shared.below) == {one} and abs(shared.below[one]) == 1.0
    out = above if flat else [ids["div"], *above, *below]
    x = library.first_variable + variable
    return out if sign == other else [ids["sub"], ids["sub"], x, x, *out]


def _whole(found: Ratio) -> Ratio | None:
    """Return the quotient with whole coefficients without a common factor."""
    parts = [found.above, found.below]
    exact = [Fraction(c).limit_denominator(16) for part in parts for c in part.values()]
    given = [c for part in parts for c in part.values()]
    if any(float(e) != c for e, c in zip(exact, given, strict=True)):
        return None
    factor = Fraction(lcm(*(e.denominator for e in exact)))
    factor /= gcd(*(int(e * factor) for e in exact)) or 1
    above, below = ({p: float(Fraction(c) * factor) for p, c in t.items()} for t in parts)
    fits = all(c.is_integer() and abs(c) <= LARGEST for t in (above, below) for c in t.values())
    return Ratio(above, below) if fits else None


def _sum(terms: Terms, library: Library, variable: int) -> tuple[int, list[int]]:
    """Return the sign and the tokens of a polynomial, by Horner's rule."""
    if len(terms) == 1:
        ((powers, coefficient),) = terms.items()
        size = round(abs(coefficient))
        return (1 if coefficient > 0 else -1), _product(powers, size, library, variable)
    uses = np.array([[power > 0 for power in powers] for powers in terms]).sum(0)
    most = int(uses.argmax())
    if uses[most] < 2:
        parts = [_sum({e: c}, library, variable) for e, c in terms.items()]
        return _added(parts, library)
    inside = {e: c for e, c in terms.items() if e[most]}
    rest = {e: c for e, c in terms.items() if not e[most]}
    common = min(e[most] for e in inside)
    low = tuple(common if v == most else 0 for v in range(len(uses)))
    parts = [_sum(rest, library, variable)] if rest else []
    if low in inside:  # x + x*(x + ...) is shorter than x*(x/x + ...)
        common -= 1
    if common:
        lower = {_lowered(e, most, common): c for e, c in inside.items()}
        sign, inner = _sum(lower, library, variable)
        head = [library.operator_ids["mul"], library.first_variable + most] * common
        parts.append((sign, [*head, *inner]))
    else:
        higher = {e: c for e, c in inside.items() if e != low}
        parts += [_sum({low: inside[low]}, library, variable), _sum(higher, library, variable)]
    return _added(parts, library)


def _added(parts: list[tuple[int, list[int]]], library: Library) -> tuple[int, list[int]]:
    """Return the sum of signed parts: it has the sign of one of them."""
    ids = library.operator_ids
    ordered = sorted(parts, key=lambda part: -part[0])
    sign, out = ordered[0]
    for other, tokens in ordered[1:]:
        out = [ids["add" if other == sign else "sub"], *out, *tokens]
    return sign, out


def _product(powers: tuple[int, ...], size: int, library: Library, variable: int) -> list[int]:
    ids, first = library.operator_ids, library.first_variable
    leaves = [first + v for v, power in enumerate(powers) for _ in range(power)]
    if not leaves:
        return number(size, library, variable) or []
    many = [*[ids["add"]] * (size - 1), *[leaves[0]] * size]
    out = many
    for leaf in leaves[1:]:
        out = [ids["mul"], leaf, *out]
    return out


def _lowered(powers: tuple[int, ...], variable: int, by: int) -> tuple[int, ...]:
    return tuple(p - by if v == variable else p for v, p in enumerate(powers))
