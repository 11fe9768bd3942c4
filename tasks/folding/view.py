"""A fold as text for the terminal: the chain on its grid, 3D folds layer by layer.

Filled circles are hydrophobic, open ones polar, and a ringed circle is the first residue; a
protein shows its letters instead, capital where hydrophobic. In 3D an arrow after a residue
tells that the chain goes on to the layer above or below.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tasks.folding.bounds import bound
from tasks.folding.certain import as_low
from tasks.folding.design import Fold
from tasks.folding.energy import Matrix, matrix_named
from tasks.folding.lattices import Ints, lattice_named
from tasks.folding.recheck import recheck
from tasks.folding.sequence import hp_string

Canvas = dict[tuple[int, int], str]  # (row, column) -> character; rows grow downwards
_WIDE, _NARROW, _LIMIT = 4, 2, 76  # columns between residues; columns of a terminal
_ROWS, _COLUMNS = 120, 160  # lines and columns of a picture that is worth printing
_BONDS = {(0, 1): "─", (1, 0): "│", (1, 1): "╲", (1, -1): "╱"}  # noqa: RUF001
_ARROWS = {(False, False): "", (True, False): "↑", (False, True): "↓", (True, True): "↕"}


def show(
    fold: Fold,
    matrix: str = "hp",
    proven: Callable[[float], bool] = lambda energy: False,
    *,
    count: bool = True,
) -> str:
    """Return the fold's picture, its energy and its letters; several lines. Of a short chain
    whose fold is optimal also, with `count`, how many folds are. A picture that no terminal
    holds is left out.

    `proven` says of an energy above the bound whether an enumeration has found none lower.
    """
    known = matrix_named(matrix)
    energy, what = caption(fold, known, proven)
    drawn = picture(fold, known.hp(fold.sequence))
    width = max(map(len, drawn))
    if len(drawn) > _ROWS or width > _COLUMNS:
        drawn = [f"(too large to print, {len(drawn):,} lines of {width:,}: see the drawing)"]
    lines = [*drawn, "", f"{energy}, {what}", fold.text]
    if count and "optimal" in energy:
        lowest = round(recheck(fold, known), 6)
        many = as_low(fold.sequence, fold.lattice, matrix, lowest)
        if many is not None:
            has = "fold has" if many == 1 else "folds have"
            lines.append(f"{many:,} {has} this energy, counted by enumeration")
    return "\n".join(lines)


def caption(
    fold: Fold, matrix: Matrix, proven: Callable[[float], bool] = lambda energy: False
) -> tuple[str, str]:
    """Return the fold's energy beside its bound or the proof, and what is folded."""
    energy, least = recheck(fold, matrix), bound(fold.sequence, fold.lattice, matrix)
    proof = f"bound {least:.6g}"
    if energy <= least + 1e-9:
        proof = "optimal"
    elif proven(energy):
        proof = "optimal, proved by enumeration"
    return (
        f"energy {energy:.6g} ({matrix.title}, {proof})",
        f"{len(fold.sequence)} residues, {fold.lattice} lattice",
    )


def picture(fold: Fold, hp: str | None = None) -> list[str]:
    """Return the lines of the picture; `hp` says which residues are drawn as hydrophobic, without
    it the known mapping does.
    """
    marks = symbols(fold, hp or hp_string(fold.sequence))
    if lattice_named(fold.lattice).dimensions == 2:
        return _lines(_flat(fold, marks))
    return _beside(_layers(fold, marks))


def symbols(fold: Fold, hp: str) -> list[str]:
    """Return what each residue is drawn as [L]."""
    if set(fold.sequence) <= set("HP"):
        drawn = ["●" if letter == "H" else "○" for letter in hp]
        return ["◉" if hp[0] == "H" else "◎", *drawn[1:]]
    pairs = zip(fold.sequence, hp, strict=True)
    return [c.upper() if kind == "H" else c.lower() for c, kind in pairs]


