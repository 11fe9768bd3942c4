"""What a user's mistake is answered with: one line, the place, the remedy, the exit code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import invoke

Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """Run one command in an empty folder; return its code and what it said on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **files: str) -> tuple[int, str]:
        for name, text in files.items():
            Path(name.replace("_", ".")).write_text(text, encoding="utf-8")
        code = invoke(list(arguments))
        captured = capsys.readouterr()
        assert captured.out == "", "a failed command prints no results"
        assert captured.err.endswith("\n") and captured.err.count("\n") == 1, captured.err
        assert captured.err.startswith("designer: ")
        return code, captured.err.removeprefix("designer: ").rstrip("\n")

    return run


SHORT = "HPHPPHHPHH"

COMMAND_LINES = [
    (["fol"], 2, "No such command 'fol'. Did you mean 'fold'?; see `designer --help`"),
    (["fold"], 2, "give either a SEQUENCE to fold, or --design with a fold"),
    (["fold", SHORT, "--design", "RU"], 2, "give either a SEQUENCE to fold, or --design"),
    (["equation"], 2, "Missing argument 'DATA.csv'; see `designer equation --help`"),
    (["fold", SHORT, "--pattern", "HH*"], 2, "--pattern and --composition go with --design"),
    (["fold", "--design", "RU", "--target-energy", "-1"], 2, "--target-energy goes with a SEQ"),
    (["fold", "."], 3, ".: a directory; give a FASTA file, or the letters of a chain"),
    (["fold", SHORT, "--budget", "ten"], 2, "Invalid value for '--budget'"),
    (["fold", SHORT, "--latice", "cubic"], 2, "No such option: --latice"),
    (["fold", SHORT, "--budget", "0"], 3, "--budget: budget is 0; expected at least 1"),
    (["fold", SHORT, "--time", "-1"], 3, "--time: time is -1.0; expected a number above 0"),
    (["fold", SHORT, "--device", "tpu"], 3, "--device: device is 'tpu', expected auto, cpu, cuda"),
    (["fold", SHORT, "--device", "cuda:²"], 3, "--device: device is 'cuda:²', expected auto, cpu"),
    (["fold", SHORT, "--device", "cpu:3"], 3, "--device: device is 'cpu:3', expected auto, cpu"),
    (["fold", SHORT, "--set", f"learner.seed={2**63}"], 3, f"seed is {2**63}, expected 0 or more"),
    (["fold", SHORT, "--set", "policy.embedding=-1"], 3, "embedding is -1, expected 0 (none)"),
    (["fold", SHORT, "--workers", "0"], 3, "--workers: workers is 0, expected at least 1"),
    (["fold", "HPXP"], 3, "SEQUENCE: sequence 'HPXP': letter 'X' at position 3, expected H and P"),
    (["fold", "H"], 3, "SEQUENCE: sequence 'H' has 1 residue; a chain that can fold has at least"),
    (["fold", SHORT, "--lattice", "cubik"], 3, "--lattice: unknown lattice 'cubik'; did you mean"),
    (["fold", SHORT, "--energy", "mj"], 3, "has only H and P"),
    (
        ["fold", SHORT, "--set", "campaign.bugdet=3"],
        3,
        "--set campaign.bugdet=3: unknown key 'bugdet' in campaign; did you mean 'budget'?",
    ),
    (
        ["fold", SHORT, "--set", "campaign.budget=many"],
        3,
        '--set campaign.budget=many: campaign.budget is "many", should be a valid integer',
    ),
    (["fold", SHORT, "--set", "budget"], 3, "--set budget: expected KEY=VALUE, such as --set"),
    (["fold", SHORT, "--set", "policy.kind=softmax"], 3, "unknown name 'softmax'; known: recurr"),
    (["fold", SHORT, "--set", "policy.kind=recurent"], 3, "did you mean 'recurrent'?"),
    (["fold", SHORT, "--set", "learner.kind=pop"], 3, "unknown name 'pop'; did you mean 'ppo'?"),
    (["fold", SHORT, "--set", "learner.lr=0"], 3, "lr is 0.0, expected above 0"),
    (["fold", SHORT, "--set", "objective.0.kind=enrgy"], 3, "did you mean 'energy'?"),
    (["fold", SHORT, "--set", "champaign.seed=1"], 3, "unknown table [champaign]; did you mean"),
    (["equation", "none.csv"], 3, "none.csv: no such file"),
    (["run", "none.toml"], 3, "none.toml: no such file; `designer init KIND` writes one"),
    (["run", "."], 3, ".: a directory, expected a campaign file (TOML)"),
    (["resume", "none"], 3, "none: no run there (no manifest.json)"),
    (["init", "fodl"], 3, "no campaign 'fodl' to start from; did you mean 'fold'?"),
    (["list", "task"], 3, "nothing called 'task' to list; did you mean 'tasks'?"),
    (["bench", "pipelin"], 2, "No such command 'pipelin'. Did you mean 'pipeline'?"),
    (["bench", "sample"], 2, "No such command 'sample'. Did you mean 'samples'?"),
    (["bench", "pmo", "--campaign", "c.toml", "--preset", "scratch"], 2, "give either --campaign"),
    (["bench", "walks", "--peer", "x"], 2, "No such option: --peer"),
    (
        ["score", "qed", "--task", "foldd"],
        3,
        "no campaign 'foldd' is shipped; did you mean 'fold",
    ),
    (["score", ":f", "none.txt"], 3, "ORACLE: ':f': '' is no module"),
    (["score", "energy", "none.txt"], 3, "none.txt: No such file or directory"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), COMMAND_LINES)
