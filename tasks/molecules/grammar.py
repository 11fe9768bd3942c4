"""Which SMILES token may come next, and what it changes: the transitions of `Smiles`.

Words used here: an atom is *finished* when it can get no further bond; `room` is what an atom
still offers; a *root* is the first atom of an aromatic part, which must open a ring number at
once or join an aromatic part whose ring number is open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tasks.molecules import kekule
from tasks.molecules.smiles import (
    ATOM, BOND, CLOSED, DIGITS, NEVER, OPENED, RING_DIGITS, ROOT, Strings, Tables, at, tables,
)  # fmt: skip

if TYPE_CHECKING:
    from tasks.molecules.smiles import Smiles

K = kekule.PLACES
FAR = 10_000


@dataclass(frozen=True)
class Look:
    """What every rule asks of the current state; all [B] unless noted. u is the current atom."""

    free: Tensor  # bond orders u offers in all
    used: Tensor  # bond orders of u in use
    aromatic: Tensor  # u is aromatic
    need: Tensor  # u needs a double bond of its ring (unless it has another)
    n_like: Tensor
    double: Tensor  # u has a double bond out of its ring
    slot: Tensor
    placed: Tensor  # u has a place in the family
    has: Tensor  # some set of the family has u
    lacks: Tensor  # some set of the family lacks u
    opening: Tensor  # a branch of u was just opened, and its first atom comes next
    start: Tensor  # nothing is written yet
    order: Tensor  # of the bond to what comes next: 1 unless a symbol says otherwise
    implicit: Tensor  # no bond symbol was written
    top: Tensor  # last atom with an open branch, NEVER for none
    last_open: Tensor  # last atom that holds an open ring number, NEVER for none
    places: Tensor  # places taken in the family
    limit: Tensor  # places in all, less those kept for joining a part again
    index: Tensor  # [N] 0 to N - 1


def look(env: Smiles, state: Strings) -> Look:
    """Return the look of a state."""
    table = tables(env, state.last.device)
    index = torch.arange(env.max_atoms, device=state.last.device)
    token, start = at(state.token, state.here), state.count == 0
    aromatic, slot = table.aromatic[token] & ~start, at(state.slot, state.here)
    has, lacks = kekule.covers(state.family, slot)
    implicit = state.mode != BOND
    return Look(
        free=table.free[token], used=at(state.used, state.here), aromatic=aromatic,
        need=table.need[token] & ~start, n_like=table.n_like[token] & ~start,
        double=at(state.double, state.here), slot=slot, placed=slot < K, has=has, lacks=lacks,
        opening=at(state.branched, state.here) & ~start, start=start,
        order=torch.where(implicit, 1, state.bond.clamp(min=1)), implicit=implicit,
        top=_last(state.branched, index), last_open=_last(state.opened > 0, index),
        places=(state.slot < K).sum(1), limit=K - 2 * (state.stray != NEVER).long(), index=index,
    )  # fmt: skip


def legal(env: Smiles, state: Strings) -> Tensor:
    """Return [B, A] bool, the actions that keep the row completable; never empty."""
    table, see = tables(env, state.last.device), look(env, state)
    leave = _may_leave(env, state, see)
    onward = _aromatic_onward(env, state, see)
    closing, single_closing, double_closing = _may_close(env, state, see)
    branch = _may_branch(state, see)
    rest = _may_rest(env, state, see)
    end = rest & (see.top == NEVER) & (state.count >= env.min_atoms)
    back = rest & (see.top != NEVER)
    loose = _loose(env, state)
    opening = _may_open(state, see)
    atoms = _atoms(env, state, see, leave, onward, loose)
    bonds = _bonds(table, state, see, leave, single_closing, double_closing) & loose[:, :1]
    plan = _plan(env, state, see, leave, onward, closing, double_closing, end | back, branch)
    rings = opening & (loose[:, 3] | (state.mode == ROOT)).unsqueeze(1) | closing
    written = table.kind.new_zeros(state.last.shape[0], len(env.vocabulary), dtype=torch.bool)
    kind = table.kind
    written = torch.where(kind == 0, atoms, written)
    written = torch.where(kind == 1, bonds, written)
    written = torch.where(kind == 2, rings[:, table.digit], written)
    written = torch.where(kind == 3, (branch & loose[:, 2]).unsqueeze(1), written)
    written = torch.where(kind == 4, back.unsqueeze(1), written)
    written &= (state.length < env.max_length).unsqueeze(1)
    finishing = plan & (state.length < env.max_length).unsqueeze(1)
    tight = ~loose[:, 0] & finishing.any(1)
    written = torch.where(tight.unsqueeze(1), finishing, written) & ~state.ended.unsqueeze(1)
    end = end | state.ended
    stuck = ~(written.any(1) | end)
    return torch.cat([written, end.unsqueeze(1), stuck.unsqueeze(1)], dim=1)


def _single_room(free: Tensor, need: Tensor, double: Tensor) -> Tensor:
    """Return the bond orders an atom offers to single bonds: its ring's double bond is kept."""
    return free - (need & ~double).long()


