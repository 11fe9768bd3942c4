"""What a network is shown of a SMILES that is being written.

What a parser would know after reading so far: valences left, open ring numbers and the atoms
that hold them, branches, and whether the aromatic parts have an even number of electrons to pair.
Which token is legal is not shown, so a network samples without the mask by what it has learned.
`tasks.molecules.tracking` shows the same, compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tasks.molecules.bits import highest_index, holds
from tasks.molecules.smiles import CLOSED, NEVER, RING_DIGITS, Strings, at, tables

if TYPE_CHECKING:
    from tasks.molecules.smiles import Smiles

QUIET = 10 + RING_DIGITS  # columns beside the last action, between 0 and 1
DENSE = QUIET + 7 + 2 * RING_DIGITS
LOUD = 4.0  # times the rest: they decide more than they would at 0 to 1, and are learned sooner


def observe(env: Smiles, state: Strings) -> Tensor:
    """Return [B, A + DENSE] float32 in [0, 1], the last DENSE - QUIET columns in [0, LOUD].

    The last action one-hot; how much of the length and atoms is used; what the current atom has
    left; whether it is aromatic and uncovered, and any is; what was written last; how far back
    each open ring number was opened. Then, for the current atom's aromatic part, how many of
    its atoms need a double bond, and whether that is odd; the depth of branches; of the atom
    whose branch is open, what it has left, whether it is aromatic and its part odd; for each open
    ring number, what its atom has left, and whether it is aromatic (half), in this part (whole).
    """
    N, rings = env.max_atoms, state.ring != NEVER
    table, here = tables(env, state.last.device), state.here
    free = table.free[state.token]
    left = (free - state.used).clamp(min=0)
    part, top = at(state.part, here), highest_index(state.branched)
    share = [
        state.length / env.max_length, state.count / N, at(left, here).clamp(max=4) / 4,
        part != NEVER, holds(state.bare, here), state.bare != 0,
        state.branched != 0, state.mode == CLOSED, state.fresh, rings.sum(1) / RING_DIGITS,
    ]  # fmt: skip
    back = (here.unsqueeze(1) - state.ring + 1).clamp(max=12) / 12
    unpaired = (table.need[state.token] & ~state.double) | (
        table.n_like[state.token] & (state.used < 3)
    )
    above = torch.where(top >= 0, at(state.part, top), NEVER)
    count, over = (_members(unpaired, state.part, which) for which in (part, above))
    depth = ((state.branched.unsqueeze(1) >> torch.arange(N, device=top.device)) & 1).sum(1)
    more = [
        count.clamp(max=16) / 16, count % 2, depth.clamp(max=6) / 6,
        torch.where(top >= 0, at(left, top).clamp(max=4) / 4, 0.0), above != NEVER, over % 2,
        torch.where(above != NEVER, above == part, 0),
    ]  # fmt: skip
    held = state.ring.clamp(min=0)
    offers = left.gather(1, held).clamp(max=3) / 3 * rings
    theirs = state.part.gather(1, held)
    kin = (theirs != NEVER) * 0.5 + ((theirs != NEVER) & (theirs == part.unsqueeze(1))) * 0.5
    last = one_hot(state.last, env.num_actions).float()
    plain, added = (torch.stack([x.float() for x in each], dim=1) for each in (share, more))
    told = torch.cat([added, offers, kin * rings], 1) * LOUD
    return torch.cat([last, plain, back * rings, told], 1)


def _members(unpaired: Tensor, part: Tensor, which: Tensor) -> Tensor:
    """Return [B] how many atoms of an aromatic part need a double bond; 0 for no part."""
    column = which.unsqueeze(1)
    return (unpaired & (part == column) & (column != NEVER)).sum(1)
