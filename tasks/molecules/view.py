"""Molecules for people: terminal text, and a grid of structures as one SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from tasks.molecules.design import Molecule

CELL = (240, 200)  # width and height of one structure, pixels
LINE = 13  # height of a line of text below it
COLUMNS = 4


def show(design: Molecule) -> str:
    """Return the SMILES and a few properties, one line each."""
    from rdkit.Chem import QED, rdMolDescriptors

    mol = design.mol
    qed: Any = QED
    logp, _ = rdMolDescriptors.CalcCrippenDescriptors(mol)
    descriptors: Any = rdMolDescriptors
    return "\n".join(
        [
            design.smiles,
            f"  formula  {rdMolDescriptors.CalcMolFormula(mol)}",
            f"  weight   {descriptors._CalcMolWt(mol):.1f} g/mol, {design.complexity} heavy atoms",
            f"  rings    {rdMolDescriptors.CalcNumRings(mol)}, of them aromatic "
            f"{rdMolDescriptors.CalcNumAromaticRings(mol)}",
            f"  logP     {logp:.2f}, TPSA {rdMolDescriptors.CalcTPSA(mol):.1f} A^2",
            f"  QED      {qed.qed(mol):.3f}",
            f"  scaffold {design.scaffold or 'none'}",
        ]
    )


def draw(designs: Sequence[Molecule], legends: Sequence[str] | None = None) -> str:
    """Return one SVG document with the structures in a grid, four a row, SMILES below each.

    `legends` replaces the SMILES, of one line or several; every text is escaped.
    """
    texts = [design.smiles for design in designs] if legends is None else list(legends)
    columns = max(1, min(COLUMNS, len(designs)))
    rows = -(-len(designs) // columns)
    lines = max((1 + text.count("\n") for text in texts), default=1)
    width, high = columns * CELL[0], CELL[1] + LINE * lines + 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{rows * high}" '
        f'viewBox="0 0 {width} {rows * high}"><rect width="100%" height="100%" fill="#fff"/>'
    )
    cells = [
        _cell(design, text, (i % columns) * CELL[0], (i // columns) * high)
        for i, (design, text) in enumerate(zip(designs, texts, strict=True))
    ]
    return head + "".join(cells) + "</svg>"


def legend(design: Molecule, rank: int, found: Any) -> str:
    """Return what is written below a structure: rank and reward, raw scores, SMILES."""
    scores = ", ".join(f"{name} {value:.3g}" for name, value in found.scores.items())
    return f"{rank}: reward {found.reward:.4g}\n{scores}\n{design.smiles}"


def _cell(design: Molecule, text: str, x: int, y: int) -> str:
    said = [
        f'<tspan x="{CELL[0] // 2}" y="{CELL[1] + LINE * row}">{escape(_short(line))}</tspan>'
        for row, line in enumerate(text.split("\n"), start=1)
    ]
    return (
        f'<g transform="translate({x},{y})">{_structure(design)}'
        f'<text text-anchor="middle" font-family="monospace" font-size="10" fill="#444">'
        f"<title>{escape(text)}</title>{''.join(said)}</text></g>"
    )


def _short(text: str) -> str:
    return text if len(text) <= 38 else text[:37] + "…"


def _structure(design: Molecule) -> str:
    """Return the drawing of one molecule as SVG elements, without a document around them."""
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D

    mol = Chem.Mol(design.mol)
    mol.ClearProp("_Name")
    drawer = rdMolDraw2D.MolDraw2DSVG(*CELL)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol)
    drawer.FinishDrawing()
    body = re.search(r"<svg[^>]*>(.*)</svg>", drawer.GetDrawingText(), re.DOTALL)
    return body.group(1) if body else ""
