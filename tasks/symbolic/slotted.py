"""Units of open slots: what the mask knows while an expression is being written.

From the target's unit downwards a slot's unit follows from its parent's; below a product it
follows once the first factor is a plain leaf. Where it is not known nothing is ruled out, and the
whole expression is checked when it is finished.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.symbolic.units import UnitTables, equal

# how much is known of a slot: nothing; its unit; or that unit once its sibling is a plain leaf
UNKNOWN, KNOWN, FACTOR, DIVISOR, ALIKE = range(5)


def begin(slots: Tensor, table: UnitTables) -> Tensor:
    """Return [B, S, U + 1] with the target's unit in the first slot."""
    U = table.own.shape[1]
    wanted = torch.zeros(*slots.shape[:2], U + 1, dtype=torch.float32, device=slots.device)
    if table.target is not None:
        wanted[:, 0, :U] = table.target.float()
        wanted[:, 0, U] = KNOWN
    return wanted


def fits(wanted: Tensor, open_slots: Tensor, table: UnitTables) -> Tensor:
    """Return [B, A] bool, False for tokens that cannot have the unit of the slot to be filled."""
    here = _top(wanted, open_slots)
    unit, known = here[:, :-1], here[:, -1] == KNOWN
    A = len(table.free) - 1
    own = table.own[:A].float()
    leaf = ~(table.same | table.plain | (table.product != 0) | (table.power != 0))[:A]
    right = equal(own.unsqueeze(0), unit.unsqueeze(1)) | table.free[:A] | ~leaf
    dimensionless = equal(unit, torch.zeros_like(unit)).unsqueeze(1)
    right &= ~table.plain[:A] | dimensionless
    return right | ~known.unsqueeze(1)


def after(
    wanted: Tensor, at: Tensor, below: Tensor, action: Tensor, arity: Tensor, table: UnitTables
) -> Tensor:
    """Return the slots' units after one token a row.

    `at` [B, 2] is where the token's own slot was and the one above it, `below` [B] where the
    second operand of its parent waits.
    """
    U = wanted.shape[2] - 1
    mine = wanted.gather(1, at[:, :1].unsqueeze(2).expand(-1, 1, U + 1)).squeeze(1)
    unit, known = mine[:, :U], (mine[:, U:] == KNOWN)
    wanted = _told(wanted, below, action, arity, table)
    product, power = table.product[action].unsqueeze(1), table.power[action].unsqueeze(1)
    same, plain = table.same[action].unsqueeze(1), table.plain[action].unsqueeze(1)
    passed = torch.where(power != 0, unit / torch.where(power != 0, power, 1.0), unit)
    passed = torch.where(plain, 0.0, passed).float()
    sure = (plain | (known & (product == 0))).float() * KNOWN
    first = torch.cat([torch.where(product != 0, 0.0, passed), sure], dim=1)
    later = torch.where(product > 0, FACTOR, DIVISOR) * known
    waiting = torch.where(product != 0, later, torch.where(same & ~known, ALIKE, sure))
    second = torch.cat([passed, waiting.float()], dim=1)
    binary = (arity == 2).unsqueeze(1)
    new = torch.stack([torch.where(binary, second, first), first], dim=1)
    return wanted.scatter(1, at.unsqueeze(2).expand(-1, -1, U + 1), new)


def _told(
    wanted: Tensor, below: Tensor, action: Tensor, arity: Tensor, table: UnitTables
) -> Tensor:
    """Let the second operand that waits know its unit, where the first is a plain leaf."""
    U = wanted.shape[2] - 1
    where = below.view(-1, 1, 1).expand(-1, 1, U + 1)
    other = wanted.gather(1, where).squeeze(1)
    unit, state = other[:, :U], other[:, U:]
    own = table.own[action].float()
    told = torch.where(state == FACTOR, unit - own, torch.where(state == DIVISOR, own - unit, own))
    open_ended = (table.free[action] | (arity > 0)).unsqueeze(1)
    learns = (state >= FACTOR) & ~open_ended
    told = torch.cat([told, torch.full_like(state, KNOWN)], dim=1)
    # what no leaf tells stays unknown for good: its sibling is finished when it is filled
    return wanted.scatter(1, where, torch.where(learns, told, other).unsqueeze(1))


def _top(wanted: Tensor, open_slots: Tensor) -> Tensor:
    most = wanted.shape[1] - 1
    at = (open_slots - 1).clamp(min=0, max=most).view(-1, 1, 1)
    return wanted.gather(1, at.expand(-1, 1, wanted.shape[2])).squeeze(1)
