"""`designer equation` as a person with a CSV uses it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import invoke

Ran = Callable[..., tuple[int, str, str]]
QUICK = (
    "--quiet", "--set", "campaign.steps=1", "--set", "campaign.batch_size=8",
    "--set", "campaign.proposals=20", "--set", "policy.hidden=8", "--set", "task.search=none",
)  # fmt: skip


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ran:
    """Run one command in a folder with a small table; return code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{x},{0.75 * x + math.sin(3 * x)!r},{2 * x + 1},w{i % 2}" for i, x in
            enumerate(i / 7 for i in range(1, 30))]  # fmt: skip
    Path("data.csv").write_text("\n".join(["time [s],height,tick,site", *rows]) + "\n")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = invoke(["equation", "data.csv", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_given_formulas_are_fitted_and_judged_without_a_search(ran: Ran) -> None:
    code, out, err = ran(
        "--target", "height", "--score", "a*`time [s]` + sin(b*x0)", "--score", "height = 2*x0"
    )
    lines = out.splitlines()
    assert code == 0 and "x0 = time [s]" in err and not Path("runs").exists()
    assert lines[0].split() == ["size", "nmse", "rms", "error", "height"]
    assert lines[1].endswith("0.75*x0 + sin(3*x0)") and lines[2].endswith("2*x0")
    code, out, _ = ran("--target", "height", "--quiet", "--json", "--score", "0.75*x0 + sin(3*x0)")
    (said,) = json.loads(out)["results"]
    assert said["nmse"] < 1e-25 and said["complexity"] == 8


def test_a_small_budget_is_not_spent_before_anything_is_judged(ran: Ran) -> None:
    code, out, _ = ran("--target", "height", "--budget", "400", "--quiet", "--json", "--out", "r")
    found = json.loads(out)
    assert code == 0 and found["evaluations"] == 400
    assert found["best"][0]["scores"]["nmse"] < 0.9


def test_several_targets_give_one_result_each_and_none_explains_another(ran: Ran) -> None:
    code, out, err = ran(*QUICK, "--target", "height", "--target", "tick", "--json", "--out", "r")
    assert code == 0, err
    first, second = json.loads(out)["results"]
    assert (first["name"], second["name"]) == ("height", "tick")
    assert "height" not in json.dumps(second["equations"])
    assert Path("r/2-tick/equation.json").exists()
    assert "tick" not in json.dumps(first["equations"])


def test_the_front_is_told_and_its_files_are_written(ran: Ran) -> None:
    code, out, _ = ran(*QUICK, "--target", "tick", "--ignore", "height", "--split", "0.2",
                       "--out", "run")  # fmt: skip
    assert code == 0 and "held-out nmse" in out and "* recommended: the shortest" in out
    assert out.count("\n*") == 2 and "equation_torch.py" in out
    names = {path.name for path in Path("run").iterdir()}
    assert {"equation.txt", "equation.tex", "equation.c", "equation.svg"} <= names
    before = json.loads(Path("run/equation.json").read_text())
    assert before["held_out_rows"] == 6
    assert before["recommended"]["held_out_nmse"] >= 0


@pytest.mark.parametrize(("arguments", "said"), [
    (["--score", "a*x0 +"], "formula, character 7, at its end: the formula ends too early "
                            "(in 'a*x0 +')"),
    (["--score", "log(1 - x0)"], "formula 'log(1 - x0)': log(1 - x0) is undefined or infinite on "
     "23 of 29 rows (first where time [s] = 1, height = 0.89112); choose a form that is "
     "defined there"),
    (["--guess", "a*hight"], "--guess: guess, character 3, before 'hight': unknown column "
     "'hight': did you mean 'height'? (a number to be fitted is one letter: a, k, c0) "
     "(in 'a*hight')"),
    (["--target", "tick", "--target", "tick"], "--target 'tick' is given twice; give it once"),
    (["--target", "site"], "data.csv: target column 'site' is text; choose a column of numbers"),
    (["--category", "tick", "--target", "height"], "data.csv: category column 'tick' has one row "
     "of '1.28571428571429'; constants of its own need two labels or more, with two rows or more "
     "each"),
    (["--split", "2", "--target", "tick"], "--split: split is 2.0; expected the share of rows to "
     "hold out, such as 0.2"),
    (["--missing", "keep", "--target", "tick"], "--missing: task.missing is \"keep\", should be "
     "'drop' or 'refuse'"),
    (["--select", "few", "--target", "tick"], "--select: select is 'few'; expected auto, all, or "
     "how many inputs to keep"),
])  # fmt: skip
def test_bad_input_is_one_line_with_exit_3(ran: Ran, arguments: list[str], said: str) -> None:
    if "--target" not in arguments:
        arguments = [*arguments, "--target", "tick"]
    code, out, err = ran("--quiet", *arguments)
    assert (code, out) == (3, "") and err.count("\n") == 1
    line = err.rstrip("\n").removeprefix("designer: ")
    assert line.replace(f"{Path.cwd()}/", "").removeprefix("DATA.csv: ").endswith(said), line
