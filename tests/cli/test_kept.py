"""Benches go on from what they kept, and say so where a file holds something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bench_folding import Runs
from cli.bench_peers import Outcome
from designer.errors import InputError


def test_a_search_is_made_once(tmp_path: Path) -> None:
    file, made = tmp_path / "runs.jsonl", list[int]()

    def make() -> Outcome:
        made.append(1)
        return Outcome(-9.0, 1.5, 2.5, 100)

    assert Runs(file).get(("a", "ours", 0), make) == Outcome(-9.0, 1.5, 2.5, 100)
    again = Runs(file)
    assert again.get(("a", "ours", 0), make) == Outcome(-9.0, 1.5, 2.5, 100) and len(made) == 1
    again.get(("a", "ours", 1), make)
    assert len(file.read_text().splitlines()) == len(made) == 2
    assert Runs(None).get(("a", "ours", 0), make).energy == -9.0


@pytest.mark.parametrize("line", ["no JSON", "3", "[]", '[["a", "ours", 0], {"energy": 1}]', "\0"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(InputError, match=r"runs\.jsonl: not a file of runs \(.*name another one"):
        Runs(file)
