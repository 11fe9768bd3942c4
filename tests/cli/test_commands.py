"""Every command as a person or a program uses it, on small campaigns."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.presets import campaigns
from designer import checkpoint
from designer.store import Store

CHAIN = "HPHPPHHPHPPHPHHPPHPH"
QUICK = ("--set", "campaign.batch_size=16", "--set", "policy.hidden=8", "--quiet")
Ran = Callable[..., tuple[int, str, str]]


def fold(*more: str, steps: int = 3) -> tuple[str, ...]:
    """A run that ends by its steps: no fold has -10, and with a target nothing is proven."""
    return (
        "fold", CHAIN, "--target-energy", "-10", *QUICK, "--set", f"campaign.steps={steps}", *more
    )  # fmt: skip


def test_json_is_exactly_one_object(ran: Ran) -> None:
    code, out, err = ran(*fold("--json", "--out", "run"))
    assert code == 0 and err == ""
    said: dict[str, Any] = json.loads(out)
    assert list(said) == [
        "run", "task", "evaluations", "seconds", "stopped", "symbols", "context", "best", "front",
        "biased",
    ]  # fmt: skip
    chain = {"sequence": CHAIN, "lattice": "square", "matrix": "hp", "bound": -11.0}
    assert said["context"] == chain
    assert said["run"] == "run" and said["task"] == "folding" and said["stopped"] == "steps"
    rewards = [entry["reward"] for entry in said["best"]]
    assert rewards == sorted(rewards, reverse=True) and len(rewards) <= 100
    best = said["best"][0]
    assert set(best["design"]) <= set("RLUD") and len(best["design"]) == len(CHAIN) - 1
    assert best["scores"]["energy"] < 0 and best["complexity"] == len(CHAIN)


def test_what_has_no_classes_cannot_be_shown_by_class(ran: Ran) -> None:
    code, _, err = ran(*fold("--diverse"))
    assert code == 3 and "--diverse: task folding names no classes of designs" in err
    assert not Path("runs").exists()


def test_a_run_directory_holds_what_the_documentation_says(ran: Ran) -> None:
    code, out, _ = ran(*fold())
    assert code == 0 and "everything is in runs/folding-" in out
    (folder,) = Path("runs").iterdir()
    names = {path.name for path in folder.iterdir()}
    assert {
        "campaign.toml", "manifest.json", "campaign.sqlite", "checkpoint.safetensors",
        "best.csv", "front.csv", "best.svg",
    } <= names  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((folder / "best.csv").read_text())))
    assert rows[0]["design"] in out and float(rows[0]["energy"]) < 0
    assert (folder / "best.svg").read_text().startswith("<svg")


def test_the_resolved_campaign_file_runs_the_same_campaign(ran: Ran) -> None:
    ran(*fold("--out", "first", "--seed", "5"))
    code, _, _ = ran("run", "first/campaign.toml", "--out", "second", "--quiet")
    assert code == 0
    assert Path("first/best.csv").read_text() == Path("second/best.csv").read_text()


def test_a_limit_can_be_raised_and_the_result_is_that_of_one_run(ran: Ran) -> None:
    ran(*fold("--out", "parts", steps=2))
    code, _, err = ran("resume", "parts", "--quiet")
    assert code == 0 and "designer resume parts --set campaign.steps=N" in err
    assert ran("resume", "parts", "--quiet", "--set", "campaign.steps=5")[0] == 0
    ran(*fold("--out", "whole", steps=5))
    assert Path("parts/best.csv").read_text() == Path("whole/best.csv").read_text()
    code, out, _ = ran("report", "parts")
    assert code == 0 and "all steps are done" in out


def test_a_prior_is_the_policy_of_an_earlier_run(ran: Ran) -> None:
    ran(*fold("--out", "first", steps=2))
    tilted = ("--set", "learner.kind=reinvent", "--set", "prior.run=first")
    code, _, err = ran(*fold(*tilted, "--out", "second"))
    assert code == 0, err
    code, _, err = ran(*fold(*tilted[:2]))
    assert code == 3 and "needs a prior" in err
    code, _, err = ran(*fold(*tilted, "--set", "policy.hidden=9"))
    assert code == 3 and "has another kind of policy" in err and err.count("\n") == 1
    code, _, err = ran(*fold("--set", "prior.run=nowhere"))
    assert code == 3 and "has no checkpoint" in err


def test_a_directory_with_a_run_is_not_overwritten(ran: Ran) -> None:
    ran(*fold("--out", "run", steps=1))
    code, out, err = ran(*fold("--out", "run", steps=1))
    assert (code, out) == (3, "") and "continue it with `designer resume run`" in err


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_a_checkpoint_and_the_lock_keeps_others_out(
    ran: Ran, tmp_path: Path, number: signal.Signals
) -> None:
    running = start(tmp_path, *fold("--out", "run", "--json", steps=100_000))
    wait_for(tmp_path / "run" / "checkpoint.safetensors")
    code, out, err = ran("resume", "run")
    assert (code, out) == (6, "") and f"in use by process {running.pid}" in err
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 75
    assert json.loads(out)["stopped"] == "interrupted"
    assert "designer resume run" in err.splitlines()[-1]
    steps = json.loads(ran("report", "run", "--json")[1])["evaluations"]
    assert steps == json.loads(out)["evaluations"], "the checkpoint is of the last step"


ORACLE = """
import math
def broken(text: str) -> float:
    raise ValueError("no licence")