def _flat(fold: Fold, marks: list[str]) -> Canvas:
    x, y = fold.coordinates[:, 0], fold.coordinates[:, 1]
    half = 1 if fold.lattice == "triangular" else 0  # axial coordinates: up also goes right
    reach = int(np.ptp(2 * x + half * y)) + 1
    gap = _WIDE if _WIDE * reach // 2 <= _LIMIT else _NARROW
    columns = gap * x + (gap // 2) * half * y
    return _drawn(-2 * y, columns, marks, np.ones(len(x), dtype=bool))


def _drawn(rows: Ints, columns: Ints, marks: list[str], here: NDArray[np.bool_]) -> Canvas:
    """Return the canvas of those residues that are `here` [L], and of the bonds between them."""
    canvas: Canvas = {}
    places = list(zip(rows.tolist(), columns.tolist(), strict=True))
    for i in np.flatnonzero(here[1:] & here[:-1]):
        _join(canvas, places[i], places[i + 1])
    for i in np.flatnonzero(here):
        canvas[places[i]] = marks[i]
    return canvas


def _join(canvas: Canvas, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw a bond between two points, not on them."""
    down, right = end[0] - start[0], end[1] - start[1]
    length = max(abs(down), abs(right) if down == 0 else abs(down))
    way = (int(np.sign(down)), int(np.sign(right)))
    sign = _BONDS[way] if way in _BONDS else _BONDS[(-way[0], -way[1])]
    for k in range(1, length):
        place = (start[0] + round(down * k / length), start[1] + round(right * k / length))
        canvas[place] = sign


def _layers(fold: Fold, marks: list[str]) -> list[tuple[str, Canvas]]:
    """Return a title and a canvas for each layer, from the lowest; all of one size."""
    points = fold.coordinates
    z, up = points[:, 2], np.diff(points[:, 2])
    if fold.lattice == "fcc":  # turned by 45 degrees, so that bonds in a layer are straight
        columns, rows = 2 * (points[:, 0] + points[:, 1]), -(points[:, 1] - points[:, 0])
    else:
        columns, rows = _WIDE * points[:, 0], -2 * points[:, 1]
    rows, columns = rows - rows.min(), columns - columns.min()
    corners = {(0, 0): " ", (int(rows.max()), int(columns.max()) + 1): " "}
    found = []
    for level in range(int(z.min()), int(z.max()) + 1):
        canvas = corners | _drawn(rows, columns, marks, z == level)
        for i in np.flatnonzero(z == level):
            arrow = _arrow(up, int(i))
            if arrow:
                canvas[(int(rows[i]), int(columns[i]) + 1)] = arrow
        found.append((f"z = {level - int(z.min())}", canvas))
    return found


def _arrow(up: Ints, residue: int) -> str:
    """Return where the chain goes on from a residue; `up` [L - 1] is each bond's rise."""
    rises = [-int(r) for r in up[max(residue - 1, 0) : residue]]
    rises += [int(r) for r in up[residue : residue + 1]]
    return _ARROWS[(1 in rises, -1 in rises)]


def _lines(canvas: Canvas) -> list[str]:
    top, left = min(r for r, _ in canvas), min(c for _, c in canvas)
    bottom, right = max(r for r, _ in canvas), max(c for _, c in canvas)
    rows = range(top, bottom + 1)
    return ["".join(canvas.get((r, c), " ") for c in range(left, right + 1)).rstrip() for r in rows]


def _beside(layers: list[tuple[str, Canvas]]) -> list[str]:
    """Return layers side by side, as many in a row of text as a terminal is wide."""
    blocks = [[title, *_lines(canvas)] for title, canvas in layers]
    width = max(len(line) for block in blocks for line in block) + 4
    many = max(1, _LIMIT // width)
    lines: list[str] = []
    for i in range(0, len(blocks), many):
        group = blocks[i : i + many]
        height = max(map(len, group))
        padded = [block + [""] * (height - len(block)) for block in group]
        for row in zip(*padded, strict=True):
            lines.append("".join(line.ljust(width) for line in row).rstrip())
    return lines
