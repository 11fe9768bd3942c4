"""Whether an equation is defined between its data too: interval arithmetic over their range.

Over a box of inputs an expression is an interval that holds all its values (Moore 1966). A box in
which no denominator can be 0 and no logarithm's or root's argument negative is done; others are
halved, until none is left (proven), a point is found where the equation fails, or too many are.

Letters in shapes: N boxes, V inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from designer.protocols import Floats
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.library import Library

_BOXES, _ROUNDS = 20_000, 200  # looked at in all, and how often they are halved
_WIDER = 1e-12  # share by which every interval is widened: what rounding may do
Flags = NDArray[np.bool_]
Interval = tuple[Floats, Floats]
Ask = tuple[int, Interval]  # a token that divides, and what by


@dataclass(frozen=True)
class Domain:
    """What is known of an equation's domain; `at` [V] is a point where it fails."""

    defined: Literal["everywhere", "not everywhere", "unknown"]
    at: Floats | None = None


def domain(expression: Expression, low: Floats, high: Floats) -> Domain:
    """Return whether the equation is defined in the whole box from `low` [V] to `high` [V]."""
    boxes = (low[None].astype(np.float64), high[None].astype(np.float64))
    signs: dict[tuple[int, bool], Floats] = {}  # (divisor, is it positive?) -> a point
    looked = 0
    for _ in range(_ROUNDS):
        if not len(boxes[0]) or looked > _BOXES:
            break
        looked += len(boxes[0])
        points = np.concatenate([(boxes[0] + boxes[1]) / 2, *boxes])
        with np.errstate(all="ignore"):
            failed = ~np.isfinite(expression.predict(points))
        if failed.any():
            return Domain("not everywhere", points[int(failed.argmax())])
        for token, (least, most) in _risky(expression, (points, points))[1]:
            # what has no interval of its own (a choice, an operator of the user's) has no sign
            for positive, here in ((False, most < 0), (True, least > 0)):
                if here.any():
                    signs.setdefault((token, positive), points[int(here.argmax())])
            if (token, True) in signs and (token, False) in signs:
                return Domain("not everywhere", _zero(expression, token, signs))
        risky, _ = _risky(expression, boxes)
        boxes = _halved((boxes[0][risky], boxes[1][risky]), high - low)
    return Domain("unknown" if len(boxes[0]) else "everywhere")


def _halved(boxes: Interval, size: Floats) -> Interval:
    """Return twice as many boxes, cut where they are widest."""
    low, high = boxes
    if not len(low):
        return boxes
    share = (high - low) / np.where(size > 0, size, 1.0)
    side, row = share.argmax(1), np.arange(len(low))
    middle = (low[row, side] + high[row, side]) / 2
    left, right = high.copy(), low.copy()
    left[row, side], right[row, side] = middle, middle
    return np.concatenate([low, right]), np.concatenate([left, high])


def _zero(expression: Expression, token: int, signs: Mapping[tuple[int, bool], Floats]) -> Floats:
    """Return a point between two at which a divisor changes its sign."""
    low, high = signs[token, False], signs[token, True]
    for _ in range(60):
        centre = (low + high) / 2
        value = dict(_risky(expression, (centre[None], centre[None]))[1])[token][0][0]
        low, high = (low, centre) if value > 0 else (centre, high)
    return (low + high) / 2


def bounds(expression: Expression, boxes: Interval) -> Interval:
    """Return intervals [N] that hold all values in the boxes, without scale and offset."""
    return _walked(expression, boxes)[0]


def _risky(expression: Expression, boxes: Interval) -> tuple[Flags, list[Ask]]:
    """Return [N] where the equation may be undefined, and what it divides by."""
    return _walked(expression, boxes)[1:]


def _walked(expression: Expression, boxes: Interval) -> tuple[Interval, Flags, list[Ask]]:
    library, count = expression.library, len(boxes[0])
    risk, asked = np.zeros(count, dtype=np.bool_), list[Ask]()
    stack: list[Interval] = []
    numbers = iter(reversed(expression.constants))
    with np.errstate(all="ignore"):
        for token in range(len(expression.tokens) - 1, -1, -1):
            kind = expression.tokens[token]
            arity = library.arities[kind]
            if arity == 0:
                stack.append(_leaf(kind, library, boxes, numbers))
                continue
            args = [stack.pop() for _ in range(arity)]
            name = library.names[kind]
            if name in ("div", "inv"):
                asked.append((token, args[-1]))
            bad = _UNDEFINED.get(name)
            if bad is not None:
                risk |= bad(*args)
            made = _INTERVALS[name](*args) if name in _INTERVALS else _any(count)
            risk |= name not in _INTERVALS
            low, high = (np.where(np.isnan(part), part_, part) for part, part_ in
                         zip(made, (-np.inf, np.inf), strict=True))  # fmt: skip
            stack.append((low - _WIDER * np.abs(low), high + _WIDER * np.abs(high)))
    return stack[0], risk, asked


