"""Uniform numbers as a pure function of seed, time and place (a counter-based generator).

The mixing is that of SplitMix64 (Steele, Lea and Flood 2014), in int64 arithmetic that wraps, so
CPU and GPU give the same numbers to the last bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def seeds(
    batch_size: int, device: torch.device, generator: torch.Generator | None, fixed: int | None
) -> Tensor:
    """Return [B, 1] int64 seeds: all the fixed one, or drawn from the generator."""
    if fixed is not None:
        return torch.full((batch_size, 1), fixed, dtype=torch.int64, device=device)
    where = generator.device if generator is not None else device
    drawn = torch.randint(0, 2**31, (batch_size, 1), generator=generator, device=where)
    return drawn.to(device)


def uniform(seed: Tensor, time: Tensor, places: int) -> Tensor:
    """Return [B, places] float64 in [0, 1) for seeds [B, 1] at times [B]."""
    place = torch.arange(places, device=seed.device)
    x = _mixed(seed + _GOLDEN)
    x = _mixed(x + time.unsqueeze(1) * _GOLDEN)
    x = _mixed(x + (place + 1) * _GOLDEN)
    return _shifted(x, 11).to(torch.float64) * 2.0**-53


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Return the logical shift right (int64's own carries the sign along)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
