"""A fold's energy counted afresh, slowly and plainly, from nothing but its letters.

Shares nothing with the environment, the proposer or the energy arrays: points in a dict,
neighbour vectors written out again, one pair at a time. Every fold that is reported passes it.
"""

from __future__ import annotations

from tasks.folding.design import Fold
from tasks.folding.energy import Matrix
from tasks.folding.sequence import types

Point = tuple[int, int, int]


def recheck(fold: Fold, matrix: Matrix) -> float:
    """Return the fold's energy; raises ValueError where the walk meets itself or has a gap."""
    kinds = types(fold.sequence, matrix.alphabet)
    energy = matrix.values.tolist()
    at = _occupied(fold)
    twice = 0.0
    for (x, y, z), i in at.items():
        for a, b, c in _VECTORS[fold.lattice].values():
            j = at.get((x + a, y + b, z + c))
            if j is not None and abs(i - j) > 1:
                twice += energy[kinds[i]][kinds[j]]
    return twice / 2


def _occupied(fold: Fold) -> dict[Point, int]:
    """Return which residue lies where; raises ValueError where two would share a point."""
    vectors = _VECTORS[fold.lattice]
    x, y, z = 0, 0, 0
    at = {(x, y, z): 0}
    for residue, letter in enumerate(fold.letters, start=1):
        a, b, c = vectors[letter]
        x, y, z = x + a, y + b, z + c
        if (x, y, z) in at:
            other = at[x, y, z] + 1
            raise ValueError(f"residue {residue + 1} lies on residue {other} in {fold.letters}")
        at[x, y, z] = residue
    if len(at) != len(fold.sequence):
        raise ValueError(f"{len(fold.letters)} bonds do not join {len(fold.sequence)} residues")
    return at


def _signed(text: str) -> dict[str, Point]:
    """Return vectors from text like "R+00 L-00": a letter, then the sign of each component."""
    sign = {"+": 1, "-": -1, "0": 0}
    return {w[0]: (sign[w[1]], sign[w[2]], sign[w[3]]) for w in text.split()}


_VECTORS = {
    "square": _signed("R+00 L-00 U0+0 D0-0"),
    "triangular": _signed("R+00 L-00 U0+0 D0-0 W-+0 E+-0"),
    "cubic": _signed("R+00 L-00 U0+0 D0-0 F00+ B00-"),
    "fcc": _signed("A++0 B--0 C+-0 D-+0 E+0+ F-0- G+0- H-0+ I0++ J0-- K0+- L0-+"),
}