def _fits(
    free: Tensor, used: Tensor, aromatic: Tensor, need: Tensor, double: Tensor, order: Tensor
) -> Tensor:
    """Return whether an atom can take one more bond of this order (1 to 3)."""
    single = used + 1 <= _single_room(free, need, double)
    out_of_ring = need & ~double & (free == 4) & (used + 2 <= 4)
    two = torch.where(aromatic, out_of_ring, used + 2 <= free)
    three = ~aromatic & (used + 3 <= free)
    return torch.where(order == 1, single, torch.where(order == 2, two, three))


def _may_leave(env: Smiles, state: Strings, see: Look) -> Tensor:
    """Return [B, 3]: may u get a bond of order 1, 2, 3 that is not aromatic, to a new atom?"""
    table = tables(env, see.used.device)
    orders = torch.tensor([1, 2, 3], device=see.used.device)
    used = see.used + see.opening.long()  # an open branch will be followed by one more bond
    column = [x.unsqueeze(1) for x in (see.free, used, see.aromatic, see.need, see.double)]
    fits = _fits(*column, orders)
    rests = table.rests[at(state.token, state.here)]
    rests = rests.gather(1, (see.used.unsqueeze(1) + orders).clamp(max=7))
    kept = at(state.opened, state.here) > 0
    third = see.n_like & (see.used + 1 == 3)
    single = torch.where(third, see.lacks, see.has | kept) | see.opening
    families = torch.stack([single, see.lacks, see.lacks], dim=1) | ~see.placed.unsqueeze(1)
    covered = _sound(state, at(state.part, state.here), state.branched, see.index)
    covered = see.opening | ~see.aromatic | covered
    fine = fits & families & (rests | see.opening.unsqueeze(1)) & covered.unsqueeze(1)
    return torch.where(see.start.unsqueeze(1), orders == 1, fine)


def _aromatic_onward(env: Smiles, state: Strings, see: Look) -> Tensor:
    """Return [B, 2]: may u get an aromatic bond to a new atom that needs no double bond (first
    column), or that can share one with u (second)?"""
    table = tables(env, see.used.device)
    used = see.used + see.opening.long()
    fits = used + 1 <= _single_room(see.free, see.need, see.double)
    rests = table.rests[at(state.token, state.here)]
    rests = rests.gather(1, (see.used + 1).clamp(max=7).unsqueeze(1)).squeeze(1)
    third = see.n_like & see.placed & (see.used + 1 == 3) & ~see.opening
    part = at(state.part, state.here).unsqueeze(1)
    ring = ((state.part == part) & (state.opened > 0)).any(1)  # or it could never be covered
    fine = fits & (rests | see.opening) & (see.lacks | ~third) & see.aromatic & see.implicit & ring
    kept = see.opening | (at(state.opened, state.here) > 0) | third
    served = ~see.placed | see.has | kept
    return torch.stack([fine & served, fine & (see.places < K)], dim=1)


