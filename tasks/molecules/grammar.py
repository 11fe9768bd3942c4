"""Which SMILES token may come next.

Words used here: u is the current atom; an atom is *finished* when it can get no further bond; a
*root* is the first atom of an aromatic part, which must open a ring number at once or join an
aromatic part that was left. A bond marked with a direction (`/`) between two aromatic atoms lies
in their ring, as RDKit writes it, and takes no part in Kekule forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.molecules import kekule
from tasks.molecules.covering import may_stray, members, ways_on
from tasks.molecules.looking import Look, look
from tasks.molecules.smiles import (
    ATOM,
    DIGITS,
    NEVER,
    OPENED,
    ROOT,
    Strings,
    at,
)  # fmt: skip

if TYPE_CHECKING:
    from tasks.molecules.closing import Closable
    from tasks.molecules.smiles import Smiles

K = kekule.PLACES


def legal(env: Smiles, state: Strings) -> Tensor:
    """Return [B, A] bool, the actions that keep the row completable; never empty."""
    from tasks.molecules.closing import closable
    from tasks.molecules.planning import plan

    see = look(env, state)
    table, time = see.table, (state.length < env.max_length).unsqueeze(1)
    leave, onward = may_leave(state, see), may_go_on(state, see)
    close = closable(env, state, see)
    rest, branch = may_rest(state, see), may_branch(state, see)
    end = rest & (state.branched == 0) & (state.count >= env.min_atoms)
    back = rest & (state.branched != 0)
    opening, loose = may_open(state, see), spare(env, state)
    rings = opening & (loose[:, 3] | (state.mode == ROOT)).unsqueeze(1) | close.written
    by_kind = (
        atoms(env, state, see, leave, onward, loose),
        bonds(state, see, leave, onward, close) & loose[:, :1],
        rings[:, table.digit],
        (branch & loose[:, 2]).unsqueeze(1),
        back.unsqueeze(1),
    )
    written = by_kind[4]
    for kind in range(4):
        written = torch.where(table.kind == kind, by_kind[kind], written)
    finishing = plan(
        env, state, see, leave, onward, close, end | back, branch, opening,
        members(state, see.part), K,
    )  # fmt: skip
    tight = ~loose[:, :1] & (finishing & time).any(1, keepdim=True)
    written = torch.where(tight, finishing, written) & time & ~state.ended.unsqueeze(1)
    end = end | state.ended
    stuck = ~(written.any(1) | end)
    return torch.cat([written, end.unsqueeze(1), stuck.unsqueeze(1)], dim=1)


def single_room(free: Tensor, need: Tensor, double: Tensor) -> Tensor:
    """Return the bond orders an atom offers to single bonds: its ring's double bond is kept."""
    return free - (need & ~double).long()


def fits(
    order: Tensor, free: Tensor, used: Tensor, aromatic: Tensor, need: Tensor, double: Tensor
) -> Tensor:
    """Return whether an atom can take one more bond of this order (1 to 3)."""
    single = used + 1 <= single_room(free, need, double)
    out_of_ring = need & ~double & (free == 4) & (used + 2 <= 4)
    two = torch.where(aromatic, out_of_ring, used + 2 <= free)
    three = ~aromatic & (used + 3 <= free)
    return torch.where(order == 1, single, torch.where(order == 2, two, three))


def may_leave(state: Strings, see: Look) -> Tensor:
    """Return [B, 3]: may u get a bond of order 1, 2, 3 that is not aromatic, to a new atom?"""
    orders = torch.arange(1, 4, device=see.used.device)
    used = see.used + see.opening.long()  # an open branch will be followed by one more bond
    column = [x.unsqueeze(1) for x in (see.free, used, see.aromatic, see.need, see.double)]
    rests = see.table.rests[see.token].gather(1, (see.used.unsqueeze(1) + orders).clamp(max=7))
    third = see.n_like & (see.used + 1 == 3)
    single = torch.where(third, see.lacks, see.has | (see.opened > 0)) | see.opening
    families = torch.stack([single, see.lacks, see.lacks], dim=1) | ~see.placed.unsqueeze(1)
    grows, joins = ways_on(state, members(state, see.part), state.branched)
    covered = see.opening | ~see.aromatic | grows | (joins & may_stray(state, see, see.part))
    fine = fits(orders, *column) & families & (rests | see.opening.unsqueeze(1))
    return torch.where(see.start.unsqueeze(1), orders == 1, fine & covered.unsqueeze(1))


def may_go_on(state: Strings, see: Look) -> Tensor:
    """Return [B, 3]: may u get an aromatic bond to a new atom that needs no double bond (first
    column), or that can share one with u (second); could it after a "/" (third)?"""
    used = see.used + see.opening.long()
    room = used + 1 <= single_room(see.free, see.need, see.double)
    rests = at(see.table.rests[see.token], (see.used + 1).clamp(max=7))
    third = see.n_like & see.placed & (see.used + 1 == 3) & ~see.opening
    ring = (members(state, see.part) & state.held) != 0  # or it could never be covered
    fine = room & (rests | see.opening) & (see.lacks | ~third) & see.aromatic & ring
    now = see.implicit | see.directed
    served = ~see.placed | see.has | see.opening | (see.opened > 0) | third
    shares = (see.places < K) & (see.implicit | served)
    return torch.stack([fine & served & now, fine & shares & now, fine & served], dim=1)


