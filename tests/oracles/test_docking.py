import importlib
import math
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from cli.main import invoke
from designer.errors import InputError
from designer.testing import check_oracle
from oracles.docking import Docking
from oracles.pool import Parallel
from tasks.molecules.design import parse

HOST = Path(__file__).parents[2] / "data" / "cyclodextrin.pdbqt"
CENTRE = (0.0, 0.0, 0.0)
real = pytest.mark.skipif(
    find_spec("vina") is None or find_spec("meeko") is None, reason="needs vina and meeko"
)
VINA = """
import time
class Vina:
    def __init__(self, sf_name, cpu, seed, verbosity): assert (sf_name, cpu) == ("vina", 1)
    def set_receptor(self, path):
        with open(path) as file: assert file.read()
    def compute_vina_maps(self, center, box_size): assert len(center) == len(box_size) == 3
    def set_ligand_from_string(self, text): self.text = text
    def dock(self, exhaustiveness, n_poses):
        atoms = len(self.text.split())
        if atoms == 5: time.sleep(600)
        if atoms == 6: raise RuntimeError("no such atom type")
    def energies(self, n_poses): return [[-float(len(self.text.split())), 0.0, 0.0]]
"""
MEEKO = """
class MoleculePreparation:
    def prepare(self, mol): return [mol]
class PDBQTWriterLegacy:
    @staticmethod
    def write_string(mol):
        assert mol.GetNumConformers() == 1
        heavy = [a.GetSymbol() for a in mol.GetAtoms() if a.GetAtomicNum() > 1]
        return " ".join(heavy), len(heavy) != 7, "odd"
"""


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules with the interface of vina and meeko, also found by worker processes."""
    (tmp_path / "vina.py").write_text(VINA)
    (tmp_path / "meeko.py").write_text(MEEKO)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("vina", "meeko"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    yield
    for name in ("vina", "meeko"):
        sys.modules.pop(name, None)


def test_what_fails_costs_itself_alone(fakes: None) -> None:
    oracle = Docking(HOST, CENTRE, seed=7)
    assert oracle.files == (HOST,) and oracle.isolation.timeout == 600
    designs = [parse("C" * n) for n in (1, 2, 6, 7, 3)]
    told = oracle(designs)
    values = told.columns["docking"].tolist()
    assert values[:2] == [-1, -2] and math.isnan(values[2]) and values[4] == -3
    assert told.errors[2] == "RuntimeError: no such atom type"
    assert told.errors[3] == "ValueError: meeko cannot write it: odd"


def test_one_that_hangs_is_ended(fakes: None) -> None:
    oracle = Docking(HOST, CENTRE, timeout=5.0, seed=8)
    with Parallel(oracle, 1, limits=oracle.isolation) as pool:
        told = pool([parse("C" * n) for n in (5, 4)])
    assert math.isnan(told.columns["docking"][0]) and told.columns["docking"][1] == -4
    assert told.errors[0].startswith("no answer within 5 s")


def test_refusals(fakes: None, tmp_path: Path) -> None:
    for change, message in (
        ({"receptor": tmp_path / "none.pdbqt"}, "no such file; expected a PDBQT file"),
        ({"receptor": Path(__file__)}, "has no PDBQT atoms; make it of a PDB file with meeko's"),
        ({"size": (0.0, 1.0, 1.0)}, "expected three from 0 to 126 angstrom"),
        ({"seed": 0}, "exhaustiveness 8, seed 0: expected 1 or more"),
        ({"timeout": -1.0}, "timeout is -1.0, expected more than 0"),
    ):
        settings = {"receptor": HOST, "centre": CENTRE} | change
        with pytest.raises(InputError, match=message):
            Docking(**settings)  # type: ignore[arg-type]
    flexible = tmp_path / "flexible.pdbqt"
    flexible.write_text("ROOT\n" + HOST.read_text())
    with pytest.raises(InputError, match="is a flexible PDBQT"):
        Docking(flexible, CENTRE)


def test_without_the_packages_it_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oracles.docking.find_spec", lambda name: None)
    with pytest.raises(InputError, match="install with: pip install vina meeko gemmi"):
        Docking(HOST, CENTRE)


def test_a_campaign_isolates_it(
    fakes: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`score` goes the way of a campaign: the molecule that hangs is the only one lost."""
    (tmp_path / "in.smi").write_text("CC\nCCCCC\nCCC\n")
    settings = ["--set", f"objective.0.receptor={HOST}", "--set", "objective.0.centre=[0, 0, 0]",
                "--set", "objective.0.timeout=5"]  # fmt: skip
    assert invoke(["score", "docking", str(tmp_path / "in.smi"), *settings]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["-2.0\tCC", "nan\tCCCCC", "-3.0\tCCC"]
    assert "in.smi:2: not measured: no answer within 5 s" in said.err


@real
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vina_docks_into_cyclodextrin() -> None:
    oracle = Docking(HOST, CENTRE, (18.0, 18.0, 18.0), exhaustiveness=1)
    designs = [parse(text) for text in ("C", "c1ccccc1", "OC(=O)C12CC3CC(CC(C3)C1)C2")]
    check_oracle(oracle, designs)
    methane, benzene, adamantane = oracle(designs).columns["docking"].tolist()
    assert adamantane < benzene < methane < 0
