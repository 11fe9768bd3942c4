"""Other aims than the mean: the best of k, the worst case, the spread. Pure functions.

Each returns advantages [B] such that the mean of advantage times grad log pi is the gradient of
its aim; `weight` [B] counts as everywhere (0 takes a row out, whatever it holds). Sample versions
that are **biased** say so; all are exact where the weights are the probabilities of all designs,
but for `max_at_k`, which is exact on any sample. Nothing here is differentiated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from designer.credit import kept, mean

HALVINGS = 120  # of the bracket of the KL ball's exponent: beyond double precision


def max_at_k_advantage(values: Tensor, weight: Tensor, k: int) -> Tensor:
    """Return [B] n / C(n, k) times the sum, over subsets of k rows that hold the row, of what
    the row adds to their best.

    PKPO (Walder and Karkhanis 2025, arXiv 2505.15201), with the leave-one-out baseline: a
    subset's best less the best of its other rows. **Unbiased** for the gradient of the expected
    best of k draws, for any n >= k rows; k = 1 is the leave-one-out estimator. With fewer than k
    rows, k is their number. Weights count as 0 or 1.
    """
    counts = weight > 0
    n = counts.sum().to(torch.float64)
    ordered, order = torch.where(counts, values.double(), -torch.inf).sort(stable=True)
    place = torch.arange(len(values), device=values.device) - (~counts).sum()  # from 0
    if k == 1:
        others = kept(values, weight).sum() - kept(values, weight)
        return kept(values - others / (n - 1).clamp_min(1), weight)
    size = torch.minimum(n, torch.as_tensor(float(k), dtype=n.dtype, device=n.device))
    # what the j-th (from 0) weighs against a better row: C(j, k - 2) subsets have it second
    share = n.log() + _log_choose(place.double(), size - 2) - _log_choose(n, size)
    held = place >= size - 2
    second = torch.where(held & (place >= 0), share.exp(), 0.0)
    finite = torch.where(counts[order], ordered, 0.0)  # what is broken stays visible
    below, paid = _before(second), _before(second * finite)
    gained = torch.zeros_like(ordered).scatter(0, order, finite * below - paid)
    return kept(gained.to(values.dtype), weight)


def mean_variance_advantage(values: Tensor, weight: Tensor, risk: float) -> Tensor:
    """Return [B] (R - m) - risk ((R - m)^2 - v) with m the mean and v the variance.

    The gradient of E[R] - risk Var[R] (Tamar, Di Castro and Mannor 2012); **biased** at order
    1 / B by the sample's own m and v. risk = 0 is R - mean R.
    """
    centred = kept(values - mean(values, weight), weight)
    square = centred.square()
    return kept(centred - risk * (square - mean(square, weight)), weight)


def worst_in_ball(values: Tensor, share: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Return the least mean within a KL ball, and the exponent that tilts towards it, both [...].

    min over q with KL(q | p) <= radius of E_q[R] = max over b of -b log E_p[e^{-R / b}] - b radius
    (Hu and Hong 2013): the dual of exponential utility at eta = -1 / b. `values`, `share`
    [..., M]; shares are normalised here, 0 takes an entry out. radius 0 is the mean, a large one
    the minimum. `eta` is at most 0; solved by bisection to the last digits of float64.
    """
    p = share.double() / share.sum(-1, keepdim=True).clamp_min(1e-300)
    x = torch.where(p > 0, values.double(), 0.0)
    x = x - torch.where(p > 0, x, torch.inf).amin(-1, keepdim=True).nan_to_num(0.0, 0.0, 0.0)
    x = torch.where(p > 0, x, 0.0)  # 0 is the least
    low = (values.double() * (p > 0)).where(p > 0, torch.inf).amin(-1)
    if radius == 0.0:
        return low + (p * x).sum(-1), torch.zeros_like(low)
    widest = x.amax(-1)
    span = torch.where(widest > 0, widest, 1.0)  # where all are equal, any exponent does
    bottom, top = (1e-9 / span).log(), (1e9 / span).log()
    for _ in range(HALVINGS):
        middle = (bottom + top) / 2
        beyond = _divergence(x, p, middle.exp()) > radius
        bottom, top = torch.where(beyond, bottom, middle), torch.where(beyond, middle, top)
    exponent = bottom.exp()
    return low + (_tilted(x, p, exponent) * x).sum(-1), -exponent


def annealed(first: float, last: float, steps: int, seen: Tensor) -> Tensor:
    """Return a number that goes straight from `first` to `last` while `seen` goes to `steps`."""
    share = (seen / max(steps, 1)).clamp(0.0, 1.0)
    return first + (last - first) * share


def _divergence(x: Tensor, p: Tensor, exponent: Tensor) -> Tensor:
    """Return KL(q | p) for q tilted by -exponent; rises with the exponent."""
    q = _tilted(x, p, exponent)
    ratio = torch.where(q > 0, q / torch.where(p > 0, p, 1.0), 1.0)
    return (q * ratio.log()).sum(-1)


def _tilted(x: Tensor, p: Tensor, exponent: Tensor) -> Tensor:
    mass = p * (-exponent.unsqueeze(-1) * x).exp()  # the least x is 0: never all zero
    return mass / mass.sum(-1, keepdim=True)


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    safe = torch.maximum(n, k)
    return torch.lgamma(safe + 1) - torch.lgamma(k + 1) - torch.lgamma(safe - k + 1)


def _before(terms: Tensor) -> Tensor:
    """Return the sum of the terms before each entry."""
    return terms.cumsum(0) - terms