def test_command_line(said: Said, arguments: list[str], code: int, text: str) -> None:
    found, line = said(*arguments)
    assert text in line and found == code
    assert not Path("runs").exists(), "nothing is left behind"


HEAD = "a,b,y\n"
ROWS = "1,2,3\n2,3,5\n3,1,4\n4,4,9\n"

TABLES = [
    ("", ["data.csv"]),
    (HEAD, ["data.csv"]),
    (HEAD + "1,2,3\n2,3\n3,1,4\n", ["data.csv:3"]),
    ("a,a,y\n" + ROWS, ["data.csv", "'a'"]),
    ("a,,y\n" + ROWS, ["data.csv"]),
    (HEAD + "1,2,3\n2,x,5\n3,1,4\n", ["data.csv:3", "'b'", "'x'"]),
    (HEAD + "1,2,3\n2,inf,5\n3,1,4\n", ["data.csv:3", "'b'", "inf"]),
    (HEAD + "1,2,3\n2,nan,5\n3,1,4\n", ["data.csv:3", "'b'", "nan"]),
    (HEAD + "1,2,7\n2,3,7\n3,1,7\n", ["data.csv", "'y'", "7"]),
    ("y\n1\n2\n3\n", ["data.csv:1", "single column"]),
    (HEAD + "1,2,a\n2,3,b\n3,1,c\n", ["data.csv", "'y'", "text"]),
]


@pytest.mark.parametrize(("text", "parts"), TABLES)
def test_tables(said: Said, text: str, parts: list[str]) -> None:
    code, line = said("equation", "data.csv", data_csv=text)
    assert code == 3
    for part in parts:
        assert part in line, line


def test_a_missing_target_offers_the_nearest_column(said: Said) -> None:
    text = "mass,period,radius\n1,2,3\n2,3,4\n5,1,2\n"
    code, line = said("equation", "data.csv", "--target", "perod", data_csv=text)
    assert code == 3 and line.startswith("--target: ") and "did you mean 'period'?" in line


def test_a_missing_column_of_weights(said: Said) -> None:
    code, line = said("equation", "data.csv", "--weights", "weight", data_csv=HEAD + ROWS)
    assert code == 3 and line.startswith("--weights: ") and "no column 'weight'" in line


def test_an_unknown_column_of_an_oracle(said: Said) -> None:
    code, line = said("fold", SHORT, "--set", "objective.0.column=fractoin")
    assert code == 3 and "did you mean 'fraction'?" in line


