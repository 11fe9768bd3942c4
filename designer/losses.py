"""The losses of one optimiser step as the settings ask for them, and the figures beside them."""

from __future__ import annotations

from torch import Tensor

from designer import credit, estimators
from designer.learning import LearnerSettings
from designer.minibatch import Minibatch
from designer.protocols import Trajectory


def policy_loss(
    now: Trajectory, batch: Minibatch, s: LearnerSettings, log_z: Tensor | None
) -> Tensor:
    """Return what the policy goes down, without the entropy bonus."""
    weight = batch.earned.weight
    if s.loss != "policy_gradient":
        return aimed(s.loss, now, batch.earned.score, weight, s, log_z)
    if s.epochs * s.minibatches == 1:
        return estimators.reinforce(now.log_prob, batch.advantage, weight)
    behaviour = batch.trajectory.log_prob
    return estimators.ppo_clip(now.log_prob, behaviour, batch.advantage, weight, s.clip)


def imitation_loss(
    now: Trajectory, score: Tensor, weight: Tensor, s: LearnerSettings, log_z: Tensor | None
) -> Tensor:
    """Return what imitation goes down, without its weight."""
    if s.imitation == "likelihood":
        return estimators.weighted_likelihood(now.log_prob, weight)
    return aimed(s.imitation, now, score, weight, s, log_z)


def aimed(
    loss: str,
    now: Trajectory,
    score: Tensor,
    weight: Tensor,
    s: LearnerSettings,
    log_z: Tensor | None,
) -> Tensor:
    """Return how far the rows' likelihood is from the one that their score [B] aims at."""
    prior = now.prior_log_prob
    prior = None if prior is None else prior.to(now.log_prob.dtype)
    if loss == "trajectory_balance":
        assert log_z is not None
        tilted = prior if s.tilt else None
        return estimators.trajectory_balance(now.log_prob, log_z, score, weight, s.sigma, tilted)
    assert prior is not None
    return estimators.augmented_likelihood(now.log_prob, prior, score, weight, s.sigma)


def figures(
    now: Trajectory, batch: Minibatch, value: Tensor, s: LearnerSettings
) -> dict[str, Tensor]:
    """Return how the policy `now` differs from the one that drew the batch, and how good the
    critic is, `value` [B, T] being what it says now. None of them is differentiated.
    """
    new, old = now.log_prob.detach(), batch.trajectory.log_prob
    weight, counted = batch.earned.weight, (batch.trajectory.active, batch.earned.weight)
    judged = value.detach() if batch.earned.taken is not None else batch.earned.value
    target = batch.target.expand_as(value)
    out = {
        "entropy": credit.mean(now.entropy.detach(), weight.unsqueeze(1) * counted[0]),
        "approx_kl": estimators.approx_kl(new, old, *counted),
        "clip_fraction": estimators.clip_fraction(new, old, *counted, s.clip),
        "explained_variance": estimators.explained_variance(judged, target, *counted),
    }
    if batch.trajectory.prior_log_prob is not None:
        out["kl_prior"] = estimators.kl_k1(new, batch.trajectory.prior_log_prob, weight)
    return out
