"""Molecules atom by atom: an environment that needs no training data and is always valid.

A molecule grows as a depth-first walk. At the focus one may add an atom (which becomes the
focus, unless it is full at once), close a ring to the atom k bonds back on the path to the
root, go back UP to the previous atom, or STOP. Masks keep valences, ring sizes and, with
`plausible`, bonds a chemist would keep; every prefix with an atom is a valid molecule, so no
construction can get stuck. With a scaffold it begins with that, at its attachment points
(`tasks.molecules.anchored`), and JOIN binds a further fragment of it to the focus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from designer.errors import InputError
from tasks.molecules import anchored, growing
from tasks.molecules.design import Molecule
from tasks.molecules.graphs import FAR, LARGEST, Graphs, additions, at, focus_of, ring_atoms, tables
from tasks.molecules.kinds import DEFAULT_KINDS, check_kinds
from tasks.molecules.scaffold import Scaffold
from tasks.molecules.scaffold import read as read_scaffold

STOP, UP, FIRST_ADD = 0, 1, 2
WINDOW = 6  # atoms back on the path that are observed


@dataclass(frozen=True)
class MolecularGraph:
    """Atom-by-atom construction within stated limits.

    `max_atoms` heavy atoms at most, `min_atoms` at least where possible (so STOP waits for
    them); rings have `ring_sizes` atoms, at most `max_rings`, and share at most one bond with
    another ring unless `bridged`. `plausible` keeps to bonds that occur in drugs: no O-O, S-S or
    N-halogen bonds, no chains of three heteroatoms, no cumulated double bonds, no triple bond in
    a ring. `kinds` names atoms and groups of `tasks.molecules.kinds.KINDS`. `scaffold` is a SMILES
    with attachment points [*:1], which all get a substituent; its atoms and rings count, and
    none of its own bonds are judged.
    """

    max_atoms: int = 30
    min_atoms: int = 1
    kinds: Sequence[str] = DEFAULT_KINDS
    ring_sizes: Sequence[int] = (5, 6)
    max_rings: int = 5
    plausible: bool = True
    bridged: bool = False
    scaffold: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", check_kinds(self.kinds))
        object.__setattr__(self, "ring_sizes", tuple(self.ring_sizes))
        if not 2 <= self.max_atoms <= LARGEST or not 1 <= self.min_atoms <= self.max_atoms:
            raise InputError(
                f"min_atoms {self.min_atoms}, max_atoms {self.max_atoms}: expected "
                f"1 <= min_atoms <= max_atoms and 2 <= max_atoms <= {LARGEST}"
            )
        if self.max_rings < 0 or any(size < 3 for size in self.ring_sizes):
            raise InputError(
                f"max_rings {self.max_rings}, ring_sizes {list(self.ring_sizes)}: expected "
                f"0 or more rings of 3 or more atoms"
            )
        if self.scaffold:
            anchored.anchors(self, torch.device("cpu"))

    @property
    def additions(self) -> tuple[tuple[str, int], ...]:
        """The (kind, bond order) of each ADD action, in order."""
        return additions(tuple(self.kinds), self.plausible)

    @property
    def first_ring(self) -> int:
        """The first RING action: to 2 bonds back by a single bond; then by a double; then 3..."""
        return FIRST_ADD + len(self.additions)

    @property
    def first_join(self) -> int:
        """The first JOIN action, one for each further fragment of the scaffold."""
        return self.first_ring + 2 * (self.max_atoms - 2)

    @property
    def core(self) -> Scaffold | None:
        """The scaffold, if there is one."""
        return read_scaffold(self.scaffold) if self.scaffold else None

    @property
    def num_actions(self) -> int:
        """A: STOP, UP, an ADD for each kind and order, a RING for each way back and order; JOIN."""
        return self.first_join + (len(self.core.joints) if self.core else 0)

    @property
    def max_steps(self) -> int:
        """T: every atom added and left, every ring closed, and STOP."""
        if self.core is None:
            return 2 * self.max_atoms + self.max_rings
        grown, fixed = self.max_atoms - self.core.size, len(self.core.sites) + len(self.core.joints)
        return 2 * grown + fixed + max(0, self.max_rings - len(self.core.rings))

    @property
    def obs_size(self) -> int:
        """F: see `observe`."""
        E = len(self.kinds)
        return (
            self.num_actions
            + E
            + 10
            + WINDOW * (E + 7)
            + (len(self.core.joints) if self.core else 0)
        )

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Graphs:
        """Return B empty molecules, or B scaffolds."""
        if self.scaffold:
            row = vars(anchored.anchors(self, device).row)
            held = {k: v.expand(batch_size, *v.shape[1:]) for k, v in row.items()}
            return Graphs(**held)
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
            joined=torch.zeros(B, 0, dtype=torch.bool, device=device),
        )  # fmt: skip

    def done(self, state: Graphs, /) -> Tensor:
        """Return [B] bool: STOP was taken."""
        return state.stopped

    def mask(self, state: Graphs, /) -> Tensor:
        """Return [B, A] bool; STOP alone is legal in finished rows."""
        keep = anchored.asked(self, state) if self.scaffold else self._stay_open(state)
        leave = ~self._unfilled(state)
        up = (state.depth > 0) & leave & keep.up
        stop = (state.count > 0) & (state.heavy >= self.min_atoms) & leave & keep.stop
        add = self._may_add(state) & keep.add
        ring = self._may_close(state) & keep.ring
        live = ~state.stopped.unsqueeze(1)
        first = torch.stack([stop | state.stopped, up & ~state.stopped], dim=1)
        return torch.cat([first, add & live, ring & live, keep.join & live], dim=1)

    def step(self, state: Graphs, action: Tensor, /) -> Graphs:
        """Return the molecules one action on."""
        live = ~state.stopped
        adding = live & (action >= FIRST_ADD) & (action < self.first_ring)
        closing = live & (action >= self.first_ring) & (action < self.first_join)
        stop, up = live & (action == STOP), live & (action == UP)
        state = replace(
            state,
            last=torch.where(live, action, state.last),
            stopped=state.stopped | stop,
            depth=state.depth - up.long(),
        )
        added = growing.add(self, state, action - FIRST_ADD, adding)
        closed = growing.close(self, added, action - self.first_ring, closing)
        if not state.joined.shape[1]:
            return closed
        return growing.join(
            self, closed, action - self.first_join, live & (action >= self.first_join)
        )

    def observe(self, state: Graphs, /) -> Tensor:
        """Return [B, F] float32 in [0, 1].

        The last action one-hot; counts of each kind, of heavy atoms and rings, the depth; what
        the focus has left; kind, bond order, freedom, ring membership and distance of the focus
        and the `WINDOW` - 1 atoms before it on the path; and which fragments are joined.
        """
        focus = focus_of(state)
        E, N = len(self.kinds), self.max_atoms
        there = torch.arange(N, device=focus.device) < state.count.unsqueeze(1)
        counts = (one_hot(state.kind, E) * there.unsqueeze(2)).sum(1) / 10
        share = [state.heavy / N, state.depth / N, state.rings / max(1, self.max_rings)]
        free = one_hot(at(state.free, focus).clamp(0, 4), 5)
        flags = [at(state.multiple, focus), at(state.hetero, focus) > 0]
        parts = [one_hot(state.last, self.num_actions), counts, *(x[:, None] for x in share)]
        parts += [free, *(x[:, None] for x in flags), self._window(state)]
        parts += [state.joined]
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

    def keeps(self, mol: Any) -> bool:
        """Return whether an RDKit molecule has the scaffold; True where there is none."""
        return self.core is None or self.core.kept_by(mol)

    def _may_add(self, state: Graphs) -> Tensor:
        """Return [B, P] bool, the ADD actions within valence, size and plausibility."""
        table = tables(self, state.last.device)
        focus, start = focus_of(state), (state.count == 0).unsqueeze(1)
        kind, free = at(state.kind, focus), at(state.free, focus)
        legal = table.pair[kind][:, table.add_kind, table.add_order]
        legal = legal & (table.add_order <= free.unsqueeze(1))
        if self.plausible:
            legal &= ~(at(state.multiple, focus).unsqueeze(1) & (table.add_order > 1))
            crowded = table.hetero[kind] & (at(state.hetero, focus) > 0)
            legal &= ~(crowded.unsqueeze(1) & table.hetero[table.add_kind])
        legal = torch.where(start, table.first, legal)
        needed = table.weight + table.group * (table.valence - 1)  # a group is filled at once
        return legal & (state.heavy.unsqueeze(1) + needed[table.add_kind] <= self.max_atoms)

    def _stay_open(self, state: Graphs) -> anchored.Asked:
        """Return where a molecule below `min_atoms` can still grow.

        Only atoms on the path can take more, so one of them must keep a bond on offer; a carbon
        may be added to any kind, so that is enough.
        """
        table = tables(self, state.last.device)
        on_path = torch.arange(self.max_atoms, device=state.last.device)
        offers = state.free.gather(1, state.path) * (on_path <= state.depth.unsqueeze(1))
        open_ = offers.sum(1, keepdim=True)
        kind, order = table.add_kind, table.add_order
        start = (state.count == 0).unsqueeze(1)
        enough = (state.heavy >= self.min_atoms).unsqueeze(1)
        grown = state.heavy.unsqueeze(1) + table.weight[kind] >= self.min_atoms
        add = grown | start | (open_ + table.valence[kind] - 2 * order > 0)
        ring = enough | (open_ - 2 * table.orders.repeat(self.max_atoms - 2) > 0)
        up = enough.squeeze(1) | (open_.squeeze(1) > at(state.free, focus_of(state)))
        return anchored.Asked(add, ring, state.joined, up, torch.ones_like(up))

    def _unfilled(self, state: Graphs) -> Tensor:
        """Return [B] bool: the focus is a group, such as a sulfone, which still lacks a bond."""
        focus = focus_of(state)
        group = tables(self, focus.device).group[at(state.kind, focus)]
        return group & (at(state.free, focus) > 0)

    def _may_close(self, state: Graphs) -> Tensor:
        """Return [B, 2 (N - 2)] bool, the RING actions; 2 to N - 1 bonds back, two orders."""
        table, focus = tables(self, state.last.device), focus_of(state)
        back = torch.arange(2, self.max_atoms, device=focus.device)
        there = back <= state.depth.unsqueeze(1)
        target = state.path.gather(1, (state.depth.unsqueeze(1) - back).clamp(min=0))
        ring, length = ring_atoms(state, focus, target)
        legal = there & table.ring_size[length.clamp(max=self.max_atoms).long()]
        legal &= (state.rings < self.max_rings).unsqueeze(1) & (length < FAR)
        if not self.bridged:
            shared = torch.bmm(ring.float(), state.member.transpose(1, 2).float())
            legal &= (shared <= 2).all(2) & (ring.sum(2) == length)
        kind, other = at(state.kind, focus), state.kind.gather(1, target)
        orders = table.pair[kind.unsqueeze(1), other][:, :, 1:3]
        free = torch.minimum(at(state.free, focus).unsqueeze(1), state.free.gather(1, target))
        orders = orders & (free.unsqueeze(2) >= table.orders)
        if self.plausible:
            legal &= self._plausible_ring(state, focus, target, back)
            pi = at(state.multiple, focus).unsqueeze(1) | state.multiple.gather(1, target)
            orders = orders & ~(pi.unsqueeze(2) & (table.orders > 1))
        return (orders & legal.unsqueeze(2)).flatten(1)

    def _plausible_ring(self, state: Graphs, focus: Tensor, target: Tensor, back: Tensor) -> Tensor:
        """Return [B, K] bool: no chain of three heteroatoms, no triple bond in the ring."""
        hetero = tables(self, focus.device).hetero
        near = at(state.hetero, focus).unsqueeze(1) + state.hetero.gather(1, target)
        both = hetero[at(state.kind, focus)].unsqueeze(1) & hetero[state.kind.gather(1, target)]
        depth = torch.arange(self.max_atoms, device=focus.device)
        on_path = state.linear.gather(1, state.path) & (depth <= state.depth.unsqueeze(1))
        last = torch.where(on_path, depth, -1).amax(1, keepdim=True)
        return ~(both & (near > 0)) & (state.depth.unsqueeze(1) - back > last)

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
        focus = focus_of(state).view(-1, 1, 1).expand(-1, 1, self.max_atoms)
        distance = state.distance.gather(1, focus).squeeze(1).gather(1, atom)
        near = (distance.unsqueeze(2) / WINDOW).clamp(max=1)
        parts = [kinds, orders, free, ring, near]
        seen = torch.cat([part.float() for part in parts], dim=2) * there.unsqueeze(2)
        return seen.flatten(1)
