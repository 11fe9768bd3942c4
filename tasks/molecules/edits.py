"""Edits of a molecule: each takes an editable Kekule-form RDKit molecule and changes it.

An edit returns False where it finds nothing to do; valences are respected by looking at the
hydrogens an atom has to give. The idea of a genetic algorithm on molecular graphs is Jensen's
(Chem. Sci. 10:3567, 2019); the operators here are our own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

Mol = Any
Rng = np.random.Generator

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
    place = _pick([a.GetIdx() for a in _atoms(mol) if a.GetTotalNumHs() > 0], rng)
    if place is None:
        return False
    room = mol.GetAtomWithIdx(place).GetTotalNumHs() > 1 and number in (6, 7, 8)
    order = Chem.BondType.DOUBLE if room and rng.random() < 0.3 else Chem.BondType.SINGLE
    mol.AddBond(place, mol.AddAtom(Chem.Atom(number)), order)
    return True


def insert_atom(mol: Mol, rng: Rng) -> bool:
    """Put a C, N or O into a single bond."""
    from rdkit import Chem

    found = _pick([b.GetIdx() for b in _bonds(mol) if b.GetBondTypeAsDouble() == 1], rng)
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

    found = _pick([a.GetIdx() for a in _atoms(mol) if a.GetDegree() in (1, 2)], rng)
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
        for a in _atoms(mol)
        if a.GetAtomicNum() != number and not a.GetFormalCharge()
        and sum(b.GetBondTypeAsDouble() for b in a.GetBonds()) <= room
    ]  # fmt: skip
    place = _pick(places, rng)
    if place is None:
        return False
    mol.ReplaceAtom(place, Chem.Atom(number))
    return True


def change_order(mol: Mol, rng: Rng) -> bool:
    """Raise a bond's order where both ends have a hydrogen, or lower it."""
    from rdkit import Chem

    found = _pick(list(range(mol.GetNumBonds())), rng)
    if found is None:
        return False
    bond = mol.GetBondWithIdx(found)
    order = int(bond.GetBondTypeAsDouble())
    spare = min(bond.GetBeginAtom().GetTotalNumHs(), bond.GetEndAtom().GetTotalNumHs())
    options = [order - 1] * (order > 1) + [order + 1] * (spare > 0 and order < 3)
    wanted = _pick(options, rng)
    if wanted is None:
        return False
    types = Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE
    bond.SetBondType(types[wanted - 1])
    return True


def close_ring(mol: Mol, rng: Rng) -> bool:
    """Join two atoms with hydrogens so that a ring of 5 or 6 arises."""
    from rdkit import Chem

    spare = [a.GetIdx() for a in _atoms(mol) if a.GetTotalNumHs() > 0]
    between = Chem.GetDistanceMatrix(mol, force=True)  # RDKit would keep an outdated one
    pairs = [(i, j) for i in spare for j in spare if i < j and between[i, j] in (4.0, 5.0)]
    pair = _pick(pairs, rng)
    if pair is None:
        return False
    mol.AddBond(*pair, Chem.BondType.SINGLE)
    return True


def open_ring(mol: Mol, rng: Rng) -> bool:
    """Remove a bond of a ring."""
    rings = mol.GetRingInfo().BondRings()
    found = _pick([index for ring in rings for index in ring], rng)
    if found is None:
        return False
    bond = mol.GetBondWithIdx(found)
    mol.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return True


def make_aromatic(mol: Mol, rng: Rng) -> bool:
    """Turn a six-ring of carbon and nitrogen without double bonds into an aromatic one."""
    from rdkit import Chem

    rings = [ring for ring in mol.GetRingInfo().AtomRings() if _saturated(mol, ring)]
    ring = _pick(rings, rng)
    if ring is None:
        return False
    for k in (0, 2, 4):
        mol.GetBondBetweenAtoms(ring[k], ring[k + 1]).SetBondType(Chem.BondType.DOUBLE)
    return True


def reshape_ring(mol: Mol, rng: Rng) -> bool:
    """Turn a ring of 5 or 6 that shares no atom with another into an aromatic one of 5 or 6.

    What hangs on it by single bonds stays; double-bonded oxygen and the like is taken off.
    """
    from rdkit import Chem

    info = mol.GetRingInfo()
    alone = [
        list(ring)
        for ring in info.AtomRings()
        if len(ring) in (5, 6) and all(info.NumAtomRings(index) == 1 for index in ring)
    ]
    ring = _pick(alone, rng)
    if ring is None:
        return False
    lost = [] if rng.random() < 0.5 else _resized(mol, ring, rng)
    lost += _pendant(mol, ring)
    if any(mol.GetAtomWithIdx(i).GetFormalCharge() for i in ring) or _crowded(mol, ring, lost):
        return False
    start = int(rng.integers(len(ring)))
    ring[:] = ring[start:] + ring[:start]
    for k, index in enumerate(ring):
        bare = _outside(mol, index, ring, lost) == 0
        lone = k == 0 and len(ring) == 5  # the atom that brings two electrons by itself
        number = 6 if not bare or rng.random() < 0.7 else 7
        if lone:
            number = int(rng.choice([7, 8, 16])) if bare else 7
        mol.ReplaceAtom(index, Chem.Atom(number))
        bond = mol.GetBondBetweenAtoms(index, ring[(k + 1) % len(ring)])
        double = k % 2 == len(ring) % 2
        bond.SetBondType(Chem.BondType.DOUBLE if double else Chem.BondType.SINGLE)
    for index in sorted(lost, reverse=True):
        mol.RemoveAtom(index)
    return True