def atoms(
    env: Smiles, state: Strings, see: Look, leave: Tensor, onward: Tensor, loose: Tensor
) -> Tensor:
    """Return [B, V]: may this atom token come next?"""
    table = see.table
    order = torch.where(see.start, 0, see.order).unsqueeze(1)
    left = at(leave, see.order - 1).unsqueeze(1)
    # an atom that is full at once must leave nothing open after the last open branch
    enough = (state.branched != 0) | (state.count + 1 >= env.min_atoms)
    may_end = ((state.held & see.beyond) == 0) & enough
    plain = left & (order <= table.free) & ((table.free != order) | may_end.unsqueeze(1))
    room = single_room(table.free, table.need, (order == 2) & table.need)
    root = left & (order + 2 <= room) & (order < 3)
    root &= (order < 2) | (table.need & (table.free == 4))
    ready = (state.ring == NEVER).any(1) & (see.places <= see.limit - 3) & loose[:, 1]
    chain = (see.aromatic & (see.implicit | see.directed)).unsqueeze(1)
    # an atom that needs a bond out of its ring must have the time and place to open a branch
    crowded = table.third & ((see.places > see.limit - 3) | ~loose[:, 1]).unsqueeze(1)
    shares = (table.need | table.n_like).long()
    aromatic = torch.where(chain, onward[:, shares] & ~crowded, root & ready.unsqueeze(1))
    may = torch.where(table.aromatic, aromatic, plain)
    return may & loose[:, :1] & (state.mode != ROOT).unsqueeze(1)


def bonds(state: Strings, see: Look, leave: Tensor, onward: Tensor, close: Closable) -> Tensor:
    """Return [B, V]: may this bond symbol come next? A carbon or a ring number can follow."""
    table, ready = see.table, see.implicit & ~see.start & (state.mode != ROOT)
    dash = (leave[:, 0] | close.single.any(1)) & see.aromatic
    marked = leave[:, 0] | close.directed.any(1) | onward[:, 2]
    double = leave[:, 1] | close.double.any(1)
    choices = torch.stack([dash, marked, double, leave[:, 2]], dim=1)
    which = (table.order + table.directed.long()).clamp(min=1) - 1
    which = torch.where(table.order > 1, table.order, which)
    return choices[:, which] & ready.unsqueeze(1)


def may_branch(state: Strings, see: Look) -> Tensor:
    """Return [B]: may a branch open at u? One bond for the branch and one to go on are left."""
    ready = see.implicit & ~see.start & (state.mode != ROOT) & (state.mode != OPENED)
    return _may_hold(see) & ready


def may_open(state: Strings, see: Look) -> Tensor:
    """Return [B, R]: may this ring number open at u? Only the lowest free one."""
    free = state.ring == NEVER
    first = free & (free.long().cumsum(1) == 1)
    return first & (_may_hold(see) & state.fresh & see.implicit).unsqueeze(1)


def _may_hold(see: Look) -> Tensor:
    """Return [B]: may u keep a bond for later, and go on? It then keeps its place, too."""
    room = see.used + 2 <= single_room(see.free, see.need, see.double)
    settled = ~(see.n_like & see.placed & (see.used + 2 == 3)) | see.lacks
    return room & settled & (~see.placed | (see.places <= see.limit - 2))


def may_rest(state: Strings, see: Look) -> Tensor:
    """Return [B]: may the branch, or the string where none is open, end at u?"""
    rests = at(see.table.rests[see.token], see.used.clamp(max=7))
    clear = ((state.held | state.bare) & see.beyond) == 0
    written = (state.mode == ATOM) | (state.mode == DIGITS)
    return rests & clear & (~see.placed | see.has) & written


def spare(env: Smiles, state: Strings) -> Tensor:
    """Return [B, 4]: is there time and are there atoms for an atom, a root, a branch, a ring?

    What is open is counted at its worst: 4 tokens and one atom a branch, 3 tokens and two atoms
    a ring number, and 6 tokens and three atoms for the current end.
    """
    index = torch.arange(env.max_atoms, device=state.last.device)
    branches = ((state.branched.unsqueeze(1) >> index) & 1).sum(1)
    rings = (state.ring != NEVER).sum(1)
    tokens = env.max_length - state.length - 7 - 4 * branches - 3 * rings
    count = env.max_atoms - state.count - 4 - branches - 2 * rings
    need = _needs(tokens.device)
    return (tokens.unsqueeze(1) >= need[0]) & (count.unsqueeze(1) >= need[1])


def _needs(device: torch.device) -> Tensor:
    return torch.tensor([[0, 6, 4, 3], [0, 2, 1, 2]], device=device)
