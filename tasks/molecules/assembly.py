"""Between the actions of the graph environment and RDKit molecules, both ways."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.molecules.design import Molecule, from_mol
from tasks.molecules.graph import FIRST_ADD, STOP, UP, MolecularGraph
from tasks.molecules.kinds import KINDS
from tasks.molecules.scaffold import Scaffold
from tasks.molecules.walks import Bonds, keeps_rules, walk

TRIES = 64  # orders of construction tried before a molecule counts as impossible
Bond = tuple[int, int, int]  # atom, atom, order
Parts = tuple[list[str], Bonds]


def build(env: MolecularGraph, actions: Sequence[Sequence[int]]) -> list[Molecule | None]:
    """Return the molecule of each row of actions, None where it has no atom or no STOP."""
    from rdkit import rdBase

    trace = _Trace(env.additions, env.first_ring, env.first_join, env.core)
    with rdBase.BlockLogs():
        return [_molecule(*trace(row), env.core) for row in actions]


def spell(
    env: MolecularGraph, designs: Sequence[Molecule], rng: np.random.Generator | None
) -> list[list[int] | None]:
    """Return actions that build each molecule, None where the environment cannot.

    Depth-first orders are tried until one closes every ring as the masks want it: the first
    order from the first atom (or at random, with `rng`), the others at random.
    """
    if env.core is not None:
        from tasks.molecules import regrowing

        return regrowing.spell(env, env.core, designs, rng)
    return [_spelled(env, design, rng) for design in designs]


def _spelled(
    env: MolecularGraph, design: Molecule, rng: np.random.Generator | None
) -> list[int] | None:
    parts = None if marked(design.mol) else parts_of(env, design.mol)
    if parts is None or not keeps_rules(env, *parts):
        return None
    random = np.random.default_rng(0) if rng is None else rng
    row = None if rng is not None else walk(env, *parts, None)
    for _ in range(TRIES):
        if row is not None:
            break
        row = walk(env, *parts, random)
    return row


@dataclass(frozen=True)
class _Trace:
    """Reads rows of actions: kinds of the atoms added, bonds, and whether the row stopped."""

    additions: Sequence[tuple[str, int]]
    first_ring: int
    first_join: int
    core: Scaffold | None

    def __call__(self, row: Sequence[int]) -> tuple[list[str], list[Bond], bool]:
        kinds: list[str] = []
        bonds: list[Bond] = []
        path, count = ([], 0) if self.core is None else (list(self.core.sites), self.core.size)
        for action in row:
            if action == STOP:
                return kinds, bonds, True
            if action == UP:
                path.pop()
            elif action < self.first_ring:
                kind, order = self.additions[action - FIRST_ADD]
                kinds.append(kind)
                new = count + len(kinds) - 1
                if path:
                    bonds.append((path[-1], new, order))
                if not path or KINDS[kind].valence > order:
                    path.append(new)
            elif action < self.first_join:
                back, order = divmod(action - self.first_ring, 2)
                bonds.append((path[-1], path[-3 - back], order + 1))
            elif self.core is not None:
                bonds.append((path[-1], self.core.joints[action - self.first_join], 1))
        return kinds, bonds, False


def _molecule(
    kinds: Sequence[str], bonds: Sequence[Bond], stopped: bool, core: Scaffold | None
) -> Molecule | None:
    from rdkit import Chem

    if not stopped or not (kinds or core):
        return None
    types = Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE
    mol = Chem.RWMol() if core is None else Chem.RWMol(core.mol)
    first = mol.GetNumAtoms()
    for name in kinds:
        _place(mol, Chem.Atom(KINDS[name].number), KINDS[name].charge)
    for start, end, order in bonds:
        mol.AddBond(start, end, types[order - 1])
    for centre, name in enumerate(kinds, first):
        for order, charge in KINDS[name].oxygens:
            mol.AddBond(centre, _place(mol, Chem.Atom(8), charge), types[order - 1])
    done = mol.GetMol()
    return from_mol(done) if Chem.SanitizeMol(done, catchErrors=True) == 0 else None


def _place(mol: Any, atom: Any, charge: int) -> int:
    atom.SetFormalCharge(charge)
    return int(mol.AddAtom(atom))


def parts_of(env: MolecularGraph, mol: Any, core: Mapping[int, str] | None = None) -> Parts | None:
    """Return the kinds, and for each its neighbours with the order of the bond.

    `core` names the kinds of atoms of a scaffold, which come first, in its order. None for what
    the environment does not write: hydrogens that are atoms, charges outside its groups, and too
    many atoms.
    """
    from rdkit import Chem

    if mol.GetNumAtoms() > env.max_atoms:
        return None
    mol, core = Chem.Mol(mol), core or {}
    Chem.Kekulize(mol, clearAromaticFlags=True)
    groups = _groups(env, mol, core)
    if groups is None:
        return None
    centres = [*core, *sorted(groups)]
    groups |= core
    index = {atom: i for i, atom in enumerate(centres)}
    bonds: list[dict[int, int]] = [{} for _ in centres]
    for bond in mol.GetBonds():
        ends = index.get(bond.GetBeginAtomIdx()), index.get(bond.GetEndAtomIdx())
        if ends[0] is not None and ends[1] is not None:
            order = int(bond.GetBondTypeAsDouble())
            bonds[ends[0]][ends[1]] = order
            bonds[ends[1]][ends[0]] = order
    return [groups[atom] for atom in centres], bonds


def marked(mol: Any) -> bool:
    """Return whether a molecule has stereo marks, isotopes or radicals."""
    from rdkit.Chem import BondStereo, ChiralType

    unmarked = ChiralType.CHI_UNSPECIFIED
    if any(bond.GetStereo() != BondStereo.STEREONONE for bond in mol.GetBonds()):
        return True
    return any(
        atom.GetIsotope() or atom.GetNumRadicalElectrons() or atom.GetChiralTag() != unmarked
        for atom in mol.GetAtoms()
    )


def _groups(env: MolecularGraph, mol: Any, core: Collection[int]) -> dict[int, str] | None:
    """Return the kind of each centre (terminal oxygens belong to theirs), None where unknown.

    Atoms of `core` are left out.
    """
    by_key = {
        (KINDS[k].number, KINDS[k].charge, tuple(sorted(KINDS[k].oxygens))): k for k in env.kinds
    }
    own = {number for number, _, oxygens in by_key if oxygens}
    found: dict[int, str] = {}
    taken: set[int] = set()
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() not in own or atom.GetIdx() in core:
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
        if atom.GetIdx() in taken or atom.GetIdx() in found or atom.GetIdx() in core:
            continue
        kind = by_key.get((atom.GetAtomicNum(), atom.GetFormalCharge(), ()))
        if kind is None or atom.GetTotalValence() > KINDS[kind].valence:
            return None
        found[atom.GetIdx()] = kind
    return found
