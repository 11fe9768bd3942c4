"""Search in the loop: conformations kicked out of their valley, then relaxed (basin hopping)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from designer.protocols import Floats, Purse
from tasks.offlattice.design import Conformation, conformations
from tasks.offlattice.energy import energy
from tasks.offlattice.relax import Descent

SAME = 1e-4  # energies nearer than this are taken for the same valley


@dataclass(frozen=True)
class Relaxation:
    """Proposes what the parents become after a random kick and `steps` quasi-Newton steps.

    A quarter of the kicks turn a few angles by normal numbers of deviation `kick`; a quarter turn
    one and its neighbour back, which moves a part of the chain and leaves the rest as it lies; a
    quarter are small, and everywhere; the others begin anew, with any angles at all. Parents of
    the same energy count as one, and children of a known energy are left out. Every energy
    computed is paid from `purse`, and relaxation ends where that is empty. Wales and Doye 1997.
    """

    steps: int = 100
    kick: float = 1.0
    purse: Purse | None = None

    def __call__(
        self, parents: Sequence[Conformation], count: int, rng: np.random.Generator, /
    ) -> list[Conformation]:
        """Return at most `count` distinct conformations that are not among the parents."""
        if not parents or count < 1:
            return []
        sequence, model = parents[0].sequence, parents[0].model
        distinct = list({round(parent.energy, 3): parent for parent in parents}.values())
        chosen = (len(distinct) * rng.random(count) ** 2).astype(np.int64)
        angles = np.stack([distinct[i].array for i in chosen])
        relaxed = self.relaxed(self._kicked(angles, rng), sequence, model)
        known = [parent.energy for parent in distinct]
        children = []
        for child in conformations(relaxed, sequence, model):
            if np.abs(np.array(known) - child.energy).min() > SAME:
                known.append(child.energy)
                children.append(child)
        return children

    def relaxed(self, angles: np.ndarray, sequence: str, model: str) -> np.ndarray:
        """Return angles [N, T, K] after relaxation; where the purse is empty, as they came."""
        shape, count = angles.shape, len(angles)
        if not self._affords(count):
            return angles
        flat = torch.from_numpy(angles.reshape(count, -1))
        descent = Descent(lambda x: energy(x.reshape(-1, *shape[1:]), sequence, model), flat)
        paid = self._pay(descent, 0)
        for _ in range(self.steps):
            if not self._affords(12 * count) or not descent.step():
                break
            paid = self._pay(descent, paid)
        self._pay(descent, paid)
        return descent.x.numpy().reshape(shape)

    def _kicked(self, angles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        count, length, _ = angles.shape
        rows = np.arange(count)
        kind = rng.integers(4, size=count)
        noise = self.kick * rng.standard_normal(angles.shape)
        few = rng.random((count, length)) < 1.5 / length
        at = rng.integers(length, size=count)
        few[rows, at] = True
        crank = np.zeros_like(noise)
        crank[rows, at] = noise[rows, at]
        crank[rows, np.minimum(at + 1, length - 1)] -= noise[rows, at]
        anew = rng.uniform(-np.pi, np.pi, size=angles.shape) - angles
        choices = np.stack([0.2 * noise, noise * few[:, :, None], crank, anew])
        kicked: Floats = angles + choices[kind, rows]
        return kicked

    def _affords(self, evaluations: int) -> bool:
        return self.purse is None or self.purse.left is None or self.purse.left >= evaluations

    def _pay(self, descent: Descent, paid: int) -> int:
        if self.purse is not None:
            self.purse.spend(descent.evaluations - paid)
        return descent.evaluations
