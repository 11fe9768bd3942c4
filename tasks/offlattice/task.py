"""The off-lattice folding task: one AB chain in one model, tied together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import numpy as np

from designer.protocols import Floats, Task
from tasks.offlattice.design import Conformation, conformations, parse_chain, parse_conformation
from tasks.offlattice.energy import MODELS, model_named
from tasks.offlattice.environment import Angles
from tasks.offlattice.proposer import Relaxation

_PANEL, _MARGIN = 300.0, 30.0  # pixels


def task(
    sequence: str, model: str = "2d", relaxation: int = 100, kick: float = 1.0, hops: int = 20
) -> Task:
    """Return the task of bending an AB chain to its lowest energy.

    `sequence` is a string of A and B, or a name such as "fibonacci 13"; `model` is 2d, 3d-angle
    or 3d-azimuth (three different energies: never compare across them). `relaxation` is how many
    quasi-Newton steps the proposer makes from each kicked conformation, `kick` how hard it kicks,
    in radians, `hops` how many kicks a walk makes. Raises InputError for a bad sequence or model.
    """
    chain, model = parse_chain(sequence), model_named(model)
    straight = np.full((1, len(chain) - 2, MODELS[model]), 0.1)
    return Task(
        name="offlattice",
        environment=Angles(chain, model),
        parse=partial(parse_conformation, sequence=chain, model=model),
        show=show,
        draw=draw,
        proposer=Relaxation(relaxation, kick, hops),
        bucket=winding,
        examples=conformations(straight, chain, model),
        context={"sequence": chain, "model": model},
    )


def winding(design: Conformation) -> str:
    """Return the coarse class: which way, and how far, each bond turns (in quarter turns)."""
    quarters = np.round(design.array / (np.pi / 2)).astype(int)
    return " ".join(str(value) for value in quarters.ravel().tolist())


def show(design: Conformation) -> str:
    """Return the conformation for the terminal: energy, sequence and angles."""
    head = f"energy {design.energy:.6f} ({design.model}), {design.complexity} residues"
    return f"{head}\n{design.sequence}\n{design.text}"


def draw(designs: Sequence[Conformation]) -> str:
    """Return the conformations as one SVG document, three panels a row; A is filled, B open."""
    body = [
        f'<g transform="translate({_PANEL * (i % 3):g} {_PANEL * (i // 3):g})">{_panel(design)}</g>'
        for i, design in enumerate(designs)
    ]
    across, down = max(1, min(3, len(designs))), max(1, -(-len(designs) // 3))
    size = f'width="{_PANEL * across:g}" height="{_PANEL * down:g}" font-family="sans-serif"'
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{paper}{"".join(body)}</svg>\n'


def _panel(design: Conformation) -> str:
    flat = _flattened(design.coordinates)
    low, high = flat.min(axis=0), flat.max(axis=0)
    unit = (_PANEL - 2 * _MARGIN) / max(float((high - low).max()), 1.0)
    spots = (flat - (low + high) / 2) * unit + _PANEL / 2
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots.tolist())
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" stroke="#3b4a54" '
        f'fill="{"#1f6f78" if letter == "A" else "#f7f3e9"}"/>'
        for (x, y), letter in zip(spots.tolist(), design.sequence, strict=True)
    )
    title = escape(f"{design.model}  E = {design.energy:.4f}")
    text = f'<text x="10" y="18" font-size="13">{title}</text>'
    return f'<polyline points="{line}" fill="none" stroke="#5c6b75"/>{dots}{text}'


def _flattened(points: Floats) -> Floats:
    """Return [L, 2]: the points as they are, or along their two widest directions."""
    if points.shape[1] == 2:
        return points
    away = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(away, full_matrices=False)
    flat: Floats = away @ axes[:2].T
    return flat
