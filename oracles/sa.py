"""Synthetic accessibility: 1 (easy to make) to 10 (hard), from fragment statistics.

Ertl & Schuffenhauer, J. Cheminform. 1:8 (2009), with RDKit's changes: one macrocycle penalty
however many there are, and a bonus for symmetry. The fragment scores (how common a radius-2
Morgan environment is in a million PubChem molecules) are the table that RDKit ships. It is
written as a pickle, which is a program; here its lines are read as data and none of it runs.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError
from designer.protocols import Floats, Measured
from oracles.fingerprints import fingerprint
from oracles.rows import each, molecules

UNKNOWN = -4.0  # the score of a fragment that the table lacks
# One list of the table in pickle's text protocol: a score, then the fragments that have it.
_LIST = re.compile(rb"\(lp\d+\nF(-?[\d.]+)\n((?:a(?:I\d{1,18}|L\d{1,18}L)\n)+)aa")


@dataclass(frozen=True)
class SyntheticAccessibility:
    """The SA score, 1 to 10; about 0.08 ms a molecule, less than writing it down."""

    name: str = "sa"

    cheap = True

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N], 1 to 10."""
        return each(self.name, molecules(self.name, designs), sa_score)


def sa_score(mol: Any) -> float:
    """Return the SA score of an RDKit molecule; raises ValueError for one without atoms."""
    if not mol.GetNumAtoms():
        raise ValueError("a molecule without atoms has no SA score")
    found = fingerprint("ecfp4")(mol).GetNonzeroElements()
    raw = _commonness(found) - _complexity(mol) + _symmetry(mol.GetNumAtoms(), len(found))
    scaled = 11.0 - (raw + 5.0) / 6.5 * 9.0  # raw -4 (hard) .. 2.5 (easy)
    if scaled > 8.0:
        scaled = 8.0 + math.log(scaled - 8.0)
    return min(10.0, max(1.0, scaled))


def _commonness(found: dict[int, int]) -> float:
    """Return the mean score of the molecule's fragments (the paper's fragmentScore)."""
    ids, scores = fragment_scores()
    keys = np.fromiter(found.keys(), dtype=np.int64, count=len(found))
    counts = np.fromiter(found.values(), dtype=np.float64, count=len(found))
    place = np.minimum(np.searchsorted(ids, keys), len(ids) - 1)
    return float(np.where(ids[place] == keys, scores[place], UNKNOWN) @ counts / counts.sum())


def _complexity(mol: Any) -> float:
    """Return the paper's complexityPenalty: size, stereo centres, spiro, bridges, macrocycle."""
    from rdkit.Chem import rdMolDescriptors

    atoms = mol.GetNumAtoms()
    macrocycle = any(len(ring) > 8 for ring in mol.GetRingInfo().AtomRings())
    return float(
        atoms**1.005
        - atoms
        + math.log10(rdMolDescriptors.CalcNumAtomStereoCenters(mol) + 1)
        + math.log10(rdMolDescriptors.CalcNumSpiroAtoms(mol) + 1)
        + math.log10(rdMolDescriptors.CalcNumBridgeheadAtoms(mol) + 1)
        + (math.log10(2) if macrocycle else 0.0)
    )


def _symmetry(atoms: int, kinds: int) -> float:
    """Return the bonus where a molecule has fewer kinds of fragments than atoms."""
    return 0.5 * math.log(atoms / kinds) if atoms > kinds else 0.0


@lru_cache(maxsize=1)
def fragment_scores() -> tuple[NDArray[np.int64], Floats]:
    """Return fragment identifiers [K], sorted, and their scores [K]; read on first use."""
    from rdkit import RDConfig

    path = Path(RDConfig.RDContribDir) / "SA_Score" / "fpscores.pkl.gz"
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        remedy = (
            "the SA score needs this file of RDKit's wheel: pip install --force-reinstall rdkit"
        )
        raise InputError(f"{path} cannot be read ({type(error).__name__}); {remedy}") from error
    return read_table(text, str(path))


def read_table(text: bytes, source: str) -> tuple[NDArray[np.int64], Floats]:
    """Return what `fragment_scores` returns from a pickle (protocol 0) of lists of numbers.

    Raises InputError at the first byte that is anything else: nothing is ever unpickled.
    """
    ids, scores = [], []
    place = len(b"(lp0\n")
    while (found := _LIST.match(text, place)) is not None:
        fragments = np.fromstring(found[2].translate(None, b"aIL"), dtype=np.int64, sep=" ")
        ids.append(fragments)
        scores.append(np.full(len(fragments), float(found[1])))
        place = found.end()
    if not text.startswith(b"(lp0\n") or text[place:] != b"." or not ids:
        raise InputError(f"{source}: not a table of fragment scores (byte {place})")
    keys, values = np.concatenate(ids), np.concatenate(scores)
    order = np.argsort(keys, kind="stable")
    return keys[order], values[order]
