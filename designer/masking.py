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
    safe = torch.where(mask, log_probs, 0.0)
    return -(safe.exp() * safe * mask).sum(-1)


def sample(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Return [...] int64 legal actions, by inversion of the cumulative distribution.

    `uniform` [...] lies in [0, 1). An illegal action has no mass, and only actions with mass are
    taken, so none can be drawn, whatever the rounding.
    """
    return _inverted(log_probs.exp(), uniform)


def draw(
    logits: Tensor, mask: Tensor, uniform: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return legal actions, their log-probabilities and the entropies, each [...].

    The same as `log_probabilities`, `sample`, `chosen` and `entropy` in turn, with the
    exponential taken once. Not to be differentiated: `sample` is where chance comes in.
    """
    scaled = logits if temperature == 1.0 else logits / temperature
    # half the floor: what log_softmax takes off cannot turn it into -inf
    floor = torch.finfo(logits.dtype).min / 2
    log_probs = torch.log_softmax(torch.where(mask, scaled, floor), dim=-1)
    mass = log_probs.exp()
    action = _inverted(mass, uniform)
    # an illegal action's mass is exactly 0 and its logarithm finite: their product is 0, not NaN
    return action, chosen(log_probs, action), -(mass * log_probs).sum(-1)


def _inverted(mass: Tensor, uniform: Tensor) -> Tensor:
    """Return the first action whose cumulative mass exceeds `uniform` times the total.

    The threshold is kept strictly below the total. On the CPU the cumulative sum never falls, so
    that action has mass; a parallel sum may fall by a rounding error, hence the other form.
    """
    cumulative = mass.cumsum(-1)
    border = threshold(cumulative, uniform)
    if mass.device.type == "cpu":
        return torch.searchsorted(cumulative, border, right=True).squeeze(-1)
    return first_beyond(mass, cumulative, border)


def threshold(cumulative: Tensor, uniform: Tensor) -> Tensor:
    """Return [..., 1] `uniform` times the total, strictly below the total."""
    below = 1.0 - 4.0 * torch.finfo(cumulative.dtype).eps
    return (uniform * (cumulative[..., -1] * below)).unsqueeze(-1)


def first_beyond(mass: Tensor, cumulative: Tensor, border: Tensor) -> Tensor:
    """Return the first action with mass beyond the border, or else the first with mass."""
    beyond = (cumulative > border).to(torch.uint8) + 1
    return (beyond * (mass > 0)).argmax(-1)
