"""The benchmark on the smallest budget: every call counted, the same run twice."""

from __future__ import annotations

import json

import pytest

from cli.bench_pmo import summary
from cli.main import invoke


def test_rows_means_and_sum(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "pmo", "--tasks", "median1,qed", "--seeds", "2", "--budget", "60"]
    assert invoke([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(r["task"], r["seed"], r["calls"]) for r in found["runs"]] == [
        ("median1", 0, 60), ("median1", 1, 60), ("qed", 0, 60), ("qed", 1, 60),
    ]  # fmt: skip
    means = [row["auc_top10"] for row in found["means"]]
    assert means[0] == pytest.approx(sum(r["auc_top10"] for r in found["runs"][:2]) / 2)
    assert found["sum"] == pytest.approx(sum(means))
    for row in found["runs"]:
        # below 100 calls there is one trapezoid, from 0 to the mean of the ten best
        assert row["auc_top10"] == pytest.approx(row["top10"] / 2)
        assert 0 < row["top100"] <= row["top10"] <= row["top1"] <= 1
        assert 0 <= row["passing"] <= 1 <= row["sa"] <= 10 and 0 < row["diversity"] <= 1


def test_the_figures_of_given_molecules() -> None:
    drug, acid = "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CC(=O)Cl"
    found = summary([(drug, 0.5), (acid, 1.0), ("CCO", float("nan"))], 10)
    assert found["top1"] == 1.0 and found["top10"] == 0.5
    assert found["passing"] == pytest.approx(1 / 3)  # ethanol is too light, the chloride alerts
    assert found["guacamol"] == pytest.approx((1.0 + 1.5 / 10 + 1.5 / 100) / 3)
    assert found["auc_top10"] == pytest.approx((3 * 0.5 / 2 + 7 * 0.5) / 10)


@pytest.mark.parametrize(
    ("tasks", "why"),
    [
        ("zaleplon", "no task or suite 'zaleplon'"),
        ("pmo,nothing", "no task or suite 'nothing'"),
        ("tpsa", "task 'tpsa' is cheap, so its calls are not written down"),
    ],
)
def test_tasks_that_cannot_be_measured(
    tasks: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["bench", "pmo", "--tasks", tasks, "--budget", "10"]) == 3
    assert why in capsys.readouterr().err


def test_stereoisomers_count_once_for_guacamol() -> None:
    pair = [("C[C@H](N)C(=O)O", 1.0), ("C[C@@H](N)C(=O)O", 0.9), ("CCO", 0.4)]
    found = summary(pair, 10, "isomers_c11h24")  # its figure is the mean of the best 159
    assert found["guacamol"] == pytest.approx(1.4 / 159)