def _atoms(
    env: Smiles, state: Strings, see: Look, leave: Tensor, onward: Tensor, loose: Tensor
) -> Tensor:
    """Return [B, V]: may this atom token come next?"""
    table = tables(env, see.used.device)
    order = torch.where(see.start, 0, see.order).unsqueeze(1)
    may_leave = leave.gather(1, (see.order - 1).unsqueeze(1)) & (state.mode != ROOT).unsqueeze(1)
    # an atom that is full at once must leave nothing open above the last open branch
    full = table.free == order
    enough = (see.top != NEVER) | (state.count + 1 >= env.min_atoms)
    may_end = (see.last_open <= see.top) & enough
    plain = may_leave & (order <= table.free) & (~full | may_end.unsqueeze(1))
    room = _single_room(table.free, table.need, (order == 2) & table.need)
    fits = (order + 2 <= room) & ((order < 2) | (table.need & (table.free == 4))) & (order < 3)
    ready = (state.ring == NEVER).any(1) & (see.places <= see.limit - 3) & loose[:, 1]
    root = may_leave & fits & ready.unsqueeze(1)
    joined = (see.aromatic & see.implicit).unsqueeze(1)
    shares = (table.need | table.n_like).long()
    # an atom that needs a bond out of its ring must have the time and place to open a branch
    crowded = table.third & ((see.places > see.limit - 3) | ~loose[:, 1]).unsqueeze(1)
    aromatic = torch.where(joined, onward[:, shares] & ~crowded, root)
    may = torch.where(table.aromatic, aromatic, plain)
    may &= loose[:, :1] & (state.mode != ROOT).unsqueeze(1)
    return may


def _bonds(
    table: Tables, state: Strings, see: Look, leave: Tensor, closing: Tensor, double: Tensor
) -> Tensor:
    """Return [B, V]: may this bond symbol come next? A carbon or a ring number can follow."""
    ready = see.implicit & ~see.start & (state.mode != ROOT)
    single = leave[:, 0] | closing.any(1)
    by_order = torch.stack([single, leave[:, 1] | double.any(1), leave[:, 2]], dim=1)
    by_order = torch.cat([torch.zeros_like(by_order[:, :1]), by_order], dim=1)
    may = by_order[:, table.order]
    return may & ready.unsqueeze(1) & ~(table.dash & ~see.aromatic.unsqueeze(1) & ~see.start.unsqueeze(1))


def _may_branch(state: Strings, see: Look) -> Tensor:
    """Return [B]: may a branch open at u? One bond for the branch and one to go on are left."""
    fits = see.used + 2 <= _single_room(see.free, see.need, see.double)
    settled = ~(see.n_like & see.placed & (see.used + 2 == 3)) | see.lacks
    place = ~see.placed | (see.places <= see.limit - 2)
    ready = see.implicit & ~see.start & (state.mode != ROOT) & (state.mode != OPENED)
    return fits & settled & place & ready


def _may_rest(env: Smiles, state: Strings, see: Look) -> Tensor:
    """Return [B]: may the branch, or the string where none is open, end at u?"""
    rests = tables(env, see.used.device).rests[at(state.token, state.here)]
    rests = rests.gather(1, see.used.clamp(max=7).unsqueeze(1)).squeeze(1)
    above = see.index > see.top.unsqueeze(1)
    clear = ~(above & ((state.opened > 0) | state.bare)).any(1)
    settled = ~see.placed | see.has
    written = (state.mode == ATOM) | (state.mode == DIGITS)
    return rests & clear & settled & written


def _may_open(state: Strings, see: Look) -> Tensor:
    """Return [B, R]: may this ring number open at u? Only the lowest free one."""
    free = state.ring == NEVER
    lowest = free & (free.long().cumsum(1) == 1)
    fits = see.used + 2 <= _single_room(see.free, see.need, see.double)
    settled = ~(see.n_like & see.placed & (see.used + 2 == 3)) | see.lacks
    place = ~see.placed | (see.places <= see.limit - 2)
    return lowest & (fits & settled & place & state.fresh & see.implicit).unsqueeze(1)


def _may_close(env: Smiles, state: Strings, see: Look) -> tuple[Tensor, Tensor, Tensor]:
    """Return [B, R] thrice: may this ring number close at u with what is written so far; after a
    single bond's symbol; after a double bond's?"""
    link = _Link(env, state, see)
    yes, no = torch.ones_like(see.implicit).unsqueeze(1), torch.zeros_like(see.implicit).unsqueeze(1)
    one = torch.ones_like(see.order).unsqueeze(1)
    single, double = link.allowed(one, no), link.allowed(one + 1, no)
    symbol = torch.where(see.order.unsqueeze(1) == 1, single, double)
    symbol = symbol & (see.order.unsqueeze(1) < 3)
    written = torch.where(see.implicit.unsqueeze(1), link.allowed(one, yes), symbol)
    return written, single & see.implicit.unsqueeze(1), double & see.implicit.unsqueeze(1)


