"""Molecules atom by atom: an environment that needs no training data and is always valid.

A molecule grows as a depth-first walk. At the focus one may add an atom (which becomes the
focus, unless it is full at once), close a ring to the atom k bonds back on the path to the
root, go back UP to the previous atom, or STOP. Masks keep valences, ring sizes and, with
`plausible`, bonds a chemist would keep; every prefix with an atom is a valid molecule, so no
construction can get stuck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from designer.errors import InputError
from tasks.molecules.design import Molecule
from tasks.molecules.kinds import DEFAULT_KINDS, KINDS, check_kinds, may_bond

STOP, UP, FIRST_ADD = 0, 1, 2
WINDOW = 6  # atoms back on the path that are observed
FAR = 100  # distance between atoms that are not both there


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


@dataclass(frozen=True)
class MolecularGraph:
    """Atom-by-atom construction within stated limits.

    `max_atoms` heavy atoms at most, `min_atoms` at least where possible (so STOP waits for
    them); rings have `ring_sizes` atoms, at most `max_rings`, and share at most one bond with
    another ring unless `bridged`. `plausible` keeps to bonds that occur in drugs: no O-O, S-S or
    N-halogen bonds, no chains of three heteroatoms, no cumulated double bonds, no triple bond in
    a ring. `kinds` names atoms and groups of `tasks.molecules.kinds.KINDS`.
    """

    max_atoms: int = 30
    min_atoms: int = 1
    kinds: Sequence[str] = DEFAULT_KINDS
    ring_sizes: Sequence[int] = (5, 6)
    max_rings: int = 5
    plausible: bool = True
    bridged: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", check_kinds(self.kinds))
        object.__setattr__(self, "ring_sizes", tuple(self.ring_sizes))
        if not 2 <= self.max_atoms <= 99 or not 1 <= self.min_atoms <= self.max_atoms:
            raise InputError(
                f"min_atoms {self.min_atoms}, max_atoms {self.max_atoms}: expected "
                f"1 <= min_atoms <= max_atoms and 2 <= max_atoms <= 99"
            )
        if self.max_rings < 0 or any(size < 3 for size in self.ring_sizes):
            raise InputError(
                f"max_rings {self.max_rings}, ring_sizes {list(self.ring_sizes)}: expected "
                f"0 or more rings of 3 or more atoms"
            )

    @property
    def additions(self) -> tuple[tuple[str, int], ...]:
        """The (kind, bond order) of each ADD action, in order."""
        return _additions(tuple(self.kinds), self.plausible)

    @property
    def first_ring(self) -> int:
        """The first RING action: to 2 bonds back by a single bond; then by a double; then 3..."""
        return FIRST_ADD + len(self.additions)

    @property
    def num_actions(self) -> int:
        """A: STOP, UP, an ADD for each kind and order, a RING for each way back and order."""
        return self.first_ring + 2 * (self.max_atoms - 2)

    @property
    def max_steps(self) -> int:
        """T: every atom added and left, every ring closed, and STOP."""
        return 2 * self.max_atoms + self.max_rings

    @property
    def obs_size(self) -> int:
        """F: see `observe`."""
        E = len(self.kinds)
        return self.num_actions + E + 10 + WINDOW * (E + 7)

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Graphs:
        """Return B empty molecules."""
        B, N, R = batch_size, self.max_atoms, max(1, self.max_rings)
        zero = torch.zeros(B, dtype=torch.int64, device=device)
        atoms = torch.zeros(B, N, dtype=torch.int64, device=device)
        false = torch.zeros(B, N, dtype=torch.bool, device=device)
        return Graphs(
            last=zero, stopped=zero.bool(), count=zero, heavy=zero, rings=zero, depth=zero,
            path=atoms, kind=atoms, free=atoms, order=atoms, multiple=false, linear=false,
            hetero=atoms,
            distance=torch.full((B, N, N), FAR, dtype=torch.int16, device=device),
            member=torch.zeros(B, R, N, dtype=torch.bool, device=device),
        )  # fmt: skip

    def done(self, state: Graphs, /) -> Tensor:
        """Return [B] bool: STOP was taken."""
        return state.stopped

    def mask(self, state: Graphs, /) -> Tensor:
        """Return [B, A] bool; STOP alone is legal in finished rows."""
        keep_add, keep_ring, keep_up = self._stay_open(state)
        leave = ~self._unfilled(state)
        up = (state.depth > 0) & leave & keep_up
        stop = (state.count > 0) & (state.heavy >= self.min_atoms) & leave
        add = self._may_add(state) & keep_add
        ring = self._may_close(state) & keep_ring
        live = ~state.stopped.unsqueeze(1)
        first = torch.stack([stop | state.stopped, up & ~state.stopped], dim=1)
        return torch.cat([first, add & live, ring & live], dim=1)

    def step(self, state: Graphs, action: Tensor, /) -> Graphs:
        """Return the molecules one action on."""
        live = ~state.stopped
        adding = live & (action >= FIRST_ADD) & (action < self.first_ring)
        closing = live & (action >= self.first_ring)
        stop, up = live & (action == STOP), live & (action == UP)
        state = replace(
            state,
            last=torch.where(live, action, state.last),
            stopped=state.stopped | stop,
            depth=state.depth - up.long(),
        )
        added = self._add(state, action - FIRST_ADD, adding)
        return self._close(added, action - self.first_ring, closing)

    def observe(self, state: Graphs, /) -> Tensor:
        """Return [B, F] float32 in [0, 1].

        The last action one-hot; counts of each kind, of heavy atoms and rings, the depth; what
        the focus has left; and kind, bond order, freedom, ring membership and distance of the
        focus and the `WINDOW` - 1 atoms before it on the path.
        """
        focus = _focus(state)
        E, N = len(self.kinds), self.max_atoms
        there = torch.arange(N, device=focus.device) < state.count.unsqueeze(1)
        counts = (one_hot(state.kind, E) * there.unsqueeze(2)).sum(1) / 10
        share = [state.heavy / N, state.depth / N, state.rings / max(1, self.max_rings)]
        free = one_hot(_at(state.free, focus).clamp(0, 4), 5)
        flags = [_at(state.multiple, focus), _at(state.hetero, focus) > 0]
        parts = [one_hot(state.last, self.num_actions), counts, *(x[:, None] for x in share)]
        parts += [free, *(x[:, None] for x in flags), self._window(state)]
        return torch.cat([part.float() for part in parts], dim=1)

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[Molecule | None]:
        """Return a molecule a row; `None` for a row without an atom or without STOP."""
        from tasks.molecules import assembly

        return assembly.build(self, actions)

    def encode(
        self, designs: Sequence[Molecule], rng: np.random.Generator | None = None
    ) -> list[list[int] | None]:
        """Return actions that build each molecule; `None` where these settings cannot."""
        from tasks.molecules import assembly

        return assembly.spell(self, designs, rng)

    def _may_add(self, state: Graphs) -> Tensor:
        """Return [B, P] bool, the ADD actions within valence, size and plausibility."""
        table = _tables(self, state.last.device)
        focus, start = _focus(state), (state.count == 0).unsqueeze(1)
        kind, free = _at(state.kind, focus), _at(state.free, focus)
        legal = table.pair[kind][:, table.add_kind, table.add_order]
        legal = legal & (table.add_order <= free.unsqueeze(1))
        if self.plausible:
            legal &= ~(_at(state.multiple, focus).unsqueeze(1) & (table.add_order > 1))
            crowded = table.hetero[kind] & (_at(state.hetero, focus) > 0)
            legal &= ~(crowded.unsqueeze(1) & table.hetero[table.add_kind])
        legal = torch.where(start, table.first, legal)
        needed = table.weight + table.group * (table.valence - 1)  # a group is filled at once
        return legal & (state.heavy.unsqueeze(1) + needed[table.add_kind] <= self.max_atoms)

    def _stay_open(self, state: Graphs) -> tuple[Tensor, Tensor, Tensor]:
        """Return [B, P], [B, 2 (N - 2)], [B] bool: a molecule below `min_atoms` can still grow.

        Only atoms on the path can take more, so one of them must keep a bond on offer; a carbon
        may be added to any kind, so that is enough.
        """
        table = _tables(self, state.last.device)
        on_path = torch.arange(self.max_atoms, device=state.last.device)
        offers = state.free.gather(1, state.path) * (on_path <= state.depth.unsqueeze(1))
        open_ = offers.sum(1, keepdim=True)
        kind, order = table.add_kind, table.add_order
        start = (state.count == 0).unsqueeze(1)
        enough = (state.heavy >= self.min_atoms).unsqueeze(1)
        grown = state.heavy.unsqueeze(1) + table.weight[kind] >= self.min_atoms
        add = grown | start | (open_ + table.valence[kind] - 2 * order > 0)
        ring = enough | (open_ - 2 * table.orders.repeat(self.max_atoms - 2) > 0)
        up = enough.squeeze(1) | (open_.squeeze(1) > _at(state.free, _focus(state)))
        return add, ring, up

    def _unfilled(self, state: Graphs) -> Tensor:
        """Return [B] bool: the focus is a group, such as a sulfone, which still lacks a bond."""
        focus = _focus(state)
        group = _tables(self, focus.device).group[_at(state.kind, focus)]
        return group & (_at(state.free, focus) > 0)

    def _may_close(self, state: Graphs) -> Tensor:
        """Return [B, 2 (N - 2)] bool, the RING actions; 2 to N - 1 bonds back, two orders."""
        table, focus = _tables(self, state.last.device), _focus(state)
        back = torch.arange(2, self.max_atoms, device=focus.device)
        there = back <= state.depth.unsqueeze(1)
        target = state.path.gather(1, (state.depth.unsqueeze(1) - back).clamp(min=0))
        ring, length = _ring_atoms(state, focus, target)
        legal = there & table.ring_size[length.clamp(max=self.max_atoms).long()]
        legal &= (state.rings < self.max_rings).unsqueeze(1) & (length < FAR)
        if not self.bridged:
            shared = torch.bmm(ring.float(), state.member.transpose(1, 2).float())
            legal &= (shared <= 2).all(2) & (ring.sum(2) == length)
        kind, other = _at(state.kind, focus), state.kind.gather(1, target)
        orders = table.pair[kind.unsqueeze(1), other][:, :, 1:3]
        free = torch.minimum(_at(state.free, focus).unsqueeze(1), state.free.gather(1, target))
        orders = orders & (free.unsqueeze(2) >= table.orders)
        if self.plausible:
            legal &= self._plausible_ring(state, focus, target, back)
            pi = _at(state.multiple, focus).unsqueeze(1) | state.multiple.gather(1, target)
            orders = orders & ~(pi.unsqueeze(2) & (table.orders > 1))
        return (orders & legal.unsqueeze(2)).flatten(1)

    def _plausible_ring(
        self, state: Graphs, focus: Tensor, target: Tensor, back: Tensor
    ) -> Tensor:
        """Return [B, K] bool: no chain of three heteroatoms, no triple bond in the ring."""
        hetero = _tables(self, focus.device).hetero
        near = _at(state.hetero, focus).unsqueeze(1) + state.hetero.gather(1, target)
        both = hetero[_at(state.kind, focus)].unsqueeze(1) & hetero[state.kind.gather(1, target)]
        depth = torch.arange(self.max_atoms, device=focus.device)
        on_path = state.linear.gather(1, state.path) & (depth <= state.depth.unsqueeze(1))
        last = torch.where(on_path, depth, -1).amax(1, keepdim=True)
        return ~(both & (near > 0)) & (state.depth.unsqueeze(1) - back > last)

    def _add(self, state: Graphs, which: Tensor, live: Tensor) -> Graphs:
        """Return the molecules with an atom added in the live rows."""
        table, focus = _tables(self, which.device), _focus(state)
        which = which.clamp(0, len(self.additions) - 1)
        kind, order = table.add_kind[which], table.add_order[which]
        order = torch.where(state.count > 0, order, 0)
        new = state.count.clamp(max=self.max_atoms - 1)
        left = table.valence[kind] - order
        descends = live & ((left > 0) | (state.count == 0)) & (state.count > 0)
        depth = state.depth + descends.long()
        here = one_hot(new, self.max_atoms).bool() & live.unsqueeze(1)
        there = one_hot(focus, self.max_atoms).bool() & (live & (state.count > 0)).unsqueeze(1)
        moved = (left > 0) | (state.count == 0)
        on_path = one_hot(depth, self.max_atoms).bool() & (live & moved).unsqueeze(1)
        grown = _joined(self, state, here, there, kind, _at(state.kind, focus), order)
        distance = _extended(state.distance, focus, here, state.count)
        return replace(
            grown,
            count=state.count + live.long(),
            heavy=state.heavy + table.weight[kind] * live,
            depth=depth,
            path=torch.where(on_path, new.unsqueeze(1), state.path),
            kind=torch.where(here, kind.unsqueeze(1), state.kind),
            free=torch.where(here, left.unsqueeze(1), grown.free),
            order=torch.where(here, order.unsqueeze(1), state.order),
            distance=distance,
        )

    def _close(self, state: Graphs, which: Tensor, live: Tensor) -> Graphs:
        """Return the molecules with a ring closed in the live rows."""
        focus = _focus(state)
        which = which.clamp(0, 2 * (self.max_atoms - 2) - 1)
        depth = (state.depth - which // 2 - 2).clamp(min=0)
        target, order = _at(state.path, depth), which % 2 + 1
        ring, _ = _ring_atoms(state, focus, target.unsqueeze(1))
        here = one_hot(focus, self.max_atoms).bool() & live.unsqueeze(1)
        there = one_hot(target, self.max_atoms).bool() & live.unsqueeze(1)
        kinds = _at(state.kind, focus), _at(state.kind, target)
        grown = _joined(self, state, here, there, *kinds, order)
        nth = one_hot(state.rings.clamp(max=state.member.shape[1] - 1), state.member.shape[1])
        fresh = nth.bool().unsqueeze(2) & ring & live.view(-1, 1, 1)
        shorter = torch.minimum(state.distance, _through(state.distance, focus, target))
        return replace(
            grown,
            free=grown.free - here.long() * order.unsqueeze(1),
            rings=state.rings + live.long(),
            member=state.member | fresh,
            distance=torch.where(live.view(-1, 1, 1), shorter, state.distance),
        )

    def _window(self, state: Graphs) -> Tensor:
        """Return [B, WINDOW (E + 7)] about the focus and the atoms before it on the path."""
        back = torch.arange(WINDOW, device=state.depth.device)
        depth = state.depth.unsqueeze(1) - back
        there = (depth >= 0) & (state.count > 0).unsqueeze(1)
        atom = state.path.gather(1, depth.clamp(min=0))
        kinds = one_hot(state.kind.gather(1, atom), len(self.kinds))
        orders = one_hot(state.order.gather(1, atom), 4)
        free = (state.free.gather(1, atom) > 0).unsqueeze(2)
        ring = state.member.any(1).gather(1, atom).unsqueeze(2)
        focus = _focus(state).view(-1, 1, 1).expand(-1, 1, self.max_atoms)
        distance = state.distance.gather(1, focus).squeeze(1).gather(1, atom)
        near = (distance.unsqueeze(2) / WINDOW).clamp(max=1)
        parts = [kinds, orders, free, ring, near]
        seen = torch.cat([part.float() for part in parts], dim=2) * there.unsqueeze(2)
        return seen.flatten(1)


@dataclass(frozen=True)
class _Tables:
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
def _additions(kinds: tuple[str, ...], plausible: bool) -> tuple[tuple[str, int], ...]:
    return tuple(
        (kind, order)
        for kind in kinds
        for order in (1, 2, 3)
        if any(may_bond(kind, other, order, plausible) for other in kinds)
    )


@lru_cache(maxsize=32)
def _tables(env: MolecularGraph, device: torch.device) -> _Tables:
    kinds = tuple(env.kinds)
    index = {kind: i for i, kind in enumerate(kinds)}
    pair = [
        [[o > 0 and may_bond(a, b, o, env.plausible) for o in range(4)] for b in kinds]
        for a in kinds
    ]
    return _Tables(
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


def _at(values: Tensor, index: Tensor) -> Tensor:
    """Return [B] the value of each row at its index."""
    return values.gather(1, index.unsqueeze(1)).squeeze(1)


def _focus(state: Graphs) -> Tensor:
    return _at(state.path, state.depth)


def _ring_atoms(state: Graphs, focus: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return [B, K, N] atoms on shortest ways from the focus to each target, and ring sizes [B, K].

    The size is the number of atoms of the smallest ring that the new bond closes.
    """
    N = state.path.shape[1]
    ours = state.distance.gather(1, focus.view(-1, 1, 1).expand(-1, 1, N))
    theirs = state.distance.gather(1, target.unsqueeze(2).expand(-1, -1, N))
    length = ours.squeeze(1).gather(1, target)
    return (ours + theirs) == length.unsqueeze(2), length + 1


