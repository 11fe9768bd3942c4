"""`designer prior`: reading files, teaching, going on, and a campaign that starts from a prior."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli import presets
from cli.main import invoke
from cli.prior import about, tensors
from designer import config
from designer.errors import ConfigError, InputError
from tasks.molecules import corpus

DRUGS = Path(__file__).parents[2] / "data" / "starter.smi"
SMALL = ["--hidden", "16", "--epochs", "2", "--batch-size", "64", "--check-every", "4"]


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prior of 200 drugs, hardly taught."""
    folder = tmp_path_factory.mktemp("taught")
    file = folder / "drugs.smi"
    file.write_text("\n".join(DRUGS.read_text().splitlines()[:200]))
    arguments = ["prior", "train", str(file), "--out", str(folder / "prior"), *SMALL, "--quiet"]
    assert invoke(arguments) == 0
    return folder / "prior"


def test_what_a_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "a.smi.gz"
    lines = ["CCO ethanol", "", "C1CC", "CC.O", "OCC", "[Fe+2]", "c1ccccc1%12", "C%10CCCCC%10"]
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    told: dict[int, str] = {}
    read = corpus.read(file, on_problem=told.__setitem__)
    assert read.words == [["C", "C", "O"], ["C", "1", *"CCCCC", "1"]]
    assert sorted(told) == [3, 4, 6, 7]
    assert "RDKit" in told[3] and "salts" in told[4] and "'[Fe+2]'" in told[6]
    assert read.left_out["seen before"] == 1  # OCC is ethanol again
    with pytest.raises(InputError, match=r"a\.smi\.gz:3: "):
        corpus.read(file, strict=True)
    assert len(corpus.read(file, check=False)) == 5  # RDKit is not asked


def test_a_csv_is_read_by_its_column(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("name,SMILES\nethanol,CCO\n")
    assert corpus.read(file).words == [["C", "C", "O"]]
    file.write_text("name,structure\nethanol,CCO\n")
    with pytest.raises(InputError, match="no column SMILES"):
        corpus.read(file)


def test_rare_tokens_and_sizes() -> None:
    texts = [["C", "C", "O"], ["C", "[Si]"], ["C"] * 9, ["O", "O", "C"]]
    molecules = corpus.Molecules("x", "", texts, np.zeros(4, dtype=np.int64))
    vocabulary, rare = corpus.vocabulary_of(molecules, 2)
    assert rare == {"[Si]": 1} and vocabulary[:2] == ("C", "O")
    alike = [["N", "F", "S", "O", "Br", "Cl"]] * 3  # as often: in the order of the alphabet
    alike_molecules = corpus.Molecules("x", "", alike, np.zeros(3, dtype=np.int64))
    assert corpus.vocabulary_of(alike_molecules)[0][:6] == ("Br", "Cl", "F", "N", "O", "S")
    rows, unfit = corpus.rows(molecules, vocabulary, 24, 8)
    assert [len(row) for row in rows] == [4, 4] and unfit == 2
    assert [row[-1] for row in rows] == [len(vocabulary)] * 2  # END


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either"),
        (["absent.smi"], "no such file"),
        (["--dataset", "zinc"], "unknown data set"),
        ([str(DRUGS), "--unknown", "keep"], "skip or stop"),
        ([str(DRUGS), "--held-out", "1"], "held_out"),
        ([str(DRUGS), "--held-out", "0.9"], "too few to hold"),
        (["."], ".: is no file; expected one SMILES a line"),
        ([str(DRUGS), "--max-atoms", "500"], "max_atoms"),
    ],
)
def test_bad_input(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["prior", "train", *arguments, "--out", str(tmp_path / "p")]) == 3
    assert said in capsys.readouterr().err


def test_info_counts(prior: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["prior", "info", str(prior), "--samples", "40", "--json"]) == 0
    said = capsys.readouterr()
    assert "sampling 40 molecules" in said.err  # 10,000 take minutes
    found = json.loads(said.out)
    assert found["masked"]["valid"] == 1.0 and found["unmasked"]["valid"] < 0.5
    assert found["data"]["taught"] + found["data"]["held"] == len(tensors(prior)["seen"])
    assert 0 < found["masked"]["novel"] <= 1
    assert invoke(["prior", "info", str(prior / "none")]) == 3


