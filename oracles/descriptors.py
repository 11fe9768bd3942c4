"""Molecular descriptors as oracles: one number a molecule, in its own unit, by RDKit.

`cheap` follows the cost on a drug-like molecule: writing a result down takes about 0.2 ms, so
what costs less is computed again after a crash, and what costs as much or more is journalled
(QED about 1 ms, Crippen's logP about 0.25 ms, the others under 0.1 ms on one core).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from designer.errors import InputError, nearest
from designer.protocols import Measured
from oracles.rows import each, molecules


@dataclass(frozen=True)
class Property:
    """How a descriptor is computed: the function of RDKit, and whether it is cheap."""

    function: str  # "module:function", called with the RDKit molecule
    cheap: bool = True


_MOL = "rdkit.Chem.rdMolDescriptors"
PROPERTIES: dict[str, Property] = {
    "qed": Property("rdkit.Chem.QED:qed", cheap=False),
    "logp": Property("rdkit.Chem.Crippen:MolLogP", cheap=False),
    "tpsa": Property(f"{_MOL}:CalcTPSA"),
    "mw": Property("rdkit.Chem.Descriptors:MolWt"),
    "heavy_atoms": Property(f"{_MOL}:CalcNumHeavyAtoms"),
    "rings": Property(f"{_MOL}:CalcNumRings"),
    "aromatic_rings": Property(f"{_MOL}:CalcNumAromaticRings"),
    "rotatable_bonds": Property(f"{_MOL}:CalcNumRotatableBonds"),
    "hbd": Property(f"{_MOL}:CalcNumHBD"),
    "hba": Property(f"{_MOL}:CalcNumHBA"),
    "fsp3": Property(f"{_MOL}:CalcFractionCSP3"),
    "stereo_centres": Property(f"{_MOL}:CalcNumAtomStereoCenters"),
    "bertz": Property("rdkit.Chem.GraphDescriptors:BertzCT", cheap=False),
}


@dataclass(frozen=True)
class Descriptor:
    """One property of a molecule as an oracle; `quantity` is a key of `PROPERTIES`."""

    quantity: str
    name: str = ""

    def __post_init__(self) -> None:
        if self.quantity not in PROPERTIES:
            text = f"unknown descriptor {self.quantity!r}; {nearest(self.quantity, PROPERTIES)}"
            raise InputError(text)
        if not self.name:
            object.__setattr__(self, "name", self.quantity)

    @property
    def cheap(self) -> bool:
        """True where computing it again costs less than writing it down."""
        return PROPERTIES[self.quantity].cheap

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N] in the unit of the property."""
        mols = molecules(self.name, designs)
        return each(self.name, mols, _function(self.quantity))


@lru_cache
def _function(name: str) -> Any:
    module, attribute = PROPERTIES[name].function.split(":")
    return getattr(import_module(module), attribute)


def qed(name: str = "qed") -> Descriptor:
    """Quantitative estimate of drug-likeness (Bickerton et al. 2012), 0 to 1."""
    return Descriptor("qed", name)


def logp(name: str = "logp") -> Descriptor:
    """Octanol/water partition coefficient (Wildman & Crippen 1999), log10."""
    return Descriptor("logp", name)


def tpsa(name: str = "tpsa") -> Descriptor:
    """Topological polar surface area (Ertl et al. 2000), square angstrom."""
    return Descriptor("tpsa", name)


def mw(name: str = "mw") -> Descriptor:
    """Average molar mass, g/mol."""
    return Descriptor("mw", name)


def heavy_atoms(name: str = "heavy_atoms") -> Descriptor:
    """Atoms other than hydrogen."""
    return Descriptor("heavy_atoms", name)


def rings(name: str = "rings") -> Descriptor:
    """Rings of the smallest set of smallest rings."""
    return Descriptor("rings", name)


def aromatic_rings(name: str = "aromatic_rings") -> Descriptor:
    """Aromatic rings."""
    return Descriptor("aromatic_rings", name)


def rotatable_bonds(name: str = "rotatable_bonds") -> Descriptor:
    """Rotatable bonds (RDKit's strict definition)."""
    return Descriptor("rotatable_bonds", name)


def hbd(name: str = "hbd") -> Descriptor:
    """Hydrogen-bond donors."""
    return Descriptor("hbd", name)


def hba(name: str = "hba") -> Descriptor:
    """Hydrogen-bond acceptors."""
    return Descriptor("hba", name)


def fsp3(name: str = "fsp3") -> Descriptor:
    """Share of the carbons that are sp3, 0 to 1."""
    return Descriptor("fsp3", name)


def stereo_centres(name: str = "stereo_centres") -> Descriptor:
    """Tetrahedral stereo centres, assigned or not."""
    return Descriptor("stereo_centres", name)


def bertz(name: str = "bertz") -> Descriptor:
    """Topological complexity (Bertz 1981): 0 for one atom, some 900 for a drug."""
    return Descriptor("bertz", name)
