"""Transforms: known points, published forms, limits, and what must pass through."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from designer import transforms as tr
from designer.errors import InputError

EXAMPLES: dict[str, Any] = {
    "identity": tr.Identity(),
    "linear": tr.Linear(-2.0, 6.0),
    "sigmoid": tr.Sigmoid(1.0, 3.0),
    "reverse_sigmoid": tr.ReverseSigmoid(1.0, 3.0),
    "window": tr.Window(2.0, 4.0, margin=1.0),
    "gaussian": tr.Gaussian(3.0, 0.5),
    "min_gaussian": tr.MinGaussian(4.0, 1.0),
    "max_gaussian": tr.MaxGaussian(90.0, 10.0),
    "step": tr.Step(1.0, 2.0),
    "threshold": tr.Threshold(0.75),
}


def test_every_registered_transform_is_tested_here() -> None:
    assert EXAMPLES.keys() == tr.TRANSFORMS.keys()
    for name, place in tr.TRANSFORMS.items():
        module, _, attribute = place.partition(":")
        assert type(EXAMPLES[name]) is getattr(import_module(module), attribute)


@pytest.mark.parametrize(
    "name,values,expected",
    [
        ("identity", [-3, 0.25, 7], [-3, 0.25, 7]),
        ("linear", [-9, -2, 0, 6, 9], [0, 0, 0.25, 1, 1]),
        ("sigmoid", [1, 2, 3], [0.05, 0.5, 0.95]),
        ("reverse_sigmoid", [1, 2, 3], [0.95, 0.5, 0.05]),
        ("window", [1, 1.5, 2, 4, 4.5, 5], [0.05, 0.5, 0.95, 0.95, 0.5, 0.05]),
        ("gaussian", [3, 3.5, 2.5, 4], [1, math.exp(-0.5), math.exp(-0.5), math.exp(-2)]),
        ("min_gaussian", [-5, 4, 5, 6], [1, 1, math.exp(-0.5), math.exp(-2)]),
        ("max_gaussian", [100, 90, 80, 70], [1, 1, math.exp(-0.5), math.exp(-2)]),
        ("step", [0.9, 1, 1.5, 2, 2.1], [0, 1, 1, 1, 0]),
        ("threshold", [-1, 0, 0.3, 0.75, 1], [0, 0, 0.4, 1, 1]),
    ],
)
def test_known_points(name: str, values: list[float], expected: list[float]) -> None:
    found = EXAMPLES[name](np.array(values))
    assert found.dtype == np.float64
    assert np.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", EXAMPLES)
def test_unmeasured_stays_unmeasured(name: str) -> None:
    found = EXAMPLES[name](np.array([math.nan, 1.5, math.nan]))
    assert np.isnan(found).tolist() == [True, False, True]


ANY = st.floats(allow_nan=False, allow_infinity=True)


@given(st.lists(ANY, min_size=1, max_size=20))
def test_the_result_lies_between_0_and_1_for_any_input(values: list[float]) -> None:
    for name, transform in EXAMPLES.items():
        found = transform(np.array(values))
        assert found.shape == (len(values),) and not np.isnan(found).any(), name
        if name != "identity":
            assert ((found >= 0) & (found <= 1)).all(), name


@given(ANY, ANY)
def test_those_with_a_direction_never_turn(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    for name in ("linear", "sigmoid", "max_gaussian", "threshold"):
        first, second = EXAMPLES[name](np.array([low, high]))
        assert first <= second, name
    for name in ("reverse_sigmoid", "min_gaussian"):
        first, second = EXAMPLES[name](np.array([low, high]))
        assert first >= second, name


def test_infinities_reach_the_ends() -> None:
    both = np.array([-math.inf, math.inf])
    expected = {
        "linear": [0, 1],
        "sigmoid": [0, 1],
        "reverse_sigmoid": [1, 0],
        "window": [0, 0],
        "gaussian": [0, 0],
        "min_gaussian": [1, 0],
        "max_gaussian": [0, 1],
        "step": [0, 0],
        "threshold": [0, 1],
    }
    for name, ends in expected.items():
        assert EXAMPLES[name](both).tolist() == ends, name


def test_a_linear_transform_may_fall() -> None:
    assert tr.Linear(10.0, 0.0)(np.array([0, 2.5, 10, 11])).tolist() == [1, 0.75, 0, 0]


def test_the_input_is_left_alone_and_shapes_are_kept() -> None:
    for transform in EXAMPLES.values():
        values = np.linspace(-1, 5, 6).reshape(2, 3)
        before = values.copy()
        found = transform(values)
        assert found.shape == (2, 3) and np.array_equal(values, before)
        found[:] = 9
        assert np.array_equal(values, before), "the result shares the input's memory"


def test_a_border_may_be_left_out() -> None:
    assert tr.Step(low=1.0)(np.array([0.5, 1e9])).tolist() == [0, 1]
    assert tr.Step(high=1.0)(np.array([-1e9, 1.5])).tolist() == [1, 0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: tr.Linear(1.0, 1.0),
        lambda: tr.Linear(0.0, math.inf),
        lambda: tr.Sigmoid(3.0, 1.0),
        lambda: tr.ReverseSigmoid(1.0, 1.0),
        lambda: tr.Window(2.0, 1.0, 1.0),
        lambda: tr.Window(1.0, 2.0, 0.0),
        lambda: tr.Gaussian(0.0, 0.0),
        lambda: tr.MinGaussian(0.0, -1.0),
        lambda: tr.MaxGaussian(0.0, math.nan),
        lambda: tr.Step(2.0, 1.0),
        lambda: tr.Threshold(0.0),
    ],
)
def test_settings_that_cannot_be_used_are_refused(make: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        make()