@pytest.mark.parametrize("content", ["{}", "[]", '{"task": {}, "policy": 3}'])
def test_what_is_no_prior_is_said_in_words(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="no prior there"):
        about(DRUGS)  # a file, not a directory
    (tmp_path / "prior.json").write_text(content)
    with pytest.raises(InputError, match=r"prior\.json: says no task or no policy"):
        about(tmp_path)


def test_the_log_is_beside_it(prior: Path) -> None:
    header, *rows = (prior / "training.csv").read_text().splitlines()
    assert header.startswith("step,epoch,loss,held_out") and len(rows) == 2
    assert not list(prior.glob("checkpoint*"))


def test_a_stopped_training_goes_on(tmp_path: Path, prior: Path) -> None:
    file = prior.parent / "drugs.smi"
    out = tmp_path / "prior"
    command = ["prior", "train", str(file), "--out", str(out), *SMALL, "--quiet"]
    for _ in range(20):
        assert invoke([*command, "--time", "0.0001"]) == 0
        if (out / "prior.json").exists() and about(out)["finished"]:
            break
    assert (out / "prior.safetensors").read_bytes() == (prior / "prior.safetensors").read_bytes()
    assert invoke(command) == 3  # finished: it is not taught over


def test_other_options_do_not_go_on(tmp_path: Path, prior: Path) -> None:
    file = prior.parent / "drugs.smi"
    command = ["prior", "train", str(file), "--out", str(tmp_path), *SMALL, "--quiet"]
    assert invoke([*command, "--time", "0.0001"]) == 0
    assert invoke([*command, "--lr", "0.01"]) == 3


def test_a_prior_goes_on_from_another(tmp_path: Path, prior: Path) -> None:
    """Its tokens and sizes stay; with a vanishing step size so does what it says."""
    file, out = tmp_path / "more.smi", tmp_path / "on"
    file.write_text("\n".join([*DRUGS.read_text().splitlines()[150:260], "[Si](C)(C)CCBr"]))
    command = ["prior", "train", str(file), "--out", str(out), "--from", str(prior), "--quiet"]
    assert invoke([*command, "--epochs", "0.5", "--lr", "1e-12", "--batch-size", "16"]) == 0
    before, after = about(prior), about(out)
    assert after["task"] == before["task"] and after["policy"] == before["policy"]
    assert after["from"]["held_out"] == before["held_out"] and after["step"] == 4
    was, now = tensors(prior), tensors(out)
    assert all((was[name] - now[name]).abs().max() < 1e-9 for name in was if name != "seen")
    assert set(was["seen"].tolist()) < set(now["seen"].tolist())
    assert invoke([*command[:-3], "--from", str(prior), "--hidden", "9"]) == 3


