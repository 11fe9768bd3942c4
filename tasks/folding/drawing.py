"""Folds as one SVG document: 2D folds from above, 3D folds as three views side by side.

Hydrophobic residues are filled, polar ones open; broken lines are contacts that attract; the
first residue is ringed. A protein shows its letters. Of one sequence's folds that share most
of their contacts only the first is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from designer.protocols import Floats
from tasks.folding.design import Fold
from tasks.folding.energy import Matrix, matrix_named
from tasks.folding.lattices import Ints, lattice_named
from tasks.folding.recheck import recheck
from tasks.folding.view import caption

_PANEL, _MARGIN, _TITLE = 300.0, 26.0, 44.0  # pixels
_UNIT, _UNIT_3D = 46.0, 72.0  # pixels, the longest a bond gets
_LEGEND = 30.0  # height of the line below all panels
_COLUMNS = 3
_FILLED, _OPEN, _EDGE, _CHAIN, _CONTACT = "#1f6f78", "#f7f3e9", "#3b4a54", "#5c6b75", "#e07a3f"
_TURNS = (0.0, 60.0, 120.0)  # degrees about the vertical from which the three views are chosen,
_FURTHER = range(0, 45, 5)  # each so much further,
_TILTS = (24.0, 14.0, 34.0)  # and degrees from above
_USUAL, _MANY = 20.0, 100  # of more residues than _MANY no letter can be read: so much further
_CLEAR = 0.6  # bond lengths between two residues that are seen beside each other
_PAPER = np.array([255, 255, 255])
_ALIKE = 0.8  # share of two folds' contacts, all told, that they have in common


@dataclass(frozen=True)
class _Scene:
    """A fold projected: where its residues are on paper, and how near to the eye."""

    spots: Floats  # [L, 2] in bond lengths, y downwards
    depth: Floats  # [L] 0 (far) to 1 (near); all 1 in 2D
    contacts: Ints  # [K, 2] pairs of residues that attract
    hp: str  # which residues are filled
    fold: Fold


def draw(
    folds: Sequence[Fold],
    matrix: str = "hp",
    proven: Callable[[float], bool] = lambda energy: False,
) -> str:
    """Return an SVG document with a panel for each fold, and for folds alike only one. Where they
    are not all of one sequence, each panel says its own.

    `proven` says whether no fold has less energy; it is asked of the lowest only.
    """
    known = matrix_named(matrix)
    lowest = min((recheck(fold, known) for fold in folds), default=0.0)
    sure = cache(lambda energy: energy <= lowest and proven(energy))
    said = len({fold.sequence for fold in folds}) > 1
    panels = [_panel(fold, known, more, sure, said) for fold, more in _unlike(folds, known)]
    width = max((p[0] for p in panels), default=_PANEL)
    height = max((p[1] for p in panels), default=_TITLE)
    columns = max(1, min(_COLUMNS if width <= _PANEL else 1, len(panels)))
    rows = -(-len(panels) // columns)
    body = []
    for i, (_, _, shapes) in enumerate(panels):
        x, y = (i % columns) * width, (i // columns) * height
        body.append(f'<g transform="translate({x:g} {y:g})">{shapes}</g>')
    across, down = columns * width, max(1, rows) * height
    body.append(_legend(across / 2, down + _LEGEND / 2))
    size = f'width="{across:g}" height="{down + _LEGEND:g}"'
    box = f'viewBox="0 0 {across:g} {down + _LEGEND:g}"'
    font = 'font-family="Helvetica, Arial, sans-serif"'
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} {font}>'
    return "\n".join([head, paper, *body, "</svg>"]) + "\n"


def _unlike(folds: Sequence[Fold], matrix: Matrix) -> list[tuple[Fold, int]]:
    """Return the folds that are like none before them, and how many that follow are like each."""
    kept: list[tuple[Fold, set[tuple[int, ...]]]] = []
    followed: list[int] = []
    for fold in folds:
        own = set(map(tuple, _contacts(fold, matrix).tolist()))
        shares = [
            len(own & held) / max(1, len(own | held)) if fold.sequence == other.sequence else 0.0
            for other, held in kept
        ]
        if max(shares, default=0.0) > _ALIKE:
            followed[shares.index(max(shares))] += 1
        else:
            kept.append((fold, own))
            followed.append(0)
    return [(fold, more) for (fold, _), more in zip(kept, followed, strict=True)]


def _panel(
    fold: Fold, matrix: Matrix, more: int, proven: Callable[[float], bool], said: bool
) -> tuple[float, float, str]:
    """Return width, height and the shapes of one fold with its title: `more` are like it; the
    sequence is `said`.
    """
    points = lattice_named(fold.lattice).cartesian(fold.coordinates)
    contacts, hp = _contacts(fold, matrix), matrix.hp(fold.sequence)
    flat = lattice_named(fold.lattice).dimensions == 2
    if flat:
        scenes = [_Scene(points[:, :2] * (1, -1), np.ones(len(points)), contacts, hp, fold)]
    else:
        scenes = [_turned(points, *view, contacts, hp, fold) for view in _views(points)]
    width = _PANEL * len(scenes)
    spans = [np.ptp(scene.spots, axis=0) for scene in scenes]
    room = _PANEL - 2 * _MARGIN
    unit = min(_UNIT if flat else _UNIT_3D, room / max(float(np.max(spans)), 1.0))
    height = _TITLE + 2 * _MARGIN + unit * max(float(span[1]) for span in spans)
    views = []
    for i, scene in enumerate(scenes):
        middle = (scene.spots.max(axis=0) + scene.spots.min(axis=0)) / 2
        shift = (_PANEL * (i + 0.5), _TITLE + (height - _TITLE) / 2)
        views.append(_shapes(scene, (scene.spots - middle) * unit + shift, unit))
    energy, what = caption(fold, matrix, proven)
    what = f"{fold.sequence}, {fold.lattice}" if said else what
    title = _title((energy, f"{what}, {more} more alike" if more else what), width / 2)
    return width, height, title + "".join(views)


def _legend(middle: float, y: float) -> str:
    """Return one line that says what the shapes are."""
    x, line = middle - 142, f'y1="{y:g}" y2="{y:g}"'
    dot, ring = f'cy="{y:g}" r="6" stroke="{_EDGE}"', f'cy="{y:g}" fill="none" stroke="{_CONTACT}"'
    shapes = [
        f'<circle cx="{x:g}" fill="{_FILLED}" {dot}/>',
        f'<circle cx="{x + 100:g}" fill="{_OPEN}" {dot}/>',
        f'<circle cx="{x + 156:g}" r="7" stroke-width="2" {ring}/>',
        f'<line x1="{x + 204:g}" x2="{x + 226:g}" {line} stroke="{_CONTACT}" stroke-width="3" '
        'stroke-dasharray="4 5" stroke-linecap="round"/>',
    ]
    said = {11: "hydrophobic", 111: "polar", 168: "first", 234: "attraction"}
    shapes += [
        f'<text x="{x + at:g}" y="{y + 4:g}" font-size="11" fill="{_CHAIN}">{name}</text>'
        for at, name in said.items()
    ]
    return "".join(shapes)


def _title(lines: tuple[str, str], middle: float) -> str:
    sign = lines[0].replace(" -", " \N{MINUS SIGN}")
    room = 2 * middle - 16  # a long line is written smaller
    size, below = min(15.0, room / (0.6 * len(sign))), min(11.0, room / (0.7 * len(lines[1])))
    return (
        f'<text x="{middle:g}" y="24" font-size="{size:.3g}" font-weight="bold" fill="{_EDGE}" '
        f'text-anchor="middle">{escape(sign)}</text>'
        f'<text x="{middle:g}" y="40" font-size="{below:.3g}" fill="{_CHAIN}" text-anchor="middle">'
        f"{escape(lines[1])}</text>"
    )


def _contacts(fold: Fold, matrix: Matrix) -> Ints:
    """Return the pairs [K, 2] of residues in contact that attract."""
    return np.argwhere(np.triu(fold.touching & (matrix.pairs(fold.sequence) < 0)))


def _views(points: Floats) -> list[tuple[float, float]]:
    """Return the turn and the tilt of each view: those that hide the fewest residues."""
    if len(points) > _MANY:
        return [(turn + _USUAL, _TILTS[0]) for turn in _TURNS]
    return [
        min(((turn + further, tilt) for tilt in _TILTS for further in _FURTHER),
            key=lambda view: _hidden(_seen(points, *view)[0]))
        for turn in _TURNS
    ]  # fmt: skip


def _hidden(spots: Floats) -> float:
    """Return how much of the residues at spots [L, 2] lies behind others."""
    away = np.linalg.norm(spots[:, None] - spots, axis=2)
    return round(float(np.maximum(_CLEAR - away, 0).sum()), 6)  # of equals the first is taken


def _seen(points: Floats, turn: float, tilt: float) -> tuple[Floats, Floats]:
    """Return where points [L, 3], turned about the vertical and tilted, are on paper [L, 2],
    y downwards, and how near to the eye they are [L].
    """
    a, b = np.radians(turn), np.radians(tilt)
    x = points[:, 0] * np.cos(a) - points[:, 1] * np.sin(a)
    away = points[:, 0] * np.sin(a) + points[:, 1] * np.cos(a)
    down = -points[:, 2] * np.cos(b) - away * np.sin(b)
    return np.stack([x, down], axis=1), points[:, 2] * np.sin(b) - away * np.cos(b)


def _turned(
    points: Floats, turn: float, tilt: float, contacts: Ints, hp: str, fold: Fold
) -> _Scene:
    """Return the fold as seen from the side, turned about the vertical and tilted."""
    spots, near = _seen(points, turn, tilt)
    return _Scene(spots, (near - near.min()) / (float(np.ptp(near)) or 1.0), contacts, hp, fold)


def _shapes(scene: _Scene, at: Floats, unit: float) -> str:
    """Return bonds, contacts and residues, the farthest first; `at` [L, 2] in pixels."""
    drawn: list[tuple[float, str]] = []
    depth, radius = scene.depth, _radii(scene, unit)
    for i, j in scene.contacts.tolist():
        near = (depth[i] + depth[j]) / 2 - 0.02
        style = f'stroke-width="{unit / 15:.2f}" stroke-dasharray="{unit / 12:.2f} {unit / 9:.2f}"'
        drawn.append((near, _line(*_between(at, radius, i, j), _faded(_CONTACT, near), style)))
    for i in range(len(at) - 1):
        near = (depth[i] + depth[i + 1]) / 2 - 0.01
        style = f'stroke-width="{unit / 8:.2f}"'
        drawn.append((near, _line(*_between(at, radius, i, i + 1), _faded(_CHAIN, near), style)))
    for i, spot in enumerate(at):
        drawn.append((float(depth[i]), _residue(scene, i, spot, unit, float(radius[i]))))
    drawn.sort(key=lambda pair: pair[0])  # stable: contacts, bonds, residues
    return "".join(shape for _, shape in drawn)


def _radii(scene: _Scene, unit: float) -> Floats:
    """Return [L] how large the residues are drawn."""
    if (scene.depth == 1).all():
        return np.full(len(scene.depth), unit * 0.27)
    radii: Floats = unit * (0.2 + 0.08 * scene.depth)
    return radii


def _between(at: Floats, radius: Floats, i: int, j: int) -> tuple[Floats, Floats]:
    """Return the ends of a line from the rim of one residue to that of another, so that it does
    not lie over a letter; their middle twice where they overlap.
    """
    way = at[j] - at[i]
    length = float(np.linalg.norm(way)) or 1.0
    first = min(float(radius[i]) / length, 1.0)
    last = max(1 - float(radius[j]) / length, 0.0)
    if first > last:
        first = last = (first + last) / 2
    return at[i] + first * way, at[i] + last * way


def _residue(scene: _Scene, i: int, spot: Floats, unit: float, radius: float) -> str:
    sequence, near = scene.fold.sequence, float(scene.depth[i])
    sticky = scene.hp[i] == "H"
    place = f'cx="{spot[0]:.1f}" cy="{spot[1]:.1f}"'
    fill, edge = _faded(_FILLED if sticky else _OPEN, near), _faded(_EDGE, near)
    shape = (
        f'<circle {place} r="{radius:.1f}" fill="{fill}" stroke="{edge}" '
        f'stroke-width="{unit / 22:.2f}"/>'
    )
    if i == 0:
        ring = f'fill="none" stroke="{_faded(_CONTACT, near)}" stroke-width="{unit / 16:.2f}"'
        shape += f'<circle {place} r="{radius * 1.38:.1f}" {ring}/>'
    if not set(sequence) <= set("HP"):
        ink = _OPEN if sticky else _EDGE
        shape += (
            f'<text x="{spot[0]:.1f}" y="{spot[1] + 0.36 * radius * 1.15:.1f}" fill="{ink}" '
            f'font-size="{radius * 1.15:.1f}" text-anchor="middle">{escape(sequence[i])}</text>'
        )
    return shape


def _line(start: Floats, end: Floats, colour: str, style: str) -> str:
    ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-linecap="round" {style}/>'


def _faded(colour: str, near: float) -> str:
    """Return the colour as it looks at a distance: near 1 is itself, near 0 half paper."""
    own = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    share = 0.45 + 0.55 * min(1.0, max(0.0, near))
    mixed: NDArray[np.int64] = np.rint(own * share + _PAPER * (1 - share)).astype(np.int64)
    return "#" + "".join(f"{value:02x}" for value in mixed.tolist())
