"""How a SMILES is brought to its end when length or atoms run short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.molecules.bits import bit
from tasks.molecules.smiles import ATOM, NEVER, ROOT, Strings, at

if TYPE_CHECKING:
    from tasks.molecules.closing import Closable
    from tasks.molecules.looking import Look
    from tasks.molecules.smiles import Smiles


def plan(
    env: Smiles, state: Strings, see: Look, leave: Tensor, onward: Tensor, close: Closable,
    rest: Tensor, branch: Tensor, opening: Tensor, members: Tensor, places: int,
) -> Tensor:  # fmt: skip
    """Return [B, V]: the tokens that bring the row nearer to its end, whatever the length.

    The first of these that is possible: end the branch; close a ring number; a double bond to
    close one; a root's ring number; an aromatic carbon where something is uncovered; a carbon
    by the lowest bond that u accepts; a branch. (END needs no token.)
    """
    table, ours = see.table, (members & state.bare) != 0
    before = (state.bonded & ~bit(state.here)) & aromatic_atoms(state)
    held = (state.held & aromatic_atoms(state) & see.beyond) != 0
    tried = ~see.aromatic & (state.mode == ATOM) & (before == 0)
    stranded = ((state.bare & see.beyond) != 0) | (held & ((state.bare != 0) | tried))
    stranded &= ~ours
    ready = (state.ring == NEVER).any(1) & (see.places <= see.limit - 3)
    ready |= (state.stray != NEVER) & (see.places <= places - 3)
    room = (state.count < env.max_atoms) & (state.mode != ROOT)
    written = at(leave, see.order - 1) & room
    chain = see.aromatic & see.implicit
    choices = (  # (possible [B], the tokens [V] or [B, V])
        (rest & (state.branched != 0), table.kind == 4),
        (rest, torch.zeros_like(table.kind, dtype=torch.bool)),
        (close.written.any(1), (table.kind == 2) & close.written[:, table.digit]),
        (close.double.any(1), table.equals),
        (state.mode == ROOT, (table.kind == 2) & opening[:, table.digit]),
        (ours & onward[:, 1] & room, table.is_aromatic_carbon),
        (stranded & written & ready & (see.order == 1) & ~chain, table.is_aromatic_carbon),
        (stranded & chain & leave[:, 0] & room, table.dash),
        (written, table.is_carbon),
        (see.implicit & leave[:, 1] & room, table.equals),
        (see.implicit & leave[:, 2] & room, table.triple),
        (branch, table.kind == 3),
    )
    chosen = torch.zeros_like(close.written[:, :1].expand(-1, len(env.vocabulary)))
    undecided = torch.ones_like(see.start)
    for possible, which in choices:
        chosen = chosen | ((undecided & possible).unsqueeze(1) & which)
        undecided = undecided & ~possible
    return chosen


def aromatic_atoms(state: Strings) -> Tensor:
    """Return [B] the set of aromatic atoms."""
    index = torch.arange(state.part.shape[1], device=state.part.device)
    return ((state.part != NEVER).long() << index).sum(1)
