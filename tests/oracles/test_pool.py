"""Several processes give the same rows in the same order; a crash costs its own design."""

from pathlib import Path

import numpy as np
import pytest
from drugs import Plain, drugs

from designer.errors import OracleError
from designer.testing import check_oracle
from oracles import descriptors
from oracles.pool import Parallel
from oracles.python import python

FILE = """
import os

def score(designs):
    if "die" in designs:
        os._exit(9)
    if "raise" in designs:
        raise ValueError("no")
    if "short" in designs:
        return []
    return [len(text) for text in designs]

def process(design: str):
    return os.getpid()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    return file


def test_one_worker_is_this_process() -> None:
    check_oracle(Parallel(descriptors.qed()), drugs())


def test_same_rows_as_alone() -> None:
    expected = descriptors.qed()(drugs()).columns["qed"]
    with Parallel(descriptors.qed(), workers=2, chunk=4) as oracle:
        assert oracle.name == "qed" and oracle.cheap is False
        check_oracle(oracle, drugs())
        assert oracle(drugs()).columns["qed"].tolist() == expected.tolist()  # to the last bit


def test_faults_keep_to_their_rows(path: Path) -> None:
    texts = ["a", "bb", "die", "ccc", "raise", "dd", "e"]
    with Parallel(python(path, "score"), workers=2, chunk=2) as oracle:
        measured = oracle([Plain(text) for text in texts])
        assert measured.columns["score"].tolist() == pytest.approx(
            [1, 2, np.nan, 3, np.nan, 2, 1], nan_ok=True
        )
        assert measured.errors == {
            2: "the worker process ended: exit code 9",
            4: "mine.py:8: ValueError: no",
        }
        assert oracle([Plain("ff")]).columns["score"].tolist() == [2]  # and it goes on
        with pytest.raises(OracleError, match="returned 0 values"):
            oracle([Plain("short")])


def test_runs_elsewhere(path: Path) -> None:
    import os

    with Parallel(python(path, "process"), workers=2, chunk=1) as oracle:
        found = set(oracle([Plain(str(i)) for i in range(8)]).columns["process"].tolist())
    assert os.getpid() not in found and 1 <= len(found) <= 2
