"""The figures of the suites against cases counted by hand."""

from __future__ import annotations

import pytest

from designer.errors import InputError
from oracles import OBJECTIVES, ORACLES
from oracles.suites import auc_top, chosen, diversity, guacamol_score, suites
from tasks.molecules.design import parse


def test_the_area_by_hand() -> None:
    """Calls of 5, looks every 2, the two best count, scores 0.2 0.4 | 0.8 0.0 | 0.6.

    Means of the two best: 0.3 after two, 0.6 after four, 0.7 after five. Trapezoids:
    2 (0 + 0.3) / 2 + 2 (0.3 + 0.6) / 2 + 1 (0.6 + 0.7) / 2 = 0.3 + 0.9 + 0.65 = 1.85.
    """
    scores = [0.2, 0.4, 0.8, 0.0, 0.6]
    assert auc_top(scores, 5, top=2, every=2) == pytest.approx(1.85 / 5)
    # a run that ended early keeps 0.7 for the three calls it did not make
    assert auc_top(scores, 8, top=2, every=2) == pytest.approx((1.85 + 3 * 0.7) / 8)
    # nothing counts beyond the budget
    assert auc_top([*scores, 1.0, 1.0], 5, top=2, every=2) == pytest.approx(1.85 / 5)


def test_the_area_at_its_limits() -> None:
    assert auc_top([], 100) == 0.0
    # one look at the end, halved by the trapezoid from 0; then the full height
    assert auc_top([1.0] * 100, 100) == pytest.approx(0.5)
    assert auc_top([1.0] * 10_000, 10_000) == pytest.approx(1 - 50 / 10_000)
    assert auc_top([0.5] * 3, 10_000, top=10) == pytest.approx(0.5 * (1 - 1.5 / 10_000))
    assert auc_top([0.0] * 9_900 + [1.0] * 100, 10_000) == pytest.approx(50 / 10_000)


def test_guacamol_by_hand() -> None:
    # best 1.0; ten best 1.0 + 0.5 of ten; hundred best the same of a hundred
    assert guacamol_score([0.5, 1.0]) == pytest.approx((1.0 + 0.15 + 0.015) / 3)
    assert guacamol_score([0.5, 1.0], (1,)) == 1.0


def test_the_suites_name_what_there_is() -> None:
    assert len(suites()["pmo"]["tasks"]) == 23 and len(suites()["pmo20"]["tasks"]) == 20
    assert len(suites()["guacamol"]["tasks"]) == 20
    assert set(suites()["pmo"]["tasks"]) - set(suites()["pmo20"]["tasks"]) == {
        "drd2", "gsk3b", "jnk3",
    }  # fmt: skip
    for suite in suites().values():
        assert len(set(suite["tasks"])) == len(suite["tasks"])
        assert set(suite["tasks"]) <= OBJECTIVES.keys() | ORACLES.keys()
        assert set(suite.get("own", {})) <= set(suite["tasks"])


def test_tasks_are_chosen_by_name_or_suite() -> None:
    assert chosen(["qed", "pmo20", "qed"])[0] == "qed" and len(chosen(["qed", "pmo20"])) == 20
    with pytest.raises(InputError, match="zaleplon_mpo"):
        chosen(["zaleplon"])


def test_diversity() -> None:
    same = [parse("CCO").mol] * 3
    assert diversity(same) == 0.0 and diversity(same[:1]) == 0.0
    assert diversity([parse("CCCCC").mol, parse("c1ccncc1").mol]) == 1.0
