"""Units of open slots: what the mask knows while an expression is being written.

Open slots below one product share one equation: the sum of coefficient times unit over them is
what is still demanded. A square doubles the coefficient of its argument, a divisor turns its
sign; a leaf takes its unit out of what is demanded, and the last slot's unit follows. The second
operand of a sum within a product is alike the first: its unit is what the first took out. How few
tokens slots take (`tasks.symbolic.mask.least`) tells what still fits the length.

Units are numbers here (see `tasks.symbolic.mask.least`); what is not finite is any unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.symbolic.mask.least import CLOSE, EMPTY
from tasks.symbolic.mask.units import UnitTables

# demanded of the slot and those below it with which it shares an equation; that when the first
# operand of its sum began; its coefficient; the bundle of those below with which it shares;
# whether it is to be alike that first operand; tokens that the other slots below take at least
DEMAND, START, COEFFICIENT, REST, ALIKE, NEED = range(6)


def begin(slots: Tensor, table: UnitTables) -> Tensor:
    """Return [B, S, 6] float64 with the target's unit in the first slot."""
    wanted = torch.zeros(*slots.shape[:2], 6, dtype=torch.float64, device=slots.device)
    wanted[:, 0, DEMAND] = table.goal
    wanted[:, :, COEFFICIENT] = 1.0
    return wanted


def fits(wanted: Tensor, open_slots: Tensor, left: Tensor, table: UnitTables) -> Tensor:
    """Return [B, A] bool, False for tokens after which the units cannot come right.

    `left` [B] is how many tokens may still be written. Within a product that holds a sum, or more
    than a few open slots, only a part is looked at, so some tokens pass that lead nowhere.
    """
    A, few = len(table.free) - 1, table.least
    here = _alone(_slot(wanted, open_slots - 1)).unsqueeze(1)
    demand, own, rest = here[..., DEMAND], here[..., COEFFICIENT], here[..., REST].long()
    product, plain, same = table.product[:A], table.plain[:A], table.same[:A]
    arity = table.operands[:A]
    power = torch.where(table.power[:A] != 0, table.power[:A], 1.0)
    unit = torch.where(table.free, torch.inf, table.single)[:A]
    leaf = (arity == 0).expand(len(here), A)
    # the bundle after each token, and what is demanded of it
    single = torch.where(rest == EMPTY, 1.0, power)  # a slot of its own asks for a unit instead
    once = torch.where(leaf | plain, rest, few.joined(rest, own * single))
    bundle = torch.where(product != 0, few.joined(once, own * product), once)
    after_ = torch.where(leaf, demand - own * unit, demand * single / power)
    tokens = few.of(bundle, after_)
    tokens = tokens + plain * arity * few.one(torch.zeros_like(demand))
    sure = few.one(torch.where(rest == EMPTY, demand, torch.inf))
    tokens = tokens + (same & (arity == 2)) * sure
    # a slot of its own must have its unit at once
    right = ~(leaf | plain) | (rest != EMPTY) | ~after_.isfinite() | (after_.abs() < CLOSE)
    return right & (tokens + here[..., NEED] <= (left - 1).unsqueeze(1))


def after(wanted: Tensor, open_slots: Tensor, action: Tensor, table: UnitTables) -> Tensor:
    """Return the slots' units after one token a row, written in the slot on top."""
    last, active = wanted.shape[1] - 1, open_slots > 0
    mine = _alone(_slot(wanted, open_slots - 1))
    arity, demand = table.operands[action], mine[:, DEMAND]
    own = torch.where(table.free[action], torch.inf, table.single[action])
    now = torch.where(arity == 0, demand - own * mine[:, COEFFICIENT], demand)
    told = active & (mine[:, REST] != EMPTY) & (table.plain[action] | (arity == 0))
    wanted = _put(wanted, open_slots - 2, told, DEMAND, now)
    wanted = _arrived(wanted, open_slots - 2, active & (arity == 0), table)
    lower, upper = _operands(mine, action, table)
    at = torch.where(active & (arity > 0), open_slots - 1, last).clamp(max=last)
    wanted = wanted.scatter(1, _where(at, wanted), lower.unsqueeze(1))
    above = torch.where(active & (arity == 2), open_slots, last).clamp(max=last)
    wanted = wanted.scatter(1, _where(above, wanted), upper.unsqueeze(1))
    return wanted.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)  # inf equals inf


