import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.main import invoke
from designer.errors import InputError
from designer.testing import check_environment, walk
from tasks.molecules.design import parse
from tasks.molecules.graph import STOP, MolecularGraph
from tasks.molecules.legality import legal_rows
from tasks.molecules.task import task

PHENYLENE = "c1ccc([*:1])cc1[*:2]"
LINKED = "[*:1]c1ccccc1.[*:2]C1CCNCC1"
# scaffold -> what RDKit must find in every product, written apart from our own query
KEPT = {
    PHENYLENE: "[cH]1[cH][cH][c;D3][cH][c;D3]1",
    LINKED: "[c;D3]1[cH][cH][cH][cH][cH]1.[CH;D3]1[CH2][CH2][NH][CH2][CH2]1",
    "CC([*:1])[*:2].[*:3]N1CCOCC1.CS(=O)(=O)N[*:4]": (
        "[CH3][CH;D3].[N;D3]1[CH2][CH2]O[CH2][CH2]1.[CH3]S(=O)(=O)[NH;D2]"
    ),
    "[*:1][C@@H](C)C(=O)N[*:2]": "*[C@@H]([CH3])C(=O)[NH;D2]",
    "c1c[nH]c2nc([*:1])nc([*:2])c12": "[cH]1[cH][nH]c2n[c;D3]n[c;D3]c12",
    "O=C([*:1])c1ccc(C(=O)[*:2])o1": "O=[C;D3]c1[cH][cH]c([C;D3]=O)o1",
}


@pytest.mark.parametrize("text", KEPT)
def test_contract(text: str) -> None:
    check_environment(MolecularGraph(24, 8, scaffold=text), batch_size=12)


@pytest.mark.parametrize("text", KEPT)
def test_every_product_keeps_the_scaffold(text: str) -> None:
    """2,048 walks of the first two with room to spare, 256 of each where there is hardly any."""
    from rdkit import Chem

    query = Chem.MolFromSmarts(KEPT[text])
    size = Chem.MolFromSmiles(text).GetNumHeavyAtoms()
    for env, walks in (
        (MolecularGraph(30, 8, scaffold=text), 2048 if text in (PHENYLENE, LINKED) else 256),
        (MolecularGraph(size + 3, size + 3, scaffold=text), 256),
    ):
        designs = env.decode(walk(env, walks, seed=1)[0].tolist())
        assert None not in designs
        for design in designs:
            assert design is not None and design.mol.HasSubstructMatch(query)
            marked = "@" in design.key and "@" in text  # not where two substituents are the same
            assert not marked or design.mol.HasSubstructMatch(query, useChirality=True)
            assert env.min_atoms <= design.complexity <= env.max_atoms


@lru_cache
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


@pytest.mark.parametrize(
    ("text", "query", "plausible"),
    [
        ("C[*:1]", "[CH3;D1]", False),
        ("C[*:1]", "[CH3;D1]", True),
        ("O[*:1]", "[OH;D1]", False),
        ("C[*:1].O[*:2]", "[CH3;D1].[OH;D1]", False),
        ("O[*:1].C[*:2].C[*:3]", "[OH;D1].[CH3;D1].[CH3;D1]", False),
        ("CC([*:1])[*:2]", "[CH3;D1][CH;D3]", False),
    ],
)
def test_nothing_is_missed_and_nothing_added(text: str, query: str, plausible: bool) -> None:
    """Products of up to 5 atoms are the free environment's molecules that RDKit finds it in.

    A second attachment point keeps an atom in reserve, so a ring to it needs one atom more. What
    has no carbon is left out, since the free environment begins with one.
    """
    from rdkit import Chem

    rest = (1, ("C", "O"), (3, 4), 2, plausible, True)
    free = _all(MolecularGraph(5, *rest))
    pattern = Chem.MolFromSmarts(query)
    wanted = {key for key in free if Chem.MolFromSmiles(key).HasSubstructMatch(pattern)}
    several = text == "CC([*:1])[*:2]"
    built = _all(MolecularGraph(5 + several, *rest, scaffold=text))
    small = {
        key for key in built if Chem.MolFromSmiles(key).GetNumAtoms() <= 5 and "C" in key.upper()
    }
    assert len(wanted) > 5 and small == wanted


