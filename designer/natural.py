"""The natural gradient, and the features that are compatible with a policy.

The score of a row is the gradient of its log-probability by all parameters, [B, P]. A critic
that is linear in the scores changes no policy gradient (Sutton et al. 2000), and its weights,
fitted to the advantages by least squares, are the natural gradient F^-1 grad J (Kakade 2001).
Solved exactly, by the singular values of the scores, in float64; meant for small policies.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from designer.errors import InputError

LARGEST = 50_000_000  # entries of the scores [B, P] that are held at most


def row_scores(log_prob: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return [B, P] the gradient of each row's log-probability; `log_prob` is [B].

    Parameters that do not matter count 0. The graph is kept.
    """
    rows = []
    for value in log_prob:
        parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        rows.append(together(parts, parameters))
    return torch.stack(rows)


def natural(scores: Tensor, weight: Tensor, gradient: Tensor, damping: float = 0.0) -> Tensor:
    """Return [P] (F + damping)^-1 `gradient`, within the span of the scores.

    F is the weighted mean of score score^T: the Fisher matrix where the weights are the
    probabilities of all rows, else a sample of it, and then the step is **biased** (a ratio of
    two means). A direction that no row speaks of stays 0; so does one below rounding.
    """
    share = weight.double() / weight.double().sum().clamp_min(1e-300)
    _, sizes, directions = torch.linalg.svd(
        scores.double() * share.sqrt().unsqueeze(1), full_matrices=False
    )
    least = sizes.amax() * max(scores.shape) * torch.finfo(torch.float64).eps
    along = directions @ gradient.double()
    spoken = sizes > least
    inverse = torch.where(spoken, 1.0 / torch.where(spoken, sizes.square() + damping, 1.0), 0.0)
    turned: Tensor = directions.T @ (inverse * along)
    return turned.to(gradient.dtype)


def compatible(scores: Tensor, weight: Tensor, advantage: Tensor, damping: float = 0.0) -> Tensor:
    """Return [P] the weights w of the critic w . score that fits the advantages [B] best.

    E[score (score . w)] is the policy gradient itself, however bad the fit; w is the natural
    gradient. Features other than the scores have neither property.
    """
    share = weight.double() / weight.double().sum().clamp_min(1e-300)
    credited = torch.where(weight > 0, advantage.double() * share, 0.0)
    return natural(scores, weight, scores.double().T @ credited, damping)


def turn(
    log_prob: Tensor, weight: Tensor, parameters: Sequence[Tensor], damping: float = 0.0
) -> None:
    """Turn the gradients that lie ready into natural ones; `log_prob` [B] is differentiated.

    Raises InputError where rows times parameters would not fit into memory.
    """
    size = sum(p.numel() for p in parameters)
    if len(weight) * size > LARGEST:
        raise InputError(
            f"learner: the natural gradient would hold {len(weight)} rows of {size:,} parameters, "
            f"at most {LARGEST:,} numbers in all; take a smaller policy (hidden = 16), a smaller "
            "batch, or natural = false"
        )
    scores = row_scores(log_prob, parameters)
    plain = together([p.grad for p in parameters], parameters)
    turned = natural(scores, weight, plain, damping)
    for parameter, part in zip(parameters, apart(turned, parameters), strict=True):
        parameter.grad = part.contiguous()


def together(parts: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """Return one vector [P] of the parts; an absent part counts 0."""
    pairs = zip(parts, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs])


def apart(vector: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of a vector [P], shaped like the parameters."""
    parts = torch.split(vector, [p.numel() for p in parameters])
    return [part.reshape(p.shape) for part, p in zip(parts, parameters, strict=True)]