def test_weights_of_another_size_are_refused(prior: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from cli.prior import network

    other, held = tmp_path / "other", tensors(prior)
    other.mkdir()
    (other / "prior.json").write_text((prior / "prior.json").read_text())
    name = "policy.gru.weight_ih_l0"
    save_file(held | {name: held[name][:, :-1].contiguous()}, other / "prior.safetensors")
    with pytest.raises(InputError, match="teach it anew"):
        network(other)


CAMPAIGN = """
[campaign]
batch_size = 8
steps = 2
[task]
kind = "molecules"
[prior]
run = "{prior}"
[learner]
kind = "reinvent"
[[objective]]
kind = "mw"
transform = {{kind = "linear", low = 0.0, high = 500.0}}
"""


def test_a_campaign_takes_sizes_and_weights_from_it(tmp_path: Path, prior: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(CAMPAIGN.format(prior=prior))
    run = tmp_path / "run"
    assert invoke(["run", str(file), "--out", str(run), "--quiet"]) == 0
    held = config.load(run / "campaign.toml").data
    assert held["task"]["representation"] == "smiles" and held["policy"]["hidden"] == 16
    assert invoke(["resume", str(run), "--set", "campaign.steps=3", "--quiet"]) == 0


def test_what_contradicts_the_prior_is_refused(tmp_path: Path, prior: Path) -> None:
    from cli.build import build

    text = CAMPAIGN.format(prior=prior) + "[policy]\nhidden = 32\n"
    with pytest.raises(ConfigError, match=r"a\.toml:\d+:1: policy.hidden is 32, but the prior"):
        build(config.parse(text, "a.toml"))
    with pytest.raises(ConfigError, match="no prior of that name"):
        build(config.parse(text.replace(str(prior), "zinc1k"), "a.toml"))


def test_the_policy_begins_as_the_prior(prior: Path) -> None:
    from cli.build import build

    parts = build(config.parse(CAMPAIGN.format(prior=prior), "a.toml"))
    held = tensors(prior)
    for name, value in parts.policy.state_dict().items():
        assert (value == held[f"policy.{name}"]).all()
    assert parts.learner.prior is not None
    assert not any(p.requires_grad for p in parts.learner.prior.parameters())


def test_the_command_takes_a_prior(tmp_path: Path, prior: Path) -> None:
    run = tmp_path / "run"
    command = ["molecule", "mw", "--prior", str(prior), "--budget", "40", "--out", str(run)]
    small = ("batch_size=16", "proposals=0", "replay=0")
    assert invoke([*command, "--quiet", *(f"--set=campaign.{x}" for x in small)]) == 0
    held = config.load(run / "campaign.toml").data
    assert held["prior"]["run"] == str(prior) and held["policy"]["hidden"] == 16


def test_presets_of_molecules(prior: Path, tmp_path: Path, capsys: Any) -> None:
    held = presets.molecule("mw", str(prior))[0].data
    assert held["learner"]["kind"] == "elite_balance" and held["prior"]["run"] == str(prior)
    assert (
        presets.molecule("mw", str(prior), {"scaffold": "C[*:1]"})[0].table(("learner",))
        != (held["learner"])
    )
    assert "prior" not in presets.molecule("mw", preset="scratch")[0].data
    plausible = presets.molecule("mw", str(prior), preset="plausible")[0].data
    assert [table["kind"] for table in plausible["objective"]] == ["mw", "filters"]
    with pytest.raises(InputError, match="plausible"):
        presets.molecule("mw", str(prior), preset="plausibel")
    run = tmp_path / "run"
    command = ["molecule", "qed", "--prior", str(prior), "--preset", "plausible", "--budget", "90"]
    assert invoke([*command, "--out", str(run), "--quiet", "--set", "campaign.batch_size=16"]) == 0
    assert invoke(["report", str(run), "--json"]) == 0
    best = json.loads(capsys.readouterr().out.splitlines()[-1])["best"]
    assert best[0]["scores"].keys() == {"qed", "filters"} and best[0]["reward"] > 0
    assert all(row["scores"]["filters"] == 1 for row in best if row["reward"] > 0)


def test_what_a_proposer_heard_comes_back(prior: Path) -> None:
    """A run taken up from a checkpoint breeds and chooses the same children."""
    from cli.build import build

    def campaign(steps: int) -> Any:
        document = presets.molecule("qed", str(prior))[0]
        small = {"batch_size": 8, "proposals": 8, "replay": 8, "replay_from": 8, "steps": steps}
        small |= {"proposals_from": 12, "generations": 2}  # none in the first two steps
        for name, value in small.items():
            document.override(("campaign", name), value, "test")
        return build(document, allow_plugins=False).campaign(None)

    whole, half, rest = campaign(4), campaign(2), campaign(4)
    expected = whole.run()
    assert half.run().evaluations <= 16  # samples alone
    rest.restore(half.state())
    again = rest.run()
    assert [found.design for found in again.best] == [found.design for found in expected.best]
    heard = rest.state()["proposer"]
    assert heard == whole.state()["proposer"] and len(heard["expectation"]["texts"]) > 30