def _joined(
    env: MolecularGraph, state: Graphs, here: Tensor, there: Tensor, kind: Tensor, other: Tensor,
    order: Tensor,
) -> Graphs:  # fmt: skip
    """Return the molecules with the marks of a new bond at both ends; `free` at `there` only."""
    hetero = _tables(env, kind.device).hetero
    ends = (here | there) & (order > 1).unsqueeze(1)
    bonded = (order > 0).unsqueeze(1)
    near = (here & hetero[other].unsqueeze(1) & bonded).long()
    near = near + (there & hetero[kind].unsqueeze(1)).long()
    return replace(
        state,
        free=state.free - there.long() * order.unsqueeze(1),
        multiple=state.multiple | ends,
        linear=state.linear | (ends & (order > 2).unsqueeze(1)),
        hetero=state.hetero + near,
    )


def _extended(distance: Tensor, focus: Tensor, here: Tensor, count: Tensor) -> Tensor:
    """Return the distances with a new atom, marked by `here`, one bond from the focus."""
    N = distance.shape[1]
    row = distance.gather(1, focus.view(-1, 1, 1).expand(-1, 1, N)).squeeze(1) + 1
    there = torch.arange(N, device=focus.device) < count.unsqueeze(1)
    row = torch.where(there, row, FAR).to(distance.dtype)
    row = torch.where(here, 0, row).to(distance.dtype)
    with_row = torch.where(here.unsqueeze(2), row.unsqueeze(1), distance)
    return torch.where(here.unsqueeze(1), row.unsqueeze(2), with_row)


def _through(distance: Tensor, focus: Tensor, target: Tensor) -> Tensor:
    """Return [B, N, N] the shortest ways that use a new bond between focus and target."""
    N = distance.shape[1]
    ours = distance.gather(1, focus.view(-1, 1, 1).expand(-1, 1, N)).squeeze(1)
    theirs = distance.gather(1, target.view(-1, 1, 1).expand(-1, 1, N)).squeeze(1)
    one = ours.unsqueeze(2) + theirs.unsqueeze(1)
    return torch.minimum(one, one.transpose(1, 2)) + 1