def short(texts):
    return [1.0]
def words(texts):
    return ["high"] * len(texts)
def some(text: str) -> float:
    return math.nan if text.endswith("U") else float(text.count("R"))
"""


def own(function: str, *, write: bool = True) -> str:
    if write:
        Path("own.py").write_text(ORACLE)
    Path("own.toml").write_text(
        f"[campaign]\nbatch_size = 32\nsteps = 4\n[policy]\nhidden = 8\n[task]\n"
        f'kind = "folding"\nsequence = "HPHPPHHPHH"\n[[objective]]\nkind = "own.py:{function}"\n'
    )
    return "own.toml"


@pytest.mark.parametrize(
    ("function", "text"),
    [("broken", "no licence"), ("short", "1 value for "), ("words", "'high'")],
)
def test_an_oracle_that_fails_ends_with_4(ran: Ran, function: str, text: str) -> None:
    code, out, err = ran("run", own(function), "--allow-plugins", "--quiet", "--json")
    assert code == 4 and err.count("\n") == 1 and text in err
    assert json.loads(out)["stopped"] == "failed"


def test_a_run_of_another_version_begins_again_and_pays_nothing_twice(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Path("asked.txt").resolve()
    Path("own.py").write_text(
        "def counted(text: str) -> float:\n"
        f"    with open({str(asked)!r}, 'a') as file:\n"
        "        file.write(text + '\\n')\n"
        "    return float(text.count('R'))\n"
    )
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", 1)
        code, out, _ = ran(
            "run", own("counted", write=False), "--allow-plugins", "--quiet", "--json", "--out", "r"
        )
    assert code == 0
    first, paid = json.loads(out), asked.read_text()
    code, out, err = ran("resume", "r", "--allow-plugins")
    assert (code, out) == (3, "") and "format 1" in err and "designer resume r" in err
    for path in Path("r").glob("checkpoint*.safetensors"):
        path.unlink()
    code, out, _ = ran("resume", "r", "--allow-plugins", "--quiet", "--json")
    again = json.loads(out)
    assert code == 0 and asked.read_text() == paid
    assert again["best"] == first["best"] and again["evaluations"] == first["evaluations"] > 10


def test_unmeasured_designs_are_nan_never_a_number(ran: Ran) -> None:
    code, out, _ = ran("run", own("some"), "--allow-plugins", "--quiet", "--json")
    assert code == 0
    found = json.loads(out)["best"]
    assert found and all(not entry["design"].endswith("U") for entry in found)
    Path("folds.txt").write_text("RRUULLUUU\n\nRRUULLUUR\n")
    sequence = ("--task", "fold", "--set", "task.sequence=HPHPPHHPHH")
    code, out, err = ran("score", "own.py:some", "folds.txt", *sequence)
    assert (code, out) == (0, "nan\tRRUULLUUU\n3.0\tRRUULLUUR\n")
    assert "folds.txt:1: not measured" in err
    Path("folds.txt").write_text("RRUULLUUU\n")
    code, out, err = ran("score", "own.py:some", "folds.txt", *sequence)
    assert (code, out) == (4, "nan\tRRUULLUUU\n"), "all is printed, and no script takes it for done"
    assert "some measured none of 1 designs" in err
    code, out, _ = ran("score", "own.py:some", "folds.txt", *sequence, "--json")
    assert code == 4 and json.loads(out)["results"][0]["values"] == {"some": None}


def test_score_reads_stdin_and_names_the_line_of_a_fault(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy = ("score", "energy", "-", "--set", "task.sequence=HPPH")
    monkeypatch.setattr("sys.stdin", io.StringIO("RUL\nRRR\n"))
    assert ran(*energy)[:2] == (0, "-1.0\tRUL\n0.0\tRRR\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("RUL\nRXL\n"))
    code, out, err = ran(*energy)
    assert (code, out) == (3, "") and err.startswith("designer: stdin:2: fold 'RXL': letter 'X'")


def test_score_takes_settings_and_prints_designs_as_given(ran: Ran) -> None:
    Path("some.smi").write_text("OCC\nc1ccccc1O\n")
    target = ("--set", "objective.0.target=CCO")
    code, out, _ = ran("score", "similarity", "some.smi", *target)
    values = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [design for _, design in values] == ["OCC", "c1ccccc1O"]
    assert float(values[0][0]) == 1.0 > float(values[1][0])
    code, _, err = ran("score", "similarity", "some.smi", "--set", "target=CCO")
    assert code == 3 and "target" in err, "a setting that nothing heeds"
    code, _, err = ran("score", "similarity", "some.smi")
    assert code == 3 and "--set objective.0.target=VALUE" in err


def test_score_trusts_the_program_that_a_person_names(ran: Ran) -> None:
    Path("some.smi").write_text("CCO\nC\n")
    code = "import sys; [print(len(line.strip())) for line in sys.stdin]"
    command = json.dumps([sys.executable, "-c", code])
    code, out, err = ran("score", "program", "some.smi", "--set", f"objective.0.command={command}")
    assert (code, out, err) == (0, "3.0\tCCO\n1.0\tC\n", "")


def test_score_reads_the_designs_that_an_oracle_judges(ran: Ran) -> None:
    Path("designs.txt").write_text("HHPPHHPHPHHPPHHH\n")
    code, out, _ = ran("score", "unique_fold", "designs.txt", "--json")
    assert code == 0 and json.loads(out)["results"][0]["error"] is None


def test_a_class_that_makes_no_oracle_is_said_to_be_none(ran: Ran) -> None:
    Path("own.py").write_text("class Judge:\n    def __call__(self, designs):\n        return []\n")
    code, _, err = ran("molecule", "own.py:Judge", "--quiet")
    assert code == 3 and "makes no oracle: what judges has a text `name`" in err


def test_a_run_that_never_began_leaves_its_place_to_the_corrected_one(ran: Ran) -> None:
    ends = '[task]\nkind = "molecules"\n[campaign]\nsteps = 1\nbatch_size = 4\n'
    one = '[[objective]]\nkind = "similarity"\ntarget = "CCO"\n'
    Path("c.toml").write_text(ends + one + one.replace("CCO", "CCN"))
    code, _, err = ran("run", "c.toml", "--out", "run", "--quiet")
    assert code == 3 and "two oracles give a column 'similarity'" in err
    assert ran("validate", "c.toml")[0] == 3
    Path("c.toml").write_text(ends + one)
    assert ran("run", "c.toml", "--out", "run", "--quiet")[0] == 0
    assert ran("run", "c.toml", "--out", "run", "--quiet")[0] == 3, "now it holds a run"


LABORATORY = """
[campaign]
seed = 1
batch_size = 16
[policy]
hidden = 8
[task]
kind = "folding"
sequence = "HPHPPHHPHPPHPHHPPHPH"
[[objective]]
kind = "laboratory"
columns = ["yield", "purity"]
column = "yield"
"""


def test_asking_and_telling(ran: Ran) -> None:
    Path("lab.toml").write_text(LABORATORY)
    assert "designer ask lab.toml N" in ran("run", "lab.toml")[2]
    assert ran("validate", "lab.toml")[0] == 0
    code, out, err = ran("ask", "lab.toml", "4", "--out", "job")
    assert code == 0 and "4 designs wait for results: designer tell job RESULTS.csv" in err
    assert ran("ask", "job", "9")[1] == out, "asking again changes nothing"
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["id", "design", "yield", "purity"] and len(rows) == 5
    told = [rows[0], *([n, d, str(i), "0.5"] for i, (n, d, *_) in enumerate(rows[1:]))]
    told[2][2:] = ["", ""]
    Path("results.csv").write_text(table(told))
    code, out, err = ran("tell", "job", "results.csv", "--json")
    assert code == 0 and err.startswith("3 of 4 designs are measured; 1 go on waiting")
    said = json.loads(out)
    assert said["evaluations"] == 3
    assert [entry["reward"] for entry in said["best"]] == [3.0, 2.0, 0.0]
    assert said["best"][0]["design"] == rows[4][1]
    assert "nothing new is filled in" in ran("tell", "job", "results.csv")[2]
    told[4][2] = "7"
    Path("changed.csv").write_text(table(told))
    place = f"designer: changed.csv:5: yield of {rows[4][1]} was told before as 3, "
    assert ran("tell", "job", "changed.csv")[2].startswith(place)


def test_what_was_left_blank_is_told_later(ran: Ran) -> None:
    """It is not asked for again, its number stays its own, and one table may be filled bit by bit;
    what could not be measured is waited for no longer."""
    Path("lab.toml").write_text(LABORATORY)
    rows = list(csv.reader(io.StringIO(ran("ask", "lab.toml", "4", "--out", "job")[1])))
    told = [rows[0], *([n, d, n, "0.5"] if n in "12" else [n, d, "", ""] for n, d, *_ in rows[1:])]
    Path("results.csv").write_text(table(told))
    assert "2 of 4 designs are measured; 2 go on waiting" in ran("tell", "job", "results.csv")[2]
    code, out, err = ran("ask", "job", "3")
    more = list(csv.reader(io.StringIO(out)))[1:]
    assert "3 designs wait for results (2 of before too)" in err
    assert [row[0] for row in more] == ["5", "6", "7"]
    assert not {row[1] for row in more} & {row[1] for row in rows}
    told[3][2:], told[4][2:] = ["9", ""], ["nan", "nan"]
    Path("results.csv").write_text(table(told))
    code, text, err = ran("tell", "job", "results.csv", "--json")
    assert code == 0 and "1 of 5 designs are measured, 1 could not be; 3 go on waiting" in err
    said = json.loads(text)
    assert said["evaluations"] == 3 and said["best"][0]["design"] == rows[3][1]
    assert ran("ask", "job", "3")[1] == out, "the newer ones still wait"
    assert "id '4' was not asked for" in ran("tell", "job", "results.csv")[2]
    Path("rest.csv").write_text(table([rows[0], *([n, d, "1", "1"] for n, d, *_ in more)]))
    assert "3 of 3 designs are measured; 0 go on waiting" in ran("tell", "job", "rest.csv")[2]
    assert "no designs wait" in ran("tell", "job", "rest.csv")[2]
    assert ran("report", "job")[0] == 0


def table(rows: list[list[str]]) -> str:
    return "\n".join(",".join(row) for row in rows)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda t: t.replace("\n1,", "\n9,"), "bad.csv:2: id '9' was not asked for"),
        (lambda t: t.replace("purity", "colour"), "bad.csv:1: no column 'purity'"),
        (lambda t: t.replace("\n2,", "\n1,"), "bad.csv:3: "),
        (lambda t: t.replace(",,", ",much,", 1), "bad.csv:2: yield is 'much', expected a number"),
        (lambda t: t.splitlines()[0], "bad.csv: no rows"),
        (lambda t: t, "bad.csv: nothing is filled in under yield, purity, so nothing was told"),
        (lambda t: t.replace(",,", ",1,200,2", 1), "bad.csv:2: 5 cells, but the header has 4"),
        (lambda t: t + "x" * 200_000, "bad.csv:5: not valid CSV: field larger than field limit"),
        (lambda t: "yield,purity,design,id\n1.5,2\n", "bad.csv:2: id '' was not asked for"),
    ],
)
def test_results_that_cannot_be_used(ran: Ran, change: Callable[[str], str], place: str) -> None:
    Path("lab.toml").write_text(LABORATORY)
    out = ran("ask", "lab.toml", "3", "--out", "job")[1]
    Path("bad.csv").write_text(change(out))
    code, _, err = ran("tell", "job", "bad.csv")
    assert code == 3 and err.startswith(f"designer: {place}") and err.count("\n") == 1, err
    assert ran("ask", "job", "3")[1] == out, "the designs still wait"


@pytest.mark.parametrize("kind", campaigns())
def test_init_writes_a_campaign_that_runs(ran: Ran, kind: str) -> None:
    assert ran("init", kind)[0] == 0
    code, out, _ = ran("validate", f"{kind}.toml")
    assert code == 0 and out.startswith(f"{kind}.toml: fine")
    fixed = "[prior]" in Path(f"{kind}.toml").read_text()  # the network's size comes with it
    quick = ("--set", "campaign.batch_size=8", "--quiet") if fixed else QUICK
    code, out, _ = ran("run", f"{kind}.toml", *quick, "--set", "campaign.steps=1", "--json")
    assert code == 0 and json.loads(out)["evaluations"] > 0
    code, _, err = ran("init", kind)
    assert code == 3 and "is there already" in err


def test_every_shipped_campaign_is_listed_and_documented(ran: Ran) -> None:
    code, out, _ = ran("list", "campaigns")
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert code == 0 and lines.keys() == campaigns().keys() and len(lines) >= 8
    assert all(text.endswith(".") for text in lines.values())
    pages = [page.read_text() for page in (Path(__file__).parents[2] / "docs").glob("*.md")]
    for name in lines:
        assert any(f"init {name}" in page for page in pages), name


@pytest.mark.parametrize(
    "what",
    ["", "tasks", "oracles", "penalties", "transforms", "policies", "learners", "tables",
     "lattices", "campaigns"],
)  # fmt: skip
def test_lists(ran: Ran, what: str) -> None:
    code, out, _ = ran("list", what) if what else ran("list")
    assert code == 0 and len(out.splitlines()) > 3


PIPELINE = """
import json
from cli.bench_pipeline import pipeline
from cli.build import build
from cli.presets import shipped

