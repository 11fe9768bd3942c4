"""Fragments to build with: a built-in list of rings and groups, or BRICS cuts of a file.

An attachment point is written [k*], where k is the label of BRICS (Degen et al., ChemMedChem
3:1503, 2008): points join where BRICS says that such bonds are made. A point without label, [*],
joins any other where one of the two atoms is carbon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from designer.errors import InputError
from tasks.molecules.scaffold import MAX_CHARACTERS, points_of, without

MAX_POINTS = 4  # of a fragment
BUILT_IN = (
    # rings; phenyl with one to three points, what stands on it, and the common heteroaromatics
    "[16*]c1ccccc1", "[16*]c1ccc([16*])cc1", "[16*]c1cccc([16*])c1", "[16*]c1ccccc1[16*]",
    "[16*]c1cc([16*])cc([16*])c1", "[16*]c1ccc(F)cc1", "[16*]c1ccc(Cl)cc1", "[16*]c1cccc(Cl)c1",
    "[16*]c1ccc(C#N)cc1", "[16*]c1ccc(C(F)(F)F)cc1", "[16*]c1ccc2c(c1)OCO2", "[16*]c1ccccc1F",
    "[16*]c1ccc([16*])c(F)c1", "[16*]c1cccc2ccccc12", "[16*]c1ccncc1", "[16*]c1cccnc1",
    "[14*]c1ccccn1", "[14*]c1ccc([16*])cn1", "[14*]c1cc([14*])ncn1", "[14*]c1ncccn1",
    "[14*]c1ncc([16*])cn1", "[14*]c1cccs1", "[14*]c1ccc([14*])s1", "[14*]c1ccco1",
    "[14*]c1ccc([14*])o1", "[14*]c1nccs1", "[14*]c1csc([14*])n1", "[14*]c1cc(C)on1",
    "[14*]c1noc([14*])n1", "[14*]c1nnc([14*])o1", "[9*]n1ccnc1", "[9*]n1cccn1",
    "[9*]n1cc([16*])cn1", "[14*]c1cc[nH]n1", "[16*]c1ccc2[nH]ccc2c1", "[16*]c1c[nH]c2ccccc12",
    "[14*]c1nc2ccccc2[nH]1", "[14*]c1nc2ccccc2s1", "[14*]c1ccnc2ccccc12", "[14*]c1ncnc2ccccc12",
    "[5*]N1CCOCC1", "[5*]N1CCN([5*])CC1", "[5*]N1CCN(C)CC1", "[5*]N1CCCCC1", "[5*]N1CCC([15*])CC1",
    "[15*]C1CCN([5*])CC1", "[5*]N1CCCC1", "[5*]N1CCC([15*])C1", "[15*]C1CCCCC1", "[15*]C1CCCC1",
    "[15*]C1CC1", "[13*]C1CCCO1", "[13*]C1CCOCC1", "[5*]N1CCc2ccccc2C1", "[10*]N1CCCC1=O",
    # what joins
    "[1*]C(=O)[5*]", "[1*]C(C)=O", "[5*]N[5*]", "[5*]N([5*])C", "[3*]O[3*]", "[11*]S[11*]",
    "[12*]S([12*])(=O)=O", "[12*]S(C)(=O)=O", "[12*]S(N)(=O)=O", "[6*]C([6*])=O", "[6*]C(N)=O",
    "[6*]C(=O)O", "[4*]C[8*]", "[4*]CC[8*]", "[4*]CCC[8*]", "[4*]C(C)[8*]", "[8*]C[8*]",
    "[1*]C(=O)N[5*]", "[5*]NC([1*])=O",
    # ends
    "[5*]NC", "[5*]N(C)C", "[5*]N", "[3*]OC", "[3*]OCC", "[3*]O", "[3*]OC(F)(F)F", "[4*]CC",
    "[4*]C(C)C", "[4*]CC(C)C", "[8*]CO", "[8*]CC#N", "[*]C", "[*]C(F)(F)F", "[*]F", "[*]Cl",
    "[*]C#N",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """What an attachment point is: its BRICS label or 0, its element, and whether it must be used.

    A sulfone or a carbonyl keeps no hydrogen, and a scaffold's points are all used.
    """

    label: int
    element: str
    must: bool


@dataclass(frozen=True)
class Piece:
    """A fragment: `points[i]` is at atom `atoms[i]` of `mol`, which lacks the points."""

    text: str
    points: tuple[Point, ...]
    atoms: tuple[int, ...]
    distinct: tuple[int, ...]  # points that are not the image of an earlier one by symmetry
    weight: int  # heavy atoms
    mol: Any = field(compare=False, repr=False)


@lru_cache(maxsize=4096)
def read(text: str, must: bool = False) -> Piece:
    """Return the fragment of a SMILES with points; `must` makes all of them ones to be used."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text) if len(text) <= MAX_CHARACTERS else None
    if mol is None or len(Chem.GetMolFrags(mol)) != 1:
        raise InputError(f"fragment {text[:60]!r} is not one short SMILES that RDKit reads")
    what = f"fragment {text!r}"
    order = points_of(mol, what)
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=False))
    sites = [mol.GetAtomWithIdx(point).GetNeighbors()[0].GetIdx() for point in order]
    labels = [mol.GetAtomWithIdx(point).GetIsotope() for point in order]
    needed = [must or _no_hydrogen(mol.GetAtomWithIdx(site)) for site in sites]
    elements = [mol.GetAtomWithIdx(site).GetSymbol() for site in sites]
    points = tuple(Point(*facts) for facts in zip(labels, elements, needed, strict=True))
    first = {ranks[point]: i for i, point in reversed(list(enumerate(order)))}
    Chem.Kekulize(mol, clearAromaticFlags=True)
    bare = without(mol, order, what)
    new = {old: i for i, old in enumerate(i for i in range(mol.GetNumAtoms()) if i not in order)}
    atoms = tuple(new[site] for site in sites)
    for atom in set(atoms):  # a point that stays unused becomes a hydrogen
        bare.GetAtomWithIdx(atom).SetNoImplicit(False)
        bare.GetAtomWithIdx(atom).SetNumExplicitHs(0)
    bare.UpdatePropertyCache(strict=False)
    return Piece(text, points, atoms, tuple(sorted(first.values())), bare.GetNumAtoms(), bare)