def test_known_molecules_are_spelled_from_their_scaffold() -> None:
    env = MolecularGraph(40, 8, scaffold="c1ccc([*:1])cc1[*:2]")
    texts = ["CC(=O)Nc1cccc(OC)c1", "CCc1cccc(C)c1", "CC(=O)Nc1ccc(OC)cc1", "Cc1ccccc1",
             "c1ccc2c(c1)CCN2", "Cc1cccc(-c2cccc(C)c2)c1"]  # fmt: skip
    for rng in (None, np.random.default_rng(3)):
        rows = env.encode([parse(text) for text in texts], rng)
        assert [row is not None for row in rows] == [True, True, False, False, False, True]
        found = [row for row in rows if row is not None]
        assert all(legal_rows(env, found))
    assert env.encode([parse("Cc1ccccc1")]) == [None] and legal_rows(env, []) == []
    linked = MolecularGraph(40, 8, scaffold=LINKED)
    rows = linked.encode([parse("O=C(NCc1ccccc1)C1CCNCC1"), parse("CC1CCNCC1")])
    assert rows[0] is not None and rows[1] is None


def test_children_keep_the_scaffold() -> None:
    from rdkit import Chem

    made = task(scaffold=PHENYLENE)
    assert made.proposer is not None
    rows = walk(made.environment, 64, seed=0)[0].tolist()
    parents = list({d.key: d for d in made.environment.decode(rows)}.values())
    children = made.proposer(parents, 24, np.random.default_rng(0))
    query = Chem.MolFromSmarts(KEPT[PHENYLENE])
    assert len(children) >= 12
    assert all(child.mol.HasSubstructMatch(query) for child in children)


@pytest.mark.parametrize("text", ["C1CC1[*:1]", "C1OC([*:1])OC1C", "C1CC2CC1CC2[*:1]"])
@pytest.mark.parametrize("representation", ["graph", "fragments"])
def test_what_the_scaffold_has_is_not_held_against_children(text: str, representation: str) -> None:
    """A small ring, an acetal, a bridge: none of them would be made."""
    made = task(representation, scaffold=text)
    assert made.proposer is not None
    rows = walk(made.environment, 24, seed=0)[0].tolist()
    parents = list({d.key: d for d in made.environment.decode(rows)}.values())
    assert len(made.proposer(parents, 16, np.random.default_rng(0))) >= 4


BAD = {
    "c1ccccc1": "has no attachment point; mark one with [*:1], for example 'c1ccc([*:1])cc1'",
    " ": "the scaffold is empty; give a SMILES with [*:1], for example 'c1ccc([*:1])cc1'",
    "c1ccc([*:1]": "RDKit rejects it: extra open parentheses at character 6",
    "CN(C)(C)(C)[*:1]": "Explicit valence for atom # 1 N, 5, is greater than permitted",
    "C=[*:1]": "attachment point 1 is not at the end of one single bond to an atom",
    "C[*:1]C": "attachment point 1 is not at the end of one single bond to an atom",
    "[*:1][*:2]": "attachment point 1 is not at the end of one single bond to an atom",
    "C[*:1].[*:2]CC[*:3].[*:4]CC[*:5]": "fragment 3 has 2 attachment points; where fragments",
    "C[*:1].CC": "fragment 2 has 0 attachment points; where fragments are linked",
    "C/C=C/[*:1]": "a / or \\ beside an attachment point would be lost; leave these marks out",
    "C[Si](C)(C)[*:1]": "attachment point on Si, which is not among kinds",
    "C" * 30 + "[*:1]": "has 30 heavy atoms and 1 open attachment point; max_atoms is 30, set it",
    "C" * 200 + "[*:1]": "CCCC...' has 200 heavy atoms and 1 open attachment point; molecules have "
    "99 at most, so give a smaller one",
    "C1" * 600 + "[*:1]": "scaffold of 1205 characters: at most 1000 are accepted",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20])
def test_bad_scaffolds(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError) as caught:
        MolecularGraph(scaffold=text)
    assert BAD[text] in str(caught.value)
    assert invoke(["molecule", "--scaffold", text]) == 3
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and BAD[text] in said.err


def test_an_empty_scaffold_is_not_taken_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["molecule", "qed", "--scaffold", "", "--budget", "8"]) == 3
    assert "--scaffold is empty" in capsys.readouterr().err


def test_a_scaffold_needs_a_graph() -> None:
    with pytest.raises(InputError, match='needs representation = "graph"'):
        task("smiles", scaffold=PHENYLENE)


def test_a_resumed_run_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--quiet", "--set", "campaign.batch_size=16", "--set", "campaign.proposals=8",
              "--set", "policy.hidden=16", "--set", "campaign.replay=4"]  # fmt: skip
    for name, steps in (("whole", 4), ("parts", 2)):
        arguments = ["molecule", "qed", "--scaffold", LINKED, "--out", str(tmp_path / name)]
        assert invoke([*arguments, *common, "--set", f"campaign.steps={steps}"]) == 0
    assert invoke(["resume", str(tmp_path / "parts"), "--quiet", "--set", "campaign.steps=4"]) == 0
    capsys.readouterr()
    whole, parts = ((tmp_path / name / "best.csv").read_text() for name in ("whole", "parts"))
    assert whole == parts and whole.count("\n") > 10