print(json.dumps(pipeline(build(shipped("fold")), warm_up=1, steps=2)))
"""


def test_the_pipeline_benchmark_accounts_for_all_of_a_step() -> None:
    """In a process of its own: to collect what other tests left takes longer than two steps."""
    from cli.bench_pipeline import STAGES

    command = [sys.executable, "-c", PIPELINE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert sum(found[stage] for stage in (*STAGES, "other")) == pytest.approx(1.0)
    assert all(found[stage] > 0 for stage in STAGES) and found["other"] < 0.3
    assert found["designs_per_second"] > 0


def test_version(ran: Ran) -> None:
    assert ran("--version")[:2] == (0, "designer 0.1.0\n")


def test_a_bug_is_said_to_be_one(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("cli.folding.start", broken)
    code, out, err = ran("fold", CHAIN)
    assert (code, out) == (1, "") and err.startswith("designer: a bug: ZeroDivisionError: oops")
    assert "Traceback" in ran("fold", CHAIN, "--debug")[2]


def test_designs_that_could_not_be_measured_are_told(ran: Ran) -> None:
    Path("own.py").write_text(
        "def share(fold: str) -> float:\n"
        "    if fold.count('U') % 3 == 2:\n"
        "        raise ValueError('no licence')\n"
        "    return fold.count('R') / len(fold)\n"
    )
    Path("c.toml").write_text(
        '[campaign]\nbudget = 30\nbatch_size = 16\n[task]\nkind = "folding"\n'
        f'sequence = "{CHAIN}"\n[policy]\nhidden = 8\n[[objective]]\nkind = "own.py:share"\n'
    )
    code, _, err = ran("run", "c.toml", "--allow-plugins", "--out", "run")
    lost = sum(row.error is not None for row in Store("run/campaign.sqlite").evaluations())
    assert code == 0 and 0 < lost < 30
    why = "own.py:3: ValueError: no licence"
    assert f"{lost} of 30 evaluations gave no value (the last: {why})" in err
