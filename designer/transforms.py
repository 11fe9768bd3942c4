"""From an oracle's raw value, in its own unit, to a desirability in [0, 1].

Each transform is a frozen record of settings that is called with an array and returns one of the
same shape, float64. NaN (unmeasured) stays NaN, never a number. All but `Identity` stay in
[0, 1] for every input, infinities included. The Gaussian and clipped ones are GuacaMol's score
modifiers (Brown et al. 2019), the sigmoids REINVENT's, by another parametrisation: a sigmoid is
given by the two values where it is 0.05 and 0.95.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from designer.errors import InputError
from designer.protocols import Floats

TRANSFORMS = {
    "identity": "designer.transforms:Identity",
    "linear": "designer.transforms:Linear",
    "sigmoid": "designer.transforms:Sigmoid",
    "reverse_sigmoid": "designer.transforms:ReverseSigmoid",
    "window": "designer.transforms:Window",
    "gaussian": "designer.transforms:Gaussian",
    "min_gaussian": "designer.transforms:MinGaussian",
    "max_gaussian": "designer.transforms:MaxGaussian",
    "step": "designer.transforms:Step",
    "threshold": "designer.transforms:Threshold",
}

LOGIT = math.log(0.95 / 0.05)  # a logistic curve is 0.95 where its argument is this


@dataclass(frozen=True)
class Identity:
    """The raw value itself, for oracles that already lie in [0, 1] (or whose scale is wanted)."""

    def __call__(self, values: ArrayLike) -> Floats:
        """Return the values as they are."""
        return np.array(values, dtype=np.float64)


@dataclass(frozen=True)
class Linear:
    """0 at `low`, 1 at `high`, straight in between, flat outside; `low` may exceed `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_distinct(self, self.low, self.high)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return (x - low) / (high - low), limited to [0, 1]."""
        return _straight(_floats(values), self.low, self.high)


@dataclass(frozen=True)
class Sigmoid:
    """Rises: 0.05 at `low`, 0.5 half way, 0.95 at `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ordered(self, self.low, self.high)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return the logistic curve through the two points."""
        return _rising(_floats(values), self.low, self.high)


@dataclass(frozen=True)
class ReverseSigmoid:
    """Falls: 0.95 at `low`, 0.5 half way, 0.05 at `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ordered(self, self.low, self.high)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return the logistic curve through the two points, falling."""
        return _rising(-_floats(values), -self.high, -self.low)


@dataclass(frozen=True)
class Window:
    """A double sigmoid: 0.95 at `low` and `high`, more between, 0.05 at `margin` outside."""

    low: float
    high: float
    margin: float

    def __post_init__(self) -> None:
        _check_ordered(self, self.low, self.high)
        _check_positive(self, "margin", self.margin)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return the smaller of a rising and a falling sigmoid."""
        x = _floats(values)
        rising = _rising(x, self.low - self.margin, self.low)
        falling = _rising(-x, -self.high - self.margin, -self.high)
        return np.minimum(rising, falling)


@dataclass(frozen=True)
class Gaussian:
    """1 at `mu`, less on both sides: exp(-((x - mu) / sigma)^2 / 2)."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        _check_positive(self, "sigma", self.sigma)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return GuacaMol's GaussianModifier."""
        return _bell(_floats(values) - self.mu, self.sigma)


@dataclass(frozen=True)
class MinGaussian:
    """Wants small values: 1 up to `mu`, the falling half of the Gaussian above."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        _check_positive(self, "sigma", self.sigma)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return GuacaMol's MinGaussianModifier."""
        return _bell(np.maximum(_floats(values) - self.mu, 0.0), self.sigma)


@dataclass(frozen=True)
class MaxGaussian:
    """Wants large values: 1 from `mu` on, the rising half of the Gaussian below."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        _check_positive(self, "sigma", self.sigma)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return GuacaMol's MaxGaussianModifier."""
        return _bell(np.minimum(_floats(values) - self.mu, 0.0), self.sigma)


@dataclass(frozen=True)
class Step:
    """1 from `low` to `high`, both included, else 0; leave one out for a single border."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        _check_ordered(self, self.low, self.high, equal=True)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return 1 inside and 0 outside."""
        x = _floats(values)
        inside = ((x >= self.low) & (x <= self.high)).astype(np.float64)
        return np.where(np.isnan(x), np.nan, inside)


@dataclass(frozen=True)
class Threshold:
    """Rises straight from 0 at 0 to 1 at `upper`, and stays there."""

    upper: float

    def __post_init__(self) -> None:
        _check_positive(self, "upper", self.upper)

    def __call__(self, values: ArrayLike) -> Floats:
        """Return GuacaMol's ClippedScoreModifier: x / upper, limited to [0, 1]."""
        return _straight(_floats(values), 0.0, self.upper)


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _straight(x: Floats, low: float, high: float) -> Floats:
    """Return 0 at low, 1 at high, limited; far away the quotient may be infinite, its limit not."""
    with np.errstate(over="ignore"):
        return np.asarray(np.clip((x - low) / (high - low), 0.0, 1.0), dtype=np.float64)


def _rising(x: Floats, low: float, high: float) -> Floats:
    """Return a logistic curve, 0.05 at low and 0.95 at high; far away tanh is 1 of infinity."""
    with np.errstate(over="ignore"):
        argument = LOGIT * (2.0 * x - low - high) / (high - low)
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * argument)), dtype=np.float64)


def _bell(distance: Floats, sigma: float) -> Floats:
    with np.errstate(over="ignore", under="ignore"):  # far away the square is inf, its value 0
        return np.asarray(np.exp(-0.5 * np.square(distance / sigma)), dtype=np.float64)


def _check_distinct(owner: object, low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low != high):
        raise InputError(f"{owner!r}: expected two different, finite numbers for low and high")


def _check_ordered(owner: object, low: float, high: float, *, equal: bool = False) -> None:
    finite = math.isfinite(low) and math.isfinite(high)
    if not (low <= high if equal else low < high and finite):
        raise InputError(f"{owner!r}: expected low below high; swap them or choose another kind")


def _check_positive(owner: object, name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"{owner!r}: {name} is {value}, expected a finite number above 0")
