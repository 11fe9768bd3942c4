"""How a known molecule is built again from its scaffold: every place of the scaffold is tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.molecules import scaffold
from tasks.molecules.assembly import TRIES, Parts, build, parts_of
from tasks.molecules.design import Molecule
from tasks.molecules.graph import MolecularGraph
from tasks.molecules.legality import legal_rows
from tasks.molecules.scaffold import Scaffold
from tasks.molecules.walks import keeps_rules, walk


def spell(
    env: MolecularGraph, core: Scaffold, designs: Sequence[Molecule],
    rng: np.random.Generator | None,
) -> list[list[int] | None]:  # fmt: skip
    """Return actions that grow each molecule from the scaffold, None where the environment cannot.

    Orders of construction are tried until one is legal and builds the same molecule, stereo
    marks of the scaffold included: first the plain order (none, with `rng`), then at random.
    """
    random = np.random.default_rng(0) if rng is None else rng
    found: list[list[int] | None] = [None] * len(designs)
    ways = {i: _ways(env, core, design) for i, design in enumerate(designs)}
    for attempt in range(TRIES):
        drawn: dict[int, list[int]] = {}
        for i in [i for i, places in ways.items() if places and found[i] is None]:
            plain = attempt == 0 and rng is None
            parts = ways[i][0 if plain else int(random.integers(len(ways[i])))]
            row = walk(env, *parts, None if plain else random, core)
            if row is not None:
                drawn[i] = row
        rows = list(drawn.values())
        legal = legal_rows(env, rows)
        for i, row, fine, built in zip(drawn, rows, legal, build(env, rows), strict=True):
            if fine and built == designs[i]:
                found[i] = row
        if all(found[i] is not None or not ways[i] for i in ways):
            break
    return found


def _ways(env: MolecularGraph, core: Scaffold, design: Molecule) -> list[Parts]:
    """Return the molecule cut into atoms, the scaffold's first, once for each place of it."""
    from rdkit import Chem

    flat = Chem.Mol(design.mol)
    if any(atom.GetNumRadicalElectrons() for atom in flat.GetAtoms()):
        return []
    Chem.RemoveStereochemistry(flat)
    kinds = [kind for kind, _ in scaffold.names(core, env.kinds)]
    ways = []
    for place in core.places(flat):
        parts = parts_of(env, flat, dict(zip(place, kinds, strict=True)))
        if parts is not None and keeps_rules(env, *parts, core):
            ways.append(parts)
    return ways
