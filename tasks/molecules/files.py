"""Molecules as files: SMILES, SDF with everything known of each, and the structures drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.molecules.design import Molecule
from tasks.molecules.view import draw, legend


def files(designs: Sequence[Molecule], found: Sequence[Any] = ()) -> Mapping[str, str]:
    """Return `best.smi`, `best.sdf` and `best.svg`; `found` [N] tells what was measured of each."""
    known = [_facts(design, i, found) for i, design in enumerate(designs)]
    pairs = enumerate(zip(designs, found, strict=False), start=1)
    legends = [legend(design, rank, one) for rank, (design, one) in pairs]
    drawn = draw(designs, legends if len(legends) == len(designs) else None)
    return {"best.smi": _smi(designs, known), "best.sdf": _sdf(designs, known), "best.svg": drawn}


def _facts(design: Molecule, place: int, found: Sequence[Any]) -> dict[str, str]:
    facts = {"rank": str(place + 1), "smiles": design.smiles, "scaffold": design.scaffold}
    if place < len(found):
        one = found[place]
        facts |= {"reward": repr(one.reward), "step": str(one.step)}
        facts |= {"evaluation": str(one.evaluation)}
        facts |= {name: repr(value) for name, value in one.scores.items()}
    return facts


def _smi(designs: Sequence[Molecule], known: Sequence[Mapping[str, str]]) -> str:
    """Return a line each: SMILES, a blank, the rank and reward as a name."""
    pairs = zip(designs, known, strict=True)
    return "".join(
        f"{design.smiles} rank-{facts['rank']}"
        + (f"_reward-{float(facts['reward']):.4g}" if "reward" in facts else "")
        + "\n"
        for design, facts in pairs
    )


def _sdf(designs: Sequence[Molecule], known: Sequence[Mapping[str, str]]) -> str:
    """Return MDL molfiles (V2000, flat coordinates) with data fields, `$$$$` between them."""
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    parts = []
    for design, facts in zip(designs, known, strict=True):
        mol = Chem.Mol(design.mol)
        rdDepictor.Compute2DCoords(mol)
        mol.SetProp("_Name", f"rank-{facts['rank']}")
        fields = "".join(f">  <{name}>\n{value}\n\n" for name, value in facts.items())
        parts.append(f"{Chem.MolToMolBlock(mol)}{fields}$$$$\n")
    return "".join(parts)
