"""The task of folding by moves: an improvement policy instead of a growing one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from designer.errors import InputError
from designer.protocols import Task
from tasks.folding.batched import BatchedExchange
from tasks.folding.design import parse_fold
from tasks.folding.energy import Named
from tasks.folding.lattices import lattice_named
from tasks.folding.moves import Moves
from tasks.folding.task import task

_MOST = 10_000  # moves; each is a step of every row


def moving(
    sequence: str,
    lattice: str = "square",
    matrix: Named | Path = "hp",
    moves: int = 0,
    start: str = "",
    target_energy: float | None = None,
) -> Task:
    """Return the task of folding a sequence by so many pull moves.

    `sequence`, `lattice`, `matrix` and `target_energy` are those of the task `folding`. A row
    makes `moves` moves (0: two a residue) from the fold `start`, one letter a bond (none: the
    straight chain); its design is the best fold that it has been. Raises InputError as `folding`
    does, for a start that is no fold of the chain, and for more than 10,000 moves.
    """
    if not 0 <= moves <= _MOST:
        raise InputError(f"moves is {moves}, expected 0 (two a residue) to {_MOST}")
    grown = task(sequence, lattice, matrix, search="batched", target_energy=target_energy)
    chain = str(grown.context["sequence"])
    straight = lattice_named(lattice).letters[0] * (len(chain) - 1)
    first = parse_fold(start or straight, chain, lattice)
    env = Moves(chain, lattice, str(matrix), moves or 2 * len(chain), first.letters)
    search = BatchedExchange(str(matrix))  # the policy moves folds and grows none to lean to
    return replace(grown, name="fold_moves", environment=env, proposer=search, examples=[first])
