"""A scaffold with attachment points, such as 'c1ccc([*:1])cc1[*:2]', read for growing.

Every attachment point gets one substituent; all else of the scaffold stays as it is. Several
fragments, 'c1ccccc1[*:1].[*:2]N1CCOCC1', are linked: the first is grown from, each further one
has a single attachment point by which it is joined to what has grown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from designer.errors import InputError
from tasks.molecules.complaints import reason_of

MAX_CHARACTERS = 1000
MATCHES = 64  # places of a scaffold in a molecule that are looked at
EXAMPLE = "for example 'c1ccc([*:1])cc1'"


@dataclass(frozen=True)
class Scaffold:
    """A scaffold of K atoms, numbered without the attachment points."""

    text: str
    sites: tuple[int, ...]  # atoms of the first fragment that are grown from, by their number
    room: tuple[int, ...]  # bonds that each atom must get, 0 but at sites and joints
    joints: tuple[int, ...]  # the atom by which each further fragment is joined
    owner: tuple[int, ...]  # the fragment of each atom; 0 is the first
    rings: tuple[tuple[int, ...], ...]
    mol: Any = field(compare=False, repr=False)  # in Kekule form, without attachment points
    query: Any = field(compare=False, repr=False)  # matches molecules that keep the scaffold

    @property
    def size(self) -> int:
        """K, the number of heavy atoms."""
        return len(self.room)

    def bonds(self) -> list[dict[int, int]]:
        """Return for each atom its neighbours, with the order of the bond."""
        found: list[dict[int, int]] = [{} for _ in range(self.size)]
        for bond in self.mol.GetBonds():
            i, j, order = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondTypeAsDouble()
            found[i][j] = found[j][i] = int(order)
        return found

    def kept_by(self, mol: Any) -> bool:
        """Return whether a molecule has the scaffold, grown at every attachment point alone."""
        return bool(mol.HasSubstructMatch(self.query))

    def places(self, mol: Any) -> Sequence[Sequence[int]]:
        """Return the atoms of the molecule that are the scaffold's, for each way to see it."""
        found = mol.GetSubstructMatches(self.query, uniquify=False, maxMatches=MATCHES)
        return [tuple(match) for match in found]


@lru_cache(maxsize=32)
def read(text: str) -> Scaffold:
    """Return the scaffold that a SMILES with attachment points means.

    Raises InputError, saying what to write instead, where it is none.
    """
    from rdkit import Chem, rdBase

    what = named(text)
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"scaffold of {len(text)} characters: at most {MAX_CHARACTERS} are accepted"
        )
    if not text.strip():
        raise InputError(f"the scaffold is empty; give a SMILES with [*:1], {EXAMPLE}")
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text)
        if mol is not None:
            return _scaffold(text, mol, what)
    raise InputError(f"{what}: {reason_of(text)}")


def named(text: str) -> str:
    """Return how messages call a scaffold: its text, or the beginning of a long one."""
    return f"scaffold {text if len(text) <= 60 else text[:57] + '...'!r}"


def _scaffold(text: str, mol: Any, what: str) -> Scaffold:
    from rdkit import Chem

    points = points_of(mol, what)
    query = _query(mol, points)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    sites = [mol.GetAtomWithIdx(point).GetNeighbors()[0].GetIdx() for point in points]
    bare = without(mol, points, what)
    new = {old: i for i, old in enumerate(i for i in range(mol.GetNumAtoms()) if i not in points)}
    room = [0] * len(new)
    for site in sites:
        room[new[site]] += 1
    pieces = Chem.GetMolFrags(bare)
    owner = {atom: k for k, piece in enumerate(pieces) for atom in piece}
    ordered = [new[site] for site in sites]
    grouped = [[site for site in ordered if owner[site] == k] for k in range(len(pieces))]
    root = max(range(len(pieces)), key=lambda k: (len(grouped[k]), -k))
    others = [k for k in range(len(pieces)) if k != root]
    _check_pieces(grouped, others, what)
    rank = {root: 0} | {k: i + 1 for i, k in enumerate(others)}
    Chem.FastFindRings(bare)
    return Scaffold(
        text,
        tuple(dict.fromkeys(grouped[root])),
        tuple(room),
        tuple(grouped[k][0] for k in others),
        tuple(rank[owner[atom]] for atom in range(len(new))),
        tuple(tuple(ring) for ring in Chem.GetSSSR(bare)),
        bare,
        query,
    )


