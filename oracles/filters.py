"""What chemists would not keep: structural alerts, and limits that a molecule passes or not.

The catalogues are RDKit's: `pains` (Baell & Holloway 2010, assay interference), `brenk` (Brenk
et al. 2008, unwanted groups), `nih`, `zinc`, `chembl` and its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from designer.errors import InputError, nearest
from designer.protocols import Measured
from oracles import parsing
from oracles.rows import each, molecules
from oracles.sa import sa_score

CATALOGUES = (
    *("pains", "pains_a", "pains_b", "pains_c", "brenk", "nih", "zinc", "chembl"),
    *("chembl_glaxo", "chembl_dundee", "chembl_bms", "chembl_surechembl"),
    *("chembl_mlsmr", "chembl_inpharmatica", "chembl_lint"),
)


@dataclass(frozen=True)
class Alerts:
    """How many structural alerts a molecule has: entries of the catalogues, and SMARTS of yours."""

    catalogues: tuple[str, ...] = ("pains", "brenk")
    smarts: tuple[str, ...] = ()
    name: str = "alerts"

    cheap = False  # about 1 ms

    def __post_init__(self) -> None:
        if not (self.catalogues or self.smarts):
            raise InputError("alerts: name at least one catalogue or SMARTS")
        for catalogue in self.catalogues:
            if catalogue not in CATALOGUES:
                raise InputError(
                    f"unknown catalogue {catalogue!r}; {nearest(catalogue, CATALOGUES)}"
                )
        for smarts in self.smarts:
            parsing.pattern(smarts, "smarts")

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N] of counts."""
        mols = molecules(self.name, designs)
        return each(self.name, mols, lambda mol: len(self.found(mol)))

    def found(self, mol: Any) -> list[str]:
        """Return the names of the alerts of an RDKit molecule."""
        names = []
        if self.catalogues:
            matches = _catalogue(self.catalogues).GetMatches(mol)
            names = [str(entry.GetDescription()) for entry in matches]
        own = [s for s in self.smarts if mol.HasSubstructMatch(parsing.pattern(s, "smarts"))]
        return names + own


@dataclass(frozen=True)
class Filters:
    """1 where a molecule passes every limit, else 0: with `aggregate = "product"` a hard filter.

    Limits are (least, most), both allowed; empty for none. `required` and `forbidden` are SMARTS.
    """

    mw: tuple[float, ...] = (150.0, 600.0)  # g/mol
    logp: tuple[float, ...] = (-2.0, 6.5)
    sa: float = 6.0  # at most; 1 easy to make, 10 hard
    rings: tuple[float, ...] = (0, 7)
    ring_sizes: tuple[float, ...] = (3, 8)
    rotatable_bonds: tuple[float, ...] = (0, 15)
    catalogues: tuple[str, ...] = ("pains", "brenk")
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    name: str = "filters"
    alerts: Alerts | None = field(init=False, repr=False, compare=False, default=None)

    cheap = False

    def __post_init__(self) -> None:
        for name in ("mw", "logp", "rings", "ring_sizes", "rotatable_bonds"):
            limits = getattr(self, name)
            if limits and not (len(limits) == 2 and limits[0] <= limits[1]):
                raise InputError(f"{name} is {list(limits)}, expected [least, most] or []")
        if self.catalogues or self.forbidden:
            object.__setattr__(self, "alerts", Alerts(self.catalogues, self.forbidden))
        for smarts in self.required:
            parsing.pattern(smarts, "required")

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N] of 0 and 1."""
        mols = molecules(self.name, designs)
        return each(self.name, mols, lambda mol: float(self.failed(mol) is None))

    def failed(self, mol: Any) -> str | None:
        """Return the first limit that an RDKit molecule fails, None where it passes all."""
        for name, measure in _measures().items():
            limits = getattr(self, name)
            if limits and not limits[0] <= measure(mol) <= limits[1]:
                return name
        sizes = [len(ring) for ring in mol.GetRingInfo().AtomRings()]
        if self.ring_sizes and not all(
            self.ring_sizes[0] <= size <= self.ring_sizes[1] for size in sizes
        ):
            return "ring_sizes"
        if not all(mol.HasSubstructMatch(parsing.pattern(s, "required")) for s in self.required):
            return "required"
        if sa_score(mol) > self.sa:
            return "sa"
        found = self.alerts.found(mol) if self.alerts is not None else []
        return found[0] if found else None


@lru_cache(maxsize=1)
def _measures() -> dict[str, Callable[[Any], float]]:
    from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

    measures: dict[str, Any] = {
        "mw": Descriptors.MolWt,  # type: ignore[attr-defined]
        "logp": Crippen.MolLogP,  # type: ignore[attr-defined]
        "rings": rdMolDescriptors.CalcNumRings,
        "rotatable_bonds": rdMolDescriptors.CalcNumRotatableBonds,
    }
    return measures


@lru_cache(maxsize=16)
def _catalogue(names: tuple[str, ...]) -> Any:
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    wanted, known = FilterCatalogParams(), FilterCatalogParams.FilterCatalogs.names
    kinds = {name.lower(): kind for name, kind in known.items()}
    for name in names:
        wanted.AddCatalog(kinds[name])
    return FilterCatalog(wanted)
