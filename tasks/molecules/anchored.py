"""Growing from a scaffold: the state it begins with, and what it still asks for.

Two promises hold in every state: each attachment point can still get its substituent, and each
waiting fragment can still be joined. Counted are `room`, the atoms that may be added beyond one
for each bond that must be made, and `spots`, the bonds on offer on the path where any waiting
fragment could be joined. A carbon can be added wherever a bond is on offer, and makes spots; so
as long as room + spots is at least the number of waiting fragments, and a bond is on offer
while one waits, nothing gets stuck. This is a little more than needed where hardly any atom is
left: a ring might fill a point without an atom, and a fragment that is joined by a heteroatom might
find a place on another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designer.errors import InputError
from tasks.molecules import scaffold
from tasks.molecules.graphs import FAR, LARGEST, Graphs, at, focus_of, ring_atoms, tables
from tasks.molecules.scaffold import Scaffold

if TYPE_CHECKING:
    from tasks.molecules.graph import MolecularGraph


@dataclass(frozen=True)
class Asked:
    """Where an action keeps both promises: P additions, K ways back, J fragments."""

    add: Tensor  # [B, P] bool
    ring: Tensor  # [B, 2 K] bool
    join: Tensor  # [B, J] bool
    up: Tensor  # [B] bool
    stop: Tensor  # [B] bool


@dataclass(frozen=True)
class Anchors:
    """A scaffold as tensors on one device."""

    site: Tensor  # [N] bool, atoms that are grown from
    joint: Tensor  # [J] int64, the atom by which each fragment is joined
    accepts: Tensor  # [E] bool, kinds to which every fragment may be joined
    row: Graphs  # the first state, B = 1


@lru_cache(maxsize=32)
def anchors(env: MolecularGraph, device: torch.device) -> Anchors:
    """Return the scaffold of an environment as tensors; raises InputError where it is too large."""
    core, table = scaffold.read(env.scaffold), tables(env, device)
    told = list(scaffold.names(core, env.kinds))
    kind = torch.tensor([env.kinds.index(name) for name, _ in told], device=device)
    N, owed = env.max_atoms, sum(core.room[site] for site in core.sites)
    if core.size + owed > N:
        found = f"{owed} open attachment point{'s' * (owed != 1)}"
        raise InputError(_too_large(core, found, core.size + owed, N))
    site = torch.zeros(N, dtype=torch.bool, device=device)
    site[list(core.sites)] = True
    joint = torch.tensor(core.joints, dtype=torch.int64, device=device)
    accepts = table.pair[:, kind[joint], 1].all(1) & ~table.group
    if env.plausible:
        accepts &= ~(table.hetero & bool(table.hetero[kind[joint]].any()))
    spots = sum(core.room[site] for site in core.sites if accepts[kind[site]])
    if core.size + owed + len(joint) > N + spots:
        needed = core.size + owed + len(joint) - spots
        raise InputError(_too_large(core, "fragments to join", needed, N))
    return Anchors(site, joint, accepts, _row(env, core, [h for _, h in told], kind, device))


def _too_large(core: Scaffold, more: str, needed: int, given: int) -> str:
    remedy = f"max_atoms is {given}, set it to {needed} or more"
    if needed > LARGEST:
        remedy = f"molecules have {LARGEST} at most, so give a smaller one"
    return f"{scaffold.named(core.text)} has {core.size} heavy atoms and {more}; {remedy}"


def _row(
    env: MolecularGraph, core: Scaffold, hetero: list[int], kind: Tensor, device: torch.device
) -> Graphs:
    """Return the state of one row: the scaffold is there, its last site is in focus."""
    from rdkit import Chem

    N, K = env.max_atoms, core.size
    rows = core.bonds()

    def filled(values: list[int]) -> Tensor:
        return torch.tensor([values + [0] * (N - len(values))], device=device)

    def one(value: int) -> Tensor:
        return torch.tensor([value], device=device)

    far = torch.full((1, N, N), FAR, dtype=torch.int16, device=device)
    between = torch.as_tensor(Chem.GetDistanceMatrix(core.mol)).clamp(max=FAR)
    far[0, :K, :K] = between.to(device=device, dtype=torch.int16)
    member = torch.zeros(1, max(1, env.max_rings, len(core.rings)), N, dtype=torch.bool)
    for place, ring in enumerate(core.rings):
        member[0, place, list(ring)] = True
    padded = torch.zeros(1, N, dtype=torch.int64, device=device)
    padded[0, :K] = kind
    return Graphs(
        last=one(0), stopped=one(0).bool(), count=one(K), heavy=one(K), rings=one(len(core.rings)),
        depth=one(len(core.sites) - 1), path=filled(list(core.sites)), kind=padded,
        free=filled([n * (a not in core.joints) for a, n in enumerate(core.room)]),
        order=filled([]), multiple=filled([int(max(b.values(), default=1) > 1) for b in rows]) > 0,
        linear=filled([int(max(b.values(), default=1) > 2) for b in rows]) > 0,
        hetero=filled(hetero), distance=far, member=member.to(device),
        joined=torch.zeros(1, len(core.joints), dtype=torch.bool, device=device),
    )  # fmt: skip


def asked(env: MolecularGraph, state: Graphs) -> Asked:
    """Return which actions leave every promise to be kept."""
    own, table = anchors(env, state.last.device), tables(env, state.last.device)
    focus = focus_of(state)
    kind, free = at(state.kind, focus), at(state.free, focus)
    site, good = own.site[focus], own.accepts[kind].long()
    depth = torch.arange(env.max_atoms, device=focus.device)
    offers = state.free.gather(1, state.path) * (depth <= state.depth.unsqueeze(1))
    must = site | table.group[kind]  # the focus may not be left before it is full
    owed = (offers * own.site[state.path]).sum(1) + free * (must & ~site)
    spots = (offers * own.accepts[state.kind.gather(1, state.path)]).sum(1)
    waiting, open_ = (~state.joined).sum(1), offers.sum(1)
    room, short = env.max_atoms - state.heavy - owed, state.heavy < env.min_atoms

    def kept(room: Tensor, spots: Tensor, open_: Tensor, waiting: Tensor, short: Tensor) -> Tensor:
        grows = (open_ > 0) | ~(short | (waiting > 0))
        return (room >= 0) & (room + spots >= waiting) & grows

    def column(*values: Tensor) -> list[Tensor]:
        return [value.unsqueeze(1) for value in values]

    k, o = table.add_kind, table.add_order
    left = table.valence[k] - o
    rooms, some, opens, waits, musts, goods = column(room, spots, open_, waiting, must, good)
    lowers = table.weight[k] + table.group[k] * left
    small = state.heavy.unsqueeze(1) + table.weight[k] < env.min_atoms
    made = some - o * goods + own.accepts[k] * left
    add = kept(rooms - lowers + o * musts, made, opens - o + left, waits, small)
    add &= (o == 1) | ~site.unsqueeze(1)
    join = kept(rooms + musts, some - goods, opens - 1, waits - 1, short.unsqueeze(1))
    up = ~must | (free == 0)
    up &= kept(room, spots - free * good, open_ - free, waiting, short)
    stop = (waiting == 0) & (owed == 0)
    return Asked(add, _rings(env, state, own, room, spots, must, good, open_, waiting, short),
                 join & _may_join(env, state, own), up, stop)  # fmt: skip


def _rings(
    env: MolecularGraph, state: Graphs, own: Anchors, room: Tensor, spots: Tensor, must: Tensor,
    good: Tensor, open_: Tensor, waiting: Tensor, short: Tensor,
) -> Tensor:  # fmt: skip
    """Return [B, 2 K] bool; a site closes no ring by itself, as that would change the scaffold."""
    table, focus = tables(env, state.last.device), focus_of(state)
    back = torch.arange(2, env.max_atoms, device=focus.device)
    target = state.path.gather(1, (state.depth.unsqueeze(1) - back).clamp(min=0))
    theirs, o = own.site[target].unsqueeze(2), table.orders
    fills = must.view(-1, 1, 1).long() + theirs.long()
    takes = good.view(-1, 1, 1) + own.accepts[state.kind.gather(1, target)].long().unsqueeze(2)
    after = spots.view(-1, 1, 1) - o * takes
    wide = room.view(-1, 1, 1) + o * fills
    grows = (open_.view(-1, 1, 1) - 2 * o > 0) | ~(short | (waiting > 0)).view(-1, 1, 1)
    legal = (wide + after >= waiting.view(-1, 1, 1)) & grows & ((o == 1) | ~theirs)
    legal = legal & ~own.site[focus].view(-1, 1, 1)
    if env.plausible:
        ring, _ = ring_atoms(state, focus, target)
        legal = legal & ~(ring & state.linear.unsqueeze(1)).any(2, keepdim=True)
    return legal.flatten(1)


def _may_join(env: MolecularGraph, state: Graphs, own: Anchors) -> Tensor:
    """Return [B, J] bool: the fragment waits, and the bond is one that is made."""
    table, focus = tables(env, state.last.device), focus_of(state)
    kind, theirs = at(state.kind, focus), state.kind[:, own.joint]
    legal = ~state.joined & (at(state.free, focus) > 0).unsqueeze(1)
    legal &= table.pair[kind.unsqueeze(1), theirs, 1]
    if env.plausible:
        both = table.hetero[kind].unsqueeze(1) & table.hetero[theirs]
        near = at(state.hetero, focus).unsqueeze(1) + state.hetero[:, own.joint]
        legal &= ~(both & (near > 0))
    return legal
