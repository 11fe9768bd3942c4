"""How many free walks lead home, for stretches that are grown anew between two fixed ends."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.folding.lattices import lattice_named

LONGEST = 8  # residues of a stretch
SPAN = 2 * LONGEST + 3  # of the table of closing walks, along each axis


@lru_cache(maxsize=8)
def closings(lattice: str) -> NDArray[Any]:
    """Return [LONGEST + 1, W] float32: free walks of n steps home, as a share of the most.

    Column (z * SPAN + y) * SPAN + x (without z in two dimensions) is of the point x, y, z from
    home, each counted from -(SPAN // 2) on.
    """
    place = lattice_named(lattice)
    shape = (SPAN,) * place.dimensions  # the axes of x come last
    walks = np.zeros(shape)
    walks[(SPAN // 2,) * place.dimensions] = 1.0
    axes, levels = tuple(range(place.dimensions))[::-1], [walks]
    for _ in range(LONGEST):
        steps = [step[: place.dimensions].tolist() for step in place.steps]
        walks = np.sum([np.roll(walks, step, axes) for step in steps], axis=0)
        levels.append(walks)
    return np.stack([w.ravel() / w.max() for w in levels]).astype(np.float32)
