"""What a run writes and prints of its designs."""

from __future__ import annotations

import csv
import io

from cli.output import _csv, leading, table
from designer.memory import Found
from tasks.molecules.task import task

FOUND = Found("x + 1", 0.5, {"nmse": 0.25, "complexity": 3.0}, 3, 7, 100, "x + 1", 0.5)


def test_no_column_of_a_csv_is_there_twice() -> None:
    header, row = csv.reader(io.StringIO(_csv([FOUND])))
    assert header == ["design", "reward", "nmse", "complexity", "step", "evaluation"]
    assert row == ["x + 1", "0.5", "0.25", "3.0", "7", "100"]


def test_a_zero_has_no_sign() -> None:
    worst = Found("RR", 0.0, {"fraction": -0.0}, 3, 0, 1, "RR", 0.0)
    assert table([worst])[1].split() == ["0", "0", "3", "RR"]


def test_the_diverse_ones_are_the_best_of_each_class() -> None:
    ranked = ["Cc1ccccc1", "CCc1ccccc1", "CC1CCNCC1", "CCC1CCNCC1", "CC1CC1"]
    best = [Found(text, 0.5, {}, 3, 7, 100, text, 0.5) for text in ranked]

    def shown(top: int, diverse: bool) -> list[str]:
        return [found.design for found in leading(task(), best, top, diverse=diverse)]

    assert shown(2, diverse=False) == ranked[:2]
    assert shown(2, diverse=True) == [ranked[0], ranked[2]]
    assert shown(10, diverse=True) == [ranked[0], ranked[2], ranked[4]]
