"""Small worlds in which every design can be listed, and expectations are sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from designer.enumeration import World, flat, gap, listed, lively, vector, world
from designer.sequences import Sequences, TokenDesign, Written

__all__ = [
    "TOLERANCE", "Counted", "Shaped", "World", "flat", "gap", "listed", "lively", "vector", "world",
]  # fmt: skip

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


@dataclass(frozen=True)
class Counted:
    """How far B rows have been written, and how many of the first token are in them."""

    last: Tensor
    length: Tensor
    ended: Tensor
    found: Tensor

    @property
    def written(self) -> Written:
        return Written(self.last, self.length, self.ended)


@dataclass(frozen=True)
class Shaped:
    """`Sequences` with a potential: how many of the first token have been written."""

    inner: Sequences

    num_actions = property(lambda self: self.inner.num_actions)
    max_steps = property(lambda self: self.inner.max_steps)
    obs_size = property(lambda self: self.inner.obs_size + 1)

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Counted:
        inner = self.inner.reset(batch_size, device)
        return Counted(**vars(inner), found=torch.zeros(batch_size, device=device))

    def observe(self, state: Counted, /) -> Tensor:
        return torch.cat([self.inner.observe(state.written), state.found.unsqueeze(1)], dim=1)

    def mask(self, state: Counted, /) -> Tensor:
        return self.inner.mask(state.written)

    def step(self, state: Counted, action: Tensor, /) -> Counted:
        gained = (action == 0) & ~self.done(state)
        return Counted(**vars(self.inner.step(state.written, action)), found=state.found + gained)

    def done(self, state: Counted, /) -> Tensor:
        return self.inner.done(state.written)

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[TokenDesign | None]:
        return self.inner.decode(actions)

    def potential(self, state: Counted) -> Tensor:
        return state.found
