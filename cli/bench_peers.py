"""Other programs that fold, run beside ours: what they reach, and the processor time they take.

A program of replica exchange takes SEQUENCE KIND TARGET SECONDS REPLICAS COLDEST HOTTEST SEED
(kind 2, 3, 6 or 12: square, cubic, triangular, fcc), stops at the target, and prints `best=`,
`t_best=` and `prop/s=`. `prospr` (https://github.com/okkevaneck/prospr) is exact, for short
chains on the square and cubic lattices; it is named by a Python that has it.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from designer.errors import InputError
from tasks.folding.lattices import lattice_named

TUNED = {  # kind, replicas, coldest, hottest
    "square": (2, 5, 0.3, 0.5), "cubic": (3, 2, 0.3, 0.44),
    "triangular": (6, 5, 0.3, 0.5), "fcc": (12, 2, 0.4, 0.8),
}  # fmt: skip
LONGEST_EXACT = 20  # residues that branch and bound is asked for; each more costs 1.7 times as much
_EXACT = """
import sys
from prospr import Protein, depth_first_bnb
protein = Protein(sys.argv[1], dim=int(sys.argv[2]))
depth_first_bnb(protein)
print(f"best={protein.score}")
"""


@dataclass(frozen=True)
class Outcome:
    """One search: the energy reached, wall and processor seconds to its end, energies computed."""

    energy: float
    seconds: float
    busy: float
    evaluations: int = 0


def peers(texts: Sequence[str]) -> tuple[dict[str, Path], Path | None]:
    """Return the program for each lattice, and the Python that has prospr.

    Each text is LATTICE,LATTICE=PROGRAM or prospr=PYTHON; raises InputError for others.
    """
    pairs = [pair for text in texts for pair in _peer(text)]
    programs = dict(pairs)
    return {name: it for name, it in programs.items() if name in TUNED}, programs.get("prospr")


def _peer(text: str) -> Iterator[tuple[str, Path]]:
    lattices, _, program = text.partition("=")
    path = Path(program)
    if not program or not path.is_file():
        raise InputError(f"--peer {text!r}: expected LATTICE,LATTICE=PROGRAM with a program there")
    for name in lattices.split(","):
        yield name if name == "prospr" else lattice_named(name).name, path.absolute()


def exchanged(
    program: Path, sequence: str, lattice: str, target: float, limit: float, seed: int
) -> tuple[Outcome, float]:
    """Return how a program of replica exchange fared, and its proposals a processor second."""
    kind, replicas, coldest, hottest = TUNED[lattice]
    words = [program, sequence, kind, int(target), limit, replicas, coldest, hottest, seed]
    said, seconds, busy = _run(words)
    made = said["prop/s"] * seconds  # its own clock and ours differ by its start only
    return Outcome(said["best"], seconds, busy), made / busy


def exact(python: Path, sequence: str, lattice: str) -> Outcome:
    """Return how prospr's branch and bound fared."""
    said, seconds, busy = _run([python, "-c", _EXACT, sequence, 2 if lattice == "square" else 3])
    return Outcome(said["best"], seconds, busy)


def _run(words: Sequence[Any]) -> tuple[dict[str, float], float, float]:
    """Return the numbers a program printed, its wall and its processor seconds."""
    before, began = os.times(), time.monotonic()
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=True)
    seconds, after = time.monotonic() - began, os.times()
    busy = sum(after[2:4]) - sum(before[2:4])  # user and system time of ended children
    said = dict(re.findall(r"([\w/]+)=(-?[\d.e+]+)", done.stdout))
    return {name: float(value) for name, value in said.items()}, seconds, max(busy, 1e-3)
