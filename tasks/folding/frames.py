"""A lattice's tables as tensors: how a walker's move becomes a letter, a step and a new frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tasks.folding.lattices import Lattice


@dataclass(frozen=True)
class Frames:
    """Constant tensors on one device. G frames, Z letters, A - 1 = Z - 1 moves, S states."""

    letters: Tensor  # [G, A - 1] int64 letter of each move in each frame
    turned: Tensor  # [G, A - 1] int64 the frame after each move
    legal: Tensor  # [S, Z] bool, `Breaking.legal`
    after: Tensor  # [S, Z] int64, `Breaking.after`
    steps: Tensor  # [Z, 3] float32 neighbour vectors
    deltas: Tensor  # [Z] int32 packed neighbour vectors
    back: Tensor  # [G, 3, 3] float32 turns a vector of the lattice into the walker's frame


@lru_cache(maxsize=16)
def frames_on(lattice: Lattice, device: torch.device) -> Frames:
    """Return the lattice's tables on a device, made once."""
    arrays = (
        lattice.images[:, lattice.turns],
        lattice.products[:, lattice.rotations],
        lattice.breaking.legal,
        lattice.breaking.after,
        lattice.steps.astype(np.float32),
        lattice.deltas.astype(np.int32),
        np.linalg.inv(lattice.symmetries).round().astype(np.float32),
    )
    return Frames(*(torch.as_tensor(array, device=device) for array in arrays))
