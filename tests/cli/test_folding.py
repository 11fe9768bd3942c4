"""`designer fold` and `bench folding` from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cli.bench_folding import SETS, problems
from cli.bench_folds import ROOMY, VARIANTS, _document, _varied
from cli.bench_peers import peers
from cli.build import build
from cli.folding import campaign_of
from cli.main import invoke
from cli.options import Options
from cli.presets import fold, shipped
from cli.prior import find, weights
from cli.session import apply
from designer.campaign import Campaign
from designer.checkpoint import load, save
from designer.errors import InputError
from designer.proposing import memory_of
from tasks.folding.design import Fold
from tasks.folding.exact import ground_states

BRIEF = ["--quiet", "--set", "task.search_steps=50000", "--set", "policy.hidden=16"]


def test_each_record_of_a_fasta_file_is_folded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "chains.fasta"
    file.write_text(">one\nHPPHPPHPPH\n>two/../x\nHPHPPHHPHPPHPHHPPHPH\n")
    code = invoke(
        ["fold", str(file), "--target-energy", "-4", "--json", "--out", str(tmp_path), *BRIEF]
    )
    (line,) = capsys.readouterr().out.splitlines()
    results = json.loads(line)["results"]
    assert code == 0 and [one["name"] for one in results] == ["one", "two/../x"]
    assert [one["best"][0]["scores"]["energy"] <= -4 for one in results] == [True, True]
    assert results[0]["stopped"] == "optimal" and results[1]["stopped"] in ("target", "optimal")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["1-one", "2-two_.._x"]
    assert {"best.pdb", "best.xyz", "best.html", "best.svg", "contacts.csv"} <= {
        p.name for p in (tmp_path / "1-one").iterdir()
    }


def test_one_interrupted_among_several_gives_one_object_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "chains.fasta"
    file.write_text(f">one\n{'HPHPPHHPHPPHPHHPPHPH' * 2}\n>two\nHPPHPPHPPH\n")
    monkeypatch.setattr("cli.signals.Stop.__call__", lambda stop: "interrupted")
    assert invoke(["fold", str(file), "--json", "--out", str(tmp_path), *BRIEF]) == 75
    told = capsys.readouterr()
    (result,) = json.loads(told.out)["results"]
    assert result["name"] == "one" and result["stopped"] == "interrupted"
    assert f"resume {tmp_path / '1-one'}" in told.err and "folding one, 1 of 2" in told.err


@pytest.mark.parametrize(
    ("lattice", "energy", "said", "taught"),
    [
        ("square", "hp", ("campaign.steps=1",), True), ("triangular", "hp", (), True),
        ("cubic", "hp", (), True), ("fcc", "hp", (), True),
        ("square", "hp", ("policy.hidden=8",), False), ("square", "mj", (), False),
    ],
)  # fmt: skip
def test_the_shipped_prior_is_the_start_where_there_is_one(
    lattice: str, energy: str, said: tuple[str, ...], taught: bool
) -> None:
    options = Options(assignments=list(said))
    sequence = "HPPHPPHPPH" if energy == "hp" else "LAALAALAAL"
    document = campaign_of(sequence, lattice, energy, None, options)
    apply(document, options)
    policy = build(document).policy.state_dict()
    prior = weights(find(Path(f"folds_{lattice}")))
    equal = all(name in policy and torch.equal(policy[name], prior[name]) for name in prior)
    assert equal == taught


def test_the_search_begins_before_the_policy_and_goes_on_after_a_checkpoint(
    tmp_path: Path,
) -> None:
    def campaign(steps: int) -> Campaign:
        document = fold("HPHPPHHPHPPHPHHPPHPHH", "cubic", "hp")
        assignments = {"campaign.steps": steps, "task.search_steps": 3000, "policy.hidden": 8}
        for name, value in assignments.items():
            document.override(tuple(name.split(".")), value, "test")
        return build(document).campaign()

    brief = campaign(1)
    brief.settings = replace(brief.settings, steps=None, target=0.1)
    result = brief.run()
    assert result.stopped == "target" and result.steps == 0 and result.evaluations > 1000
    whole, cut = campaign(4), campaign(2)
    whole.run()
    cut.run()
    save(tmp_path, cut.state())
    again = campaign(4)
    held = load(tmp_path)
    assert held is not None
    again.restore(held)
    again.run()
    assert memory_of(again.task.proposer) == memory_of(whole.task.proposer) != {}
    assert again.archive.state() == whole.archive.state()
    assert again.meter.spent == whole.meter.spent


def test_no_record_is_folded_where_one_is_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "chains.fasta"
    file.write_text(">one\nHPPH\n>two\nHPXH\n")
    assert invoke(["fold", str(file), "--out", str(tmp_path / "runs")]) == 3
    said = capsys.readouterr()
    assert ":3: record 'two': sequence 'HPXH': letter 'X' at position 3" in said.err
    assert said.out == "" and not (tmp_path / "runs").exists()


def test_a_sequence_is_designed_for_a_fold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = "RURDRUUULDLULDD"
    code = invoke(["fold", "--design", target, "--json", "--quiet", "--out", str(tmp_path / "r")])
    found = json.loads(capsys.readouterr().out)
    assert code == 0 and found["task"] == "fold_design"
    best = found["best"][0]
    assert found["stopped"] == "target" and found["evaluations"] <= 2000
    assert best["scores"]["gap"] >= 1 and len(best["design"]) == 16
    ground = ground_states(best["design"])
    assert ground.degeneracy == 1
    assert ground.folds[0].key == Fold(best["design"], "square", target).key


BAD = {
    ("fold", "no.fasta"): "no.fasta: no such file; expected FASTA records",
    ("fold", "HPPH", "--lattice", "cubi"): "unknown lattice 'cubi'; did you mean 'cubic'",
    ("fold", "HPPH", "--energy", "there/no.txt"): "--energy: there/no.txt: no such file; give one",
    ("fold", "--design", "RUL", "--energy", "there/no.txt"): "--energy: there/no.txt: no such file",
    ("fold", "there/chains"): "there/chains: no such file; expected FASTA records, or give",
    ("fold", "HP"): "has 2 residues; a chain that can fold has at least 3",
    ("fold", "--design", "RULD"): "residues 1 and 5 lie on one point",
    ("fold", "--design", "RRRRRRRRR"): "has the same contacts as 665 other folds",
    ("fold", "--design", "RURRD", "--composition", "H=7"): "leaves no number of residues",
    ("fold", "--design", "RURRD", "--pattern", "HQPPPP"): "letter 'Q' at position 2",
    ("bench", "folding", "--only", "2D-65"): "unknown sequence '2D-65'; did you mean",
    ("bench", "folding", "--peer", "square=/no/such"): "expected LATTICE,LATTICE=PROGRAM",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_what_cannot_be_done_is_told(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(list(words)) == 3
    said = capsys.readouterr()
    assert BAD[words] in said.err and said.out == "" and said.err.count("\n") == 1


MATRICES = {
    "HP\n-1 0\n": "m.txt: 1 row of numbers for the 2 letters HP, expected one row a letter",
    "HP\n-1 0\n1 0\n": "m.txt: not symmetric: HP is 0 but PH is 1",
    "HX\n-1 0\n0 0\n": "sequence 'HPPH': letter 'P' at position 2, expected one of HX",
}


@pytest.mark.parametrize("text", MATRICES)
def test_a_bad_matrix_file_is_told(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.txt").write_text(text)
    assert invoke(["fold", "HPPH", "--energy", str(tmp_path / "m.txt")]) == 3
    assert MATRICES[text] in capsys.readouterr().err


def test_a_matrix_lies_beside_its_campaign_and_belongs_to_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.txt").write_text("HP\n-2 0\n0 -1\n")
    (tmp_path / "c.toml").write_text(
        '[campaign]\nsteps = 1\nbatch_size = 4\n[task]\nkind = "folding"\nsequence = "HPPHPH"\n'
        'matrix = "own.txt"\n[policy]\nhidden = 4\n[[objective]]\nkind = "energy"\n'
    )
    run = tmp_path / "run"
    assert invoke(["run", str(tmp_path / "c.toml"), "--quiet", "--out", str(run)]) == 0
    inputs = json.loads((run / "manifest.json").read_text())["inputs"]
    assert inputs["task.matrix"][0] == str((tmp_path / "own.txt").resolve())
    (tmp_path / "own.txt").write_text("HP\n-3 0\n0 -1\n")
    assert invoke(["resume", str(run), "--set", "campaign.steps=2"]) == 3
    assert "own.txt" in capsys.readouterr().err


def test_fold_needs_a_sequence_or_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["fold"], ["fold", "HPPH", "--design", "RUL"]):
        assert invoke(words) == 2
        assert "give either a SEQUENCE to fold, or --design with a fold" in capsys.readouterr().err


def test_every_set_of_the_benchmark_has_sequences_with_their_bars() -> None:
    for name in SETS:
        assert problems([name])
    bars = {problem.name: problem.bar for problem in problems(["2d", "harvard", "fcc", "long"])}
    assert (bars["3D-103"], bars["3D-124"], bars["3D-136"]) == (900, 900, 900)
    assert (bars["2D-64"], bars["2D-85"], bars["2D-100a"]) == (5, 30, 60)
    assert (bars["3D-Harvard9"], bars["FCC-F90_1"]) == (20, 60)
    assert len(problems(["harvard"])) == 10
    with pytest.raises(InputError, match="unknown sequence"):
        problems(["nothing"])


def test_benches_of_samples_and_of_design(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--set", "campaign.batch_size=64", "--set", "policy.hidden=8"]
    words = ["samples", "--only", "2D-18A", "--budget", "640", "--json", *small]
    assert invoke(["bench", *words]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["folds"] <= 640 and row["found_at"] <= row["folds"]
    assert -4 <= row["reached"] <= -1 and row["best_known"] == -4
    words = ["ablation", "--only", "2D-18A", "--budget", "300", "--json", *small]
    assert invoke(["bench", *words]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["variant"] for row in rows} == set(VARIANTS)
    assert invoke(["bench", "design", "--only", "10", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["targets"], row["solved"], row["missed"]) == (4, 4, [])
    assert invoke(["bench", "design", "--only", "2D-18A"]) == 3


def test_a_run_through_drawn_cores_goes_on_as_it_was() -> None:
    """Elites are walked again through the cores that they were grown through."""
    file = shipped("fold_samples")
    small = {
        "campaign.batch_size": 64, "campaign.steps": 24, "campaign.rounds": 2,
        "campaign.replay_from": 4, "campaign.elites": 30, "campaign.restart": 9,
        "policy.hidden": 16, "task.compact": 0.0, "task.cores": 1,
    }  # fmt: skip
    for name, value in small.items():
        file.override(tuple(name.split(".")), value, "the test")
    whole, cut, again = (build(file).campaign() for _ in range(3))
    whole.run()
    cut.run(stop=lambda: "cut" if cut.steps == 11 else None)
    again.restore(cut.state())
    again.run()
    ours, theirs = (job.learner.policy.state_dict() for job in (whole, again))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert whole.elites.state() == again.elites.state()


def test_samples_are_as_many_as_asked_for_whatever_the_file_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shipped("fold_samples")
    file.override(("campaign", "steps"), 3, "the test")
    monkeypatch.setattr("cli.bench_folds.shipped", lambda name: file)
    small = ["--set", "campaign.batch_size=8", "--set", "policy.hidden=8"]
    assert invoke(["bench", "samples", "--only", "2D-50", "--budget", "90", "--json", *small]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["folds"] == 88


def test_targets_of_which_none_is_solved_have_no_mean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.bench_folds._designed", lambda *asked: None)
    assert invoke(["bench", "design", "--only", "10", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["solved"], row["mean"], len(row["missed"])) == (0, None, 4)


def test_the_ablation_changes_reinforce_and_leaves_the_shipped_file_as_it_is() -> None:
    (problem,), (cubic,) = problems(["2D-36"]), problems(["3D-Harvard1"])
    left = _varied(VARIANTS["as shipped"], problem, Options(), 1, 300)
    changed = _varied(VARIANTS["ppo"], cubic, Options(), 1, 300)
    file = shipped("fold_samples")
    for place in (("learner",), ("policy",), ("campaign", "restart"), ("task", "grow")):
        assert left.table(place) == file.table(place)
    assert changed.table(("learner", "kind")) == "ppo"
    assert changed.table(("campaign", "restart")) == 0
    assert "cores" not in changed.table(("task",)), "what samples alone has on the cubic lattice"
    taught = _varied(VARIANTS["taught prior"], cubic, Options(), 1, 300)
    assert taught.table(("prior", "run")) == "folds_cubic"


def test_what_the_user_sets_is_set_on_every_lattice() -> None:
    (cubic,) = problems(["3D-Harvard1"])
    options = Options(assignments=("campaign.restart=7",))
    document = _document(cubic, options, 0, {"campaign.steps": 3}, ROOMY)
    assert document.table(("campaign", "restart")) == 7
    assert document.table(("task", "cores")) == ROOMY["task.cores"]
    assert document.table(("campaign", "steps")) == 3


def test_a_search_of_the_bench_ends_at_its_processor_seconds_and_tells_what_it_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["bench", "folding", "--only", "2D-100a", "--stretch", "0.001", "--json"]
    assert invoke([*asked, "--set", "task.search_steps=20000", "--set", "policy.hidden=8"]) == 0
    said = capsys.readouterr()
    (row,) = json.loads(said.out)["searches"]
    assert row["ours"]["hits"] == "0/1" and -48 < row["ours"]["reached"] < -20
    assert 0.12 <= row["ours"]["processor"] < 5
    first = json.loads(said.err.splitlines()[0])
    assert first["name"] == "2D-100a" and first["seed"] == 0 and first["share_of_bound"] > 0.3


def test_searches_are_kept_and_set_beside_other_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rival, exact = tmp_path / "rival", tmp_path / "python"
    said = "best=-9 check=-9 t_best=0.01 | 0.1s prop/s=1e7 valid=0.1"
    rival.write_text(f'#!/bin/sh\ntest "$2 $5" = "2 5" && echo "n=20 {said}"\n')
    exact.write_text('#!/bin/sh\ntest "$4" = 2 && echo "best=-9"\n')
    for program in (rival, exact):
        program.chmod(0o755)
    kept = tmp_path / "kept.jsonl"
    asked = ["bench", "folding", "--only", "2D-20A", "--seeds", "2", "--json", "--kept", str(kept)]
    asked += ["--peer", f"square,cubic={rival}", "--peer", f"prospr={exact}"]
    assert invoke(asked) == 0
    told = json.loads(capsys.readouterr().out)
    (row,) = told["searches"]
    assert {who: row[who]["hits"] for who in ("ours", "peer", "exact")} == {
        "ours": "2/2", "peer": "2/2", "exact": "1/1",
    }  # fmt: skip
    assert 0 < row["ours"]["processor"] < 5 and row["ours"]["evaluations"] > 1000
    speed = told["proposals_per_second"]["square"]
    assert speed["proposals"] > speed["possible"] > 1e5 and speed["peer"] > 0
    assert len(kept.read_text().splitlines()) == 5
    rival.write_text("#!/bin/sh\necho best=-1 t_best=0.01 prop/s=1e7\n")
    assert invoke(asked) == 0 and json.loads(capsys.readouterr().out)["searches"] == [row]
    with pytest.raises(InputError, match="expected LATTICE,LATTICE=PROGRAM"):
        peers(["square"])
