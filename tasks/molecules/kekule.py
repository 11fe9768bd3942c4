"""Kekule forms of a growing aromatic part, exactly, in tensors.

Double bonds of a Kekule form are a matching that covers every aromatic atom in need of one. An
atom is *open* while it may still get neighbours; it then has a place, 0 to K - 1. The *family*
of a row holds, for every set of places, whether some choice of double bonds covers all atoms
that are no longer open and in need, and of the open ones exactly this set:

* a new atom changes nothing: no set contains its place;
* a new aromatic bond i-j adds the sets S + {i, j} for all S in the family without i and j;
* an atom that turns out not to need a double bond keeps the sets without it;
* an atom in need that is finished keeps the sets with it, and its place is cleared.

A Kekule form can still be reached from a row if and only if its family is not empty. This is
dynamic programming over matchings, on the frontier of a depth-first order; K = 8 places suffice
for drug-like molecules, since finished atoms leave theirs. A place of K means none.
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
    """Return the family after an aromatic bond between two places [B]."""
    sets = _sets(family.device)
    both = (first < PLACES) & (second < PLACES)
    pair = torch.where(both, _bit(first) | _bit(second), _SETS).unsqueeze(1)
    without = family.gather(1, (sets ^ pair) & (_SETS - 1))
    return family | (without & ((sets & pair) == pair))


def settle(family: Tensor, *places: Tensor) -> Tensor:
    """Return the family after the atoms at these places [B] turned out to need nothing."""
    bits = sum((_bit(place) for place in places[1:]), _bit(places[0]))
    return family & ((_sets(family.device) & bits.unsqueeze(1)) == 0)


def finish(family: Tensor, place: Tensor) -> Tensor:
    """Return the family after the atom at a place [B], in need, is finished."""
    sets, bits = _sets(family.device), (_bit(place) & (_SETS - 1)).unsqueeze(1)
    return family.gather(1, sets | bits) & ((sets & bits) == 0)


def pairs(family: Tensor, place: Tensor) -> Tensor:
    """Return [B, 2, K + 1, 2] bool: is there a set with `place` absent or present (first axis)
    and place k absent or present (last axis)? The last k, no place, counts as absent."""
    inside = _inside(family.device).index_select(0, place)
    halves = torch.stack([family & ~inside, family & inside], dim=1).float()
    return (halves @ _indicator(family.device)).view(-1, 2, PLACES + 1, 2) > 0


def free_place(taken: Tensor) -> Tensor:
    """Return [B] the lowest place not in a set of places taken, given as bits; K for none."""
    return _lowest_free(taken.device)[taken]


def bit_of(place: Tensor) -> Tensor:
    """Return a place as bits; no bit for no place."""
    return _bit(place) & (_SETS - 1)


def _bit(place: Tensor) -> Tensor:
    """Return 2 to the place; 2^K, outside every set, for no place."""
    return torch.ones_like(place) << place


@lru_cache(maxsize=8)
def _sets(device: torch.device) -> Tensor:
    return torch.arange(_SETS, device=device)


@lru_cache(maxsize=8)
def _lowest_free(device: torch.device) -> Tensor:
    free = [next(k for k in range(PLACES + 1) if not taken >> k & 1) for taken in range(_SETS)]
    return torch.tensor(free, device=device)


@lru_cache(maxsize=8)
def _inside(device: torch.device) -> Tensor:
    """Return [K + 1, 2^K] bool: place k is in the set; False for no place."""
    places = torch.arange(PLACES + 1, device=device).unsqueeze(1)
    return ((_sets(device) >> places) & 1).bool()


@lru_cache(maxsize=8)
def _indicator(device: torch.device) -> Tensor:
    """Return [2^K, 2 (K + 1)] float: for each place, the sets that lack it and that have it."""
    inside = _inside(device)
    return torch.stack([~inside, inside], dim=1).flatten(0, 1).T.float().contiguous()