def _operands(mine: Tensor, action: Tensor, table: UnitTables) -> tuple[Tensor, Tensor]:
    """Return [B, 6] the lower and the upper slot that a token opens in the slot `mine`.

    The upper one is filled first; a token with one operand opens the lower one only.
    """
    few, demand, rest = table.least, mine[:, DEMAND], mine[:, REST].long()
    product, plain = table.product[action], table.plain[action]
    power = torch.where(table.power[action] != 0, table.power[action], 1.0)
    first = mine.clone()
    first[:, COEFFICIENT] = torch.where(plain, 1.0, mine[:, COEFFICIENT] * power)
    first[:, DEMAND] = torch.where(plain, 0.0, demand)
    first[:, REST] = torch.where(plain, EMPTY, mine[:, REST])
    first[:, NEED] += torch.where(plain & (rest != EMPTY), few.of(rest, demand), 0.0)
    first[:, ALIKE] = 0.0
    first = _alone(first)
    two = table.operands[action] == 2
    joint = two & (product != 0)
    alike = two & table.same[action] & (rest != EMPTY)
    second = first.clone()
    second[:, COEFFICIENT] *= torch.where(joint, product, 1.0)
    second[:, START], second[:, ALIKE] = demand, alike.double()
    second[:, DEMAND] = torch.where(joint | alike, torch.inf, second[:, DEMAND])
    bundle = few.joined(first[:, REST].long(), second[:, COEFFICIENT]).double()
    first[:, REST] = torch.where(joint, bundle, first[:, REST])
    sure = few.one(torch.where(alike, torch.inf, second[:, DEMAND] / second[:, COEFFICIENT]))
    first[:, NEED] += torch.where(two & ~joint, sure, 0.0)
    return torch.where(two.unsqueeze(1), second, first), first


def _alone(slot: Tensor) -> Tensor:
    """Return the slots, those that share nothing with the coefficient 1."""
    alone, out = slot[:, REST] == EMPTY, slot.clone()
    out[:, DEMAND] = torch.where(alone, slot[:, DEMAND] / slot[:, COEFFICIENT], slot[:, DEMAND])
    out[:, COEFFICIENT] = torch.where(alone, 1.0, slot[:, COEFFICIENT])
    return out


def _arrived(wanted: Tensor, at: Tensor, closed: Tensor, table: UnitTables) -> Tensor:
    """Let slots that come to the top learn their unit where they are alike a finished operand."""
    slot = _slot(wanted, at)
    turns = closed & (at >= 0) & slot[:, ALIKE].bool()
    now, rest = slot[:, DEMAND], slot[:, REST].long()
    wanted = _put(wanted, at - 1, turns & (rest != EMPTY), DEMAND, now)
    unit = (slot[:, START] - now) / slot[:, COEFFICIENT]
    need = slot[:, NEED] + table.least.of(rest, now)
    zero, one = torch.zeros_like(now), torch.ones_like(now)
    fields = ((DEMAND, unit), (COEFFICIENT, one), (REST, zero), (ALIKE, zero), (NEED, need))
    for name, value in fields:
        wanted = _put(wanted, at, turns, name, value)
    return wanted


def _put(wanted: Tensor, at: Tensor, rows: Tensor, name: int, value: Tensor) -> Tensor:
    """Return the slots with one field changed at [B] `at` for some of the rows."""
    last = wanted.shape[1] - 1
    place = torch.where(rows, at, last).clamp(0, last).unsqueeze(1)
    out = wanted.clone()
    kept = out[:, :, name].gather(1, place)
    new = torch.where(rows.unsqueeze(1), value.unsqueeze(1), kept)
    out[:, :, name] = out[:, :, name].scatter(1, place, new)
    return out


def _slot(wanted: Tensor, at: Tensor) -> Tensor:
    """Return [B, 6] the slots at [B]."""
    place = at.clamp(0, wanted.shape[1] - 1)
    return wanted.gather(1, _where(place, wanted)).squeeze(1)


def _where(at: Tensor, wanted: Tensor) -> Tensor:
    return at.view(-1, 1, 1).expand(-1, 1, wanted.shape[2])
