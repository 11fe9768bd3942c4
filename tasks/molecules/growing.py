"""What an addition or a ring changes in the graph environment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tasks.molecules import anchored
from tasks.molecules.graphs import FAR, Graphs, at, focus_of, ring_atoms, tables

if TYPE_CHECKING:
    from tasks.molecules.graph import MolecularGraph


def add(env: MolecularGraph, state: Graphs, which: Tensor, live: Tensor) -> Graphs:
    """Return the molecules with an atom added in the live rows."""
    table, focus = tables(env, which.device), focus_of(state)
    which = which.clamp(0, len(env.additions) - 1)
    kind, order = table.add_kind[which], table.add_order[which]
    order = torch.where(state.count > 0, order, 0)
    new = state.count.clamp(max=env.max_atoms - 1)
    left = table.valence[kind] - order
    descends = live & ((left > 0) | (state.count == 0)) & (state.count > 0)
    depth = state.depth + descends.long()
    here = one_hot(new, env.max_atoms).bool() & live.unsqueeze(1)
    there = one_hot(focus, env.max_atoms).bool() & (live & (state.count > 0)).unsqueeze(1)
    moved = (left > 0) | (state.count == 0)
    on_path = one_hot(depth, env.max_atoms).bool() & (live & moved).unsqueeze(1)
    grown = _joined(env, state, here, there, kind, at(state.kind, focus), order)
    distance = _extended(state.distance, focus, here, state.count)
    return replace(
        grown,
        count=state.count + live.long(),
        heavy=state.heavy + table.weight[kind] * live,
        depth=depth,
        path=torch.where(on_path, new.unsqueeze(1), state.path),
        kind=torch.where(here, kind.unsqueeze(1), state.kind),
        free=torch.where(here, left.unsqueeze(1), grown.free),
        order=torch.where(here, order.unsqueeze(1), state.order),
        distance=distance,
    )


def close(env: MolecularGraph, state: Graphs, which: Tensor, live: Tensor) -> Graphs:
    """Return the molecules with a ring closed in the live rows."""
    focus = focus_of(state)
    which = which.clamp(0, 2 * (env.max_atoms - 2) - 1)
    depth = (state.depth - which // 2 - 2).clamp(min=0)
    target, order = at(state.path, depth), which % 2 + 1
    ring, _ = ring_atoms(state, focus, target.unsqueeze(1))
    here = one_hot(focus, env.max_atoms).bool() & live.unsqueeze(1)
    there = one_hot(target, env.max_atoms).bool() & live.unsqueeze(1)
    kinds = at(state.kind, focus), at(state.kind, target)
    grown = _joined(env, state, here, there, *kinds, order)
    nth = one_hot(state.rings.clamp(max=state.member.shape[1] - 1), state.member.shape[1])
    fresh = nth.bool().unsqueeze(2) & ring & live.view(-1, 1, 1)
    shorter = torch.minimum(state.distance, _through(state.distance, focus, target))
    return replace(
        grown,
        free=grown.free - here.long() * order.unsqueeze(1),
        rings=state.rings + live.long(),
        member=state.member | fresh,
        distance=torch.where(live.view(-1, 1, 1), shorter, state.distance),
    )


def join(env: MolecularGraph, state: Graphs, which: Tensor, live: Tensor) -> Graphs:
    """Return the molecules with a waiting fragment of the scaffold bound to the focus."""
    own, focus = anchored.anchors(env, which.device), focus_of(state)
    which = which.clamp(0, len(own.joint) - 1)
    joint = own.joint[which]
    here = one_hot(focus, env.max_atoms).bool() & live.unsqueeze(1)
    there = one_hot(joint, env.max_atoms).bool() & live.unsqueeze(1)
    kinds = at(state.kind, focus), at(state.kind, joint)
    grown = _joined(env, state, here, there, *kinds, torch.ones_like(which))
    shorter = torch.minimum(state.distance, _through(state.distance, focus, joint))
    fresh = one_hot(which, len(own.joint)).bool() & live.unsqueeze(1)
    return replace(
        grown,
        free=state.free - here.long(),  # the joint's bond was never on offer
        distance=torch.where(live.view(-1, 1, 1), shorter, state.distance),
        joined=state.joined | fresh,
    )


def _joined(
    env: MolecularGraph, state: Graphs, here: Tensor, there: Tensor, kind: Tensor, other: Tensor,
    order: Tensor,
) -> Graphs:  # fmt: skip
    """Return the molecules with the marks of a new bond at both ends; `free` at `there` only."""
    hetero = tables(env, kind.device).hetero
    ends = (here | there) & (order > 1).unsqueeze(1)
    bonded = (order > 0).unsqueeze(1)
    near = (here & hetero[other].unsqueeze(1) & bonded).long()
    near = near + (there & hetero[kind].unsqueeze(1)).long()
    return replace(
        state,
        free=state.free - there.long() * order.unsqueeze(1),
        multiple=state.multiple | ends,
        linear=state.linear | (ends & (order > 2).unsqueeze(1)),
        hetero=state.hetero + near,
    )


def _extended(distance: Tensor, focus: Tensor, here: Tensor, count: Tensor) -> Tensor:
    """Return the distances with a new atom, marked by `here`, one bond from the focus."""
    N = distance.shape[1]
    row = distance.gather(1, focus.view(-1, 1, 1).expand(-1, 1, N)).squeeze(1) + 1
    there = torch.arange(N, device=focus.device) < count.unsqueeze(1)
    row = torch.where(there, row, FAR).to(distance.dtype)
    row = torch.where(here, 0, row).to(distance.dtype)
    with_row = torch.where(here.unsqueeze(2), row.unsqueeze(1), distance)
    return torch.where(here.unsqueeze(1), row.unsqueeze(2), with_row)


def _through(distance: Tensor, focus: Tensor, target: Tensor) -> Tensor:
    """Return [B, N, N] the shortest ways that use a new bond between focus and target."""
    N = distance.shape[1]
    ours = distance.gather(1, focus.view(-1, 1, 1).expand(-1, 1, N)).squeeze(1)
    theirs = distance.gather(1, target.view(-1, 1, 1).expand(-1, 1, N)).squeeze(1)
    one = ours.unsqueeze(2) + theirs.unsqueeze(1)
    return torch.minimum(one, one.transpose(1, 2)) + 1