class _Link:
    """The ring bonds that could be closed at u: [B, R] everywhere, v is the other atom."""

    def __init__(self, env: Smiles, state: Strings, see: Look) -> None:
        self.env, self.state, self.see = env, state, see
        table = tables(env, see.used.device)
        self.v = state.ring.clamp(min=0)
        token = state.token.gather(1, self.v)
        self.table, self.token = table, token
        self.aromatic, self.need = table.aromatic[token], table.need[token]
        self.used, self.double = state.used.gather(1, self.v), state.double.gather(1, self.v)
        self.part, self.opened = state.part.gather(1, self.v), state.opened.gather(1, self.v)
        self.branched = state.branched.gather(1, self.v)
        self.slot = state.slot.gather(1, self.v)
        self.final = ~self.branched & (self.opened == 1)
        here = state.here.unsqueeze(1)
        near = (self.v == here) | (self.v == state.parent.unsqueeze(1))
        near = near | state.bonded.gather(1, self.v)
        self.ready = (state.ring != NEVER) & ~near & state.fresh.unsqueeze(1)
        self.ours = at(state.part, state.here).unsqueeze(1)
        sets = kekule.pairs(state.family, see.slot)  # [B, 2, K + 1, 2]
        wanted = self.slot.view(-1, 1, RING_DIGITS, 1).expand(-1, 2, -1, 2)
        self.sets = sets.gather(2, wanted)  # [B, 2, R, 2]

    def allowed(self, order: Tensor, implicit: Tensor) -> Tensor:
        """Return [B, R]: may the bond be closed with this order [B, 1]?"""
        see, state = self.see, self.state
        ours = see.aromatic.unsqueeze(1)
        both = ours & self.aromatic
        root = (state.mode == ROOT).unsqueeze(1)
        same = self.part == self.ours
        aromatic = both & implicit & (same | root)
        fine = self.ready & (aromatic | ~(both & implicit)) & (aromatic | ~root) & (order < 3)
        without, within = self._families(order, aromatic)
        fine &= self._valences(order) & (without | within)
        return fine & self._coverage(order, aromatic, aromatic & ~same, without)

    def _valences(self, order: Tensor) -> Tensor:
        see = self.see
        column = [x.unsqueeze(1) for x in (see.free, see.used, see.aromatic, see.need, see.double)]
        used = self.used - 1 + self.branched.long()
        free = self.table.free[self.token]
        theirs = (order == 1) | _fits(free, used, self.aromatic, self.need, self.double, order)
        rests = self.table.rests[self.token]
        after = (self.used - 1 + order).clamp(max=7).unsqueeze(2)
        return _fits(*column, order) & theirs & (rests.gather(2, after).squeeze(2) | ~self.final)

    def _families(self, order: Tensor, aromatic: Tensor) -> tuple[Tensor, Tensor]:
        """Is there a set that serves v after the bond and lacks u; one that has u?"""
        see = self.see
        after = see.used.unsqueeze(1) + order
        placed = see.placed.unsqueeze(1)
        third = see.n_like.unsqueeze(1) & ((after == 3) | ~aromatic)
        out = placed & (third | (see.need.unsqueeze(1) & (order == 2)))
        full = after == see.free.unsqueeze(1) - 1
        within = placed & see.need.unsqueeze(1) & full & ~out
        theirs = self.slot < K
        out_v = theirs & self.need & (order == 2)
        in_v = theirs & self.final & ~out_v
        edge = aromatic & placed & theirs & ~third
        found = [torch.zeros_like(edge), torch.zeros_like(edge)]
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            has = self.sets[:, i, :, j]
            if i and j:
                has = has | (edge & self.sets[:, 0, :, 0])
            found[i] |= has & ~(out if i else within) & ~(out_v if j else in_v)
        return found[0], found[1]

    def _coverage(
        self, order: Tensor, aromatic: Tensor, joins: Tensor, without: Tensor
    ) -> Tensor:
        """Can everything uncovered still be covered, and every ring number still be closed?"""
        see, state = self.see, self.state
        index, v = see.index, self.v.unsqueeze(2)
        ours = one_hot(state.here, self.env.max_atoms).bool().unsqueeze(1)
        part = torch.where(ours & joins.unsqueeze(2), self.part.unsqueeze(2), state.part.unsqueeze(1))
        round_ = (part == self.part.unsqueeze(2)) & aromatic.unsqueeze(2)
        first = state.first.unsqueeze(1)
        round_ &= (index > v) | ((index == v) & first)
        bare = state.bare.unsqueeze(1) & ~(round_ & ~(ours & joins.unsqueeze(2)))
        opened = state.opened.unsqueeze(1) - (index == v).long()
        double = see.double.unsqueeze(1) | (see.need.unsqueeze(1) & (order == 2))
        room = _single_room(see.free.unsqueeze(1), see.need.unsqueeze(1), double)
        after = see.used.unsqueeze(1) + order
        # a nitrogen in the ring can only go on as one with three neighbours
        closed = (see.n_like & see.placed).unsqueeze(1) & (after == 2) & ~without
        full = (after >= room) | closed
        attach = state.branched.unsqueeze(1) | (ours & ~full.unsqueeze(2))
        first = first & ~(ours & joins.unsqueeze(2))
        theirs = self._kept(part, self.part, bare, opened, attach, first)
        mine = self._kept(part, self.ours, bare, opened, attach, first)
        last = torch.where(opened > 0, index, NEVER).amax(2)
        enough = (see.top != NEVER) | (state.count >= self.env.min_atoms)
        may_end = (last <= see.top.unsqueeze(1)) & enough.unsqueeze(1)
        fine = (theirs | ~self.aromatic) & (mine | joins | ~see.aromatic.unsqueeze(1))
        return fine & (may_end | ~full)

    def _kept(self, parts: Tensor, part: Tensor, *marks: Tensor) -> Tensor:
        grows, joins = _ways_on(parts, part, *marks, self.see.index)
        return grows | (joins & _may_stray(self.state, part))


