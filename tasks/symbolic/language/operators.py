"""What an expression may compute: each operator with its function and its derivatives.

Functions are unprotected: a logarithm of a negative number is NaN, and an expression that is
not finite on the data is inadmissible. Nothing is silently made finite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from designer.errors import InputError

Partials = Callable[..., tuple[Any, ...]]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Operator:
    """One function of one or two arguments; yours may be given beside the built-in ones.

    `function` takes tensors of one shape and returns that shape. `partials(value, a[, b])`
    returns the derivative by each argument (tensors or plain numbers); left out, it comes from
    automatic differentiation. `commutes` means commutative *and* associative.
    """

    name: str
    arity: int
    function: Callable[..., Tensor]
    partials: Partials | None = None
    symbol: str = ""  # the sympy function, where it has another name
    commutes: bool = False
    cost: int = 1  # how hard it is to read, for the complexity penalty
    reads: tuple[int, ...] | None = None  # the arguments that `partials` looks at; None = all

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes by name: the functions of the built-in ones cannot."""
        if OPERATORS.get(self.name) is self:
            return _built_in, (self.name,)
        return Operator, tuple(getattr(self, one.name) for one in fields(self))

    def derivatives(self, value: Tensor, *args: Any) -> tuple[Any, ...]:
        """Return the derivative by each argument, at `args`, where the function has `value`.

        Arguments that are not among `reads` may be None.
        """
        if self.partials is not None:
            return self.partials(value, *args)
        with torch.enable_grad():
            leaves = [a.detach().requires_grad_() for a in args]
            return torch.autograd.grad(self.function(*leaves).sum(), leaves)


def _built_in(name: str) -> Operator:
    return OPERATORS[name]