def test_an_unreadable_file(said: Said) -> None:
    Path("latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    code, line = said("equation", "latin.csv")
    assert code == 3 and "latin.csv" in line and "UTF-8" in line
    if os.geteuid() != 0:  # root may read everything
        Path("closed.csv").write_text(HEAD + ROWS)
        Path("closed.csv").chmod(0)
        code, line = said("equation", "closed.csv")
        assert code == 3 and "closed.csv" in line


FOLD = '[task]\nkind = "folding"\nsequence = "HPHPPHHPHH"\n'

CAMPAIGNS = [
    ("[task\n", "c.toml:1:6: Expected ']' at the end of a table declaration"),
    (FOLD, "c.toml: the campaign needs at least one [[objective]] table"),
    ("[campain]\n", "c.toml:1:1: unknown table [campain]; did you mean 'campaign'?"),
    ("[[objective]]\nkind = 'qed'\n", "c.toml: task needs a kind; known: "),
    (FOLD + "[[objective]]\nweight = 2\n", "c.toml:4:1: objective.0 needs a kind; known: "),
    (
        FOLD + "[[objective]]\nkind = 'energy'\n  colum = 'fraction'\n",
        "c.toml:6:3: unknown key 'colum' in objective.0; did you mean 'column'?",
    ),
    (
        FOLD + "[[objective]]\nkind = 'energy'\ntransform = {kind = 'linear', low = 0}\n",
        "c.toml:6:1: objective.0.transform.high (float) is missing; add it, or --set ",
    ),
    (
        FOLD + "[[objective]]\nkind = 'energy'\nweight = -1.0\n",
        "c.toml: the weights of the objective's terms must add up to more than 0",
    ),
    (
        FOLD + "[[objective]]\nkind = 'own.py:score'\n",
        "c.toml:5:1: 'own.py:score' is code from outside the registry; if you trust it, add "
        "--allow-plugins",
    ),
    (
        FOLD.replace("HPHPPHHPHH", "HPHPPHHZHH") + "[[objective]]\nkind = 'energy'\n",
        "c.toml:3:1: sequence 'HPHPPHHZHH': letter 'Z' at position 8",
    ),
]

WHOLE = FOLD + "[[objective]]\nkind = 'energy'\n"
CAMPAIGNS += [
    (WHOLE + "[proposer]\nsteps = 5\n", "c.toml:6:1: proposer is a table, expected [[proposer]]"),
    ("proposer = [3]\n" + WHOLE, "c.toml:1:1: proposer is [3], expected [[proposer]] tables"),
    ("penalty = 3\n" + WHOLE, "c.toml:1:1: penalty is 3, expected [[penalty]] tables"),
    (WHOLE + "[constraint]\nkind = 'energy'\n", "c.toml:6:1: constraint is a table, expected"),
    (
        "[campaign]\nbucket_size = 5\n[task]\nkind = 'servers'\n[[objective]]\nkind = 'realised'\n",
        "c.toml:2:1: bucket_size is 5, and task 'servers' names no classes of designs",
    ),
    ("[campaign]\nkind = 'fold'\n" + WHOLE, "c.toml:2:1: [campaign] takes no kind; leave it out"),
    (
        "[learner]\nlr = 1e300\n" + WHOLE,
        "c.toml:2:1: learner: lr is 1e+300, expected at most 1e+30",
    ),
    (
        "[learner]\nlr_power = 99.0\n" + WHOLE,
        "c.toml:2:1: learner: lr_power is 99.0, expected 0 to",
    ),
    ("learner = 3\n" + WHOLE, "c.toml:1:1: learner is 3, expected a table"),
]


@pytest.mark.parametrize(("text", "start"), CAMPAIGNS)
def test_campaign_files(said: Said, text: str, start: str) -> None:
    code, line = said("run", "c.toml", c_toml=text)
    assert code == 3 and line.startswith(start), line
    assert not Path("runs").exists()


def test_help_is_grouped_and_names_arguments_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["fold", "--help"]) == 0
    text = capsys.readouterr().out
    assert "[SEQUENCE|FILE]" in text and "[[" not in text
    groups = [
        text.index(f"─ {name} ") for name in ("Options", "Campaign options", "Output options")
    ]
    assert groups == sorted(groups) and text.index("--lattice") < groups[1] < text.index("--seed")
