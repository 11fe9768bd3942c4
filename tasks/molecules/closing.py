"""Which open ring numbers may be closed at the current atom, and by which bond.

All four ways of writing the bond are judged at once; shapes are [B, 4, R], where v is the atom
that holds the ring number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.molecules import kekule
from tasks.molecules.bits import bit, holds
from tasks.molecules.covering import members, ways_on
from tasks.molecules.grammar import fits, single_room
from tasks.molecules.looking import Look
from tasks.molecules.smiles import NEVER, RING_DIGITS, ROOT, Strings

if TYPE_CHECKING:
    from tasks.molecules.smiles import Smiles

K = kekule.PLACES


@dataclass(frozen=True)
class Closable:
    """What may be closed: each [B, R] bool."""

    written: Tensor  # with the bond symbol that was written, or none
    single: Tensor  # after a "-", where no symbol was written
    directed: Tensor  # after a "/"
    double: Tensor  # after a "="


@dataclass(frozen=True)
class _Bonds:
    """The bonds that could be closed; [B, 4, R] or to be broadcast to it."""

    order: Tensor  # 1, 1, 1, 2: none written, "-", "/", "="
    plain: Tensor  # no symbol
    aromatic: Tensor
    joins: Tensor  # u is a root that joins the part of v
    v: Tensor
    token: Tensor  # of v
    final: Tensor  # v can get no further bond after this one


def closable(env: Smiles, state: Strings, see: Look) -> Closable:
    """Return which ring numbers may close at u."""
    bonds = _bonds(state, see)
    near = holds(state.bonded.view(-1, 1, 1), bonds.v)
    ready = (state.ring != NEVER).unsqueeze(1) & ~near & state.fresh.view(-1, 1, 1)
    both = see.aromatic.view(-1, 1, 1) & see.table.aromatic[bonds.token]
    root = (state.mode == ROOT).view(-1, 1, 1)
    fine = ready & (bonds.aromatic | ~(both & bonds.plain)) & (bonds.aromatic | ~root)
    without, within = _families(state, see, bonds)
    fine &= _valences(state, see, bonds) & (without | within)
    fine &= _coverage(env, state, see, bonds, without)
    none, dash, marked, double = fine.unbind(1)
    symbol = torch.where((see.order == 2).unsqueeze(1), double, dash)
    symbol = torch.where(see.directed.unsqueeze(1), marked, symbol) & (see.order < 3).unsqueeze(1)
    plain = see.implicit.unsqueeze(1)
    return Closable(torch.where(plain, none, symbol), dash & plain, marked & plain, double & plain)


def _bonds(state: Strings, see: Look) -> _Bonds:
    order = torch.tensor([1, 1, 1, 2], device=see.used.device).view(1, 4, 1)
    way = torch.arange(4, device=see.used.device).view(1, 4, 1)
    v = state.ring.clamp(min=0)
    token, part = state.token.gather(1, v), state.part.gather(1, v)
    both = (see.aromatic.unsqueeze(1) & see.table.aromatic[token]).unsqueeze(1)
    same = (part == see.part.unsqueeze(1)).unsqueeze(1)
    joins = both & ~same & (state.mode == ROOT).view(-1, 1, 1) & (way == 0)
    final = ~holds(state.branched.unsqueeze(1), v) & (state.opened.gather(1, v) == 1)
    aromatic = joins | (both & same & ((way == 0) | (way == 2)))
    return _Bonds(
        order, way == 0, aromatic, joins, v.unsqueeze(1), token.unsqueeze(1), final.unsqueeze(1)
    )


def _valences(state: Strings, see: Look, bonds: _Bonds) -> Tensor:
    ours = (see.free, see.used, see.aromatic, see.need, see.double)
    v, table = bonds.v.squeeze(1), see.table
    kept = state.used.gather(1, v).unsqueeze(1) - 1  # less what was kept for this bond
    branched = holds(state.branched.unsqueeze(1), v).long().unsqueeze(1)
    theirs = (
        table.free[bonds.token], kept + branched, table.aromatic[bonds.token],
        table.need[bonds.token], state.double.gather(1, v).unsqueeze(1),
    )  # fmt: skip
    rests = table.rests[bonds.token].expand(-1, 4, -1, -1)
    rests = rests.gather(3, (kept + bonds.order).clamp(max=7).unsqueeze(3)).squeeze(3)
    room = (bonds.order == 1) | fits(bonds.order, *theirs)
    return fits(bonds.order, *(x.view(-1, 1, 1) for x in ours)) & room & (rests | ~bonds.final)


def _families(state: Strings, see: Look, bonds: _Bonds) -> tuple[Tensor, Tensor]:
    """Is there a set that serves v after the bond and lacks u; one that has u?"""
    used, placed = see.used.view(-1, 1, 1), see.placed.view(-1, 1, 1)
    after, need = used + bonds.order, see.need.view(-1, 1, 1)
    third = see.n_like.view(-1, 1, 1) & ((after == 3) | ~bonds.aromatic)
    out = placed & (third | (need & (bonds.order == 2)))
    full = after == see.free.view(-1, 1, 1) - 1
    within = placed & need & full & ~out
    slot = state.slot.gather(1, bonds.v.squeeze(1))
    sets = see.sets.gather(2, slot.view(-1, 1, RING_DIGITS, 1).expand(-1, 2, -1, 2))
    theirs = (slot < K).unsqueeze(1)
    out_v = theirs & see.table.need[bonds.token] & (bonds.order == 2)
    in_v = theirs & bonds.final & ~out_v
    edge = bonds.aromatic & bonds.plain & placed & theirs & ~third
    has = [[sets[:, i, :, j].unsqueeze(1) for j in (0, 1)] for i in (0, 1)]
    lacks_u = ((has[0][0] & ~in_v) | (has[0][1] & ~out_v)) & ~within
    has_u = ((has[1][0] & ~in_v) | ((has[1][1] | (edge & has[0][0])) & ~out_v)) & ~out
    return lacks_u, has_u


def _coverage(env: Smiles, state: Strings, see: Look, bonds: _Bonds, without: Tensor) -> Tensor:
    """Can everything uncovered still be covered, and every ring number still be closed?"""
    u, v = bit(state.here).view(-1, 1, 1), bit(bonds.v)
    part = state.part.gather(1, bonds.v.squeeze(1))
    theirs = members(state, part).unsqueeze(1) | torch.where(bonds.joins, u, 0)
    ours = members(state, see.part).view(-1, 1, 1)
    first = state.first.view(-1, 1, 1)
    around = theirs & (~(v | (v - 1)) | (v & first)) & ~torch.where(bonds.joins, u, 0)
    bare = state.bare.view(-1, 1, 1) & ~torch.where(bonds.aromatic, around, 0)
    opened = state.opened.gather(1, bonds.v.squeeze(1)).unsqueeze(1)
    held = state.held.view(-1, 1, 1) & ~torch.where(opened == 1, v, 0)
    index = torch.arange(env.max_atoms, device=v.device)
    several = ((state.opened > 1).long() << index).sum(1).view(-1, 1, 1)
    several = several & ~torch.where(opened == 2, v, 0)
    need, double = see.need.view(-1, 1, 1), see.double.view(-1, 1, 1)
    double = double | (need & (bonds.order == 2))
    after = see.used.view(-1, 1, 1) + bonds.order
    # a nitrogen in the ring can only go on as one with three neighbours
    closed = (see.n_like & see.placed).view(-1, 1, 1) & (after == 2) & ~without
    full = (after >= single_room(see.free.view(-1, 1, 1), need, double)) | closed
    attach = state.branched.view(-1, 1, 1) | torch.where(full, 0, u)
    kept_v = _kept(state, see, theirs, part.unsqueeze(1), attach, bare, held, several)
    kept_u = _kept(state, see, ours, see.part.view(-1, 1, 1), attach, bare, held, several)
    fine = kept_v | ~see.table.aromatic[bonds.token]
    fine &= kept_u | bonds.joins | ~see.aromatic.view(-1, 1, 1)
    enough = (state.branched != 0) | (state.count >= env.min_atoms)
    may_end = ((held & see.beyond.view(-1, 1, 1)) == 0) & enough.view(-1, 1, 1)
    return fine & (may_end | ~full)


def _kept(
    state: Strings, see: Look, inside: Tensor, part: Tensor, attach: Tensor, *marks: Tensor
) -> Tensor:
    grows, joins = ways_on(state, inside, attach, *marks)
    free = ((state.stray == NEVER) & (see.places <= K - 4)).view(-1, 1, 1)
    return grows | (joins & (free | (state.stray.view(-1, 1, 1) == part)))
