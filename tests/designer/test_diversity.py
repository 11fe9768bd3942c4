"""The diversity filter: what a full class leaves of a reward, and where that is learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pytest

from designer.diversity import SHAPES, DiversityFilter, lowered
from designer.errors import InputError
from designer.settings import BucketShape, Settings
from tests.designer.test_campaign import SETTINGS, campaign


@dataclass(frozen=True)
class Word:
    key: str


def test_a_class_that_was_rewarded_often_enough_is_rewarded_no_more() -> None:
    designs = [Word("a"), Word("a"), Word("a"), Word("a"), None, Word("b")]
    reward, weight = np.array([1.0, 0.0, 1.0, 0.9, -1.0, 0.2]), np.array([1.0, 0, 1, 1, 1, 1])
    hard = DiversityFilter(lambda d: d.key, size=2, least=0.0)
    # the second was not measured: it is no member; the fourth is the third that was
    share = hard(designs, reward, weight)
    np.testing.assert_array_equal(share, [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(lowered(reward, share), [1.0, 0.0, 1.0, 0.0, -1.0, 0.2])
    other = DiversityFilter(lambda d: d.key, size=2, least=0.4)
    other.restore(hard.state())
    np.testing.assert_array_equal(other([Word("a")], np.ones(1), np.ones(1)), [0])
    np.testing.assert_array_equal(other([Word("a")], np.full(1, 0.3), np.ones(1)), [1])


@pytest.mark.parametrize("shape", get_args(BucketShape))
def test_every_shape_falls_from_all_to_nothing(shape: BucketShape) -> None:
    soft = DiversityFilter(lambda d: "one", size=20, shape=shape)
    share = soft([Word("a")] * 21, np.ones(21), np.ones(21))
    assert share[0] > 0.998 and share[20] < 0.013  # one that is full; the softest is erf
    assert (np.diff(share) <= 0).all()
    assert SHAPES[shape](1e6) == pytest.approx(0.0, abs=1e-12)


def test_a_shape_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="bucket_shape is 'steep'; expected one of step, linear"):
        Settings(bucket_shape="steep")  # type: ignore[arg-type]


def test_no_penalty_makes_a_reward_higher() -> None:
    reward, share = np.array([-2.0, 0.0, 3.0, np.nan]), np.array([0.5, 0.5, 0.5, 1.0])
    np.testing.assert_array_equal(lowered(reward, share), [-2.0, 0.0, 1.5, np.nan])


@pytest.mark.parametrize("size", [2, 0])
def test_elites_and_parents_are_no_more_of_a_class_than_it_allows(size: int) -> None:
    """Not only what the policy learns from its samples: what is found stays as it was measured."""
    done: Any = campaign(replace(SETTINGS, bucket_size=size, bucket_from=0.1, elites=40))
    result = done.run()
    of_class: dict[str, int] = {}
    for elite in done.elites.best(40):
        if elite.reward >= 0.1:
            name = elite.design.text[:2]
            of_class[name] = of_class.get(name, 0) + 1
    assert (max(of_class.values()) <= 2) == (size == 2)
    best = result.best[0]
    assert best.reward == sum(a == b for a, b in zip(best.design, "abcabcab", strict=False)) / 8
