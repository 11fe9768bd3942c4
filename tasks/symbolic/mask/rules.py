"""Which expressions are worth writing: constraints in the mask, as tables over tokens.

Every rule is data: turn one off by giving it an empty list. A rule yields where it would leave
no token at all, so that the mask is never empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Floats
from tasks.symbolic.language.library import Library

# no member of a group below a member of the same group, at any depth
NESTING = (("sin", "cos", "tan"), ("exp", "sinh", "cosh"), ("log",), ("asin", "acos"), ("tanh",))
# (operator, operator directly below it) that cancel, or say again what one of them says
INVERSES = (
    ("exp", "log"), ("log", "exp"), ("sqrt", "square"), ("square", "sqrt"), ("neg", "neg"),
    ("inv", "inv"), ("abs", "abs"), ("abs", "square"), ("square", "abs"), ("square", "neg"),
    ("abs", "neg"), ("abs", "sqrt"), ("abs", "exp"), ("inv", "neg"), ("tan", "atan"),
    ("atan", "tan"), ("sin", "asin"), ("asin", "sin"), ("cos", "acos"), ("acos", "cos"),
)  # fmt: skip
# operators whose two operands must not be one and the same leaf: x - x, x / x
DISTINCT = ("sub", "div", "min", "max")

UNARY, FIRST, SECOND = 0, 1, 2  # which operand a slot is


@dataclass(frozen=True)
class Rules:
    """The rules as tensors on one device; A tokens, and A itself stands for "none"."""

    arity: Tensor  # [A] int64
    group: Tensor  # [A + 1] int64, bit g set where the token belongs to nesting group g
    fixed: Tensor  # [A + 1] bool, True for literals and the constant
    constant: Tensor  # [A] bool
    below: Tensor  # [A + 1, A] bool, True where the child must not stand below the parent
    distinct: Tensor  # [A + 1] bool
    eye: Tensor  # [A + 1, A + 1] float32


def tabulate(
    library: Library,
    nesting: Sequence[Sequence[str]],
    inverses: Sequence[Sequence[str]],
    distinct: Sequence[str],
    idle_constants: bool,
    device: torch.device,
) -> Rules:
    """Return the rules as tables. `idle_constants` True lets constants stand where they idle.

    A constant idles alone at the root, below a function of one argument, and beside another
    constant (or literal): each is a constant again.
    """
    A, ids = len(library), library.operator_ids
    group = torch.zeros(A + 1, dtype=torch.int64)
    for bit, names in enumerate(nesting):
        for name in names:
            if name in ids:
                group[ids[name]] |= 1 << bit
    below = torch.zeros(A + 1, A, dtype=torch.bool)
    for parent, child in inverses:
        under = ids.get(child, library.leaf_ids.get(child))
        if parent in ids and under is not None:
            below[ids[parent], under] = True
    fixed = torch.zeros(A + 1, dtype=torch.bool)
    fixed[library.first_literal : A] = not idle_constants
    arity = torch.tensor(library.arities)
    alone = torch.cat([arity == 1, torch.ones(1, dtype=torch.bool)])
    below |= alone.unsqueeze(1) & fixed[:A].unsqueeze(0)
    constant = torch.arange(A) == library.constant_id
    same = torch.zeros(A + 1, dtype=torch.bool)
    same[[ids[name] for name in distinct if name in ids]] = True
    parts = (arity, group, fixed, constant, below, same, torch.eye(A + 1))
    return Rules(*(part.to(device) for part in parts))


def undefined(library: Library, x: Floats) -> tuple[tuple[str, str], ...]:
    """Return each function and column of which it is not finite in some row of `x` [P, V]."""
    columns = torch.from_numpy(np.ascontiguousarray(x))
    return tuple(
        (operator.name, variable)
        for operator in library.operators
        if operator.arity == 1
        for i, variable in enumerate(library.variables)
        if not bool(operator.function(columns[:, i]).isfinite().all())
    )
