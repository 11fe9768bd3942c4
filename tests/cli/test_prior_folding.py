"""`designer prior train --task folding`: random chains, their folds, and a campaign on top."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.bench_amortised import Purse
from cli.main import invoke
from cli.prior import about, tensors
from cli.prior_folding import number_of, unseen
from tasks.folding.design import Fold
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.taught import Chains, both_ways, folded, grown, random_chains

SMALL = ["--chains", "6", "--shortest", "10", "--longest", "14", "--proposals", "2000"]
QUICK = ["--hidden", "8", "--epochs", "2", "--batch-size", "8", "--check-every", "4"]


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught") / "prior"
    words = ["prior", "train", "--task", "folding", "--out", str(folder), *SMALL, *QUICK]
    assert invoke([*words, "--quiet"]) == 0
    return folder


def test_chains_are_drawn_over_all_lengths_and_shares() -> None:
    chains = random_chains(400, 20, 60, np.random.default_rng(0))
    lengths = {len(chain) for chain in chains}
    shares = [chain.count("H") / len(chain) for chain in chains]
    assert min(lengths) == 20 and max(lengths) == 60 and len(set(chains)) == 400
    assert 0.45 < float(np.mean(shares)) < 0.55 and float(np.std(shares)) > 0.08


def test_searched_folds_are_ground_states_of_a_short_chain() -> None:
    folds = folded("HPHPPHHPHPPH", "square", 20_000, 6, np.random.default_rng(0))
    ground = ground_states("HPHPPHHPHPPH")
    assert 1 <= len(folds) <= 6 and len({fold.key for fold in folds}) == len(folds)
    assert {-len(fold.contacts) for fold in folds} == {ground.energy}
    for fold, turned in zip(folds, both_ways(folds)[len(folds) :], strict=True):
        assert len(turned.contacts) == len(fold.contacts)
        assert turned.sequence == fold.sequence[::-1]


def test_rows_of_several_chains_come_once_an_epoch_as_their_environments_show_them() -> None:
    folds = [[Fold("HPHPPH", "square", t) for t in ("RURDR", "RRURD")]]
    folds += [[Fold("HHPPHPHH", "square", "RURRDLD")]]
    corpus = Chains([grown(group, 8) for group in folds])
    assert len(corpus) == 3 and corpus.batches(2) == 2
    seen = list(corpus.epoch(2, (0, 1)))
    again = list(corpus.epoch(2, (0, 1), skip=1))
    assert torch.equal(seen[1].actions, again[0].actions)
    assert sorted(row.sum().item() for k in seen for row in k.active) == [4, 4, 6]
    for known in seen:
        for row in range(len(known.actions)):
            steps = int(known.active[row].sum())
            env = Chain("HPHPPH" if steps == 4 else "HHPPHPHH")
            state = env.reset(1, torch.device("cpu"))
            for t in range(steps):
                assert torch.equal(env.observe(state)[0], known.observations[row, t])
                state = env.step(state, known.actions[row, t : t + 1])


def test_a_prior_of_ones_own_brings_the_sizes_of_its_network(prior: Path, tmp_path: Path) -> None:
    words = ["fold", "HPPHPPHPHH", "--quiet", "--set", f"prior.run={prior}"]
    assert invoke([*words, "--budget", "100", "--out", str(tmp_path / "run")]) == 0
    assert "hidden = 8\n" in (tmp_path / "run" / "campaign.toml").read_text()


def test_a_run_remembers_a_shipped_prior_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert invoke(["fold", "HPPHPPHPHH", "--budget", "40", "--quiet", "--out", str(run)]) == 0
    assert 'run = "shipped:folds_square"\n' in (run / "campaign.toml").read_text()
    file = "shipped:priors/folds_square/prior.safetensors"
    assert json.loads((run / "manifest.json").read_text())["inputs"]["prior"][0] == file
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folds_square").mkdir()  # which is not what the run began from
    assert invoke(["resume", str(run), "--quiet", "--set", "campaign.budget=60"]) == 0
    assert invoke(["report", str(run)]) == 0


def test_a_prior_of_folds_is_measured_and_starts_a_campaign(
    prior: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cli.prior_folding._JUDGED", 5)
    assert about(prior)["task"] == {"kind": "folding", "lattice": "square", "window": 16}
    assert invoke(["prior", "info", str(prior), "--samples", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folds"] == 4 and found["lower"] + found["higher"] <= 5
    file = tmp_path / "c.toml"
    file.write_text(
        '[campaign]\nsteps = 2\nbatch_size = 4\n[task]\nkind = "folding"\nsequence = "HPPHPPH"\n'
        f'[prior]\nrun = "{prior}"\n[[objective]]\nkind = "energy"\ncolumn = "fraction"\n'
    )
    assert invoke(["run", str(file), "--quiet", "--out", str(tmp_path / "run")]) == 0
    file.write_text(file.read_text().replace('"HPPHPPH"', '"HPPHPPH"\nlattice = "cubic"'))
    assert invoke(["run", str(file), "--quiet"]) == 3
    assert 'the prior was taught with "square"' in capsys.readouterr().err


def test_chains_that_judge_a_prior_never_taught_it(prior: Path) -> None:
    taught = random_chains(6, 10, 14, np.random.default_rng(0))
    seen = set(tensors(prior)["seen"].tolist())
    assert {number_of(name) for name in taught} == seen
    drawn = unseen(prior, 40, 10, 10, 1)
    assert len(drawn) == 40 and not {number_of(name) for name in drawn} & seen


def test_the_policy_is_measured_against_the_search_alone_at_equal_energies(
    prior: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.bench_amortised.SHORTEST", 12)
    monkeypatch.setattr("cli.bench_amortised.LONGEST", 16)
    spent: list[int] = []
    pay = Purse.spend

    def spend(purse: Purse, evaluations: int) -> None:
        spent.append(evaluations)
        pay(purse, evaluations)

    monkeypatch.setattr(Purse, "spend", spend)
    words = ["bench", "amortised", "--prior", str(prior), "--chains", "3", "--budget", "2000"]
    assert invoke([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    found, rows = json.loads(out), [json.loads(line) for line in err.splitlines()]
    assert len(rows) == found["chains"] == 3
    for row in rows:
        lowest = ground_states(row["sequence"]).energy
        assert all(lowest <= row[which] < 0 for which in ("alone", "blind", "policy"))
    told = found["policy against alone"]
    assert told["lower"] + told["equal"] + told["higher"] == 3
    assert spent.count(200) == 6 and 8 * 2000 < sum(spent) <= 9 * 2000


BAD = {
    ("--task", "proteins"): "--task proteins: expected molecules or folding",
    ("--task", "folding", "--lattice", "sqare"): "unknown lattice 'sqare'; did you mean 'square'",
    ("--task", "folding", "--longest", "500"): "chains of 20 to 500 residues, expected 3 to 200",
    ("--task", "folding", "--chains", "2"): "expected at least 4 chains",
    ("--task", "folding", "--device", "cuda"): "--device cuda: folds are taught on the CPU",
    ("--task", "folding", "x.smi"): "FILE is for --task molecules, and this is folding",
    ("--task", "folding", "--dataset", "moses"): "--dataset is for --task molecules",
    ("--task", "folding", "--no-check"): "--check is for --task molecules",
    ("--lattice", "cubic"): "--lattice is for --task folding, and this is molecules",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_what_cannot_be_taught_is_told(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["prior", "train", "--out", str(tmp_path / "p"), *words]) == 3
    assert BAD[words] in capsys.readouterr().err