def points_of(mol: Any, what: str) -> list[int]:
    """Return the attachment points in the order of their numbers."""
    points = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]
    if not points:
        raise InputError(f"{what} has no attachment point; mark one with [*:1], {EXAMPLE}")
    for point in points:
        single = point.GetDegree() == 1 and point.GetBonds()[0].GetBondTypeAsDouble() == 1
        if not single or point.GetNeighbors()[0].GetAtomicNum() == 0:
            raise InputError(
                f"{what}: attachment point {point.GetAtomMapNum() or point.GetIdx() + 1} is not "
                f"at the end of one single bond to an atom; write it as in {EXAMPLE[12:]}"
            )
    if any(atom.GetAtomicNum() == 1 for atom in mol.GetAtoms()):
        raise InputError(f"{what} has hydrogens as atoms; leave them out")
    points.sort(key=lambda point: (point.GetAtomMapNum(), point.GetIdx()))
    return [point.GetIdx() for point in points]


def _check_pieces(sites: list[list[int]], others: list[int], what: str) -> None:
    for k in others:
        if len(sites[k]) != 1:
            raise InputError(
                f"{what}: fragment {k + 1} has {len(sites[k])} attachment points; where fragments "
                "are linked, all but one of them have exactly one"
            )


def without(mol: Any, points: Sequence[int], what: str) -> Any:
    """Return the molecule without its attachment points; a bond added at the end takes its place.

    Handedness is told by the order of an atom's bonds, and the new bond is the last one.
    """
    from rdkit import Chem

    marks = {}
    for atom in mol.GetAtoms():
        near = [other.GetIdx() in points for other in atom.GetNeighbors()]
        later = [sum(not there for there in near[i:]) for i in range(len(near)) if near[i]]
        marks[atom.GetIdx()] = (atom.GetChiralTag(), sum(later) % 2)
    ends = {mol.GetAtomWithIdx(point).GetNeighbors()[0].GetIdx() for point in points}
    for bond in mol.GetBonds():
        beside = {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()} & ends
        if beside and bond.GetStereo() != Chem.BondStereo.STEREONONE:
            raise InputError(
                f"{what}: a / or \\ beside an attachment point would be lost; leave these marks out"
            )
    bare = Chem.RWMol(mol)
    for atom in bare.GetAtoms():
        atom.SetIntProp("was", atom.GetIdx())
    for point in sorted(points, reverse=True):
        bare.RemoveAtom(point)
    for atom in bare.GetAtoms():
        tag, odd = marks[atom.GetIntProp("was")]
        atom.SetChiralTag(tag)
        if odd:
            atom.InvertChirality()
        atom.ClearProp("was")
    return bare.GetMol()


def _query(mol: Any, points: Sequence[int]) -> Any:
    """Return a query for the scaffold: elements, charges, hydrogens and numbers of neighbours.

    A bond that may become part of an aromatic ring may be aromatic in the product.
    """
    from rdkit import Chem

    query = Chem.RWMol(mol)
    for atom in mol.GetAtoms():
        facts = f"[#{atom.GetAtomicNum()};{atom.GetFormalCharge():+d};D{atom.GetDegree()}"
        facts += f";H{atom.GetTotalNumHs()}]"
        query.ReplaceAtom(atom.GetIdx(), Chem.AtomFromSmarts(facts))
    kinds = {1.0: "-,:", 1.5: "~", 2.0: "=,:", 3.0: "#"}
    for bond in mol.GetBonds():
        told = Chem.BondFromSmarts(kinds[bond.GetBondTypeAsDouble()])
        query.ReplaceBond(bond.GetIdx(), told)
    for point in sorted(points, reverse=True):
        query.RemoveAtom(point)
    return query.GetMol()


def names(core: Scaffold, kinds: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the kind of each atom and how many heteroatoms it is bonded to.

    Sites and joints must be of one of `kinds`, raises InputError; what else there is counts as
    carbon. A sulfone's own oxygens are not counted.
    """
    from tasks.molecules.kinds import KINDS

    plain = {KINDS[kind].element: kind for kind in kinds if not KINDS[kind].oxygens}
    for atom in core.mol.GetAtoms():
        near = list(zip(atom.GetNeighbors(), atom.GetBonds(), strict=True))
        ends = [
            other
            for other, bond in near
            if other.GetAtomicNum() == 8 and bond.GetBondTypeAsDouble() == 2
        ]
        group = {1: "SO", 2: "SO2"}.get(len(ends), "") if atom.GetAtomicNum() == 16 else ""
        hetero = sum(other.GetAtomicNum() != 6 for other, _ in near)
        if group in kinds:
            yield group, hetero - len(ends)
            continue
        element = atom.GetSymbol()
        if core.room[atom.GetIdx()] and element not in plain:
            raise InputError(
                f"{named(core.text)}: attachment point on {element}, which is not among "
                f"kinds = {list(kinds)}; add it there"
            )
        yield plain.get(element, "C"), hetero
