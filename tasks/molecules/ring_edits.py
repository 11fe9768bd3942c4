"""Edits of rings, in the form of those in `tasks.molecules.edits`: closed, opened, reshaped."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.molecules.picking import Mol, Rng, atoms, pick


def close_ring(mol: Mol, rng: Rng) -> bool:
    """Join two atoms with hydrogens so that a ring of 5 or 6 arises."""
    from rdkit import Chem

    spare = [a.GetIdx() for a in atoms(mol) if a.GetTotalNumHs() > 0]
    between = Chem.GetDistanceMatrix(mol, force=True)  # RDKit would keep an outdated one
    pairs = [(i, j) for i in spare for j in spare if i < j and between[i, j] in (4.0, 5.0)]
    pair = pick(pairs, rng)
    if pair is None:
        return False
    mol.AddBond(*pair, Chem.BondType.SINGLE)
    return True


def open_ring(mol: Mol, rng: Rng) -> bool:
    """Remove a bond of a ring."""
    rings = mol.GetRingInfo().BondRings()
    found = pick([index for ring in rings for index in ring], rng)
    if found is None:
        return False
    bond = mol.GetBondWithIdx(found)
    mol.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return True


def make_aromatic(mol: Mol, rng: Rng) -> bool:
    """Turn a six-ring of carbon and nitrogen without double bonds into an aromatic one."""
    from rdkit import Chem

    rings = [ring for ring in mol.GetRingInfo().AtomRings() if _saturated(mol, ring)]
    ring = pick(rings, rng)
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
    ring = pick(alone, rng)
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
    gone = pick([k for k in range(6) if mol.GetAtomWithIdx(ring[k]).GetDegree() == 2], rng)
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
