import dataclasses
from pathlib import Path

import pytest
import torch

from cli.main import invoke
from designer.errors import InputError
from designer.testing import check_environment, walk
from tasks.molecules import pieces
from tasks.molecules.design import parse
from tasks.molecules.fragments import END, Fragments
from tasks.molecules.task import task

TINY = ("[*]C", "[*]O", "[*]C[*]", "[*]N([*])C([*])=O", "[*]c1ccncc1[*]")
SCAFFOLD = "c1ccc([*:1])cc1[*:2]"


@pytest.mark.parametrize(
    "env",
    [Fragments(), Fragments(24, 20, max_open=3, max_pieces=4), Fragments(20, 8, TINY),
     Fragments(20, 8, scaffold=SCAFFOLD), Fragments(8, 8, scaffold=SCAFFOLD)],
    ids=["plain", "narrow", "tiny", "scaffold", "full"],
)  # fmt: skip
def test_contract(env: Fragments) -> None:
    check_environment(env, batch_size=16)


def test_every_walk_is_a_molecule_within_the_limits() -> None:
    env = Fragments(30, 10)
    designs = env.decode(walk(env, 1000, seed=2)[0].tolist())
    assert None not in designs
    for design in designs:
        assert design is not None and parse(design.key) == design
        assert 10 <= design.complexity <= 30
        assert not any(atom.GetNumRadicalElectrons() for atom in design.mol.GetAtoms())
    assert len({design.key for design in designs if design}) > 800


def test_every_product_keeps_the_scaffold() -> None:
    from rdkit import Chem

    env, query = Fragments(26, 10, scaffold=SCAFFOLD), Chem.MolFromSmarts(
        "[cH]1[cH][cH][c;D3][cH][c;D3]1"
    )  # fmt: skip
    designs = env.decode(walk(env, 2048, seed=0)[0].tolist())
    assert all(d is not None and d.mol.HasSubstructMatch(query) and env.keeps(d.mol)
               for d in designs)  # fmt: skip


def _all(env: Fragments) -> set[str]:
    state, rows, found = env.reset(1, torch.device("cpu")), [[]], set()
    while rows:
        mask = env.mask(state)
        ended = [[*row, END] for row, m in zip(rows, mask[:, END].tolist(), strict=True) if m]
        built = env.decode(ended)
        assert None not in built
        found |= {design.key for design in built if design is not None}
        mask[:, END] = False
        which, actions = mask.nonzero(as_tuple=True)
        fields = {f.name: getattr(state, f.name)[which] for f in dataclasses.fields(state)}
        state = env.step(type(state)(**fields), actions)
        rows = [rows[i] + [a] for i, a in zip(which.tolist(), actions.tolist(), strict=True)]
    return found


def test_a_tiny_library_builds_what_brute_force_builds() -> None:
    """Any open point of any partial product joined to any point of any fragment, by RDKit."""
    from rdkit import Chem

    most = 7
    mols = [Chem.MolFromSmiles(text) for text in TINY]
    seen, edge = set[str](), [Chem.MolToSmiles(mol) for mol in mols]
    while edge:
        text = edge.pop()
        if text in seen:
            continue
        seen.add(text)
        one = Chem.MolFromSmiles(text)
        for other in mols:
            if one.GetNumHeavyAtoms() + other.GetNumHeavyAtoms() > most:
                continue
            both = Chem.CombineMols(one, other)
            ends = [a.GetIdx() for a in both.GetAtoms() if a.GetAtomicNum() == 0]
            for i in (i for i in ends if i < one.GetNumAtoms()):
                for j in (j for j in ends if j >= one.GetNumAtoms()):
                    joined = Chem.RWMol(both)
                    u, v = (joined.GetAtomWithIdx(x).GetNeighbors()[0] for x in (i, j))
                    if "C" not in (u.GetSymbol(), v.GetSymbol()):
                        continue
                    joined.AddBond(u.GetIdx(), v.GetIdx(), Chem.BondType.SINGLE)
                    for x in sorted((i, j), reverse=True):
                        joined.RemoveAtom(x)
                    done = joined.GetMol()
                    Chem.SanitizeMol(done)
                    edge.append(Chem.MolToSmiles(done))
    wanted = set()
    acyl = Chem.MolFromSmarts("[#0]C=O")  # a point that must be used
    for text in seen:
        mol = Chem.MolFromSmiles(text)
        if not mol.HasSubstructMatch(acyl):
            bare = Chem.DeleteSubstructs(mol, Chem.MolFromSmarts("[#0]"))
            wanted.add(Chem.MolToSmiles(Chem.MolFromSmiles(Chem.MolToSmiles(bare))))
    env = Fragments(most, 1, TINY, max_pieces=7, max_open=8)
    assert len(wanted) > 30 and _all(env) == wanted


