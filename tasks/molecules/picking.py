"""What edits of molecules share: an option drawn at random, and the atoms of a molecule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Mol = Any
Rng = np.random.Generator


def atoms(mol: Mol) -> Iterator[Any]:
    return map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))  # twice as fast as GetAtoms


def pick(options: Sequence[Any], rng: Rng) -> Any:
    return options[int(rng.integers(len(options)))] if options else None
