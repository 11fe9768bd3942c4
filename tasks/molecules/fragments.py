"""Molecules fragment by fragment: an environment that needs no training data.

Open attachment points lie on a stack. An action joins a fragment by one of its points to the
point on top (its other points are put on the stack), or SKIPs that point, which becomes a
hydrogen; END makes all that are left hydrogens. Every prefix is a valid molecule but for points
that must be used, for which atoms are kept in reserve, so nothing can get stuck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from designer.errors import InputError
from tasks.molecules import pieces as parts
from tasks.molecules.design import Molecule, from_mol
from tasks.molecules.graphs import at
from tasks.molecules.joints import kinds, tables, ways
from tasks.molecules.pieces import Piece
from tasks.molecules.scaffold import named
from tasks.molecules.scaffold import read as read_scaffold

END, SKIP, FIRST = 0, 1, 2
SEEN = 3  # points on the stack that are observed


@dataclass(frozen=True)
class Assembled:
    """B unfinished molecules with at most M open points."""

    last: Tensor  # [B] int64, the last action; END before the first
    ended: Tensor  # [B] bool
    heavy: Tensor  # [B] int64, heavy atoms so far
    placed: Tensor  # [B] int64, fragments so far; a scaffold is one
    depth: Tensor  # [B] int64, open points
    stack: Tensor  # [B, M] int64, the kind of each open point, the next one last


@dataclass(frozen=True)
class Fragments:
    """Fragment-by-fragment construction within stated limits.

    `max_atoms` heavy atoms at most, `min_atoms` at least where the fragments allow it, at most
    `max_pieces` fragments and `max_open` open points. `fragments` are SMILES with points (see
    `tasks.molecules.pieces`). `scaffold` is a SMILES with attachment points [*:1], which all get
    a fragment.
    """

    max_atoms: int = 30
    min_atoms: int = 1
    fragments: Sequence[str] = parts.BUILT_IN
    max_pieces: int = 10
    max_open: int = 8
    scaffold: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fragments", tuple(self.fragments))
        if not 1 <= self.min_atoms <= self.max_atoms <= 200:
            raise InputError(
                f"min_atoms {self.min_atoms}, max_atoms {self.max_atoms}: expected "
                f"1 <= min_atoms <= max_atoms <= 200"
            )
        for name in ("max_pieces", "max_open"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.scaffold and read_scaffold(self.scaffold).joints:
            raise InputError(
                f"{named(self.scaffold)}: fragments are linked atom by atom; take "
                'representation = "graph", or give one fragment'
            )
        tables(self, torch.device("cpu"))

    @property
    def num_actions(self) -> int:
        """A: END, SKIP, and each fragment by each of its distinct points."""
        return FIRST + len(ways(self))

    @property
    def max_steps(self) -> int:
        """T: every fragment joined, every other point skipped, and END."""
        more = int(tables(self, torch.device("cpu")).count.max())
        sites = len(self.core.points) if self.core else 0
        return sites + self.max_pieces * max(1, more) + 2

    @property
    def obs_size(self) -> int:
        """F: see `observe`."""
        return self.num_actions + SEEN * (len(kinds(self)) + 1) + 4

    @property
    def core(self) -> Piece | None:
        """The scaffold as a piece, if there is one."""
        return parts.read(self.scaffold, must=True) if self.scaffold else None

    def keeps(self, mol: Any) -> bool:
        """Return whether an RDKit molecule has the scaffold; True where there is none."""
        return not self.scaffold or read_scaffold(self.scaffold).kept_by(mol)

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Assembled:
        """Return B empty molecules, or B scaffolds."""
        zero = torch.zeros(batch_size, dtype=torch.int64, device=device)
        stack = torch.zeros(batch_size, self.max_open, dtype=torch.int64, device=device)
        state = Assembled(zero, zero.bool(), zero, zero, zero, stack)
        if self.core is None:
            return state
        index, count = {kind: i for i, kind in enumerate(kinds(self))}, len(self.core.points)
        opened = [index[point] for point in reversed(self.core.points)]
        stack[:, :count] = torch.tensor(opened, device=device)
        return replace(state, heavy=zero + self.core.weight, placed=zero + 1, depth=zero + count)

    def done(self, state: Assembled, /) -> Tensor:
        """Return [B] bool: END was taken."""
        return state.ended

    def mask(self, state: Assembled, /) -> Tensor:
        """Return [B, A] bool; END alone is legal in finished rows."""
        table, live = tables(self, state.last.device), ~state.ended
        there = torch.arange(self.max_open, device=live.device) < state.depth.unsqueeze(1)
        owed = (table.must[state.stack] & there).sum(1)
        held = (table.reserve[state.stack] * there).sum(1)
        first = (state.placed == 0).long()
        top = at(state.stack, (state.depth - 1).clamp(min=0))
        mine = table.must[top].long() * (state.depth > 0)
        atoms = state.heavy + held - table.reserve[top] * (state.depth > 0)
        left = (state.depth - 1).clamp(min=0)
        open_ = left.unsqueeze(1) + table.count[first]
        fits = atoms.unsqueeze(1) + table.weight + table.kept[first] <= self.max_atoms
        fits &= open_ <= self.max_open
        pieces = (state.placed + 1 + owed - mine).unsqueeze(1) + table.musts[first]
        fits &= pieces <= self.max_pieces
        begins = (first > 0).unsqueeze(1)
        fits &= torch.where(begins, table.starts, table.pair[top][:, table.need])
        fits &= live.unsqueeze(1) & (begins | (state.depth > 0).unsqueeze(1))
        grows = (open_ > 0) | (state.heavy.unsqueeze(1) + table.weight >= self.min_atoms)
        better = fits & grows
        join = torch.where(better.any(1, keepdim=True), better, fits)
        skip = live & (state.depth > 1) & (mine == 0)
        small = (state.heavy < self.min_atoms) & (skip | join.any(1))
        end = state.ended | ((owed == 0) & (state.placed > 0) & ~small)
        return torch.cat([torch.stack([end, skip], dim=1), join], dim=1)

    def step(self, state: Assembled, action: Tensor, /) -> Assembled:
        """Return the molecules one action on."""
        table, live = tables(self, action.device), ~state.ended
        joins, skips = live & (action >= FIRST), live & (action == SKIP)
        which, first = (action - FIRST).clamp(min=0), (state.placed == 0).long()
        under = (state.depth - 1).clamp(min=0)
        count = table.count[first, which]
        place = torch.arange(self.max_open, device=action.device) - under.unsqueeze(1)
        fresh = table.pushes[first, which]
        new = fresh.gather(1, place.clamp(0, fresh.shape[1] - 1))
        put = joins.unsqueeze(1) & (place >= 0) & (place < count.unsqueeze(1))
        depth = torch.where(joins, under + count, state.depth - skips.long())
        return Assembled(
            last=torch.where(live, action, state.last),
            ended=state.ended | (action == END),
            heavy=state.heavy + table.weight[which] * joins,
            placed=state.placed + joins.long(),
            depth=depth,
            stack=torch.where(put, new, state.stack),
        )

    def observe(self, state: Assembled, /) -> Tensor:
        """Return [B, F] float32 in [0, 1].

        The last action one-hot; the kinds of the `SEEN` points that come next; how many atoms,
        fragments and open points there are, and whether the first may be chosen.
        """
        back = torch.arange(1, SEEN + 1, device=state.depth.device)
        place = state.depth.unsqueeze(1) - back
        kind = torch.where(place >= 0, state.stack.gather(1, place.clamp(min=0)) + 1, 0)
        seen = one_hot(kind, len(kinds(self)) + 1).flatten(1)
        shares = [state.heavy / self.max_atoms, state.placed / (self.max_pieces + 1)]
        shares += [state.depth / self.max_open, (state.placed == 0).float()]
        last = one_hot(state.last, self.num_actions)
        return torch.cat([last.float(), seen.float(), torch.stack(shares, dim=1).float()], dim=1)

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[Molecule | None]:
        """Return a molecule a row; `None` for a row without a fragment or without END."""
        from rdkit import rdBase

        with rdBase.BlockLogs():
            return [self._built(row) for row in actions]

    def _built(self, row: Sequence[int]) -> Molecule | None:
        from rdkit import Chem

        if END not in row:
            return None
        mol, open_, known = Chem.RWMol(), list[int](), ways(self)

        def put(piece: Piece, without: int | None) -> int:
            start = mol.GetNumAtoms()
            mol.InsertMol(piece.mol)
            others = [atom for i, atom in enumerate(piece.atoms) if i != without]
            open_.extend(start + atom for atom in reversed(others))
            return start

        if self.core is not None:
            put(self.core, None)
        for action in row[: list(row).index(END)]:
            if action == SKIP:
                open_.pop()
                continue
            piece, point = known[action - FIRST]
            if not mol.GetNumAtoms():
                put(piece, None)
                continue
            site = open_.pop()
            start = put(piece, point)
            mol.AddBond(site, start + piece.atoms[point], Chem.BondType.SINGLE)
        done = mol.GetMol()
        sound = done.GetNumAtoms() > 0 and Chem.SanitizeMol(done, catchErrors=True) == 0
        return from_mol(done) if sound else None
