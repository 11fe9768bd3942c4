"""Known molecules, and small helpers for the oracle tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from designer.protocols import Measured
from tasks.molecules.design import Molecule, parse

# The five molecules of the published test vectors (Therapeutics Data Commons and PMO).
VECTORS = {
    "A": "CC(C)(C)[C@H]1CCc2c(sc(NC(=O)COc3ccc(Cl)cc3)c2C(N)=O)C1",
    "celecoxib": "CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F",
    "sildenafil": "CCCC1=NN(C2=C1N=C(NC2=O)C3=C(C=CC(=C3)S(=O)(=O)N4CCN(CC4)C)OCC)C",
    "osimertinib": "COc1cc(N(C)CCN(C)C)c(NC(=O)C=C)cc1Nc2nccc(n2)c3cn(C)c4ccccc34",
    "sitagliptin": "Fc1cc(c(F)cc1F)CC(N)CC(=O)N3Cc2nnc(n2CC3)C(F)(F)F",
}
OTHERS = (
    "CCO",
    "c1ccccc1",
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C1CC2CCC1CC2",  # bridged
    "C1CCC2(CC1)CCCC2",  # spiro
    "C1CCCCCCCCCCC1",  # a macrocycle, highly symmetrical
    "C[C@H](N)C(=O)O",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "O=S(=O)(c1ccccc1)N1CCNCC1",
    "[O-][n+]1ccccc1",
    "FC(F)(F)c1ccc(Cl)c(Br)c1",
    "C#CCN(C)C/C=C/c1ccccc1",
    "COc1ccc2[C@H]3CC[C@@]4(C)[C@@H](CC[C@@]4(O)C#C)[C@@H]3CCc2c1",
)


def drugs() -> list[Molecule]:
    """Return nineteen molecules of many kinds; the first five are those of VECTORS."""
    return [parse(smiles) for smiles in (*VECTORS.values(), *OTHERS)]


@dataclass(frozen=True)
class Plain:
    """The smallest design: a text."""

    text: str

    @property
    def key(self) -> str:
        return self.text

    @property
    def complexity(self) -> int:
        return len(self.text)


def lengths(texts: list[str]) -> list[int]:
    """Return the length of each text: a scoring function in an importable module."""
    return [len(text) for text in texts]


def values(oracle: Any, designs: list[Any]) -> list[float]:
    """Return the only column of an oracle's answer."""
    measured = oracle(designs)
    assert isinstance(measured, Measured)
    (column,) = measured.columns.values()
    return [float(value) for value in column]