def test_brics_fragments_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.smi"
    file.write_text("CC(=O)Nc1ccc(OC)cc1 a\nCCN(CC)C(=O)c1ccccc1 b\nO=C(NC1CC1)c1ccncc1\n[16*]F\n")
    texts = pieces.library(file, 300)
    assert {"[16*]c1ccccc1", "[1*]C(C)=O", "[3*]OC", "[16*]F"} <= set(texts)
    env = task("fragments", max_atoms=24, fragments=file).environment
    designs = env.decode(walk(env, 200, seed=0)[0].tolist())
    assert all(design is not None for design in designs)
    check_environment(env)


def test_double_bonds_that_brics_cuts_stay_whole(tmp_path: Path) -> None:
    file = tmp_path / "olefins.smi"
    file.write_text("O=C(Nc1ccccc1)C=Cc1ccccc1\nCCC(=CC)CNC(C)=O\n")  # BRICS calls them 7 and 7
    texts = pieces.library(file, 300)
    assert not [text for text in texts if "=[" in text or "[7*]" in text]
    assert "[16*]c1ccccc1" in texts and any("C=C" in text for text in texts)
    check_environment(task("fragments", max_atoms=24, fragments=file).environment)


def test_a_file_that_set_names_is_found_where_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.smi").write_text("CC(=O)Nc1ccc(OC)cc1\nCCN(CC)C(=O)c1ccccc1\n")
    monkeypatch.chdir(tmp_path)
    common = ["molecule", "qed", "--representation", "fragments", "--quiet", "--budget", "8"]
    assert invoke([*common, "--set", "task.fragments=mine.smi", "--out", "run"]) == 0
    assert str(tmp_path / "mine.smi") in Path("run/campaign.toml").read_text()


def test_it_learns_from_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["molecule", "qed", "--representation", "fragments", "--quiet", "--set",
              "policy.hidden=32", "--set", "campaign.batch_size=32"]  # fmt: skip
    for name, steps in (("whole", 6), ("parts", 3)):
        out = ["--out", str(tmp_path / name), "--set", f"campaign.steps={steps}"]
        assert invoke([*common, *out]) == 0
    assert invoke(["resume", str(tmp_path / "parts"), "--quiet", "--set", "campaign.steps=6"]) == 0
    texts = [(tmp_path / name / "best.csv").read_text() for name in ("whole", "parts")]
    assert texts[0] == texts[1] and float(texts[0].split("\n")[1].split(",")[1]) > 0.85


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fragments are linked atom by atom"):
        Fragments(scaffold="C[*:1].N[*:2]")
    with pytest.raises(InputError, match="needs max_atoms of 8 or more, it is 7"):
        Fragments(7, 1, scaffold=SCAFFOLD)
    with pytest.raises(InputError, match="no fragment fits the attachment point on N"):
        Fragments(20, 1, ("[*]O", "[*]N[*]"), scaffold="CN[*:1]")
    with pytest.raises(InputError, match='fragments is for representation = "fragments"'):
        task("graph", fragments=tmp_path / "x.smi")
    file = tmp_path / "x.smi"
    for content, message in (
        ("CCO\nC1CC", "x.smi:2: SMILES 'C1CC': RDKit rejects it: unclosed ring"),
        ("C[*]C", "x.smi:1: fragment 'C.*C': attachment point 2 is not at the end"),
        ("CCO\n", "x.smi: its molecules have no bond that BRICS cuts; give larger ones"),
    ):
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            task("fragments", fragments=file)
