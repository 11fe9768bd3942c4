"""Masked categorical distributions: the only place that touches masks.

Three traps are avoided here once and for all. `-inf` logits give NaN gradients even where the
value looks right, so illegal logits become the dtype's finite floor and their terms are zeroed
*before* multiplying. The temperature divides before the floor is set, since the floor divided
by a temperature below one overflows. And an all-False row would silently become uniform over
illegal moves: environments promise that there is none (`testing.check_environment`).
"""

from __future__ import annotations

import torch
from torch import Tensor


def log_probabilities(logits: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
    """Return log-probabilities [..., A]; illegal actions get the dtype's floor, never `-inf`.

    `mask` [..., A] is True where legal. Finite gradients for any finite logits.
    """
    floor = torch.finfo(logits.dtype).min
    scaled = logits if temperature == 1.0 else logits / temperature
    masked = torch.where(mask, scaled, floor)
    return torch.where(mask, torch.log_softmax(masked, dim=-1), floor)


def chosen(log_probs: Tensor, actions: Tensor) -> Tensor:
    """Return [...] the log-probability of each chosen action; `actions` [...] int64."""
    return log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def entropy(log_probs: Tensor, mask: Tensor) -> Tensor:
    """Return [...] the entropy in nats, between 0 and log(number of legal actions)."""
    safe = torch.where(mask, log_probs, torch.zeros((), dtype=log_probs.dtype))
    return -(safe.exp() * safe * mask).sum(-1)


def sample(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Return [...] int64 legal actions, by inversion of the cumulative distribution.

    `uniform` [...] lies in [0, 1). The threshold is kept strictly below the total mass, so the
    first action whose cumulative mass exceeds it has positive mass: an illegal action can never
    be drawn, whatever the rounding.
    """
    cumulative = log_probs.exp().cumsum(-1)
    total = cumulative[..., -1]
    threshold = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return (cumulative <= threshold.unsqueeze(-1)).sum(-1)


def greedy(log_probs: Tensor) -> Tensor:
    """Return [...] int64, the most probable action (the first among ties)."""
    return log_probs.argmax(-1)
