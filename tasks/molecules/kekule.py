"""Kekule forms of a growing aromatic part, exactly, in tensors.

Double bonds of a Kekule form are a matching that covers every aromatic atom in need of one. An
atom is *open* while it may still get neighbours; it then has a place, 0 to K - 1. The *family*
of a row holds, for every set of places, whether some choice of double bonds covers all atoms
that are no longer open and in need, and of the open ones exactly this set:

* a new atom changes nothing: no set contains its place;
* a new aromatic bond i-j adds the sets S + {i, j} for all S in the family without i and j;
* an atom that is finished keeps the sets with it (in need) or without it (not in need), and its
  place is cleared.

A Kekule form can still be reached from a row if and only if its family is not empty. This is
dynamic programming over matchings, on the frontier of a depth-first order; K = 8 places suffice
for drug-like molecules, since finished atoms leave theirs.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

PLACES = 8  # K
_SETS = 1 << PLACES


def empty(batch_size: int, device: torch.device) -> Tensor:
    """Return [B, 2^K] bool, the family that holds the empty set only."""
    family = torch.zeros(batch_size, _SETS, dtype=torch.bool, device=device)
    family[:, 0] = True
    return family


def join(family: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the family after an aromatic bond between two places [B]; K means no place."""
    sets = torch.arange(_SETS, device=family.device)
    pair = _bit(first) | _bit(second)
    both = ((first < PLACES) & (second < PLACES)).unsqueeze(1)
    pair = pair.unsqueeze(1)
    without = family.gather(1, sets ^ (pair & (_SETS - 1)))
    return family | (without & both & ((sets & pair) == pair))


def finish(family: Tensor, place: Tensor, need: Tensor) -> Tensor:
    """Return the family after the atom at `place` [B] is finished, in need [B] or not.

    K means no place: nothing changes.
    """
    sets = torch.arange(_SETS, device=family.device)
    bit = (_bit(place) & (_SETS - 1)).unsqueeze(1)
    kept = family.gather(1, torch.where(need.unsqueeze(1), sets | bit, sets))
    return kept & ((sets & bit) == 0)


def covers(family: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Return [B] bool twice: some set has the place, some set lacks it. K: (any, any)."""
    nowhere = (place >= PLACES).unsqueeze(1)
    inside = _inside(family.device)[place.clamp(max=PLACES - 1)]
    return (family & (inside | nowhere)).any(1), (family & (~inside | nowhere)).any(1)


def pairs(family: Tensor, place: Tensor) -> Tensor:
    """Return [B, 2, K + 1, 2] bool: is there a set with `place` absent or present (first axis)
    and place k absent or present (last axis)? The last k, no place, counts as absent."""
    inside = _inside(family.device)[place.clamp(max=PLACES - 1)]
    inside = inside & (place < PLACES).unsqueeze(1)
    halves = torch.stack([family & ~inside, family & inside], dim=1).float()
    return (halves @ _indicator(family.device)).unflatten(2, (PLACES + 1, 2)) > 0


def _bit(place: Tensor) -> Tensor:
    """Return 2 to the place; 2^K, outside every set, for no place."""
    return torch.ones_like(place) << place


@lru_cache(maxsize=8)
def _inside(device: torch.device) -> Tensor:
    """Return [K, 2^K] bool: place k is in the set."""
    sets = torch.arange(_SETS, device=device)
    return ((sets.unsqueeze(0) >> torch.arange(PLACES, device=device).unsqueeze(1)) & 1).bool()


@lru_cache(maxsize=8)
def _indicator(device: torch.device) -> Tensor:
    """Return [2^K, 2 (K + 1)] float: for each place, the sets that lack it and that have it."""
    inside = torch.cat([_inside(device), torch.zeros(1, _SETS, dtype=torch.bool, device=device)])
    return torch.stack([~inside, inside], dim=1).flatten(0, 1).T.float().contiguous()