def _leaf(kind: int, library: Library, boxes: Interval, numbers: object) -> Interval:
    if kind == library.constant_id:
        value = next(numbers)  # type: ignore[call-overload]
    elif kind >= library.first_literal:
        value = library.values[kind - library.first_literal]
    else:
        column = kind - library.first_variable
        return boxes[0][:, column], boxes[1][:, column]
    flat = np.full(len(boxes[0]), float(value))
    return flat, flat


def _any(count: int) -> Interval:
    return np.full(count, -np.inf), np.full(count, np.inf)


def _hull(*values: Floats) -> Interval:
    return np.fmin.reduce(values), np.fmax.reduce(values)


def _mul(a: Interval, b: Interval) -> Interval:
    products = [np.nan_to_num(p * q, nan=0.0, posinf=np.inf, neginf=-np.inf) for p in a for q in b]
    return _hull(*products)


def _inv(a: Interval) -> Interval:
    holds = _holds_zero(a)
    low, high = _hull(1 / a[0], 1 / a[1])
    return np.where(holds, -np.inf, low), np.where(holds, np.inf, high)


def _square(a: Interval) -> Interval:
    low, high = _hull(a[0] ** 2, a[1] ** 2)
    return np.where(_holds_zero(a), 0.0, low), high


def _abs(a: Interval) -> Interval:
    low, high = _hull(np.abs(a[0]), np.abs(a[1]))
    return np.where(_holds_zero(a), 0.0, low), high


def _pow(a: Interval, b: Interval) -> Interval:
    low, high = _mul(b, _rising(np.log)((np.maximum(a[0], 0.0), a[1])))
    return np.exp(low), np.exp(high)


def _cosh(a: Interval) -> Interval:
    return _rising(np.cosh)(_abs(a))


def _sine(a: Interval, shift: float = 0.0) -> Interval:
    """Return the sine of a + shift."""
    turns = [(end + shift) / (2 * np.pi) for end in a]
    low, high = _hull(*(np.sin(end + shift) for end in a))
    top = np.floor(turns[1] - 0.25) >= np.ceil(turns[0] - 0.25)
    bottom = np.floor(turns[1] + 0.25) >= np.ceil(turns[0] + 0.25)
    odd = ~np.isfinite(turns[0]) | ~np.isfinite(turns[1])
    return np.where(bottom | odd, -1.0, low), np.where(top | odd, 1.0, high)


def _chosen(a: Interval, b: Interval) -> Interval:
    return np.minimum(b[0], 0.0), np.maximum(b[1], 0.0)


def _rising(function: Callable[[Floats], Floats]) -> Callable[[Interval], Interval]:
    return lambda a: (function(a[0]), function(a[1]))


def _holds_zero(a: Interval) -> Flags:
    out: Flags = (a[0] <= 0) & (a[1] >= 0)
    return out


_INTERVALS: Mapping[str, Callable[..., Interval]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": _mul,
    "div": lambda a, b: _mul(a, _inv(b)),
    "pow": _pow,
    "min": lambda a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    "max": lambda a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "where": _chosen,
    "unless": _chosen,
    "neg": lambda a: (-a[1], -a[0]),
    "inv": _inv,
    "sqrt": lambda a: _rising(np.sqrt)((np.maximum(a[0], 0.0), np.maximum(a[1], 0.0))),
    "square": _square,
    "cube": _rising(lambda a: a**3),
    "exp": _rising(np.exp),
    "log": lambda a: _rising(np.log)((np.maximum(a[0], 0.0), np.maximum(a[1], 0.0))),
    "sin": _sine,
    "cos": lambda a: _sine(a, np.pi / 2),
    "asin": lambda a: _rising(np.arcsin)((np.clip(a[0], -1, 1), np.clip(a[1], -1, 1))),
    "acos": lambda a: (np.arccos(np.clip(a[1], -1, 1)), np.arccos(np.clip(a[0], -1, 1))),
    "atan": _rising(np.arctan),
    "sinh": _rising(np.sinh),
    "cosh": _cosh,
    "tanh": _rising(np.tanh),
    "abs": _abs,
}
# where a token may be undefined for arguments in these intervals
_UNDEFINED: Mapping[str, Callable[..., Flags]] = {
    "div": lambda a, b: _holds_zero(b),
    "inv": _holds_zero,
    "log": lambda a: a[0] <= 0,
    "sqrt": lambda a: a[0] < 0,
    "pow": lambda a, b: a[0] <= 0,
    "asin": lambda a: (a[0] < -1) | (a[1] > 1),
    "acos": lambda a: (a[0] < -1) | (a[1] > 1),
}