def _sound(state: Strings, part: Tensor, attach: Tensor, index: Tensor) -> Tensor:
    """Return [B]: what is uncovered in a part [B] can be covered if it grows at `attach`."""
    given = state.part, part, state.bare, state.opened, attach, state.first
    grows, joins = _ways_on(*(x.unsqueeze(1) for x in given), index)
    return (grows | (joins & _may_stray(state, part).unsqueeze(1))).squeeze(1)


def _may_stray(state: Strings, part: Tensor) -> Tensor:
    """Return whether a part may be left to be joined again later: one at a time may."""
    stray = state.stray if part.dim() == 1 else state.stray.unsqueeze(1)
    places = (state.slot < K).sum(1).view(-1, *[1] * (part.dim() - 1))
    return ((stray == NEVER) & (places <= K - 4)) | (stray == part)


def _ways_on(
    parts: Tensor, part: Tensor, bare: Tensor, opened: Tensor, attach: Tensor, first: Tensor,
    index: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return [B, R] twice: uncovered atoms of a part can be covered by growing on, by joining.

    They lie between an open ring number and the way on, which is an atom of the part that can
    grow, or a second open ring number, to which a new aromatic atom can join the part again.
    """
    inside = parts == part.unsqueeze(-1)
    bare, held = bare & inside, (opened > 0) & inside
    lowest = torch.where(bare, index, FAR).amin(-1)
    highest = torch.where(bare, index, NEVER).amax(-1)
    ring = torch.where(held, index, FAR).amin(-1)
    other = torch.where(held, index, NEVER).amax(-1)
    grows = torch.where(attach & inside, index, NEVER).amax(-1)
    at_root = (bare & first & held & (index == lowest.unsqueeze(-1))).any(-1)
    several = (opened * inside).sum(-1) > 1
    above, none = (ring < lowest) | at_root, highest == NEVER
    return (above & (grows >= highest)) | none, above & (other >= highest) & several


def _loose(env: Smiles, state: Strings) -> Tensor:
    """Return [B, 4]: is there time and are there atoms for an atom, a root, a branch, a ring?

    What is open is counted at its worst: 4 tokens and one atom a branch, 3 tokens and two atoms
    a ring number, and 6 tokens and three atoms for the current end.
    """
    branches, rings = state.branched.sum(1), state.opened.sum(1)
    tokens = env.max_length - state.length - 7 - 4 * branches - 3 * rings
    atoms = env.max_atoms - state.count - 4 - branches - 2 * rings
    need_tokens = torch.tensor([0, 6, 4, 3], device=tokens.device)
    need_atoms = torch.tensor([0, 2, 1, 2], device=tokens.device)
    return (tokens.unsqueeze(1) >= need_tokens) & (atoms.unsqueeze(1) >= need_atoms)


def _plan(
    env: Smiles, state: Strings, see: Look, leave: Tensor, onward: Tensor, closing: Tensor,
    double: Tensor, rest: Tensor, branch: Tensor,
) -> Tensor:  # fmt: skip
    """Return [B, V]: the tokens that bring the row nearer to its end, whatever the length.

    The first of these that is possible: end the branch; close a ring number; double bond to
    close one; an aromatic carbon where something is uncovered; a carbon by the lowest bond that
    u accepts; a branch. (END needs no token.)
    """
    table = tables(env, see.used.device)
    B, V = state.last.shape[0], len(env.vocabulary)
    part = at(state.part, state.here).unsqueeze(1)
    ours = see.aromatic & ((state.part == part) & state.bare).any(1)
    beyond = see.index > see.top.unsqueeze(1)
    held = ((state.opened > 0) & (state.part != NEVER) & beyond).any(1)
    tried = ~see.aromatic & (state.mode == ATOM) & (at(state.part, state.parent) == NEVER)
    stranded = (state.bare & beyond).any(1) | (held & (state.bare.any(1) | tried))
    stranded &= ~ours
    room = (state.count < env.max_atoms) & (state.mode != ROOT)
    written = leave.gather(1, (see.order - 1).unsqueeze(1)).squeeze(1) & room
    ring = ((state.ring == NEVER).any(1) & (see.places <= see.limit - 3))
    ring |= (state.stray != NEVER) & (see.places <= K - 3)
    choices = (  # (possible [B], the tokens [V] or [B, V])
        (rest & (see.top != NEVER), table.kind == 4),
        (rest, torch.zeros_like(table.kind, dtype=torch.bool)),
        (closing.any(1), (table.kind == 2) & closing[:, table.digit]),
        (double.any(1), table.equals),
        (state.mode == ROOT, (table.kind == 2) & _may_open(state, see)[:, table.digit]),
        (ours & onward[:, 1] & room, table.is_aromatic_carbon),
        (stranded & written & ring & (see.order == 1) & ~(see.aromatic & see.implicit),
         table.is_aromatic_carbon),
        (stranded & see.aromatic & see.implicit & leave[:, 0] & room, table.dash),
        (written, table.is_carbon),
        (see.implicit & leave[:, 1] & room, table.equals),
        (see.implicit & leave[:, 2] & room, table.triple),
        (branch, table.kind == 3),
    )
    chosen = torch.zeros(B, V, dtype=torch.bool, device=part.device)
    undecided = torch.ones(B, dtype=torch.bool, device=part.device)
    for possible, which in choices:
        chosen |= (undecided & possible).unsqueeze(1) & which
        undecided &= ~possible
    return chosen


def _last(marked: Tensor, index: Tensor) -> Tensor:
    """Return [B] the last marked index, NEVER for none."""
    return torch.where(marked, index, NEVER).amax(1)


def advance(env: Smiles, state: Strings, action: Tensor) -> Strings:
    """Return the strings after a legal action; finished rows stay as they are."""
    table, see = tables(env, action.device), look(env, state)
    live = ~state.ended
    token = action.clamp(max=len(env.vocabulary) - 1)
    kind = torch.where(live & (action < env.end), table.kind[token], 9)
    digit = table.digit[token].unsqueeze(1)
    held = state.ring.gather(1, digit).squeeze(1)
    part = torch.where(see.aromatic, at(state.part, state.here), NEVER)
    moves = replace(
        state,
        last=torch.where(live, action, state.last),
        length=state.length + (kind < 9).long(),
        ended=state.ended | (action >= env.end),
    )
    moves = _with_atom(env, moves, see, token, kind == 0)
    moves = _with_ring(env, moves, see, digit, held, (kind == 2) & (held == NEVER))
    moves = _with_closed(env, moves, see, digit, held, (kind == 2) & (held != NEVER))
    moves = _with_branch(env, moves, see, kind == 3)
    moves = _with_return(env, moves, see, kind == 4)
    part = torch.where(kind == 2, at(moves.part, moves.here), part)
    moves = _with_stray(env, moves, part, (kind == 0) | (kind == 2), see.index)
    return replace(
        moves,
        bond=torch.where(kind == 1, table.order[token], torch.where(live, 0, state.bond)),
        mode=torch.where(kind == 1, BOND, moves.mode),
    )


def _with_atom(env: Smiles, state: Strings, see: Look, token: Tensor, live: Tensor) -> Strings:
    table = tables(env, token.device)
    new = state.count.clamp(max=env.max_atoms - 1)
    here = one_hot(new, env.max_atoms).bool() & live.unsqueeze(1)
    there = one_hot(state.here, env.max_atoms).bool() & (live & ~see.start).unsqueeze(1)
    order = torch.where(see.start, 0, see.order)
    aromatic = table.aromatic[token]
    bonded = aromatic & see.aromatic & see.implicit
    double = table.need[token] & (order == 2)
    takes = (table.need[token] & ~double) | (table.n_like[token] & (bonded | see.start))
    place = torch.where(takes, _free_place(state), K)
    used = see.used + order
    doubled = see.need & (order == 2)
    settled = live & (doubled | (see.n_like & (used == 3)))
    family = kekule.finish(state.family, torch.where(settled, see.slot, K), torch.zeros_like(live))
    ours = torch.where(settled, K, see.slot)
    both = live & bonded
    family = kekule.join(family, torch.where(both, ours, K), torch.where(both, place, K))
    final = live & ~see.opening & (at(state.opened, state.here) == 0)
    family = kekule.finish(family, torch.where(final, ours, K), torch.ones_like(live))
    gone = there & (settled | final).unsqueeze(1)
    part = torch.where(bonded, at(state.part, state.here), torch.where(aromatic, new, NEVER))
    root = aromatic & ~bonded
    return replace(
        state,
        mode=torch.where(live, torch.where(root, ROOT, ATOM), state.mode),
        fresh=state.fresh | live,
        count=state.count + live.long(),
        parent=torch.where(live, torch.where(see.start, NEVER, state.here), state.parent),
        here=torch.where(live, new, state.here),
        token=torch.where(here, token.unsqueeze(1), state.token),
        used=torch.where(here, order.unsqueeze(1), state.used + there * order.unsqueeze(1)),
        double=state.double | (there & doubled.unsqueeze(1)) | (here & double.unsqueeze(1)),
        part=torch.where(here, part.unsqueeze(1), state.part),
        bare=state.bare | (here & aromatic.unsqueeze(1)),
        first=state.first | (here & root.unsqueeze(1)),
        bonded=state.bonded & ~live.unsqueeze(1),
        slot=torch.where(here, place.unsqueeze(1), torch.where(gone, K, state.slot)),
        family=family,
    )


def _with_ring(
    env: Smiles, state: Strings, see: Look, digit: Tensor, held: Tensor, live: Tensor
) -> Strings:
    """A ring number opens at u: a single bond is kept for it, and u must go on."""
    here = one_hot(state.here, env.max_atoms).bool() & live.unsqueeze(1)
    settled = live & see.n_like & (see.used + 2 == 3)
    none = torch.zeros_like(live)
    now = one_hot(digit.squeeze(1), RING_DIGITS).bool() & live.unsqueeze(1)
    return replace(
        state,
        mode=torch.where(live, DIGITS, state.mode),
        used=state.used + here.long(),
        opened=state.opened + here.long(),
        ring=torch.where(now, state.here.unsqueeze(1), state.ring),
        slot=torch.where(here & settled.unsqueeze(1), K, state.slot),
        family=kekule.finish(state.family, torch.where(settled, see.slot, K), none),
    )


def _with_closed(
    env: Smiles, state: Strings, see: Look, digit: Tensor, held: Tensor, live: Tensor
) -> Strings:
    """A ring number closes at u; what lies around the ring is covered."""
    table = tables(env, held.device)
    v = held.clamp(min=0)
    here = one_hot(state.here, env.max_atoms).bool() & live.unsqueeze(1)
    there = one_hot(v, env.max_atoms).bool() & live.unsqueeze(1)
    theirs, part = table.need[at(state.token, v)], at(state.part, v)
    aromatic = live & see.aromatic & (part != NEVER) & see.implicit
    joins = aromatic & (part != at(state.part, state.here))
    order = see.order
    none, all_ = torch.zeros_like(live), torch.ones_like(live)
    doubled = live & see.need & (order == 2)
    third = (see.used + order == 3) | ~aromatic
    settled = doubled | (live & see.n_like & third)
    doubled_v = live & theirs & (order == 2)
    slot_v = at(state.slot, v)
    family = kekule.finish(state.family, torch.where(settled, see.slot, K), none)
    family = kekule.finish(family, torch.where(doubled_v, slot_v, K), none)
    ours = torch.where(settled, K, see.slot)
    other = torch.where(doubled_v, K, slot_v)
    family = kekule.join(family, torch.where(aromatic, ours, K), torch.where(aromatic, other, K))
    final = live & ~at(state.branched, v) & (at(state.opened, v) == 1)
    family = kekule.finish(family, torch.where(final, other, K), all_)
    around = (state.part == part.unsqueeze(1)) & aromatic.unsqueeze(1)
    around &= (see.index > v.unsqueeze(1)) | ((see.index == v.unsqueeze(1)) & state.first)
    slot = torch.where(here & settled.unsqueeze(1), K, state.slot)
    closed = one_hot(digit.squeeze(1), RING_DIGITS).bool() & live.unsqueeze(1)
    extra = here * order.unsqueeze(1) + there * (order - 1).unsqueeze(1)
    return replace(
        state,
        mode=torch.where(live, DIGITS, state.mode),
        used=state.used + extra,
        double=state.double | (here & doubled.unsqueeze(1)) | (there & doubled_v.unsqueeze(1)),
        part=torch.where(here & joins.unsqueeze(1), part.unsqueeze(1), state.part),
        first=state.first & ~(here & joins.unsqueeze(1)),
        bare=state.bare & ~around,
        opened=state.opened - there.long(),
        bonded=state.bonded | there,
        ring=torch.where(closed, NEVER, state.ring),
        slot=torch.where(there & (final | doubled_v).unsqueeze(1), K, slot),
        family=family,
    )


def _with_branch(env: Smiles, state: Strings, see: Look, live: Tensor) -> Strings:
    here = one_hot(state.here, env.max_atoms).bool() & live.unsqueeze(1)
    settled = live & see.n_like & (see.used + 2 == 3)
    none = torch.zeros_like(live)
    return replace(
        state,
        mode=torch.where(live, OPENED, state.mode),
        fresh=state.fresh & ~live,
        branched=state.branched | here,
        slot=torch.where(here & settled.unsqueeze(1), K, state.slot),
        family=kekule.finish(state.family, torch.where(settled, see.slot, K), none),
    )


def _with_return(env: Smiles, state: Strings, see: Look, live: Tensor) -> Strings:
    here = one_hot(state.here, env.max_atoms).bool() & live.unsqueeze(1)
    top = see.top.clamp(min=0)
    back = one_hot(top, env.max_atoms).bool() & live.unsqueeze(1)
    need = torch.ones_like(live)
    return replace(
        state,
        mode=torch.where(live, CLOSED, state.mode),
        fresh=state.fresh & ~live,
        here=torch.where(live, top, state.here),
        branched=state.branched & ~back,
        slot=torch.where(here, K, state.slot),
        family=kekule.finish(state.family, torch.where(live, see.slot, K), need),
    )


def _with_stray(env: Smiles, state: Strings, part: Tensor, live: Tensor, index: Tensor) -> Strings:
    """Note a part [B] that was left to be joined again, or that was joined."""
    table, token = tables(env, part.device), at(state.token, state.here)
    need, used = table.need[token], at(state.used, state.here)
    slot = at(state.slot, state.here)
    _, lacks = kekule.covers(state.family, slot)
    closed = table.n_like[token] & (slot < K) & (used == 2) & ~lacks
    room = used < _single_room(table.free[token], need, at(state.double, state.here))
    here = (index == state.here.unsqueeze(1)) & (room & ~closed).unsqueeze(1)
    attach = state.branched | here
    given = state.part, part, state.bare, state.opened, attach, state.first
    grows = _ways_on(*(x.unsqueeze(1) for x in given), index)[0].squeeze(1)
    live = live & (part != NEVER)
    back = torch.where(live & grows & (part == state.stray), NEVER, state.stray)
    return replace(state, stray=torch.where(live & ~grows, part, back))


def _free_place(state: Strings) -> Tensor:
    """Return [B] the lowest place that no atom holds; K - 1 where all are held."""
    held = one_hot(state.slot, K + 1)[:, :, :K].any(1)
    return (~held).long().argmax(1)
