"""Growing HP chains through compact cores: hydrophobic residues in them, the others around them.

A core is drawn for each walk at its reset (`tasks.folding.cores`), and no move is made that leaves
it where another keeps to it. Where none does, the walk goes on as a free one, and comes back where
it can. A walk that never strays has the energy of its core; what is to be learned is how not to
stray, and it is the same for all cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from designer.protocols import Spelling
from tasks.folding.cores import compact, met
from tasks.folding.design import Fold
from tasks.folding.environment import Chain
from tasks.folding.frames import frames_on
from tasks.folding.growth import Growth
from tasks.folding.lattices import WORD, Lattice
from tasks.folding.surroundings import EXITS, TAKEN

_FAR = 10.0  # bonds; distances are told in this unit
_NEVER = 1e9  # bonds, to a point that is taken


@dataclass(frozen=True)
class Threading:
    """B chains that grow, each through a core of h points."""

    growth: Growth
    core: Tensor  # [B, h, 3] float32 its points
    left: Tensor  # [B, h] bool, which of these no residue lies on
    apart: Tensor  # [B, Z, h] float32 bonds from each neighbour of the end that grows next


@dataclass(frozen=True)
class Threaded:
    """`chain`, led through cores of at most `slack` bonds less than the most compact one has.

    The number of bonds is drawn first, evenly, then a core that has so many. A move keeps to the
    core if a hydrophobic residue comes into it and another one does not, if the next hydrophobic
    one can still come there, and if no point of the core is left behind that nothing can enter.
    Raises InputError where the chain has no hydrophobic residue, and the first draw where no core
    fits.
    """

    chain: Chain
    slack: int = 0

    def __post_init__(self) -> None:
        if not any(self.chain.sticky):
            raise InputError("a chain without hydrophobic residues has no core; leave cores out")

    @property
    def num_actions(self) -> int:
        """A, as of the chain."""
        return self.chain.num_actions

    @property
    def max_steps(self) -> int:
        """T, as of the chain."""
        return self.chain.max_steps

    @property
    def obs_size(self) -> int:
        """F: the chain's. For each move whether its point is free in the core, how many such lie
        next to it, and how far the nearest is. The way to the middle of the core's free points,
        and how many more there are than hydrophobic residues to come.
        """
        return self.chain.obs_size + 3 * (self.chain.place.size - 1) + 4

    @cached_property
    def _cores(self) -> tuple[Tensor, Tensor, Tensor]:
        """The packed points of all cores that a walk may meet [M, h], those with the same number
        of bonds together; where each of these K groups begins [K]; how many it has [K].
        """
        chain, place = self.chain, self.chain.place
        sticky = np.array(chain.sticky)
        parity = (chain.order.order - chain.order.order[0]) % 2
        even, odd = (int((sticky & (parity == k)).sum()) for k in (0, 1))
        fitting = even if place.bipartite else even + odd if place.name == "fcc" else None
        groups = [
            place.pack(met(cores, place, (chain.sticky[0], chain.sticky[1]), fitting))
            for cores in compact(chain.lattice, max(even, odd), min(even, odd), self.slack)
        ]
        sizes = torch.tensor([len(group) for group in groups if len(group)])
        if not len(sizes):
            raise InputError("no compact core was found for this chain; leave cores out")
        return torch.from_numpy(np.concatenate(groups)), sizes.cumsum(0) - sizes, sizes

    @cached_property
    def _tables(self) -> dict[torch.device, list[Tensor]]:
        """`_cores` on each device where they were drawn from."""
        return {}

    def start(self, state: Threading, /) -> Tensor:
        """Return [B, h] int64 the packed points of each walk's core."""
        shifts = torch.arange(0, 3 * WORD, WORD, device=state.core.device)
        return (state.core.long() << shifts).sum(2)

    def reset(
        self,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator | None = None,
        *,
        start: Tensor | None = None,
    ) -> Threading:
        """Return B chains of two residues; `start` [B, h] are the cores, else they are drawn."""
        if start is None:
            start = self._drawn(batch_size, device, generator)
        core = unpacked(start).float()
        growth = self.chain.reset(batch_size, device)
        first = frames_on(self.chain.place, device).steps[0]
        left = torch.ones(core.shape[:2], dtype=torch.bool, device=device)
        for sticky, point in zip(self.chain.sticky, (torch.zeros_like(first), first), strict=False):
            if sticky:
                left = left & (core != point).any(2)
        return Threading(growth, core, left, self._apart(growth, core))

    def _drawn(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Return cores [B, h], packed."""
        if device not in self._tables:
            self._tables[device] = [table.to(device) for table in self._cores]
        cores, begins, sizes = self._tables[device]
        where = generator.device if generator is not None else device
        chance = torch.rand(2, batch_size, generator=generator, device=where).double().to(device)
        group = (chance[0] * len(sizes)).long()
        return cores[begins[group] + (chance[1] * sizes[group]).long()]

    def _apart(self, growth: Growth, core: Tensor) -> Tensor:
        """Return [B, Z, h] how many bonds lie between the points around the head and the core's."""
        there = self._head(growth)[:, None] + frames_on(self.chain.place, core.device).steps
        return bonds_between(there[:, :, None] - core[:, None], self.chain.place)

    def _head(self, growth: Growth) -> Tensor:
        """Return [B, 3] the end that grows next."""
        return growth.head[:, self.chain.order.sides[growth.cells.shape[1]]]

    def done(self, state: Threading, /) -> Tensor:
        """Return [B], as of the chain."""
        return self.chain.done(state.growth)

    def mask(self, state: Threading, /) -> Tensor:
        """Return [B, A]: the chain's moves that keep to the core, or all where none does."""
        growth = state.growth
        placed = min(growth.cells.shape[1], len(self.chain.sequence) - 1)
        free = self.chain.tensors.free(growth, self.chain.room(growth))
        inside = ((state.apart == 0) & state.left[:, None]).any(2)
        if self.chain.sticky[placed]:
            keeps = free & inside
        else:
            keeps = free & (state.apart > 0).all(2) & self._near(state, placed)
        lost = inside & (growth.near[:, TAKEN] == 0) & (self._ways(growth, placed) < 2)
        keeps = keeps & (lost.sum(1, keepdim=True) - lost.long() == 0)
        return self.chain.tensors.moves(
            growth, torch.where(keeps.any(1, keepdim=True), keeps, free)
        )

    def _near(self, state: Threading, placed: int) -> Tensor:
        """Return [B, Z] from where the next hydrophobic residue can come into the core."""
        reach = self._reach[placed]
        if reach is None:
            return torch.ones(state.apart.shape[:2], dtype=torch.bool, device=state.apart.device)
        near = state.left[:, None] & (state.apart <= reach)
        if self.chain.place.bipartite:
            near = near & ((reach - state.apart) % 2 == 0)
        return near.any(2)

    def _ways(self, growth: Growth, placed: int) -> Tensor:
        """Return [B, Z] how many ways lead into, out of and end at each point next to the end that
        grows next, once that has moved on: two are needed.
        """
        ways = growth.near[:, EXITS] + self._loose[placed]
        if growth.head.shape[1] == 1:
            return ways
        side = self.chain.order.sides[growth.cells.shape[1]]
        between = growth.head[:, side] - growth.head[:, 1 - side]
        steps = frames_on(self.chain.place, ways.device).steps
        return ways + (bonds_between(between[:, None] + steps, self.chain.place) == 1)

    @cached_property
    def _reach(self) -> list[int | None]:
        """[L] how many bonds after each placement the next hydrophobic one at its end comes."""
        order, length = self.chain.order, len(self.chain.sequence)
        sticky = np.array(self.chain.sticky)[order.order.argsort()]  # by residue
        coming = [row[row >= 0] for row in order.ahead(length)[:length]]
        found = [np.flatnonzero(sticky[row]) for row in coming]
        return [int(places[0]) if len(places) else None for places in found]

    @cached_property
    def _loose(self) -> list[int]:
        """[L] how many ends of the chain are hydrophobic and not placed before each placement."""
        length = len(self.chain.sequence)
        ends = [k for k in range(length) if self.chain.order.order[k] in (0, length - 1)]
        return [sum(end >= k and self.chain.sticky[end] for end in ends) for k in range(length)]

    def step(self, state: Threading, action: Tensor, /) -> Threading:
        """Return the chains with one more residue; those that are done stay where they are."""
        placed = state.growth.cells.shape[1]
        growth = self.chain.step(state.growth, action)
        if placed >= len(self.chain.sequence):
            return state
        head = growth.head[:, self.chain.order.sides[placed]]
        left = state.left & (state.core != head[:, None]).any(2)
        return Threading(growth, state.core, left, self._apart(growth, state.core))

    def observe(self, state: Threading, /) -> Tensor:
        """Return [B, F] float32, see `obs_size`."""
        growth, place = state.growth, self.chain.place
        placed = growth.cells.shape[1]
        frame = growth.frame[:, self.chain.order.sides[placed]]
        frames = frames_on(place, growth.cells.device)
        apart = torch.where(state.left[:, None], state.apart, _NEVER)
        known = torch.stack(
            [
                (apart == 0).any(2).float(),
                (apart == 1).sum(2) / place.size,
                apart.amin(2).clamp(max=_FAR) / _FAR,
            ],
            dim=1,
        )
        letters = frames.letters[frame]
        moves = known.gather(2, letters[:, None].expand(-1, 3, -1)).flatten(1)
        count = state.left.sum(1, keepdim=True)
        away = (state.core - self._head(growth)[:, None]) * state.left[:, :, None]
        way = (frames.back[frame] @ away.sum(1)[:, :, None]).squeeze(2)
        more = count - sum(self.chain.sticky[placed:])
        parts = [moves, way / count.clamp(min=1) / _FAR, more / state.left.shape[1]]
        return torch.cat([self.chain.observe(growth), *parts], dim=1)

    def potential(self, state: Threading, /) -> Tensor:
        """Return [B], as of the chain."""
        return self.chain.potential(state.growth)

    def decode(self, actions: Sequence[Sequence[int]], /, start: Any = None) -> list[Fold | None]:
        """Return the folds; None where the walker gave up. `start` changes nothing in them."""
        return self.chain.decode(actions)

    def encode(
        self, designs: Sequence[Fold], rng: np.random.Generator | None = None
    ) -> list[Spelling | None]:
        """Return what grows each fold led through its own core; None for another chain's folds."""
        rows = self.chain.encode(designs, rng)
        known = [row for row in rows if row is not None]
        cores = iter(self._own(known))
        return [None if row is None else Spelling(row, {"start": next(cores)}) for row in rows]

    def _own(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the packed points of the hydrophobic residues of each walk."""
        state = self.chain.reset(len(rows), torch.device("cpu"))
        for action in torch.tensor(rows, dtype=torch.int64).reshape(len(rows), self.max_steps).T:
            state = self.chain.step(state, action)
        own: list[list[int]] = state.cells[:, self.chain.sticky].tolist()
        return own


def unpacked(cells: Tensor) -> Tensor:
    """Return the points [..., 3] int64 that `Lattice.pack` made these of, near 0."""
    half, points = 1 << (WORD - 1), []
    for _ in range(3):
        points.append(((cells + half) & (2 * half - 1)) - half)
        cells = (cells - points[-1]) >> WORD
    return torch.stack(points, dim=-1)


def bonds_between(difference: Tensor, lattice: Lattice) -> Tensor:
    """Return how many bonds lead from one point to another, for differences [..., 3] of points."""
    return _BONDS[lattice.name](difference)


def _straight(difference: Tensor) -> Tensor:
    return difference.abs().sum(-1)


def _hexagonal(difference: Tensor) -> Tensor:
    return (difference.abs().sum(-1) + difference.sum(-1).abs()) / 2


def _face_centred(difference: Tensor) -> Tensor:
    size = difference.abs()
    return torch.maximum(size.amax(-1), size.sum(-1) / 2)


_BONDS: dict[str, Callable[[Tensor], Tensor]] = {
    "square": _straight,
    "triangular": _hexagonal,
    "cubic": _straight,
    "fcc": _face_centred,
}
