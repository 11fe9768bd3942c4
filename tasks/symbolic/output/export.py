"""Expressions as sympy trees and LaTeX, built node by node: no text is ever evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tasks.symbolic.language.library import Library
from tasks.symbolic.language.operators import OPERATORS, Operator

if TYPE_CHECKING:
    from tasks.symbolic.language.expression import Expression

_BUILD: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "neg": lambda a: -a,
    "inv": lambda a: 1 / a,
    "square": lambda a: a**2,
    "cube": lambda a: a**3,
}


def to_sympy(expression: Expression, exact: bool = False) -> Any:
    """Return the sympy expression; variables are plain symbols named as in the library.

    With `exact`, numbers that are fractions or known constants become these (see `tidy`).
    """
    import sympy

    made = _exact if exact else sympy.Float

    library = expression.library
    stack: list[Any] = []
    taken = [made(v) if not math.isnan(v) else sympy.Symbol(n) for v, n in zip(
        expression.constants, expression.numbers(), strict=True
    )]  # fmt: skip
    for token in reversed(expression.tokens):
        if token < library.first_variable:
            operator = library.operators[token]
            args = [stack.pop() for _ in range(operator.arity)]
            stack.append(_built(operator, args))
        elif token < library.first_literal:
            stack.append(sympy.Symbol(library.names[token]))
        elif token < library.constant_id:
            stack.append(_literal(library, token))
        else:
            stack.append(taken.pop())
    out = stack[-1]
    if not math.isnan(expression.scale) and expression.scale != 1.0:
        out = made(expression.scale) * out
    if not math.isnan(expression.offset) and expression.offset != 0.0:
        out = out + made(expression.offset)
    return out


def to_latex(expression: Expression, digits: int = 6, exact: bool = False) -> str:
    """Return LaTeX, with numbers of `digits` significant digits."""
    import sympy

    return str(sympy.latex(_rounded(to_sympy(expression, exact), digits)))


def gathered(expression: Expression, digits: int = 6) -> str | None:
    """Return it with numbers that only multiply or add made one; None where none are."""
    import sympy

    tree = to_sympy(expression)
    outer = (expression.scale, 1.0), (expression.offset, 0.0)
    written = len(expression.constants) + sum(
        not math.isnan(value) and value != usual for value, usual in outer
    )
    left = sum(isinstance(node, sympy.Float) for node in sympy.preorder_traversal(tree))
    return str(_rounded(tree, digits)) if left < written else None


def _rounded(tree: Any, digits: int) -> Any:
    import sympy

    return tree.xreplace({f: sympy.Float(f, digits) for f in tree.atoms(sympy.Float)})


def _exact(value: float) -> Any:
    """Return a number as a fraction or a known constant where it is one, else as a float."""
    import sympy

    sign = -1 if value < 0 else 1
    two_pi = 2 * sympy.pi
    for known in (sympy.pi, two_pi, sympy.pi / 2, sympy.E, sympy.sqrt(2), sympy.sqrt(two_pi)):
        for power in (1, -1):
            if abs(value) == float(known) ** power:
                return sign * known**power
    for below in range(1, 17):
        above = round(abs(value) * below)
        if above and above < 1000 and above / below == abs(value):
            return sympy.Rational(sign * above, below)
    return sympy.Float(value)


def _built(operator: Operator, args: list[Any]) -> Any:
    import sympy

    name = operator.name
    if OPERATORS.get(name) != operator:  # the user's own: sympy may call something else so
        return sympy.Function(name)(*args)
    if name in ("where", "unless"):
        condition = sympy.Gt(args[0], 0) if name == "where" else sympy.Le(args[0], 0)
        return sympy.Piecewise((args[1], condition), (0, True))
    if name in _BUILD:
        return _BUILD[name](*args)
    return getattr(sympy, operator.symbol or name)(*args)


def _literal(library: Library, token: int) -> Any:
    import sympy

    text = library.names[token]
    if text == "pi":
        return sympy.pi
    if text == "e":
        return sympy.E
    return sympy.Integer(text) if text.isdigit() else sympy.Rational(text)
