"""What every rule of the SMILES grammar asks of a state, computed once a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.molecules import kekule
from tasks.molecules.bits import holds, up_to_highest
from tasks.molecules.smiles import BOND, NEVER, Strings, Tables, at, tables

if TYPE_CHECKING:
    from tasks.molecules.smiles import Smiles

K = kekule.PLACES


@dataclass(frozen=True)
class Look:
    """What every rule asks of a state; [B] where nothing else is said."""

    table: Tables
    token: Tensor  # of u
    free: Tensor  # bond orders u offers in all
    used: Tensor  # bond orders of u in use
    aromatic: Tensor
    need: Tensor  # u needs a double bond of its ring (unless it has another)
    n_like: Tensor
    double: Tensor  # u has a double bond out of its ring
    opened: Tensor  # ring numbers u holds
    part: Tensor  # aromatic part of u, NEVER for none
    slot: Tensor
    placed: Tensor  # u has a place in the family
    sets: Tensor  # [B, 2, K + 1, 2], see `kekule.pairs` for u
    has: Tensor  # some set of the family has u
    lacks: Tensor  # some set of the family lacks u
    opening: Tensor  # a branch of u was just opened, and its first atom comes next
    start: Tensor  # nothing is written yet
    order: Tensor  # of the bond to what comes next: 1 unless a symbol says otherwise
    implicit: Tensor  # no bond symbol was written
    directed: Tensor  # a `/` or `\\` was written
    beyond: Tensor  # set of atoms after the last one with an open branch
    places: Tensor  # places taken in the family
    limit: Tensor  # places in all, less those kept for joining a part again


def look(env: Smiles, state: Strings) -> Look:
    """Return the look of a state; `mask` and `step` ask for the same one, so it stays with it."""
    kept: Look | None = state.__dict__.get("look")
    if kept is None:
        kept = state.__dict__["look"] = _look(env, state)
    return kept


def _look(env: Smiles, state: Strings) -> Look:
    table = tables(env, state.last.device)
    token, start = at(state.token, state.here), state.count == 0
    slot = at(state.slot, state.here)
    sets = kekule.pairs(state.family, slot)
    implicit = state.mode != BOND
    symbol = state.last.clamp(max=len(env.vocabulary) - 1)
    return Look(
        table=table, token=token, free=table.free[token], used=at(state.used, state.here),
        aromatic=table.aromatic[token] & ~start, need=table.need[token] & ~start,
        n_like=table.n_like[token] & ~start, double=at(state.double, state.here),
        opened=at(state.opened, state.here), part=at(state.part, state.here), slot=slot,
        placed=slot < K, sets=sets, has=sets[:, 1, K, 0], lacks=sets[:, 0, K, 0],
        opening=holds(state.branched, state.here) & ~start, start=start,
        order=torch.where(implicit, 1, table.order[symbol].clamp(min=1)), implicit=implicit,
        directed=~implicit & table.directed[symbol], beyond=~up_to_highest(state.branched),
        places=(state.slot < K).sum(1), limit=K - 2 * (state.stray != NEVER).long(),
    )  # fmt: skip
