"""Search in the loop: chains hop from valley to valley of the energy (basin hopping, compiled)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designer.protocols import Floats, Purse
from tasks.offlattice.design import Conformation, conformations
from tasks.offlattice.energy import MODELS

SAME = 1e-4  # energies nearer than this are taken for the same valley
ANEW = 0.1  # share of the walks that begin with any angles at all
COOLEST = 0.1  # of the temperatures, in units of the warmest
ENDLESS = 2**62


@dataclass(frozen=True)
class Relaxation:
    """Proposes the lowest valleys on walks that begin at the parents (Wales and Doye 1997).

    A walk makes `hops` kicks, each followed by at most `steps` quasi-Newton steps, and goes on
    from there by Metropolis at its own temperature, up to `temperature`. Three kicks of ten turn a
    part of the chain about the line between its ends, which leaves the rest as it lies; others turn
    some angles by normal numbers of deviation `kick`, all of them a little, crank, reverse or
    mirror a part. Parents of the same energy count as one, and children of a known energy are
    left out. Every energy computed is paid from `purse`, and walks end where that is empty.
    """

    steps: int = 100
    kick: float = 1.0
    hops: int = 20
    temperature: float = 0.5
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
        anew = rng.random(count) < ANEW
        angles[anew] = rng.uniform(-np.pi, np.pi, size=angles.shape)[anew]
        found = self.walked(angles, sequence, model, rng)
        known = [parent.energy for parent in distinct]
        children = []
        for child in conformations(found, sequence, model):
            if np.abs(np.array(known) - child.energy).min() > SAME:
                known.append(child.energy)
                children.append(child)
        return children

    def walked(self, angles: Floats, sequence: str, model: str, rng: np.random.Generator) -> Floats:
        """Return angles [N, T, K], the lowest on each walk; where the purse is empty, as given."""
        from tasks.offlattice import kernels

        count, left = len(angles), None if self.purse is None else self.purse.left
        share = rng.uniform(np.log10(COOLEST), 0.0, size=count)
        lowest, computed = kernels.hop(
            angles.reshape(count, -1).copy(),
            rng.integers(2**31, size=count),
            list(MODELS).index(model),
            strengths(sequence),
            self.hops,
            self.steps,
            self.kick,
            self.temperature * 10.0**share,
            ENDLESS if left is None else left,
        )
        if self.purse is not None:
            self.purse.spend(int(computed))
        moved: Floats = lowest.reshape(angles.shape)
        return moved


def strengths(sequence: str) -> Any:
    """Return [L, L] how much residues attract: 1 for AA, 1/2 for BB, -1/2 for AB."""
    sticky = np.array([letter == "A" for letter in sequence])
    a, b = sticky[:, None], sticky[None, :]
    return np.where(a & b, 1.0, np.where(a ^ b, -0.5, 0.5))