def own(
    name: str,
    function: Callable[..., Any],
    arity: int = 1,
    domain: Sequence[float] = (),
    commutes: bool = False,
    cost: int = 2,
) -> Operator:
    """Return an operator of the user's: a torch function of tensors of one shape.

    domain    two numbers: outside of them (for any argument) it is undefined
    commutes  whether operands may change places, and brackets move
    cost      how hard it is to read, for the complexity penalty

    Raises InputError for a name that is taken or no name, or a function that does not return a
    tensor of the arguments' shape.
    """
    if not _NAME.fullmatch(name) or name in OPERATORS or name in ("pi", "e", "E"):
        raise InputError(f"name {name!r} is taken, or no plain name; expected letters and digits")
    if arity not in (1, 2):
        raise InputError(f"arity of operator {name!r} is {arity}; expected 1 or 2")
    if len(domain) not in (0, 2) or list(domain) != sorted(domain):
        raise InputError(f"domain of operator {name!r} is {list(domain)}; expected [low, high]")
    if arity == 1 and commutes:
        raise InputError(f"commutes: operator {name!r} has one argument; expected arity 2")
    made = (
        function if not domain else partial(_within, function, float(domain[0]), float(domain[1]))
    )
    trial = torch.linspace(0.25, 0.75, 6, dtype=torch.float64).view(2, 3)
    try:
        value: Any = made(*[trial] * arity)
    except Exception as error:  # whatever a user's function raises is about that function
        raise InputError(
            f"operator {name!r} failed on tensors of float64: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(value, Tensor) or value.shape != trial.shape or value.dtype != trial.dtype:
        raise InputError(
            f"operator {name!r} returned {_said(value)}; expected a float64 tensor of the "
            "arguments' shape"
        )
    return Operator(name, arity, made, commutes=commutes, cost=cost)


def _within(function: Callable[..., Tensor], low: float, high: float, *args: Tensor) -> Tensor:
    value = function(*args)
    for each in args:
        value = torch.where((each >= low) & (each <= high), value, torch.nan)
    return value


def _said(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def _where(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(a > 0, b, 0 * a)  # 0 * a: not a number where the condition is none


def _unless(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(a <= 0, b, 0 * a)


def _cube(a: Tensor) -> Tensor:
    return a * a * a


def _pow_partials(v: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    # b * a^(b-1) rather than b * v / a, which fails at a = 0; a^b ln a only where a > 0
    logarithm = torch.where(a > 0, a, torch.ones_like(a)).log()
    return b * torch.pow(a, b - 1), v * logarithm


_ALL = (
    Operator("add", 2, torch.add, lambda v, a, b: (1.0, 1.0), "Add", True, reads=()),
    Operator("sub", 2, torch.sub, lambda v, a, b: (1.0, -1.0), "Add", reads=()),
    Operator("mul", 2, torch.mul, lambda v, a, b: (b, a), "Mul", True),
    Operator("div", 2, torch.div, lambda v, a, b: (1 / b, -v / b), "Mul", cost=2, reads=(1,)),
    Operator("pow", 2, torch.pow, _pow_partials, "Pow", cost=3),
    Operator(
        "min", 2, torch.minimum, lambda v, a, b: ((a <= b).to(v), (a > b).to(v)), "Min", True, 2
    ),
    Operator(
        "max", 2, torch.maximum, lambda v, a, b: ((a >= b).to(v), (a < b).to(v)), "Max", True, 2
    ),
    # a condition counts as true above 0; its own derivative is 0 wherever it has one
    Operator("where", 2, _where, lambda v, a, b: (0.0, (a > 0).to(v)), cost=2, reads=(0,)),
    Operator("unless", 2, _unless, lambda v, a, b: (0.0, (a <= 0).to(v)), cost=2, reads=(0,)),
    Operator("neg", 1, torch.neg, lambda v, a: (-1.0,), reads=()),
    Operator("inv", 1, torch.reciprocal, lambda v, a: (-v * v,), cost=2, reads=()),
    Operator("sqrt", 1, torch.sqrt, lambda v, a: (0.5 / v,), cost=2, reads=()),
    Operator("square", 1, torch.square, lambda v, a: (2 * a,)),
    Operator("cube", 1, _cube, lambda v, a: (3 * a * a,)),
    Operator("exp", 1, torch.exp, lambda v, a: (v,), cost=3, reads=()),
    Operator("log", 1, torch.log, lambda v, a: (1 / a,), cost=3),
    Operator("sin", 1, torch.sin, lambda v, a: (a.cos(),), cost=3),
    Operator("cos", 1, torch.cos, lambda v, a: (-a.sin(),), cost=3),
    Operator("tan", 1, torch.tan, lambda v, a: (1 + v * v,), cost=3, reads=()),
    Operator("asin", 1, torch.asin, lambda v, a: ((1 - a * a).rsqrt(),), cost=3),
    Operator("acos", 1, torch.acos, lambda v, a: (-(1 - a * a).rsqrt(),), cost=3),
    Operator("atan", 1, torch.atan, lambda v, a: (1 / (1 + a * a),), cost=3),
    Operator("sinh", 1, torch.sinh, lambda v, a: (a.cosh(),), cost=3),
    Operator("cosh", 1, torch.cosh, lambda v, a: (a.sinh(),), cost=3),
    Operator("tanh", 1, torch.tanh, lambda v, a: (1 - v * v,), cost=3, reads=()),
    Operator("abs", 1, torch.abs, lambda v, a: (a.sign(),), "Abs", cost=2),
)

OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _ALL}

_KOZA = ("add", "sub", "mul", "div", "sin", "cos", "exp", "log")

# published token sets; give the name instead of a list. Constants and literals are set apart.
SETS: Mapping[str, tuple[str, ...]] = {
    "default": ("add", "sub", "mul", "div", "sqrt", "square", "exp", "log", "sin", "cos"),
    "arithmetic": ("add", "sub", "mul", "div"),
    "koza": _KOZA,
    "jin": ("add", "sub", "mul", "div", "sin", "cos", "exp", "square", "cube"),
    "keijzer": ("add", "mul", "inv", "neg", "sqrt"),
    "vladislavleva-a": ("add", "sub", "mul", "div", "square"),
    "korns": (*_KOZA, "square", "cube", "sqrt", "tan", "tanh"),
    "livermore2": ("add", "sub", "mul", "div", "sqrt", "square", "log", "exp", "sin", "cos"),
    "all": tuple(OPERATORS),
}