def _no_hydrogen(atom: Any) -> bool:
    """Return whether a hydrogen at a point would be odd: S(=O), P(=O) and C=O or C=S."""
    ends = [bond.GetOtherAtom(atom) for bond in atom.GetBonds() if bond.GetBondTypeAsDouble() == 2]
    polar = any(end.GetAtomicNum() in (8, 16) for end in ends)
    return bool(polar and atom.GetAtomicNum() in (6, 15, 16))


def may_join(one: Point, other: Point) -> bool:
    """Return whether two points may be joined by a single bond."""
    if one.label and other.label:
        return (one.label, other.label) in _pairs()
    return "C" in (one.element, other.element)


@lru_cache(maxsize=1)
def _pairs() -> frozenset[tuple[int, int]]:
    """Return the pairs of labels that BRICS joins by a single bond, both ways round."""
    from rdkit.Chem import BRICS

    defs = [one for group in BRICS.reactionDefs for one in group if one[2] == "-"]
    pairs = [(int(a), int(b)) for a, b, _ in defs]
    return frozenset(pairs + [(b, a) for a, b in pairs])


def library(path: Path | None, most: int) -> tuple[str, ...]:
    """Return the built-in fragments, or the `most` frequent ones (1 or more) of a file's molecules.

    A line of the file is a molecule, which is cut, or a fragment with points, which is taken as
    it is. Raises InputError with the line of the first that is neither, and where nothing is left.
    """
    if most < 1:
        raise InputError(f"max_fragments is {most}, expected at least 1")
    if path is None:
        return BUILT_IN
    from tasks.molecules.corpus import lines
    from tasks.molecules.design import parse

    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a SMILES a line")
    counts: Counter[str] = Counter()
    for line, text in lines(path):
        try:
            if "*" in text:
                counts[read(text).text] += 1
            else:
                counts.update(cut(parse(text).mol))
        except InputError as problem:
            raise InputError(f"{path}:{line}: {problem}") from None
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    if not ranked:
        raise InputError(f"{path}: its molecules have no bond that BRICS cuts; give larger ones")
    return tuple(text for text, _ in ranked)


def cut(mol: Any) -> list[str]:
    """Return the fragments between the single bonds that BRICS cuts; it cuts double ones too."""
    from rdkit import Chem
    from rdkit.Chem import BRICS

    brics: Any = BRICS
    found = list(brics.FindBRICSBonds(mol))
    single = Chem.BondType.SINGLE
    bonds = [bond for bond in found if mol.GetBondBetweenAtoms(*bond[0]).GetBondType() == single]
    if not bonds:
        return []
    parts = Chem.GetMolFrags(brics.BreakBRICSBonds(mol, bonds=bonds), asMols=True)
    counts = [sum(a.GetAtomicNum() == 0 for a in part.GetAtoms()) for part in parts]
    whole = [part for part, points in zip(parts, counts, strict=True) if points <= MAX_POINTS]
    return [str(Chem.MolToSmiles(part)) for part in whole]


def usable(pieces: Sequence[Piece], max_atoms: int, others: Sequence[Point] = ()) -> list[Piece]:
    """Return the pieces whose points that must be used can be: some end fits each of them.

    Raises InputError where that is not so for one of `others`, or no piece is left.
    """
    kept = [piece for piece in pieces if piece.weight <= max_atoms]
    while True:
        ends = [piece.points[0] for piece in kept if len(piece.points) == 1]
        fits = {
            point: any(may_join(point, end) for end in ends)
            for point in (*others, *(p for piece in kept for p in piece.points))
            if point.must
        }
        left = [piece for piece in kept if all(fits.get(point, True) for point in piece.points)]
        if len(left) == len(kept):
            break
        kept = left
    for point in others:
        if not fits[point]:
            raise InputError(
                f"no fragment fits the attachment point on {point.element}; give fragments with "
                "one point on carbon"
            )
    if not kept:
        raise InputError("no fragment is left that can be joined; give more of them, with ends")
    return kept
