"""Gaussian distributions of the real numbers that go with a choice: the counterpart of `masking`.

Shapes: `values`, `location`, `scale` [..., K], `scale` above 0; K independent coordinates. A
policy's log-scale is held within `LOWEST` and `HIGHEST`, so that no density can overflow.
"""

from __future__ import annotations

import math

from torch import Tensor

LOWEST, HIGHEST = -7.0, 3.0  # of a log-scale: deviations between 0.0009 and 20
HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


def draw(location: Tensor, scale: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
    """Return location + scale * noise [..., K]: standard normal noise made into values.

    Differentiable in location and scale (Kingma and Welling 2014, the reparameterisation). A
    density to the power 1 / temperature is a Gaussian of sqrt(temperature) times the deviation.
    """
    return location + tempered(scale, temperature) * noise


def log_density(
    values: Tensor, location: Tensor, scale: Tensor, temperature: float = 1.0
) -> Tensor:
    """Return [...] the log-density of the K values together; may be above 0."""
    scale = tempered(scale, temperature)
    distance = (values - location) / scale
    return -(0.5 * distance.square() + scale.log() + HALF_LOG_TAU).sum(-1)


def entropy(scale: Tensor, temperature: float = 1.0) -> Tensor:
    """Return [...] the differential entropy in nats; may be below 0."""
    return (tempered(scale, temperature).log() + (0.5 + HALF_LOG_TAU)).sum(-1)


def tempered(scale: Tensor, temperature: float) -> Tensor:
    """Return the deviation at a temperature."""
    return scale if temperature == 1.0 else scale * math.sqrt(temperature)
