"""Docking with AutoDock Vina (Eberhardt et al., J. Chem. Inf. Model. 61:3891, 2021).

A molecule gets hydrogens and coordinates (RDKit, ETKDG and MMFF94), meeko writes it as PDBQT, and
Vina docks it into a rigid receptor. It needs the packages vina and meeko: the extra `[docking]`.
Each molecule is docked in a process of its own with a timeout, so one that hangs or crashes
costs itself alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from designer.errors import InputError
from designer.protocols import Measured
from oracles.isolation import Limits
from oracles.rows import each, molecules

MAX_BYTES = 50_000_000  # of a receptor
EMBEDDINGS = 50  # tries for coordinates


@dataclass(frozen=True)
class Docking:
    """Vina's best energy of a molecule in a receptor, kcal/mol; less is better.

    `receptor` is a PDBQT file (meeko's `mk_prepare_receptor.py` makes one of a PDB file); the box
    of `size` angstrom around `centre` is searched, `exhaustiveness` times. The same `seed` gives
    the same energy. `timeout` is in seconds a molecule.
    """

    receptor: Path
    centre: tuple[float, float, float]
    size: tuple[float, float, float] = (20.0, 20.0, 20.0)
    exhaustiveness: int = 8
    seed: int = 1
    timeout: float = 600.0
    name: str = "docking"

    cheap = False

    def __post_init__(self) -> None:
        missing = [name for name in ("vina", "meeko") if find_spec(name) is None]
        if missing:
            raise InputError(  # meeko does not bring gemmi, which it needs
                f"docking needs {' and '.join(missing)}; install with: pip install vina meeko gemmi"
            )
        if not all(math.isfinite(x) for x in self.centre):
            raise InputError(f"centre is {list(self.centre)}, expected three numbers in angstrom")
        if not all(0 < x <= 126 for x in self.size):
            raise InputError(f"size is {list(self.size)}, expected three from 0 to 126 angstrom")
        if self.exhaustiveness < 1 or self.seed < 1:  # Vina takes seed 0 as a random one
            raise InputError(
                f"exhaustiveness {self.exhaustiveness}, seed {self.seed}: expected 1 or more"
            )
        Limits(self.timeout)
        _check_receptor(self.receptor)

    @property
    def isolation(self) -> Limits:
        """What a molecule may cost where the campaign does not say otherwise."""
        return Limits(self.timeout)

    @property
    def files(self) -> tuple[Path, ...]:
        """What the values depend on."""
        return (self.receptor,)

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N] in kcal/mol; NaN with a reason where docking failed."""
        return each(self.name, molecules(self.name, designs), self._energy)

    def _energy(self, mol: Any) -> float:
        engine = _engine(self)
        engine.set_ligand_from_string(ligand(mol, self.seed))
        engine.dock(exhaustiveness=self.exhaustiveness, n_poses=1)
        return float(engine.energies(n_poses=1)[0][0])


def ligand(mol: Any, seed: int) -> str:
    """Return a molecule as PDBQT with hydrogens and coordinates.

    Raises ValueError where RDKit finds no coordinates, or meeko cannot write them.
    """
    from meeko import MoleculePreparation, PDBQTWriterLegacy
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    whole = Chem.AddHs(mol)
    settings: Any = rdDistGeom.ETKDGv3()
    settings.randomSeed, settings.maxIterations = seed, EMBEDDINGS
    with rdBase.BlockLogs():
        if rdDistGeom.EmbedMolecule(whole, settings) != 0:
            settings.useRandomCoords = True
            if rdDistGeom.EmbedMolecule(whole, settings) != 0:
                raise ValueError("RDKit found no coordinates")
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(whole):
            rdForceFieldHelpers.MMFFOptimizeMolecule(whole)
    setups = MoleculePreparation().prepare(whole)
    text, fine, problem = PDBQTWriterLegacy.write_string(setups[0])
    if not fine:
        raise ValueError(f"meeko cannot write it: {problem}")
    return str(text)


@lru_cache(maxsize=4)
def _engine(settings: Docking) -> Any:
    """Return Vina with the receptor's maps computed, once a process."""
    from vina import Vina

    engine = Vina(sf_name="vina", cpu=1, seed=settings.seed, verbosity=0)
    engine.set_receptor(str(settings.receptor))
    engine.compute_vina_maps(center=list(settings.centre), box_size=list(settings.size))
    return engine


def _check_receptor(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"receptor {path}: no such file; expected a PDBQT file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"receptor {path}: has more than {MAX_BYTES:,} bytes")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    atoms = [line for line in lines if line.startswith(("ATOM", "HETATM"))]
    if not atoms or len(atoms[0].split()) < 10 or len(atoms[0]) < 78:
        raise InputError(
            f"receptor {path}: has no PDBQT atoms; make it of a PDB file with meeko's "
            "mk_prepare_receptor.py"
        )
    if any(line.startswith(("ROOT", "BRANCH")) for line in lines):
        raise InputError(f"receptor {path}: is a flexible PDBQT (ROOT, BRANCH); give a rigid one")
