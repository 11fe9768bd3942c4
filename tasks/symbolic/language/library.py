"""The alphabet of a search: operators, then variables, then literals, then the constant.

A token's id is its place in that order, and also the action that writes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from designer.errors import InputError, nearest
from tasks.symbolic.language.operators import OPERATORS, SETS, Operator

CONSTANT = "c"  # the token whose value is fitted
_NAMED = {"pi": math.pi, "e": math.e}
_NUMBER = re.compile(r"\d+(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Library:
    """The tokens of a search. Build it with `library`, which checks what it is given."""

    operators: tuple[Operator, ...]
    variables: tuple[str, ...]
    literals: tuple[str, ...] = ()  # fixed numbers, as text: "1", "0.5", "pi"
    constant: bool = False  # whether the fitted constant is among the tokens

    def __len__(self) -> int:
        return len(self.names)

    def __hash__(self) -> int:
        return self._hash  # looked up at every step: made once

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel without what was worked out here: another process hashes text differently."""
        return Library, (self.operators, self.variables, self.literals, self.constant)

    @cached_property
    def _hash(self) -> int:
        return hash((self.names, len(self.operators), len(self.variables)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every token's name, by id."""
        operators = tuple(operator.name for operator in self.operators)
        return operators + self.variables + self.literals + ((CONSTANT,) if self.constant else ())

    @cached_property
    def arities(self) -> tuple[int, ...]:
        """Every token's number of arguments, by id."""
        leaves = len(self.variables) + len(self.literals) + self.constant
        return tuple(operator.arity for operator in self.operators) + (0,) * leaves

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The numbers that the literals stand for."""
        return tuple(_NAMED[t] if t in _NAMED else float(t) for t in self.literals)

    @property
    def first_variable(self) -> int:
        """The id of the first variable."""
        return len(self.operators)

    @property
    def first_literal(self) -> int:
        """The id of the first literal."""
        return len(self.operators) + len(self.variables)

    @property
    def constant_id(self) -> int:
        """The id of the constant (one past the last token where there is none)."""
        return self.first_literal + len(self.literals)

    @cached_property
    def operator_ids(self) -> dict[str, int]:
        """Operator name -> id."""
        return {operator.name: i for i, operator in enumerate(self.operators)}

    @cached_property
    def leaf_ids(self) -> dict[str, int]:
        """Variable or literal -> id; variables win over literals of the same name."""
        literals = {t: self.first_literal + i for i, t in enumerate(self.literals)}
        variables = {v: self.first_variable + i for i, v in enumerate(self.variables)}
        return {**literals, **variables}

    @cached_property
    def salts(self) -> tuple[tuple[int, int], ...]:
        """Two 64-bit numbers a token, from its kind and name: what keys are made of.

        They depend on the name alone, so a key means the same in every library.
        """
        kinds = "o" * len(self.operators) + "v" * len(self.variables) + "l" * len(self.literals)
        kinds += "k" * self.constant
        return tuple(_salt(k + name) for k, name in zip(kinds, self.names, strict=True))

    def extended(self) -> Library:
        """Return a library that also has every built-in operator and the constant."""
        mine = self.operator_ids
        more = tuple(o for name, o in OPERATORS.items() if name not in mine)
        return Library(self.operators + more, self.variables, self.literals, True)


def library(
    operators: str | Sequence[str | Operator],
    variables: Sequence[str],
    literals: Sequence[str | int | float] = (),
    constant: bool = False,
) -> Library:
    """Return the library of the named operators; `operators` may be the name of a set.

    Raises InputError for an unknown operator or set, a literal that is no number, a repeated
    token, or no variable.
    """
    if isinstance(operators, str):
        if operators not in SETS:
            raise InputError(f"operators {operators!r} is no known set: {nearest(operators, SETS)}")
        operators = SETS[operators]
    chosen = tuple(_operator(item) for item in operators)
    if not variables:
        raise InputError("an expression needs at least one variable, and none is left")
    texts = tuple(_literal(item) for item in literals)
    for names in ([o.name for o in chosen], list(variables), list(texts)):
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise InputError(f"token {repeated[0]!r} is given twice; give it once")
    return Library(chosen, tuple(variables), texts, constant)


def _operator(item: str | Operator) -> Operator:
    if isinstance(item, Operator):
        if item.arity not in (1, 2):
            raise InputError(f"operator {item.name!r} has arity {item.arity}; expected 1 or 2")
        return item
    if item not in OPERATORS:
        raise InputError(f"unknown operator {item!r}: {nearest(item, OPERATORS)}")
    return OPERATORS[item]


def _literal(item: str | int | float) -> str:
    text = str(item)
    if text in _NAMED or _NUMBER.fullmatch(text):
        return text
    raise InputError(
        f"literal {text!r} is not a positive number, `pi` or `e`; write it as 2 or 0.5"
    )


def _salt(text: str) -> tuple[int, int]:
    digest = blake2b(text.encode(), digest_size=16).digest()
    low, high = digest[:8], digest[8:]
    return int.from_bytes(low, "big", signed=True), int.from_bytes(high, "big", signed=True)
