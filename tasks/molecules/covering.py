"""Aromatic parts: their atoms, and whether what is uncovered in one can still get into a ring."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.molecules import kekule
from tasks.molecules.bits import lowest, reaches_below
from tasks.molecules.looking import Look
from tasks.molecules.smiles import NEVER, Strings

K = kekule.PLACES


def members(state: Strings, part: Tensor) -> Tensor:
    """Return the atoms of aromatic parts [B] or [B, R]; none for NEVER."""
    index = part if part.dim() == 2 else part.unsqueeze(1)
    found = state.members.gather(1, index.clamp(min=0)).view_as(part)
    return torch.where(part == NEVER, 0, found)


def may_stray(state: Strings, see: Look, part: Tensor) -> Tensor:
    """Return [B]: may this part be left to be joined again later? One at a time may."""
    return ((state.stray == NEVER) & (see.places <= K - 4)) | (state.stray == part)


def ways_on(
    state: Strings, inside: Tensor, attach: Tensor, bare: Tensor | None = None,
    held: Tensor | None = None, several: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return whether what is bare in a part can be covered by growing on, and by joining.

    It must lie between an open ring number and the way on: an atom of the part that can grow
    (`attach`), or a second open ring number, where a new aromatic atom can join the part again.
    `inside` is the part; `bare` and `held` are those of the state where not given, and `several`
    the atoms that hold more than one ring number.
    """
    bare = (state.bare if bare is None else bare) & inside
    held = (state.held if held is None else held) & inside
    if several is None:
        index = torch.arange(state.opened.shape[1], device=inside.device)
        several = ((state.opened > 1).long() << index).sum(1)
    start = lowest(bare)
    above = ((held & (start - 1)) | (start & held & state_first(state, inside))) != 0
    grows = ~reaches_below(attach & inside, bare)
    two = ((held & (held - 1)) | (held & several)) != 0
    none = bare == 0
    return none | (above & grows), above & two & ~reaches_below(held, bare)


def state_first(state: Strings, like: Tensor) -> Tensor:
    """Return the set of first atoms of parts, shaped to broadcast with `like`."""
    return state.first.view(-1, *[1] * (like.dim() - 1))
