"""Every member of the family from a campaign file, on a task; and what does not fit is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ran = Callable[..., tuple[int, str, str]]

FOLD = """
[campaign]
batch_size = 16
steps = 3
{campaign}
[machine]
device = "cpu"
[task]
kind = "folding"
sequence = "HPHPPHHPHPPHPHHPPHPH"
[policy]
hidden = 8
[learner]
{learner}
[[objective]]
kind = "energy"
column = "fraction"
{more}
"""
TASK = 'kind = "folding"\nsequence = "HPHPPHHPHPPHPHHPPHPH"'
WANTED = 'kind = "energy"\ncolumn = "fraction"'
PLANETS = 'kind = "symbolic"\ndata = "planets"\ntarget = "period_days"'
SYMBOLIC = FOLD.replace(TASK, PLANETS).replace(WANTED, 'kind = "fit"')
MOLECULES = FOLD.replace(TASK, 'kind = "molecules"').replace(WANTED, 'kind = "qed"')


@pytest.fixture
def run(ran: Ran, tmp_path: Path) -> Any:
    def run(
        learner: str = "", more: str = "", campaign: str = "", text: str = FOLD
    ) -> tuple[int, Any, str]:
        file = tmp_path / "campaign.toml"
        file.write_text(text.format(learner=learner, more=more, campaign=campaign))
        code, out, err = ran("run", str(file), "--json", "--quiet", "--out", str(tmp_path / "run"))
        return code, json.loads(out) if out.strip() else {}, err

    return run


KINDS = {
    "actor_critic": 'kind = "actor_critic"\nshaping = 1.0\nlr_power = 0.9\ncritic_lr_power = 0.6',
    "natural": 'kind = "natural"',
    "grpo": 'kind = "grpo"',
    "dr_grpo": 'kind = "dr_grpo"',
    "max_at_k": 'kind = "max_at_k"\nbest_of = 4',
    "entropic": 'kind = "entropic"\neta = -2.0\neta_end = 1.0\neta_steps = 2',
    "robust": 'kind = "robust"\nradius = 0.2',
    "coma": 'kind = "coma"\nagents = 3',
    "trajectory_balance": 'kind = "trajectory_balance"',
    "elite_balance": 'kind = "elite_balance"',
    "risk_seeking": 'kind = "risk_seeking"\nepsilon = 0.2',
    "mean_variance": 'baseline = "mean_variance"\nrisk = 0.5',
    "group_scaled": 'baseline = "group_scaled"',
    "batch_mean": 'baseline = "batch_mean"',
    "running_mean": 'baseline = "running_mean"',
    "no baseline, discounted": 'baseline = "none"\ngamma = 0.9',
    "generalised advantages": 'baseline = "critic"\ngae_lambda = 0.5\nnormalise = true',
    "ppo": 'kind = "ppo"',
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_runs_from_a_campaign_file(run: Any, kind: str) -> None:
    code, said, err = run(KINDS[kind], campaign="replay = 4\nreplay_from = 4")
    assert code == 0, err
    assert said["stopped"] == "steps" and said["best"]
    assert any(line.startswith("replay") for line in said["biased"])
    assert ("credit" in said) == (kind == "coma")
    if kind == "coma":
        assert all(len(one["parts"]) == 3 for one in said["credit"])


@pytest.mark.parametrize("text", [SYMBOLIC, MOLECULES], ids=["symbolic", "molecules"])
@pytest.mark.parametrize("kind", ["max_at_k", "coma", "natural"])
def test_they_run_on_the_other_tasks(run: Any, text: str, kind: str) -> None:
    code, said, err = run(KINDS[kind], text=text)
    assert code == 0, err
    assert said["stopped"] == "steps"


def test_a_prior_is_tilted_by_what_the_family_offers(ran: Ran, run: Any, tmp_path: Path) -> None:
    assert run()[0] == 0
    prior = f'[prior]\nrun = "{tmp_path / "run"}"\n'
    for learner in ('kind = "reinvent"', 'kind = "trajectory_balance"', "kl_weight = 0.1"):
        file = tmp_path / "tilted.toml"
        file.write_text(FOLD.format(learner=learner, more=prior, campaign=""))
        code, out, err = ran(
            "run", str(file), "--json", "-q", "--out", str(tmp_path / learner[8:12])
        )
        assert code == 0, err
        assert json.loads(out)["best"]


BOUND = '[[constraint]]\nkind = "radius_of_gyration"\n'


@pytest.mark.parametrize("method", ["dual", "pid"])
def test_a_constraint_is_learned_and_reported(run: Any, method: str) -> None:
    code, said, err = run(more=f'{BOUND}at_most = 2.5\nmethod = "{method}"')
    assert code == 0, err
    (told,) = said["constraints"]
    assert told["constraint"] == "radius_of_gyration <= 2.5"
    assert told["met"] and 0 < told["kept"] <= 1
    assert all(found["scores"]["radius_of_gyration"] <= 2.5 for found in said["best"])


def test_a_constraint_that_cannot_be_met_is_said_to_be(run: Any) -> None:
    code, said, err = run(more=f"{BOUND}at_most = 0.1")
    assert code == 0, err
    (told,) = said["constraints"]
    assert not told["met"] and told["multiplier"] > 0 and told["nearest"] > 0.1
    assert said["best"] == []


def test_a_constraint_that_never_binds_changes_nothing(run: Any, tmp_path: Path) -> None:
    _, free, _ = run()
    shutil.rmtree(tmp_path / "run")
    _, kept, _ = run(more=f"{BOUND}at_most = 1000.0")
    strip = [{"design": f["design"], "reward": f["reward"]} for f in free["best"]]
    assert strip == [{"design": f["design"], "reward": f["reward"]} for f in kept["best"]]
    assert kept["constraints"][0]["multiplier"] == 0.0


def test_a_bandit_chooses_among_proposers(run: Any) -> None:
    arms = "[[proposer]]\nsteps = 5\n[[proposer]]\nsteps = 50\n[bandit]\nrate = 0.5"
    code, said, err = run(more=arms, campaign="proposals = 8")
    assert code == 0, err
    assert said["best"]


@pytest.mark.parametrize("robust", ["worst", "kl", "variance", "mean"])
def test_an_ensemble_of_opinions_is_put_together(run: Any, robust: str) -> None:
    more = (
        '[[objective]]\nkind = "qed"\nensemble = "like"\n'
        '[[objective]]\nkind = "fsp3"\nensemble = "like"\n'
        f'[scoring]\nrobust = "{robust}"\n'
    )
    text = MOLECULES.replace('kind = "qed"', 'kind = "tpsa"\nweight = 0.0')
    code, said, err = run(more=more, text=text)
    assert code == 0, err
    for found in said["best"]:
        low, high = sorted((found["scores"]["qed"], found["scores"]["fsp3"]))
        if robust == "worst":
            assert found["reward"] == pytest.approx(low)
        elif robust == "mean":
            assert found["reward"] == pytest.approx((low + high) / 2)
        else:
            assert low - 1 <= found["reward"] <= (low + high) / 2 + 1e-12


DRAWN = SYMBOLIC.replace(PLANETS, f'{PLANETS}\ndrawn = true\nsearch = "genetic"')


@pytest.mark.parametrize("learner", ['kind = "pathwise"', 'kind = "ppo"'])
def test_constants_drawn_by_the_policy(run: Any, learner: str) -> None:
    """By pathwise gradients and by the score function, with evolution and replay beside them."""
    more = '[[penalty]]\nkind = "complexity"\nweight = 0.001'
    code, said, err = run(learner, more, "proposals = 4\nreplay = 4\nreplay_from = 2", DRAWN)
    assert code == 0, err
    assert said["stopped"] == "steps" and said["best"]
    if "pathwise" in learner:
        assert any(line.startswith("pathwise: where a number") for line in said["biased"])


def test_noise_on_the_inputs(run: Any) -> None:
    text = SYMBOLIC.replace('kind = "fit"', 'kind = "noisy_fit"\nnoise = 0.05')
    code, said, err = run(text=text)
    assert code == 0, err
    assert all(f["scores"]["noisy_fit"] <= f["scores"]["fit"] + 0.2 for f in said["best"])


REFUSED = {
    "one agent": ('kind = "coma"\nagents = 1', "", "", "at least 2; with one agent take"),
    "one part": ('kind = "coma"\nagent_steps = 99', "", "", "at least 2 agents"),
    "agents without coma": ("agents = 2", "", "", "take baseline = 'counterfactual'"),
    "critic without one": ("critic_lr = 0.1", "", "", "take baseline = 'critic'"),
    "critic behind": (
        'kind = "actor_critic"\ncritic_lr_power = 0.9', "", "", "fall behind the actor",
    ),
    "k above the batch": ('kind = "max_at_k"\nbest_of = 17', "", "", "more than the batch_size"),
    "natural ppo": ('kind = "ppo"\nnatural = true', "", "", "take kind = 'ppo'"),
    "no prior": ('kind = "reinvent"', "", "", "needs a prior"),
    "baseline lost": (
        'kind = "trajectory_balance"\nbaseline = "critic"', "", "", "has no effect on loss",
    ),
    "normalised twice": ('kind = "grpo"\nnormalise = true', "", "", "normalised already"),
    "shaped aim": ('kind = "max_at_k"\nshaping = 1.0', "", "", "take baseline = 'critic'"),
    "contradiction": (
        "", f"{BOUND}at_most = 1.0\n{BOUND}at_least = 2.0", "", "contradict each other",
    ),
    "no bound": ("", BOUND, "", "at_most or at_least"),
    "bandit alone": ("", "[bandit]\nrate = 1.0", "", "two or more"),
    "proposals none": ("", "[[proposer]]\nsteps = 5", "", "campaign.proposals is 0"),
    "unknown key": ("", "[[proposer]]\nstepz = 5", "proposals = 4", "did you mean 'steps'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(run: Any, case: str) -> None:
    learner, more, campaign, text = REFUSED[case]
    code, said, err = run(learner, more, campaign)
    assert code == 3 and said == {}
    assert text in err and err.count("\n") == 1, err


def test_shaping_without_a_potential_is_refused(run: Any) -> None:
    code, _, err = run("shaping = 1.0", text=SYMBOLIC)
    assert code == 3 and "no potential" in err


def test_the_audit_prints_one_object(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli import bench_gradients
    from designer.claims import members

    monkeypatch.setattr(bench_gradients, "members", lambda: members()[:2])
    code, out, err = ran("bench", "gradients", "--json")
    said = json.loads(out)
    assert code == 0, err
    assert said["max_error"] < 1e-12 and len(said["members"]) == 2
    assert all(tie["holds"] for tie in said["identities"]) and len(said["identities"]) >= 25


def test_the_audit_fails_where_a_member_is_not_what_it_claims(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from cli import bench_gradients
    from designer.claims import members

    wrong = replace(
        members()[0], name="wrong", claim=lambda bench: 1.01 * members()[0].claim(bench)
    )
    monkeypatch.setattr(bench_gradients, "members", lambda: [wrong])
    monkeypatch.setattr(bench_gradients, "limits", lambda bench: [])
    code, out, err = ran("bench", "gradients")
    assert code == 1 and "not what they claim to be: wrong" in err and "wrong" in out


def test_the_comparison_of_estimators_runs(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli import bench_estimators

    small = {"batch_size": 8, "budget": 16}
    for task in bench_estimators.TASKS.values():
        monkeypatch.setitem(task, "campaign", small)
    code, out, err = ran(
        "bench", "estimators", "--seeds", "2", "--tasks", "folding", "--only", "leave one out"
    )
    assert code == 0, err
    assert "| folding | leave one out |" in out
    assert ran("bench", "estimators", "--tasks", "nothing")[0] == 3
    assert ran("bench", "estimators", "--tasks", "folding", "--only", "as shipped")[0] == 3


def test_runs_that_are_kept_are_not_made_again(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cli import bench_estimators

    for task in bench_estimators.SHIPPED.values():
        monkeypatch.setitem(task, "campaign", {"batch_size": 8, "budget": 16, "time": None})
    kept = str(tmp_path / "runs.jsonl")
    command = ("bench", "estimators", "--tasks", "molecule", "--kept", kept, "--only")
    code, first, err = ran(*command, "as shipped", "--only", "ppo", "--json")
    assert code == 0, err
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 2
    monkeypatch.setattr(bench_estimators, "measure", None)  # nothing is left to measure
    assert ran(*command, "as shipped", "--only", "ppo", "--json")[1] == first
    (tmp_path / "runs.jsonl").write_text("not a run\n")
    code, _, err = ran(*command, "ppo")
    assert code == 3 and "not a file of runs" in err and err.count("\n") == 1


def test_prices_arms_and_critics_survive_a_resume(ran: Ran, run: Any, tmp_path: Path) -> None:
    more = (
        f"{BOUND}at_most = 2.6\nmethod = 'pid'\n"
        "[[proposer]]\nsteps = 5\n[[proposer]]\nsteps = 50\n[bandit]\nrate = 0.5"
    )
    learner = 'kind = "coma"\nlr_power = 0.8'
    code, whole, err = run(learner, more, campaign="proposals = 8\nreplay = 4\nreplay_from = 2")
    assert code == 0, err
    shutil.rmtree(tmp_path / "run")
    file = tmp_path / "campaign.toml"
    place = str(tmp_path / "run")
    assert ran("run", str(file), "-q", "--out", place, "--set", "campaign.steps=1")[0] == 0
    code, out, err = ran("resume", place, "-q", "--json", "--set", "campaign.steps=3")
    assert code == 0, err
    said = json.loads(out)
    for name in ("best", "constraints", "credit", "evaluations"):
        assert said[name] == whole[name], name
