"""What a policy's folds look like from residue to residue, for stretches that are grown anew.

A bond's shape is its angle to the bond before it and to the one before that. How often the policy's
samples choose each shape at each residue, against even chance, weighs the choices of
`tasks.folding.regrowth`; so a stretch is drawn from what the policy has learned, yet taken or left
with the right probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from designer.protocols import Floats, Policy
from designer.rollout import rollout
from tasks.folding.design import Fold, numbers
from tasks.folding.environment import Chain
from tasks.folding.lattices import Ints, lattice_named

ANGLES = 6  # classes of two bonds: 0 where one is missing, then by their angle
_SURE = 4.0  # folds that even chance counts for
_LEAST, _MOST = 0.1, 10.0  # weights


@lru_cache(maxsize=8)
def angles(lattice: str) -> Ints:
    """Return [Z + 1, Z + 1] the class of two bonds, by their letters from 1; 0: there is none."""
    place = lattice_named(lattice)
    bonds = place.steps @ np.array(place.basis)
    products = np.round(bonds @ bonds.T, 6)
    table = np.zeros((place.size + 1, place.size + 1), dtype=np.int64)
    table[1:, 1:] = np.unique(products, return_inverse=True)[1].reshape(products.shape) + 1
    return table


def even(length: int) -> Floats:
    """Return [2, L + 2, ANGLES^2] weights that prefer no shape."""
    return np.ones((2, length + 2, ANGLES * ANGLES))


def leaning(folds: Sequence[Fold]) -> Floats:
    """Return the weights of each shape at each residue, reached from before [0] or behind [1]."""
    lattice = folds[0].lattice
    bonds = np.array([numbers(fold.letters, lattice_named(lattice)) for fold in folds]) + 1
    length = bonds.shape[1] + 1
    weights = even(length)
    for side, walk in enumerate((bonds, bonds[:, ::-1])):  # angles are the same backwards
        before = np.pad(walk, ((0, 0), (2, 0)))
        shares = [
            _shares(walk[:, k], before[:, k + 1], before[:, k], lattice) for k in range(length - 1)
        ]
        places = np.arange(2, length + 1) if side == 0 else np.arange(length - 1, 0, -1)
        weights[side, places] = shares
    return weights


def _shares(taken: Ints, last: Ints, earlier: Ints, lattice: str) -> Floats:
    """Return [ANGLES^2] how often each shape was taken, against even chance among the letters."""
    table = angles(lattice)
    choices = np.arange(1, len(table))
    size = ANGLES * ANGLES
    open_ = table[choices[None, :], last[:, None]] != 1  # no bond goes straight back
    shapes = ANGLES * table[choices[None, :], last[:, None]] + table[choices, earlier[:, None]]
    chance = (open_ / open_.sum(axis=1, keepdims=True)).ravel()
    expected = np.bincount(shapes.ravel(), chance, minlength=size)
    own = ANGLES * table[taken, last] + table[taken, earlier]
    observed = np.bincount(own, minlength=size)
    weights: Floats = np.clip((observed + _SURE) / (expected + _SURE), _LEAST, _MOST)
    return weights


def preferred(env: Chain, policy: Policy, count: int, rng: np.random.Generator) -> Floats:
    """Return the weights that so many samples of a policy give; even ones where all are trapped."""
    made = sampled(env, policy, count, rng)
    return leaning(made) if made else even(len(env.sequence))


def sampled(env: Chain, policy: Policy, count: int, rng: np.random.Generator) -> list[Fold]:
    """Return the folds among so many samples of a policy that were not trapped."""
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    parameters: Any = getattr(policy, "parameters", None)
    device = next(parameters()).device if parameters is not None else "cpu"
    made = rollout(env, policy, count, generator, device=device)
    return [fold for fold in env.decode(made.actions.tolist()) if fold is not None]
