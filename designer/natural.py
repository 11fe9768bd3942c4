"""The natural gradient, and the features that are compatible with a policy.

The score of a row is the gradient of its log-probability by all parameters, [B, P]. A critic
that is linear in the scores changes no policy gradient (Sutton et al. 2000), and its weights,
fitted to the advantages by least squares, are the natural gradient F^-1 grad J (Kakade 2001).
Solved exactly, by the singular values of the scores, in float64; meant for small policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from designer import masking
from designer.errors import InputError
from designer.protocols import Choices, Trajectory
from designer.rollout import evaluate, log_prob_of

LARGEST = 50_000_000  # entries of the scores [B, P] that are held at most


def row_scores(policy: Any, trajectory: Trajectory, parameters: Sequence[Tensor]) -> Tensor:
    """Return [B, P] the gradient of each row's log-probability by the parameters.

    Parameters that do not matter count 0. All rows at once where the policy has an
    `unroll_plainly`; one after the other, much slower, where it has none.
    """
    if hasattr(policy, "unroll_plainly"):
        return _mapped(policy, trajectory, parameters)
    rows = []
    for value in evaluate(policy, trajectory).log_prob.sum(1):
        parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        rows.append(flattened(parts, parameters))
    return torch.stack(rows)


class _Plainly(nn.Module):
    """Stands for a policy where `torch.func` maps over rows."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observations: Tensor) -> Choices:
        choices: Choices = self.policy.unroll_plainly(observations)
        return choices


def _mapped(policy: Any, trajectory: Trajectory, parameters: Sequence[Tensor]) -> Tensor:
    plain = _Plainly(policy)
    known = {id(parameter): name for name, parameter in plain.named_parameters()}
    names = [known[id(parameter)] for parameter in parameters]
    fields = ("observations", "masks", "actions", "active", "values", "valued")
    given = {name: getattr(trajectory, name) for name in fields}
    given = {name: value for name, value in given.items() if value is not None}

    def log_prob(moved: dict[str, Tensor], row: dict[str, Tensor]) -> Tensor:
        one = {name: value.unsqueeze(0) for name, value in row.items()}
        choices = torch.func.functional_call(plain, moved, (one["observations"],))
        log_probs = masking.log_probabilities(choices.logits, one["masks"])
        chosen = masking.chosen(log_probs, one["actions"])
        return log_prob_of(choices, trajectory.replace(**one), chosen).sum()

    moved = {name: p.detach() for name, p in zip(names, parameters, strict=True)}
    parts = torch.func.vmap(torch.func.grad(log_prob), in_dims=(None, 0))(moved, given)
    return torch.cat([parts[name].flatten(1) for name in names], dim=1)


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
    policy: Any,
    trajectory: Trajectory,
    weight: Tensor,
    parameters: Sequence[Tensor],
    damping: float = 0.0,
) -> None:
    """Turn the gradients that lie ready into natural ones, by the scores of B rows.

    Raises InputError where rows times parameters would not fit into memory.
    """
    size = sum(p.numel() for p in parameters)
    if len(weight) * size > LARGEST:
        raise InputError(
            f"learner: the natural gradient would hold {len(weight)} rows of {size:,} parameters, "
            f"at most {LARGEST:,} numbers in all; take a smaller policy (hidden = 16), a smaller "
            "batch, or natural = false"
        )
    scores = row_scores(policy, trajectory, parameters)
    plain = flattened([p.grad for p in parameters], parameters)
    turned = natural(scores, weight, plain, damping)
    for parameter, part in zip(parameters, unflattened(turned, parameters), strict=True):
        parameter.grad = part.contiguous()


def flattened(parts: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """Return one vector [P] of the parts; an absent part counts 0."""
    pairs = zip(parts, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs])


def unflattened(vector: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of a vector [P], shaped like the parameters."""
    parts = torch.split(vector, [p.numel() for p in parameters])
    return [part.reshape(p.shape) for part, p in zip(parts, parameters, strict=True)]