def graft(mol: Mol, rng: Rng) -> bool:
    """Attach a ring or group from the built-in list through its first atom."""
    from rdkit import Chem

    place = _pick([a.GetIdx() for a in _atoms(mol) if a.GetTotalNumHs() > 0], rng)
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

    cut = _pick(mol.GetSubstructMatches(_chain_bond(), maxMatches=1000), rng)
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


def _resized(mol: Mol, ring: list[int], rng: Rng) -> list[int]:
    """Make a ring of 6 one of 5, or the other way round; return the atom to be removed."""
    from rdkit import Chem

    single = Chem.BondType.SINGLE
    if len(ring) == 5:
        new = mol.AddAtom(Chem.Atom(6))
        mol.RemoveBond(ring[-1], ring[0])
        mol.AddBond(ring[-1], new, single)
        mol.AddBond(new, ring[0], single)
        ring.append(new)
        return []
    gone = _pick([k for k in range(6) if mol.GetAtomWithIdx(ring[k]).GetDegree() == 2], rng)
    if gone is None:
        return []
    mol.AddBond(ring[gone - 1], ring[(gone + 1) % 6], single)
    return [ring.pop(gone)]


def _pendant(mol: Mol, ring: Sequence[int]) -> list[int]:
    """Return the atoms that hang on a ring by a double bond alone."""
    from rdkit import Chem

    return [
        other.GetIdx()
        for index in ring
        for other in mol.GetAtomWithIdx(index).GetNeighbors()
        if other.GetIdx() not in ring and other.GetDegree() == 1
        and mol.GetBondBetweenAtoms(index, other.GetIdx()).GetBondType() != Chem.BondType.SINGLE
    ]  # fmt: skip


def _outside(mol: Mol, index: int, ring: Sequence[int], lost: Sequence[int]) -> int:
    """Return the bond orders that a ring's atom has to what stays and is not in the ring."""
    from rdkit import Chem

    atom = mol.GetAtomWithIdx(index)
    order = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3}
    others = ((bond.GetOtherAtomIdx(index), bond.GetBondType()) for bond in atom.GetBonds())
    return sum(order.get(kind, 4) for i, kind in others if i not in ring and i not in lost)


def _crowded(mol: Mol, ring: Sequence[int], lost: Sequence[int]) -> bool:
    return any(_outside(mol, index, ring, lost) > 1 for index in ring)


def _saturated(mol: Mol, ring: tuple[int, ...]) -> bool:
    atoms = [mol.GetAtomWithIdx(index) for index in ring]
    spare = all(a.GetTotalNumHs() > 0 for a in atoms)
    return len(ring) == 6 and spare and all(a.GetAtomicNum() in (6, 7) for a in atoms)


def _element(rng: Rng) -> int:
    return tuple(ELEMENTS)[_drawn(tuple(share for share, _ in ELEMENTS.values()), rng)]


def _drawn(shares: tuple[float, ...], rng: Rng) -> int:
    return bisect_right(_bounds(shares), rng.random())


@lru_cache(maxsize=4)
def _bounds(shares: tuple[float, ...]) -> list[float]:
    bounds: list[float] = (np.cumsum(shares) / sum(shares)).tolist()
    return bounds[:-1]


def _atoms(mol: Mol) -> Iterator[Any]:
    return map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))  # twice as fast as GetAtoms


def _bonds(mol: Mol) -> Iterator[Any]:
    return map(mol.GetBondWithIdx, range(mol.GetNumBonds()))


@lru_cache(maxsize=1)
def _chain_bond() -> Any:
    from rdkit import Chem

    return Chem.MolFromSmarts("*-!@*")


def _pick(options: Sequence[Any], rng: Rng) -> Any:
    return options[int(rng.integers(len(options)))] if options else None


@lru_cache(maxsize=1)
def _fragments() -> tuple[Mol, ...]:
    from rdkit import Chem

    return tuple(editable(Chem.MolFromSmiles(smiles)).GetMol() for smiles in FRAGMENTS)
