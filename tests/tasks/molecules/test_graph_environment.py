import dataclasses
import itertools

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.testing import check_environment, walk
from tasks.molecules.design import parse
from tasks.molecules.graph import STOP, MolecularGraph
from tasks.molecules.legality import legal_rows
from tasks.molecules.task import starters

FREE = MolecularGraph(20, 1, ("C", "N", "O", "S", "F", "SO", "SO2", "NO2", "P", "B"),
                      (3, 4, 5, 6, 7), plausible=False, bridged=True)  # fmt: skip


@pytest.mark.parametrize(
    "env", [MolecularGraph(), MolecularGraph(15, 15, max_rings=0), FREE], ids=["a", "b", "c"]
)
def test_contract(env: MolecularGraph) -> None:
    check_environment(env, batch_size=16)


@pytest.mark.parametrize("env", [MolecularGraph(min_atoms=10), FREE], ids=["plausible", "free"])
def test_every_walk_is_a_molecule_within_the_limits(env: MolecularGraph) -> None:
    designs = env.decode(walk(env, 500, seed=2)[0].tolist())
    assert None not in designs
    for design in designs:
        assert design is not None and parse(design.key) == design
        rings = design.mol.GetRingInfo().AtomRings()
        assert env.min_atoms <= design.complexity <= env.max_atoms
        assert len(rings) <= env.max_rings
        if not env.bridged:
            assert {len(ring) for ring in rings} <= set(env.ring_sizes)
            pairs = itertools.combinations([set(ring) for ring in rings], 2)
            assert all(len(a & b) <= 2 for a, b in pairs)
    assert any(design and design.mol.GetRingInfo().NumRings() > 1 for design in designs)


def test_plausible_molecules_lack_what_chemists_avoid() -> None:
    from rdkit import Chem

    env = MolecularGraph(min_atoms=12)
    unwanted = ["[O,S]-[O]", "S-[SX2]", "[N,O,S]-[F,Cl]", "[N,O]~[N,O]~[N,O]", "*=*=[#6,#7]",
                "*#*@*", "[SX4;!H0]"]  # fmt: skip
    queries = [Chem.MolFromSmarts(smarts) for smarts in unwanted]
    for design in env.decode(walk(env, 300, seed=3)[0].tolist()):
        assert design is not None
        found = [q for q, query in zip(unwanted, queries, strict=True)
                 if design.mol.HasSubstructMatch(query)]  # fmt: skip
        assert [q for q in found if not (q == "[O,S]-[O]" and "S(=O)(=O)" in design.key)] == []


def _all(env: MolecularGraph) -> set[str]:
    """Return the SMILES of everything the environment builds, by enumeration."""
    state, rows, found = env.reset(1, torch.device("cpu")), [[]], set()
    while rows:
        mask = env.mask(state)
        ended = [[*row, STOP] for row, m in zip(rows, mask[:, STOP].tolist(), strict=True) if m]
        found |= {design.key for design in env.decode(ended) if design is not None}
        mask[:, STOP] = False
        which, actions = mask.nonzero(as_tuple=True)
        fields = {f.name: getattr(state, f.name)[which] for f in dataclasses.fields(state)}
        state = env.step(type(state)(**fields), actions)
        rows = [rows[i] + [a] for i, a in zip(which.tolist(), actions.tolist(), strict=True)]
    return found


def test_alkanes_are_counted() -> None:
    """Constitutional isomers of the alkanes with 1 to 6 carbons: 1, 1, 1, 2, 3, 5."""
    env = MolecularGraph(6, 1, ("C",), (), max_rings=0, plausible=False)
    saturated = [smiles for smiles in _all(env) if "=" not in smiles and "#" not in smiles]
    assert [sum(s.count("C") == n for s in saturated) for n in range(1, 7)] == [1, 1, 1, 2, 3, 5]


def test_hydrocarbons_are_all_built() -> None:
    """Every connected multigraph on at most 4 carbons, counted independently."""
    from rdkit import Chem, rdBase

    wanted = set()
    pairs = list(itertools.combinations(range(4), 2))
    types = [Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE]
    for atoms in range(1, 5):
        own = [pair for pair in pairs if max(pair) < atoms]
        for orders in itertools.product(range(4), repeat=len(own)):
            mol = Chem.RWMol()
            for _ in range(atoms):
                mol.AddAtom(Chem.Atom(6))
            for pair, order in zip(own, orders, strict=True):
                if order:
                    mol.AddBond(*pair, types[order - 1])
            with rdBase.BlockLogs():
                bad = Chem.SanitizeMol(mol, catchErrors=True)
            if not bad and len(Chem.GetMolFrags(mol)) == 1:
                wanted.add(Chem.MolToSmiles(mol))
    env = MolecularGraph(4, 1, ("C",), (3, 4), 3, plausible=False, bridged=True)
    assert _all(env) == wanted


def test_known_molecules_are_built() -> None:
    env = MolecularGraph(
        40, 1, ("C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "SO", "SO2", "NO2"),
        (3, 4, 5, 6, 7, 8), max_rings=8, plausible=False, bridged=True,
    )  # fmt: skip
    designs = [parse(smiles) for smiles, _ in starters()[:300]]
    designs = [d for d in designs if not any(m in d.key for m in ("@", "/", "[n+]", "[N-]"))]
    for rng in (None, np.random.default_rng(1)):
        rows = env.encode(designs, rng)
        missing = [d.key for d, row in zip(designs, rows, strict=True) if row is None]
        assert missing == []
        assert all(legal_rows(env, [row for row in rows if row is not None]))
        again = env.decode([row for row in rows if row is not None])
        assert [d and d.key for d in again] == [d.key for d in designs]


def test_what_it_cannot_build_is_none() -> None:
    env = MolecularGraph(12)
    texts = ["C[C@H](N)O", "C[NH3+]", "C1CC1", "CBr", "C" * 13, "COOC", "c1ccccc1", "[2H]C"]
    rows = env.encode([parse(text) for text in texts])
    assert [row is not None for row in rows] == [False] * 6 + [True, False]


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="did you mean 'SO'"):
        MolecularGraph(kinds=("C", "SO3"))
    with pytest.raises(InputError, match="min_atoms 9"):
        MolecularGraph(max_atoms=8, min_atoms=9)
    with pytest.raises(InputError, match="3 or more"):
        MolecularGraph(ring_sizes=(2,))
