"""Edits of a molecule: each takes an editable Kekule-form RDKit molecule and changes it.

An edit returns False where it finds nothing to do; valences are respected by looking at the
hydrogens an atom has to give. The idea of a genetic algorithm on molecular graphs is Jensen's
(Chem. Sci. 10:3567, 2019); the operators here are our own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from tasks.molecules.picking import Mol, Rng, atoms, pick
from tasks.molecules.ring_edits import close_ring, make_aromatic, open_ring, reshape_ring

ELEMENTS = {  # atomic number: how often it is drawn, and its bond orders in all
    6: (0.5, 4), 7: (0.17, 3), 8: (0.17, 2), 9: (0.06, 1), 16: (0.05, 2), 17: (0.05, 1),
    35: (0.01, 1), 15: (0.01, 3),
}  # fmt: skip
FRAGMENTS = (
    "c1ccccc1", "c1ccncc1", "c1cccnc1", "c1ccccn1", "c1cncnc1", "c1ccsc1", "c1ccoc1", "c1cn[nH]c1",
    "c1c[nH]cn1", "N1C=CC=N1", "c1cocn1", "c1cscn1", "c1nccs1", "C1CCNCC1", "N1CCOCC1", "N1CCNCC1",
    "N1CCCCC1", "N1CCCC1", "C1CCCCC1", "C1CCCC1", "C1CC1", "C(F)(F)F", "OC", "C#N", "C(=O)N",
    "NC(C)=O", "S(C)(=O)=O", "NS(C)(=O)=O", "C(C)C", "c1ccc2ccccc2c1", "c1c[nH]c2ccccc12",
    "N1CCc2ccccc2C1", "c1nc2ccccc2[nH]1", "C(=O)O", "CO", "CN", "N(C)C", "OCC",
)  # fmt: skip


def editable(mol: Mol) -> Mol:
    """Return an editable copy in Kekule form, with hydrogens left to the valence rules."""
    from rdkit import Chem

    copy = Chem.RWMol(mol)
    Chem.Kekulize(copy, clearAromaticFlags=True)
    for atom in copy.GetAtoms():
        atom.SetNoImplicit(False)
        atom.SetNumExplicitHs(0)
    copy.UpdatePropertyCache(strict=False)
    return copy


def cross(first: Mol, second: Mol, rng: Rng) -> Mol | None:
    """Return a piece of each parent joined by a single bond, None where one cannot be cut."""
    from rdkit import Chem

    pieces = [_piece(mol, rng) for mol in (first, second)]
    if pieces[0] is None or pieces[1] is None:
        return None
    (left, i), (right, j) = pieces[0], pieces[1]
    both = Chem.RWMol(Chem.CombineMols(left, right))
    both.AddBond(i, left.GetNumAtoms() + j, Chem.BondType.SINGLE)
    return both


def append_atom(mol: Mol, rng: Rng) -> bool:
    """Add an atom at the end of a new single or, where there is room, double bond."""
    from rdkit import Chem

    number = _element(rng)
    place = pick([a.GetIdx() for a in atoms(mol) if a.GetTotalNumHs() > 0], rng)
    if place is None:
        return False
    room = mol.GetAtomWithIdx(place).GetTotalNumHs() > 1 and number in (6, 7, 8)
    order = Chem.BondType.DOUBLE if room and rng.random() < 0.3 else Chem.BondType.SINGLE
    mol.AddBond(place, mol.AddAtom(Chem.Atom(number)), order)
    return True


def insert_atom(mol: Mol, rng: Rng) -> bool:
    """Put a C, N or O into a single bond."""
    from rdkit import Chem

    found = pick([b.GetIdx() for b in _bonds(mol) if b.GetBondTypeAsDouble() == 1], rng)
    if found is None:
        return False
    bond = mol.GetBondWithIdx(found)
    ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
    new = mol.AddAtom(Chem.Atom(int(rng.choice([6, 6, 7, 8]))))
    mol.RemoveBond(*ends)
    for end in ends:
        mol.AddBond(end, new, Chem.BondType.SINGLE)
    return True


def delete_atom(mol: Mol, rng: Rng) -> bool:
    """Take an atom out; the two neighbours of an atom in a chain or ring are joined."""
    from rdkit import Chem

    found = pick([a.GetIdx() for a in atoms(mol) if a.GetDegree() in (1, 2)], rng)
    if found is None:
        return False
    ends = [a.GetIdx() for a in mol.GetAtomWithIdx(found).GetNeighbors()]
    if len(ends) == 2:
        if mol.GetBondBetweenAtoms(*ends) is not None:
            return False
        mol.AddBond(*ends, Chem.BondType.SINGLE)
    mol.RemoveAtom(found)
    return True


def change_element(mol: Mol, rng: Rng) -> bool:
    """Turn an uncharged atom into another element that can carry its bonds."""
    from rdkit import Chem

    number = _element(rng)
    _, room = ELEMENTS[number]
    places = [
        a.GetIdx()
        for a in atoms(mol)
        if a.GetAtomicNum() != number and not a.GetFormalCharge()
        and sum(b.GetBondTypeAsDouble() for b in a.GetBonds()) <= room
    ]  # fmt: skip
    place = pick(places, rng)
    if place is None:
        return False
    mol.ReplaceAtom(place, Chem.Atom(number))
    return True


def change_order(mol: Mol, rng: Rng) -> bool:
    """Raise a bond's order where both ends have a hydrogen, or lower it."""
    from rdkit import Chem

    found = pick(list(range(mol.GetNumBonds())), rng)
    if found is None:
        return False
    bond = mol.GetBondWithIdx(found)
    order = int(bond.GetBondTypeAsDouble())
    spare = min(bond.GetBeginAtom().GetTotalNumHs(), bond.GetEndAtom().GetTotalNumHs())
    options = [order - 1] * (order > 1) + [order + 1] * (spare > 0 and order < 3)
    wanted = pick(options, rng)
    if wanted is None:
        return False
    types = Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE
    bond.SetBondType(types[wanted - 1])
    return True


