"""Folding by moves: the state is a whole fold, an action is a pull move, the design the best seen.

An action names which end leads, a residue, and the direction in which it goes from its successor
(at the leading end of the square and cubic lattices, two directions): the moves of
`tasks.folding.pull`, which reach every fold from every other (Lesh, Mitzenmacher and Whitesides
2003). The mask holds exactly the moves that keep the chain whole and free of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.folding.bounds import bound
from tasks.folding.design import Fold, numbers
from tasks.folding.energy import coordinates, matrix_named
from tasks.folding.lattices import Lattice, lattice_named
from tasks.folding.pull import aimed, possible, pulled
from tasks.folding.touching import felt


@dataclass(frozen=True)
class Moved:
    """B whole chains of L residues, and the best fold that each has been."""

    cells: Tensor  # [B, L] int64 packed points
    felt: Tensor  # [B, L] float32 contact energy of each residue; every contact counts at both
    taken: Tensor  # [B, L] float32 how many neighbouring points are taken
    energy: Tensor  # [B] float32
    best_cells: Tensor  # [B, L] int64
    best_energy: Tensor  # [B] float32
    made: Tensor  # [B] int64 moves so far
    still: Tensor  # [B] bool, no move was possible


@dataclass(frozen=True)
class Moves:
    """The environment of one sequence; every row makes `moves` pulls from the fold `origin`.

    The last action is legal where no other is: in finished rows.
    """

    sequence: str
    lattice: str
    matrix: str
    moves: int
    origin: str  # letters of the first fold

    @property
    def num_actions(self) -> int:
        """A, the pulls that are ever possible, and one that does nothing."""
        return 2 * len(self._pulls) + 1

    @property
    def max_steps(self) -> int:
        """T, the number of moves."""
        return self.moves

    @property
    def obs_size(self) -> int:
        """F: the bonds' letters one-hot, three numbers a residue, and three of the whole."""
        return (len(self.sequence) - 1) * self._place.size + 3 * len(self.sequence) + 3

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Moved:
        """Return B chains in the first fold."""
        cells = self._on(device).start.expand(batch_size, -1).contiguous()
        none = torch.zeros(batch_size, dtype=torch.int64, device=device)
        felt, taken, energy = self._felt(cells)
        return Moved(cells, felt, taken, energy, cells, energy, none, none.bool())

    def done(self, state: Moved, /) -> Tensor:
        """Return [B] bool, True where all moves are made."""
        return state.still | (state.made >= self.moves)

    def mask(self, state: Moved, /) -> Tensor:
        """Return [B, A] bool: the pulls that are possible; the last action where none is."""
        tables, lattice = self._on(state.cells.device), self._place
        legal = []
        for chain in (state.cells, state.cells.flip(1)):
            pull = aimed(chain, tables.bead, tables.first, tables.second, lattice)
            legal.append(possible(chain, pull, lattice))
        moves = torch.cat(legal, dim=1) & ~self.done(state)[:, None]
        return torch.cat([moves, ~moves.any(1, keepdim=True)], dim=1)

    def step(self, state: Moved, action: Tensor, /) -> Moved:
        """Return the chains after one pull each; finished rows stay as they are."""
        tables, idle = self._on(state.cells.device), self.num_actions - 1
        going, pull = (action != idle) & ~self.done(state), action.clamp(max=idle - 1)
        cells = torch.where(going[:, None], self._pulled(state.cells, pull, tables), state.cells)
        felt, taken, energy = self._felt(cells)
        better = energy < state.best_energy - 1e-6
        return Moved(
            cells=cells,
            felt=felt,
            taken=taken,
            energy=energy,
            best_cells=torch.where(better[:, None], cells, state.best_cells),
            best_energy=torch.where(better, energy, state.best_energy),
            made=state.made + going,
            still=state.still | (action == idle),
        )

    def reward(self, state: Moved, action: Tensor, after: Moved, /) -> Tensor:
        """Return [B] the energy that a move won, as a share of the bound."""
        return (state.energy - after.energy) / self._scale

    def observe(self, state: Moved, /) -> Tensor:
        """Return [B, F] float32."""
        tables = self._on(state.cells.device)
        bonds = (state.cells[:, 1:] - state.cells[:, :-1])[..., None] == tables.deltas
        whole = torch.stack([state.energy, state.best_energy], dim=1) / -self._scale
        parts = [
            bonds.flatten(1).float(),
            tables.sticky.expand(len(bonds), -1),
            state.felt / tables.strongest,
            state.taken / self._place.size,
            whole,
            state.made[:, None] / self.moves,
        ]
        return torch.cat(parts, dim=1)

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[Fold | None]:
        """Return the best fold that each row has been; trusts that actions were legal."""
        idle = self.num_actions - 1
        rows = [[*row[: self.moves], *[idle] * (self.moves - len(row))] for row in actions]
        chosen = torch.tensor(rows, dtype=torch.int64).reshape(len(rows), self.moves)
        state = self.reset(len(rows), torch.device("cpu"))
        for column in chosen.unbind(1):
            state = self.step(state, column)
        letters = self._place.bonds(state.best_cells.numpy())
        names = np.array(list(self._place.letters))
        return [Fold(self.sequence, self.lattice, "".join(names[row])) for row in letters]

    def _pulled(self, cells: Tensor, action: Tensor, tables: _Tables) -> Tensor:
        """Return the chains [B, L] after pulls [B], which are possible there."""
        each = len(tables.bead)
        flip, which = (action >= each)[:, None], (action % each)[:, None]
        chain = torch.where(flip, cells.flip(1), cells)
        bead, first, second = (table[which] for table in (tables.bead, tables.first, tables.second))
        pull = aimed(chain, bead, first, second, self._place)
        after = pulled(chain, pull, self._place)
        return torch.where(flip, after.flip(1), after)

    def _felt(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return energy [B, L] and taken neighbours [B, L] of each residue, and the energy [B]."""
        each, taken = felt(cells, self._on(cells.device).pairs, self._place)
        return each, taken, each.sum(1) / 2

    @cached_property
    def _place(self) -> Lattice:
        return lattice_named(self.lattice)

    @cached_property
    def _scale(self) -> float:
        return -bound(self.sequence, self.lattice, self.matrix) or 1.0

    @cached_property
    def _pulls(self) -> list[tuple[int, int, int]]:
        """Residue, letter, and second letter or -1 of each pull of a chain read from one end."""
        length, letters = len(self.sequence), range(self._place.size)
        pulls: list[tuple[int, int, int]] = []
        for bead in range(length):
            ahead = self._place.bipartite and bead == length - 1
            seconds = letters if ahead else (-1,)
            pulls += [(bead, first, second) for first in letters for second in seconds]
        return pulls

    def _on(self, device: torch.device) -> _Tables:
        return _tables(self, device)


@dataclass(frozen=True)
class _Tables:
    """What each pull of a chain that is read from one end is, and the chain, on one device."""

    bead: Tensor  # [N] int64 the residue, so read
    first: Tensor  # [N] int64 what the first letter adds to a packed point
    second: Tensor  # [N] int64 what the second does, 0 for none
    deltas: Tensor  # [Z] int64
    pairs: Tensor  # [L * L] float32
    sticky: Tensor  # [L] float32
    strongest: Tensor  # [] float32
    start: Tensor  # [L] int64


@lru_cache(maxsize=16)
def _tables(env: Moves, device: torch.device) -> _Tables:
    lattice = lattice_named(env.lattice)
    bead, first, second = np.array(env._pulls, dtype=np.int64).T
    pairs = matrix_named(env.matrix).pairs(env.sequence)
    cells = lattice.pack(coordinates(numbers(env.origin, lattice), lattice))
    arrays: dict[str, Any] = {
        "bead": bead,
        "first": lattice.deltas[first],
        "second": np.where(second >= 0, lattice.deltas[second], 0),
        "deltas": lattice.deltas,
        "pairs": pairs.ravel().astype(np.float32),
        "sticky": np.array(Fold(env.sequence, env.lattice, env.origin).sticky, dtype=np.float32),
        "strongest": np.float32(abs(pairs).max() or 1.0),
        "start": cells,
    }
    return _Tables(
        **{name: torch.as_tensor(array, device=device) for name, array in arrays.items()}
    )
