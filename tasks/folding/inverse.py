"""Inverse folding: which sequence has a given fold as its lowest? The design is the sequence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from designer.errors import InputError
from designer.protocols import Task
from designer.sequences import Edits, Sequences, TokenDesign
from tasks.folding.design import Fold, parse_fold
from tasks.folding.drawing import draw as draw_folds
from tasks.folding.energy import matrix_named
from tasks.folding.lattices import LONGEST, lattice_named
from tasks.folding.sequence import SHORTEST
from tasks.folding.view import show as show_fold


def inverse(target: str, lattice: str = "square", matrix: str = "hp") -> Task:
    """Return the task of designing a sequence for a fold.

    `target` is the fold, one letter a bond; `matrix` the contact energy, whose alphabet the
    sequence is written in (H and P, the 20 residues, or a file's own). Raises InputError for a
    fold that meets itself, a letter the lattice lacks, an unknown lattice or matrix.
    """
    alphabet = matrix_named(matrix).alphabet
    length = len(target.strip()) + 1
    if not SHORTEST <= length <= LONGEST:
        raise InputError(f"target has {length} residues, expected {SHORTEST} to {LONGEST}")
    _ = lattice_named(lattice)
    fold = parse_fold(target, sequence="H" * length, lattice=lattice).letters
    env = Sequences(alphabet, max_length=length, min_length=length)
    example = TokenDesign(tuple(alphabet[0] * length), alphabet[0] * length)
    return Task(
        name="inverse_folding",
        environment=env,
        parse=env.parse,
        show=partial(_show, target=fold, lattice=lattice, matrix=matrix),
        draw=partial(_draw, target=fold, lattice=lattice, matrix=matrix),
        proposer=Edits(env),
        examples=[example],
        context={"target": fold, "lattice": lattice, "matrix": matrix},
    )


def _show(design: TokenDesign, target: str, lattice: str, matrix: str) -> str:
    return f"{design.text}\n{show_fold(Fold(design.text, lattice, target), matrix)}"


def _draw(designs: Sequence[TokenDesign], target: str, lattice: str, matrix: str) -> str:
    return draw_folds([Fold(design.text, lattice, target) for design in designs], matrix)