def graft(mol: Mol, rng: Rng) -> bool:
    """Attach a ring or group from the built-in list through its first atom."""
    from rdkit import Chem

    place = pick([a.GetIdx() for a in atoms(mol) if a.GetTotalNumHs() > 0], rng)
    if place is None:
        return False
    fragment = _fragments()[int(rng.integers(len(FRAGMENTS)))]
    at = mol.GetNumAtoms()
    mol.InsertMol(fragment)
    mol.AddBond(place, at, Chem.BondType.SINGLE)
    return True


Edit = Callable[[Mol, Rng], bool]
EDITS: tuple[tuple[Edit, float], ...] = (
    (append_atom, 0.13), (insert_atom, 0.09), (delete_atom, 0.14), (change_element, 0.15),
    (change_order, 0.09), (close_ring, 0.07), (open_ring, 0.05), (make_aromatic, 0.04),
    (graft, 0.12), (reshape_ring, 0.12),
)  # fmt: skip


def edit(mol: Mol, rng: Rng) -> bool:
    """Apply one edit drawn at random; return whether it did anything."""
    return EDITS[_drawn(tuple(share for _, share in EDITS), rng)][0](mol, rng)


def _piece(mol: Mol, rng: Rng) -> tuple[Mol, int] | None:
    """Return one side of a bond cut at random, and the index of the atom that was cut off."""
    from rdkit import Chem

    cut = pick(mol.GetSubstructMatches(_chain_bond(), maxMatches=1000), rng)
    if cut is None:
        return None
    copy = Chem.RWMol(mol)
    copy.RemoveBond(*cut)
    keep = cut[int(rng.integers(2))]
    sides = Chem.GetMolFrags(copy)
    lost = next(side for side in sides if keep not in side)
    copy.BeginBatchEdit()
    for index in lost:
        copy.RemoveAtom(index)
    copy.CommitBatchEdit()
    return copy, keep - sum(index < keep for index in lost)


def _element(rng: Rng) -> int:
    return tuple(ELEMENTS)[_drawn(tuple(share for share, _ in ELEMENTS.values()), rng)]


def _drawn(shares: tuple[float, ...], rng: Rng) -> int:
    return bisect_right(_bounds(shares), rng.random())


@lru_cache(maxsize=4)
def _bounds(shares: tuple[float, ...]) -> list[float]:
    bounds: list[float] = (np.cumsum(shares) / sum(shares)).tolist()
    return bounds[:-1]


def _bonds(mol: Mol) -> Iterator[Any]:
    return map(mol.GetBondWithIdx, range(mol.GetNumBonds()))


@lru_cache(maxsize=1)
def _chain_bond() -> Any:
    from rdkit import Chem

    return Chem.MolFromSmarts("*-!@*")


@lru_cache(maxsize=1)
def _fragments() -> tuple[Mol, ...]:
    from rdkit import Chem

    return tuple(editable(Chem.MolFromSmiles(smiles)).GetMol() for smiles in FRAGMENTS)
