"""How often a variable must, and may, stand in an expression: exact in the mask.

A state goes on only where what is still owed fits into the operands that can still be opened,
and where the open operands do not outnumber the leaves that may still be written. Both hold
after some token whenever they held before, so nothing is ever stuck (a limit on depth, which is
not looked at here, can still be in the way).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from designer.errors import InputError, nearest
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import Trees
from tasks.symbolic.tables.table import Table

_ANY = 1 << 30  # as often as one likes
Occurrence = tuple[str, int, int]  # variable, at least, at most


@dataclass(frozen=True)
class Limits:
    """The limits as tensors; C limited variables, A tokens."""

    token: Tensor  # [C]
    least: Tensor  # [C]
    most: Tensor  # [C]
    binary: bool  # whether an operator of two arguments can open more operands
    others: bool  # whether a leaf without a limit can always be written


def occurrences(
    least: Mapping[str, int], most: Mapping[str, int], table: Table
) -> tuple[Occurrence, ...]:
    """Return the limits of the columns that have one, given by header or by name.

    Raises InputError for a column that is not there.
    """
    names = {table.symbols.get(name, name): name for name in table.variables}
    named = {**names, **{name: name for name in table.variables}}
    for name in (*least, *most):
        if name not in named:
            raise InputError(f"no input is called {name!r}: {nearest(name, list(named))}")
    low, high = ({named[n]: count for n, count in given.items()} for given in (least, most))
    limited = [name for name in table.variables if name in low or name in high]
    return tuple((name, low.get(name, 0), high.get(name, _ANY)) for name in limited)


def check(limits: Sequence[Occurrence], library: Library, longest: int) -> None:
    """Raise InputError for limits that no expression of `longest` tokens can keep."""
    for name, least, most in limits:
        if not 0 <= least <= most:
            raise InputError(
                f"variable {name!r} at least {least} and at most {most} times: no expression does"
            )
    owed = sum(least for _, least, _ in limits)
    room = (longest + 1) // 2 if 2 in library.arities else 1
    if owed > room:
        raise InputError(
            f"the variables must stand {owed} times in all, and {longest} tokens hold {room} of "
            "them; raise max_length or lower at_least"
        )
    if _tables(tuple(limits), library, torch.device("cpu")).others or library.constant:
        return
    if not any(most for _, _, most in limits):
        raise InputError("no variable may be used at all; raise at_most for one of them")


def fits(
    limits: Sequence[Occurrence], library: Library, used: Tensor, constants: Tensor, open_: Tensor,
    left: Tensor, arity: Tensor,
) -> Tensor:  # fmt: skip
    """Return [B, A] bool, False for tokens after which the limits cannot be kept any more.

    `used` [B, C] counts the limited variables, `constants` [B] how many may still be written,
    `left` [B] the tokens that may, `arity` [A].
    """
    table = _tables(tuple(limits), library, used.device)
    here = torch.arange(len(arity), device=used.device).unsqueeze(0) == table.token.unsqueeze(1)
    after = used.unsqueeze(1) + here.T.long()  # [B, A, C]
    owed = (table.least - after).clamp(min=0).sum(2)
    slots = open_.unsqueeze(1) + arity - 1
    more = ((left.unsqueeze(1) - 1 - slots) // 2).clamp(min=0) * table.binary
    leaves = torch.where(slots > 0, slots + more, 0)
    fine = (after <= table.most).all(2) & (owed <= leaves)
    if table.others:
        return fine
    spent = torch.arange(len(arity), device=used.device) == library.constant_id
    room = (table.most - after).clamp(min=0).sum(2) + (constants.unsqueeze(1) - spent.long())
    return fine & (slots <= room)


def counted(limits: Sequence[Occurrence], library: Library, action: Tensor) -> Tensor:
    """Return [B, C] 1 where the action [B] writes a limited variable."""
    table = _tables(tuple(limits), library, action.device)
    return (action.unsqueeze(1) == table.token).long()


def kept(limits: Sequence[Occurrence], library: Library, trees: Trees) -> Tensor:
    """Return [N] bool, whether complete expressions keep the limits."""
    table = _tables(tuple(limits), library, trees.tokens.device)
    count = (trees.tokens.unsqueeze(2) == table.token).sum(0)
    return ((count >= table.least) & (count <= table.most)).all(1)


@lru_cache(maxsize=64)
def _tables(limits: tuple[Occurrence, ...], library: Library, device: torch.device) -> Limits:
    free = [v for v in library.variables if v not in {n for n, _, m in limits if m < _ANY}]
    token, least, most = (
        torch.tensor(values, dtype=torch.int64, device=device)
        for values in (
            [library.leaf_ids[name] for name, _, _ in limits],
            [low for _, low, _ in limits],
            [high for _, _, high in limits],
        )
    )
    return Limits(token, least, most, 2 in library.arities, bool(free) or bool(library.literals))
