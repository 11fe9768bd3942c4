"""Between the actions of the graph environment and RDKit molecules, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.molecules.design import Molecule, from_mol
from tasks.molecules.kinds import KINDS
from tasks.molecules.legality import legal_rows

if TYPE_CHECKING:
    from tasks.molecules.graph import MolecularGraph

TRIES = 24  # orders of construction tried before a molecule counts as impossible
STOP, UP, FIRST_ADD = 0, 1, 2
Bond = tuple[int, int, int]  # atom, atom, order


def build(env: MolecularGraph, actions: Sequence[Sequence[int]]) -> list[Molecule | None]:
    """Return the molecule of each row of actions, None where it has no atom or no STOP."""
    from rdkit import rdBase

    additions, first_ring = env.additions, env.first_ring
    with rdBase.BlockLogs():
        return [_molecule(*_trace(row, additions, first_ring)) for row in actions]


def spell(
    env: MolecularGraph, designs: Sequence[Molecule], rng: np.random.Generator | None
) -> list[list[int] | None]:
    """Return actions that build each molecule, None where the environment cannot.

    Depth-first orders are tried until one passes the masks: all designs together, the first
    order from the first atom (or at random, with `rng`), the others at random.
    """
    rows: list[list[int] | None] = [None] * len(designs)
    parts = [_parts(env, design.mol) for design in designs]
    random = np.random.default_rng(0) if rng is None else rng
    waiting = [i for i, part in enumerate(parts) if part is not None]
    for attempt in range(TRIES):
        if not waiting:
            break
        shuffle = random if attempt or rng is not None else None
        tried = [_walk(env, *parts[i], shuffle) for i in waiting]  # type: ignore[misc]
        passed = legal_rows(env, tried)
        for i, row, ok in zip(waiting, tried, passed, strict=True):
            rows[i] = row if ok else None
        waiting = [i for i in waiting if rows[i] is None]
    return rows


def _trace(
    row: Sequence[int], additions: Sequence[tuple[str, int]], first_ring: int
) -> tuple[list[str], list[Bond], bool]:
    """Return kinds, bonds and whether the row stopped."""
    kinds: list[str] = []
    bonds: list[Bond] = []
    path: list[int] = []
    for action in row:
        if action == STOP:
            return kinds, bonds, True
        if action == UP:
            path.pop()
        elif action < first_ring:
            kind, order = additions[action - FIRST_ADD]
            kinds.append(kind)
            if path:
                bonds.append((path[-1], len(kinds) - 1, order))
            if not path or KINDS[kind].valence > order:
                path.append(len(kinds) - 1)
        else:
            back, order = divmod(action - first_ring, 2)
            bonds.append((path[-1], path[-3 - back], order + 1))
    return kinds, bonds, False


def _molecule(kinds: Sequence[str], bonds: Sequence[Bond], stopped: bool) -> Molecule | None:
    from rdkit import Chem

    if not kinds or not stopped:
        return None
    types = Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE
    mol = Chem.RWMol()
    for name in kinds:
        _place(mol, Chem.Atom(KINDS[name].number), KINDS[name].charge)
    for first, second, order in bonds:
        mol.AddBond(first, second, types[order - 1])
    for centre, name in enumerate(kinds):
        for order, charge in KINDS[name].oxygens:
            mol.AddBond(centre, _place(mol, Chem.Atom(8), charge), types[order - 1])
    done = mol.GetMol()
    return from_mol(done) if Chem.SanitizeMol(done, catchErrors=True) == 0 else None


def _place(mol: Any, atom: Any, charge: int) -> int:
    atom.SetFormalCharge(charge)
    return int(mol.AddAtom(atom))


def _parts(env: MolecularGraph, mol: Any) -> tuple[list[str], list[list[tuple[int, int]]]] | None:
    """Return the kinds, and for each the (neighbour, order) of its bonds.

    None for what the environment does not write: stereo marks, isotopes, radicals, hydrogens
    that are atoms, charges outside its groups, and too many atoms.
    """
    from rdkit import Chem

    if mol.GetNumAtoms() > env.max_atoms or _marked(mol):
        return None
    mol = Chem.Mol(mol)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    groups = _groups(env, mol)
    if groups is None:
        return None
    centres = sorted(groups)
    index = {atom: i for i, atom in enumerate(centres)}
    bonds: list[list[tuple[int, int]]] = [[] for _ in centres]
    for bond in mol.GetBonds():
        ends = index.get(bond.GetBeginAtomIdx()), index.get(bond.GetEndAtomIdx())
        if ends[0] is not None and ends[1] is not None:
            order = int(bond.GetBondTypeAsDouble())
            bonds[ends[0]].append((ends[1], order))
            bonds[ends[1]].append((ends[0], order))
    return [groups[atom] for atom in centres], bonds


def _marked(mol: Any) -> bool:
    from rdkit.Chem import BondStereo, ChiralType

    unmarked = ChiralType.CHI_UNSPECIFIED
    if any(bond.GetStereo() != BondStereo.STEREONONE for bond in mol.GetBonds()):
        return True
    return any(
        atom.GetIsotope() or atom.GetNumRadicalElectrons() or atom.GetChiralTag() != unmarked
        for atom in mol.GetAtoms()
    )


def _groups(env: MolecularGraph, mol: Any) -> dict[int, str] | None:
    """Return the kind of each centre (terminal oxygens belong to theirs), None where unknown."""
    by_key = {
        (KINDS[k].number, KINDS[k].charge, tuple(sorted(KINDS[k].oxygens))): k for k in env.kinds
    }
    own = {number for number, _, oxygens in by_key if oxygens}
    found, taken = {}, set()
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() not in own:
            continue
        ends = [
            (bond.GetOtherAtom(atom), int(bond.GetBondTypeAsDouble())) for bond in atom.GetBonds()
        ]
        oxygens = [
            (order, end.GetFormalCharge(), end.GetIdx())
            for end, order in ends
            if end.GetAtomicNum() == 8 and (order == 2 or end.GetFormalCharge() < 0)
        ]
        shape = tuple(sorted((order, charge) for order, charge, _ in oxygens))
        kind = by_key.get((atom.GetAtomicNum(), atom.GetFormalCharge(), shape))
        if kind is not None:
            found[atom.GetIdx()] = kind
            taken.update(index for _, _, index in oxygens if shape)
    for atom in mol.GetAtoms():
        if atom.GetIdx() in taken or atom.GetIdx() in found:
            continue
        kind = by_key.get((atom.GetAtomicNum(), atom.GetFormalCharge(), ()))
        if kind is None or atom.GetTotalValence() > KINDS[kind].valence:
            return None
        found[atom.GetIdx()] = kind
    return found


def _walk(
    env: MolecularGraph,
    kinds: Sequence[str],
    bonds: Sequence[Sequence[tuple[int, int]]],
    rng: np.random.Generator | None,
) -> list[int]:
    """Return the actions of one depth-first construction."""
    add = {key: FIRST_ADD + i for i, key in enumerate(env.additions)}
    row: list[int] = []
    depth: dict[int, int] = {}  # of every atom placed
    carbons = [i for i, kind in enumerate(kinds) if kind == "C"]  # a molecule begins with one
    if not carbons:
        return [-1]
    root = carbons[0 if rng is None else int(rng.integers(len(carbons)))]
    pending = [(root, 1, -1)]  # atom, order of the bond to its parent, parent
    path: list[int] = []
    while pending:
        atom, order, parent = pending.pop()
        if atom in depth:
            continue
        while path and path[-1] != parent:
            path.pop()
            row.append(UP)
        row.append(add.get((kinds[atom], order), -1))
        depth[atom] = len(path)
        if path and KINDS[kinds[atom]].valence == order:
            continue
        path.append(atom)
        onward = [(other, bond, atom) for other, bond in bonds[atom] if other not in depth]
        closes = [(depth[atom] - depth[o], b) for o, b in bonds[atom] if o in depth and o != parent]
        row += [env.first_ring + 2 * (back - 2) + bond - 1 for back, bond in sorted(closes)]
        if rng is not None:
            rng.shuffle(onward)
        pending += onward
    return [*row, STOP]
