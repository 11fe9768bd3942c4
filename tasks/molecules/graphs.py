"""The state of the graph environment, its settings as tensors, and how both are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.molecules.kinds import KINDS, may_bond

if TYPE_CHECKING:
    from tasks.molecules.graph import MolecularGraph

LARGEST = 99  # heavy atoms of a molecule
FAR = LARGEST + 1  # distance between atoms that are not both there


@dataclass(frozen=True)
class Graphs:
    """B unfinished molecules of at most N atoms. Atoms are numbered as they were added."""

    last: Tensor  # [B] int64, the last action; STOP before the first
    stopped: Tensor  # [B] bool
    count: Tensor  # [B] int64, atoms so far (groups count once)
    heavy: Tensor  # [B] int64, heavy atoms so far
    rings: Tensor  # [B] int64, rings closed so far
    depth: Tensor  # [B] int64, bonds from the root to the focus
    path: Tensor  # [B, N] int64, path[d] is the atom at depth d on the way to the focus
    kind: Tensor  # [B, N] int64
    free: Tensor  # [B, N] int64, bond orders still on offer; 0 where there is no atom
    order: Tensor  # [B, N] int64, of the bond to the previous atom; 0 at the root
    multiple: Tensor  # [B, N] bool, has a double or triple bond
    linear: Tensor  # [B, N] bool, has a triple bond
    hetero: Tensor  # [B, N] int64, neighbours other than carbon
    distance: Tensor  # [B, N, N] int16, bonds between two atoms; FAR where there is none
    member: Tensor  # [B, R, N] bool, atoms of each ring
    joined: Tensor  # [B, J] bool, further fragments of a scaffold that are joined; J may be 0


@dataclass(frozen=True)
class Tables:
    """The settings as tensors on one device; P additions, E kinds."""

    add_kind: Tensor  # [P] int64
    add_order: Tensor  # [P] int64
    valence: Tensor  # [E] int64
    weight: Tensor  # [E] int64, heavy atoms
    hetero: Tensor  # [E] bool, counts in a chain of heteroatoms
    group: Tensor  # [E] bool, may not keep a hydrogen: sulfone, nitro
    first: Tensor  # [P] bool, the addition that begins a molecule: a carbon
    pair: Tensor  # [E, E, 4] bool, may bond by this order
    ring_size: Tensor  # [N + 1] bool
    orders: Tensor  # [2] int64: 1, 2


@lru_cache(maxsize=32)
def additions(kinds: tuple[str, ...], plausible: bool) -> tuple[tuple[str, int], ...]:
    """Return the (kind, bond order) of each ADD action: those that some bond could use."""
    return tuple(
        (kind, order)
        for kind in kinds
        for order in (1, 2, 3)
        if any(may_bond(kind, other, order, plausible) for other in kinds)
    )


@lru_cache(maxsize=32)
def tables(env: MolecularGraph, device: torch.device) -> Tables:
    """Return the settings as tensors on a device."""
    kinds = tuple(env.kinds)
    index = {kind: i for i, kind in enumerate(kinds)}
    pair = [
        [[o > 0 and may_bond(a, b, o, env.plausible) for o in range(4)] for b in kinds]
        for a in kinds
    ]
    return Tables(
        add_kind=torch.tensor([index[kind] for kind, _ in env.additions], device=device),
        add_order=torch.tensor([order for _, order in env.additions], device=device),
        valence=torch.tensor([KINDS[kind].valence for kind in kinds], device=device),
        weight=torch.tensor([KINDS[kind].weight for kind in kinds], device=device),
        hetero=torch.tensor([kind != "C" for kind in kinds], device=device),
        group=torch.tensor([bool(KINDS[kind].oxygens) for kind in kinds], device=device),
        first=torch.tensor([pair == ("C", 1) for pair in env.additions], device=device),
        pair=torch.tensor(pair, device=device),
        ring_size=torch.tensor(
            [size in env.ring_sizes for size in range(env.max_atoms + 1)], device=device
        ),
        orders=torch.tensor([1, 2], device=device),
    )


def at(values: Tensor, index: Tensor) -> Tensor:
    """Return [B] the value of each row at its index."""
    return values.gather(1, index.unsqueeze(1)).squeeze(1)


def focus_of(state: Graphs) -> Tensor:
    """Return [B] the atom at the end of the path."""
    return at(state.path, state.depth)


def ring_atoms(state: Graphs, focus: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return [B, K, N] atoms on shortest ways from the focus to each target, and ring sizes [B, K].

    The size is the number of atoms of the smallest ring that the new bond closes.
    """
    N = state.path.shape[1]
    ours = state.distance.gather(1, focus.view(-1, 1, 1).expand(-1, 1, N))
    theirs = state.distance.gather(1, target.unsqueeze(2).expand(-1, -1, N))
    length = ours.squeeze(1).gather(1, target)
    return (ours + theirs) == length.unsqueeze(2), length + 1
