"""Several opinions of one design become one number, with the gap between them held against it.

An ensemble is several models of one property, two force fields, copies of the data with noise:
whatever may be wrong in its own way. `values` [B, M], `shares` [M] (how much each is believed).
An ensemble of one is that one, whatever is asked for.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from designer.errors import InputError, nearest
from designer.protocols import Floats
from designer.risk import worst_in_ball

Robust = Literal["mean", "worst", "kl", "variance"]
ROBUST: tuple[Robust, ...] = ("mean", "worst", "kl", "variance")


def combined(
    values: Floats, shares: Floats, how: Robust, radius: float = 0.1, risk: float = 1.0
) -> Floats:
    """Return [B].

    `mean`: the weighted mean. `worst`: the least of those with a share. `kl`: the least weighted
    mean for any shares within `radius` nats (0 = mean; a large one = worst). `variance`: the mean
    less `risk` times the variance. A row with NaN or an infinity is NaN.
    """
    if not shares.sum() > 0:
        raise InputError("the weights of an ensemble must add up to more than 0")
    p = shares / shares.sum()
    sound = np.asarray(np.isfinite(values).all(axis=1))
    x = np.where(sound[:, None], values, 0.0)
    if how == "worst":
        believed = np.broadcast_to(p > 0, x.shape)
        out = np.where(believed, x, np.inf).min(axis=1)
    elif how == "kl":
        rows = torch.from_numpy(np.ascontiguousarray(x))
        out = worst_in_ball(rows, torch.from_numpy(p).expand_as(rows), radius)[0].numpy()
    else:
        mean = x @ p
        spread = np.square(x - mean[:, None]) @ p
        out = mean - risk * spread if how == "variance" else mean
    return np.where(sound, out, np.nan)


def check_robust(how: str, radius: float, risk: float) -> None:
    """Raise InputError for settings that cannot be used."""
    if how not in ROBUST:
        raise InputError(f"robust {how!r}: {nearest(how, ROBUST)}")
    for name, value in (("radius", radius), ("risk", risk)):
        if not 0 <= value < float("inf"):
            raise InputError(f"{name} is {value}, expected 0 or more")
