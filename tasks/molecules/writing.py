"""What a SMILES token changes: the transitions of `Smiles`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.molecules import kekule
from tasks.molecules.bits import bit, highest_index, holds
from tasks.molecules.covering import members, ways_on
from tasks.molecules.grammar import single_room
from tasks.molecules.looking import Look, look
from tasks.molecules.smiles import (
    ATOM,
    BOND,
    CLOSED,
    DIGITS,
    NEVER,
    OPENED,
    ROOT,
    Strings,
    at,
    tables,
)  # fmt: skip

if TYPE_CHECKING:
    from tasks.molecules.smiles import Smiles

K = kekule.PLACES


@dataclass(frozen=True)
class _Move:
    """What a token does in each row; all [B]. u is the current atom, v the other end."""

    atom: Tensor  # a new atom is written
    opens: Tensor  # a ring number opens at u
    closes: Tensor  # a ring number closes at u
    branch: Tensor  # a branch opens at u
    back: Tensor  # a branch ends
    token: Tensor
    order: Tensor  # of the new bond, 0 for the first atom
    v: Tensor  # the new atom, or the one that held the ring number; NEVER for none
    aromatic: Tensor  # the new bond is aromatic
    joins: Tensor  # by closing, u comes into the part of v
    settles: Tensor  # u turns out to need no double bond of its ring
    settles_v: Tensor
    final: Tensor  # u is finished
    final_v: Tensor


def advance(env: Smiles, state: Strings, action: Tensor) -> Strings:
    """Return the strings after a legal action; finished rows stay as they are."""
    see = look(env, state)
    token = action.clamp(max=len(env.vocabulary) - 1)
    live = ~state.ended
    kind = torch.where(live & (action < env.end), see.table.kind[token], 9)
    digit = see.table.digit[token].unsqueeze(1)
    move = _move(env, state, see, token, kind, digit)
    state = _with_family(state, see, move)
    state = _with_atoms(state, see, move)
    state = _with_sets(state, see, move, digit)
    top = highest_index(state.branched).clamp(min=0)
    written = replace(
        state,
        last=torch.where(live, action, state.last),
        length=state.length + (kind < 9).long(),
        ended=state.ended | (action >= env.end),
        mode=_mode(state, see, move, kind),
        fresh=(state.fresh | move.atom) & ~move.branch & ~move.back,
        count=state.count + move.atom.long(),
        here=torch.where(move.atom, move.v, torch.where(move.back, top, state.here)),
        branched=state.branched & ~torch.where(move.back, bit(top), 0),
    )
    return _with_stray(env, written, see, move)


def _move(
    env: Smiles, state: Strings, see: Look, token: Tensor, kind: Tensor, digit: Tensor
) -> _Move:
    table, holder = see.table, state.ring.gather(1, digit).squeeze(1)
    atom, ring = kind == 0, kind == 2
    opens, closes = ring & (holder == NEVER), ring & (holder != NEVER)
    branch, back = kind == 3, kind == 4
    order = torch.where(atom & see.start, 0, see.order)
    new = state.count.clamp(max=env.max_atoms - 1)
    v = torch.where(atom, new, torch.where(closes, holder, NEVER))
    other = torch.where(atom, token, at(state.token, v))
    both = see.aromatic & table.aromatic[other] & (atom | closes)
    part = at(state.part, v)
    joins = closes & both & see.implicit & (part != see.part)
    in_ring = both & (see.implicit | see.directed)
    aromatic = (in_ring & (atom | (part == see.part))) | joins
    doubled = see.order == 2
    after = see.used + torch.where(atom | closes, order, 2)
    bonded = atom | closes | opens | branch
    third = see.n_like & bonded & ((after == 3) | (closes & ~aromatic))
    settles = third | (see.need & doubled & (atom | closes))
    settles_v = closes & table.need[other] & doubled
    final = (atom & ~see.opening & (see.opened == 0)) | back
    final_v = closes & ~holds(state.branched, v) & (at(state.opened, v) == 1)
    return _Move(
        atom, opens, closes, branch, back, token, order, v, aromatic, joins, settles, settles_v,
        final, final_v,
    )  # fmt: skip


def _with_family(state: Strings, see: Look, move: _Move) -> Strings:
    """Return the strings with their families and places changed."""
    table, none = see.table, torch.full_like(see.slot, K)
    need, n_like = table.need[move.token], table.n_like[move.token]
    takes = (need & (move.order != 2)) | (n_like & (move.aromatic | see.start))
    taken = kekule.bit_of(state.slot).sum(1)
    place = torch.where(move.atom & takes, kekule.free_place(taken), K)
    slot_v = torch.where(move.atom, place, torch.where(move.closes, at(state.slot, move.v), K))
    gone, gone_v = torch.where(move.settles, see.slot, none), torch.where(move.settles_v, slot_v, K)
    ours = torch.where(move.settles, K, see.slot)
    theirs = torch.where(move.settles_v, K, slot_v)
    shared = move.aromatic & see.implicit
    family = kekule.settle(state.family, gone, gone_v)
    family = kekule.join(family, torch.where(shared, ours, K), torch.where(shared, theirs, K))
    last = torch.where(move.final, ours, torch.where(move.final_v, theirs, K))
    family = kekule.finish(family, last)
    leaves = move.settles | move.final
    slot = _put(state.slot, state.here, none, leaves & ~see.start)
    keeps = torch.where(move.settles_v | move.final_v, K, slot_v)
    slot = _put(slot, move.v, keeps, move.atom | move.closes)
    return replace(state, family=family, slot=slot)


def _with_atoms(state: Strings, see: Look, move: _Move) -> Strings:
    """Return the strings with what is known of u and v changed."""
    table, linked = see.table, move.atom | move.closes
    v, doubled = move.v, move.order == 2
    more = torch.where(linked, move.order, move.opens.long())
    used = _put(state.used, state.here, see.used + more, ~see.start)
    kept = torch.where(move.atom, move.order, at(used, v) + move.order - 1)
    used = _put(used, v, kept, linked)
    double = _put(state.double, state.here, see.double | (see.need & doubled & linked), ~see.start)
    other = torch.where(move.atom, move.token, at(state.token, v))
    before = at(state.double, v) & ~move.atom
    double = _put(double, v, before | (table.need[other] & doubled), linked)
    opened = _put(state.opened, state.here, see.opened + 1, move.opens)
    opened = _put(opened, v, at(opened, v) - 1, move.closes)
    root = torch.where(table.aromatic[move.token], v, NEVER)
    part = torch.where(move.aromatic, see.part, root)
    parts = _put(state.part, v, part, move.atom)
    joined = at(state.part, v)
    parts = _put(parts, state.here, joined, move.joins)
    into = torch.where(move.joins, joined, torch.where(move.atom, part, NEVER))
    who = torch.where(move.joins, bit(state.here), bit(v))
    kin = torch.where(move.atom & ~move.aromatic, 0, at(state.members, into)) | who
    return replace(
        state,
        token=_put(state.token, v, move.token, move.atom),
        used=used, double=double, opened=opened, part=parts,
        members=_put(state.members, into, kin, into != NEVER),
    )  # fmt: skip


def _with_sets(state: Strings, see: Look, move: _Move, digit: Tensor) -> Strings:
    """Return the strings with their sets of atoms and ring numbers changed."""
    u, v = bit(state.here), bit(move.v)
    aromatic = move.atom & see.table.aromatic[move.token]
    ring = move.closes & move.aromatic
    around = members(state, at(state.part, move.v)) & ~torch.where(move.joins, u, 0)
    around &= ~(v | (v - 1)) | (v & state.first)
    bare = (state.bare & ~torch.where(ring, around, 0)) | torch.where(aromatic, v, 0)
    first = state.first | torch.where(aromatic & ~move.aromatic, v, 0)
    freed = move.closes & (at(state.opened, move.v) == 0)
    near = torch.where(see.start, v, u | v)
    bonded = torch.where(move.atom, near, state.bonded | torch.where(move.closes, v, 0))
    holder = torch.where(move.opens, state.here, NEVER).unsqueeze(1)
    changes = (move.opens | move.closes).unsqueeze(1)
    return replace(
        state,
        bare=bare,
        first=first & ~torch.where(move.joins, u, 0),
        held=(state.held | torch.where(move.opens, u, 0)) & ~torch.where(freed, v, 0),
        branched=state.branched | torch.where(move.branch, u, 0),
        bonded=bonded,
        ring=torch.where(changes, state.ring.scatter(1, digit, holder), state.ring),
    )


def _mode(state: Strings, see: Look, move: _Move, kind: Tensor) -> Tensor:
    root = see.table.aromatic[move.token] & ~move.aromatic
    choices = (
        (move.atom, torch.where(root, ROOT, ATOM)), (kind == 1, BOND), (kind == 2, DIGITS),
        (move.branch, OPENED), (move.back, CLOSED),
    )  # fmt: skip
    mode = state.mode
    for when, value in choices:
        mode = torch.where(when, value, mode)
    return mode


def _with_stray(env: Smiles, state: Strings, see: Look, move: _Move) -> Strings:
    """Note an aromatic part that was left to be joined again, or that was joined."""
    part = torch.where(move.closes, at(state.part, state.here), see.part)
    table, token = tables(env, part.device), at(state.token, state.here)
    used, slot = at(state.used, state.here), at(state.slot, state.here)
    lacks = kekule.pairs(state.family, slot)[:, 0, K, 0]
    closed = table.n_like[token] & (slot < K) & (used == 2) & ~lacks
    double = at(state.double, state.here)
    room = used < single_room(table.free[token], table.need[token], double)
    attach = state.branched | torch.where(room & ~closed, bit(state.here), 0)
    grows, _ = ways_on(state, members(state, part), attach)
    live = (move.atom | move.closes) & (part != NEVER)
    back = torch.where(live & grows & (part == state.stray), NEVER, state.stray)
    return replace(state, stray=torch.where(live & ~grows, part, back))


def _put(values: Tensor, index: Tensor, new: Tensor, live: Tensor) -> Tensor:
    """Return [B, N] the values with one of each live row replaced."""
    column = index.clamp(min=0).unsqueeze(1)
    kept = torch.where(live.unsqueeze(1), new.unsqueeze(1), values.gather(1, column))
    return values.scatter(1, column, kept)
