"""Expressions as sympy trees and LaTeX, built node by node: no text is ever evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tasks.symbolic.library import Library

if TYPE_CHECKING:
    from tasks.symbolic.expression import Expression

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


def to_sympy(expression: Expression) -> Any:
    """Return the sympy expression; variables are plain symbols named as in the library."""
    import sympy

    library = expression.library
    stack: list[Any] = []
    taken = [sympy.Float(v) if not math.isnan(v) else sympy.Symbol(n) for v, n in zip(
        expression.constants, expression.numbers(), strict=True
    )]  # fmt: skip
    for token in reversed(expression.tokens):
        if token < library.first_variable:
            operator = library.operators[token]
            args = [stack.pop() for _ in range(operator.arity)]
            stack.append(_built(operator.name, operator.symbol, args))
        elif token < library.first_literal:
            stack.append(sympy.Symbol(library.names[token]))
        elif token < library.constant_id:
            stack.append(_literal(library, token))
        else:
            stack.append(taken.pop())
    out = stack[-1]
    if not math.isnan(expression.scale) and expression.scale != 1.0:
        out = sympy.Float(expression.scale) * out
    if not math.isnan(expression.offset) and expression.offset != 0.0:
        out = out + sympy.Float(expression.offset)
    return out


def to_latex(expression: Expression, digits: int = 6) -> str:
    """Return LaTeX, with numbers of `digits` significant digits."""
    import sympy

    tree = to_sympy(expression)
    rounded = {f: sympy.Float(f, digits) for f in tree.atoms(sympy.Float)}
    return str(sympy.latex(tree.xreplace(rounded)))


def _built(name: str, symbol: str, args: list[Any]) -> Any:
    import sympy

    if name in _BUILD:
        return _BUILD[name](*args)
    function = getattr(sympy, symbol or name, None)
    return (function or sympy.Function(name))(*args)


def _literal(library: Library, token: int) -> Any:
    import sympy

    text = library.names[token]
    if text == "pi":
        return sympy.pi
    if text == "e":
        return sympy.E
    return sympy.Integer(text) if text.isdigit() else sympy.Rational(text)
