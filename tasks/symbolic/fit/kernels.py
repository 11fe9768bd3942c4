"""Compiled: values of one expression over all points, and their derivatives by its constants.

A row of prefix tokens is its own program: operands stand behind their operator, so values are
found from the last token to the first, and derivatives flow the other way. Formulas are those of
`tasks.symbolic.language.operators`. Needs numba; loaded when constants are first fitted.

Letters in shapes: L tokens, P data points, V variables, B points of a block (`BLOCK`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]

BLOCK = 256  # points at a time on the way back: rows of a block stay in the nearest cache
# what stands in a column of a tree [L, 5], a row a token: what it is, where its operands begin,
# which number or variable it is, and whether a constant lies within
CODE, FIRST, SECOND, OWN, VARYING = range(5)
# what a token may be: the end, a leaf, or one of the operators in this order
END, NUMBER, VARIABLE = range(3)
NAMES = (
    "add", "sub", "mul", "div", "pow", "min", "max", "where", "unless", "neg", "inv", "sqrt",
    "square", "cube", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "abs",
)  # fmt: skip
(
    ADD, SUB, MUL, DIV, POW, MIN, MAX, WHERE, UNLESS, NEG, INV, SQRT,
    SQUARE, CUBE, EXP, LOG, SIN, COS, TAN, ASIN, ACOS, ATAN, SINH, COSH,
    TANH, ABS,
) = range(3, 3 + len(NAMES))  # fmt: skip

# No reference counts and no ways in from Python: what is compiled with these must not make arrays.
# Layers are few and loops too, since each layer compiles those below it again.
_SETTINGS: dict[str, Any] = {
    "nogil": True, "error_model": "numpy", "_nrt": False, "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}  # fmt: skip
_LOOSE = {"reassoc", "contract", "nsz"}  # a sum in whatever order is fast


def compiled(function: F) -> F:
    """Return the function compiled, for other compiled ones to call."""
    return cast(F, njit(**_SETTINGS)(function))


def summing(function: F) -> F:
    """Return the function compiled, free to add in another order."""
    return cast(F, njit(fastmath=_LOOSE, **_SETTINGS)(function))


@compiled
def value(code: int, a: float, b: float) -> float:
    """Return what an operator makes of its operands; b is of no meaning where it has one."""
    if code == DIV:
        return a / b
    if code == POW:
        return math.pow(a, b)
    if code == INV:
        return 1.0 / a
    if code == SQRT:
        return math.sqrt(a)
    if code == CUBE:
        return a * a * a
    if code == EXP:
        return math.exp(a)
    if code == LOG:
        return math.log(a)
    if code == SIN:
        return math.sin(a)
    if code == COS:
        return math.cos(a)
    return rare(code, a, b)


@compiled
def rare(code: int, a: float, b: float) -> float:
    """Return the same for operators that are seldom used."""
    if code in (MIN, MAX):
        if a != a or b != b:
            return math.nan
        return b if (b < a) == (code == MIN) else a
    if code in (WHERE, UNLESS):
        return b if a == a and (a > 0) == (code == WHERE) else 0 * a
    if code == NEG:
        return -a
    if code == TAN:
        return math.tan(a)
    if code == ASIN:
        return math.asin(a)
    if code == ACOS:
        return math.acos(a)
    if code == ATAN:
        return math.atan(a)
    if code == SINH:
        return math.sinh(a)
    if code == COSH:
        return math.cosh(a)
    if code == TANH:
        return math.tanh(a)
    return abs(a)


@compiled
def forward(tree: Array, x: Array, at: Array, whole: bool, v: Array) -> None:
    """Fill v [L, P] at the tokens that hold a constant, or at all; x [V, P], numbers `at`."""
    P = x.shape[1]
    for t in range(len(tree) - 1, -1, -1):
        code, own = tree[t, CODE], tree[t, OWN]
        if code == END or not (whole or tree[t, VARYING]):
            continue
        a, b, to = v[tree[t, FIRST]], v[tree[t, SECOND]], v[t]
        if code == VARIABLE:
            for p in range(P):
                to[p] = x[own, p]
        elif code == NUMBER:
            for p in range(P):
                to[p] = at[own]
        elif code == ADD:
            for p in range(P):
                to[p] = a[p] + b[p]
        elif code == SUB:
            for p in range(P):
                to[p] = a[p] - b[p]
        elif code == MUL:
            for p in range(P):
                to[p] = a[p] * b[p]
        elif code == SQUARE:
            for p in range(P):
                to[p] = a[p] * a[p]
        else:
            for p in range(P):
                to[p] = value(code, a[p], b[p])


@compiled
def by_first(code: int, v: float, a: float, b: float) -> float:
    """Return the derivative by the first operand, where the operator has value v."""
    if code == DIV:
        return 1.0 / b
    if code == INV:
        return -v * v
    if code == SQRT:
        return 0.5 / v
    if code == SQUARE:
        return 2.0 * a
    if code == CUBE:
        return 3.0 * a * a
    if code == EXP:
        return v
    if code == LOG:
        return 1.0 / a
    if code == SIN:
        return math.cos(a)
    if code == COS:
        return -math.sin(a)
    return rarely_by_first(code, v, a, b)


@compiled
def rarely_by_first(code: int, v: float, a: float, b: float) -> float:
    """Return the same for operators that are seldom used."""
    if code == POW:  # rather than b * v / a, which fails at a = 0
        return b * math.pow(a, b - 1.0)
    if code in (MIN, MAX):
        return 1.0 if (a <= b if code == MIN else a >= b) else 0.0
    if code in (WHERE, UNLESS):
        return 0.0  # wherever it has one
    if code == NEG:
        return -1.0
    if code == TAN:
        return 1.0 + v * v
    if code in (ASIN, ACOS):
        return (1.0 if code == ASIN else -1.0) / math.sqrt(1.0 - a * a)
    if code == ATAN:
        return 1.0 / (1.0 + a * a)
    if code == SINH:
        return math.cosh(a)
    if code == COSH:
        return math.sinh(a)
    if code == TANH:
        return 1.0 - v * v
    return 1.0 if a > 0 else -1.0 if a < 0 else 0.0 * a


@compiled
def by_second(code: int, v: float, a: float, b: float) -> float:
    """Return the derivative by the second operand."""
    if code == DIV:
        return -v / b
    if code == POW:  # a^b ln a only where a > 0
        return v * math.log(a) if a > 0 else v * 0.0
    if code in (MIN, MAX):
        return 1.0 if (a > b if code == MIN else a < b) else 0.0
    return 1.0 if (a > 0 if code == WHERE else a <= 0) else 0.0


@compiled
def backward(tree: Array, values: Array, lo: int, hi: int, back: Array) -> None:
    """Fill back [L, B] with the root's derivative by each token that holds a constant.

    It is that at the points lo:hi, at most B.
    """
    P = hi - lo
    for p in range(P):
        back[0, p] = 1.0
    for t in range(len(tree)):
        code, i, j = tree[t, CODE], tree[t, FIRST], tree[t, SECOND]
        if code <= VARIABLE or not tree[t, VARYING]:
            continue
        v, a, b, g = values[t, lo:hi], values[i, lo:hi], values[j, lo:hi], back[t]
        if tree[i, VARYING]:
            to = back[i]
            if code in (ADD, SUB):
                for p in range(P):
                    to[p] = g[p]
            elif code == MUL:
                for p in range(P):
                    to[p] = g[p] * b[p]
            else:
                for p in range(P):
                    to[p] = g[p] * by_first(code, v[p], a[p], b[p])
        if code <= UNLESS and tree[j, VARYING]:
            to = back[j]
            if code in (ADD, SUB):
                sign = 1.0 if code == ADD else -1.0
                for p in range(P):
                    to[p] = sign * g[p]
            elif code == MUL:
                for p in range(P):
                    to[p] = g[p] * a[p]
            else:
                for p in range(P):
                    to[p] = g[p] * by_second(code, v[p], a[p], b[p])
