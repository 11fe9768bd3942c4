"""The policy-gradient family, each member one pure function: losses to be minimised.

Every loss checks its ranks, computes, weights by row, and reduces once: **the sum over a row's
steps, the weighted mean over rows**. Rows of weight 0 leave numerator and denominator together;
a batch without any weight gives 0 with a zero gradient. Shapes: `log_prob`, `entropy`, `value`
[B, T], all 0 where a row is inactive (as `Trajectory` promises), `weight` [B], `advantage` [B, T]
or [B, 1] (one number for all steps of the row). What is differentiated is said in each docstring;
what is not is detached here. A member that is biased says so.
"""

from __future__ import annotations

import torch
from torch import Tensor

from designer.credit import kept, mean

LOG_RATIO_LIMIT = 20.0  # e^20 still is a number whose square float32 can hold; e^90 is not


def reinforce(log_prob: Tensor, advantage: Tensor, weight: Tensor) -> Tensor:
    """Return -mean over rows of sum over steps of A log pi; differentiates `log_prob`.

    Williams 1992. Unbiased where `advantage` is the reward (to go) less a baseline that does
    not depend on the row's own actions from that step on.
    """
    _check_steps(log_prob, advantage, weight)
    return -mean((log_prob * _credited(advantage, weight)).sum(1), weight)


def ppo_clip(
    log_prob: Tensor, behaviour: Tensor, advantage: Tensor, weight: Tensor, clip: float = 0.2
) -> Tensor:
    """Return the clipped surrogate -mean min(r A, clip(r) A); differentiates `log_prob`.

    Schulman et al. 2017, equation 7, with r = pi / behaviour a step. At r = 1 its gradient is
    that of `reinforce`; **biased** once the policy has moved. The log-ratio is held within 20,
    or one row would give a finite loss and a NaN gradient. `advantage` must be 0 where inactive.
    """
    _check_steps(log_prob, advantage, weight)
    ratio = log_ratio(log_prob, behaviour).exp()
    credited = _credited(advantage, weight)
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    terms = torch.minimum(ratio * credited, clipped * credited)
    return -mean(terms.sum(1), weight)


def value_loss(value: Tensor, target: Tensor, active: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of (V - G)^2 over active steps; differentiates `value`. [B, T] each."""
    counted = weight.unsqueeze(1) * active
    return mean((value - kept(target.detach(), counted)).square(), counted)


def entropy_bonus(entropy: Tensor, weight: Tensor, decay: float = 1.0) -> Tensor:
    """Return the mean over rows of sum over steps of decay^t H_t, to be maximised.

    decay < 1 is the hierarchical entropy of Landajuela et al. 2021: early choices count more.
    Differentiates the entropy at the states visited, not which states are visited, so it is
    **biased** as a gradient of the entropy of the whole design (see `kl_penalty` for that one).
    """
    steps = torch.arange(entropy.shape[1], device=entropy.device, dtype=entropy.dtype)
    return mean((entropy * decay**steps).sum(1), weight)


def kl_k1(log_prob: Tensor, prior_log_prob: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over rows of log pi - log prior: unbiased for KL(pi | prior), may be < 0.

    A figure, not a loss: the mean of its gradient is 0. `kl_penalty` is the loss.
    """
    return mean((log_prob - prior_log_prob).sum(1), weight)


def kl_k3(log_prob: Tensor, prior_log_prob: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over rows of sum of e^d - 1 - d, d = log prior - log pi; never below 0.

    Schulman's k3 (2020), the sum of the steps' divergences. As a value it is unbiased where the
    prior allows nothing that the policy excludes; as a loss its mean gradient is that of
    KL(prior | pi) a step, **not** of KL(pi | prior): use `kl_penalty`.
    """
    difference = -log_ratio(log_prob, prior_log_prob)
    return mean((torch.expm1(difference) - difference).sum(1), weight)


def kl_penalty(behaviour: Tensor, prior_log_prob: Tensor) -> Tensor:
    """Return [B, T] log pi - log prior, what to take off the step rewards; not differentiated.

    With rewards R - beta * this, the policy gradient is exactly that of E[R] - beta KL(pi | prior)
    (the gradient through the penalty itself has mean 0). With the log-probability of a uniform
    prior it is entropy regularisation of the whole design, unbiased.
    """
    return (behaviour - prior_log_prob).detach()


def augmented_likelihood(
    log_prob: Tensor, prior_log_prob: Tensor, score: Tensor, weight: Tensor, sigma: float
) -> Tensor:
    """Return mean over rows of (log prior + sigma score - log pi)^2; differentiates `log_prob`.

    REINVENT (Olivecrona et al. 2017), `score` [B]. On rows drawn from pi its mean gradient is
    exactly 2 grad KL(pi | prior e^{sigma score} / Z); on other rows the fixed point is the same.
    """
    aim = prior_log_prob.sum(1) + sigma * kept(score, weight)
    return mean((aim.detach() - log_prob.sum(1)).square(), weight)


def trajectory_balance(
    log_prob: Tensor,
    log_z: Tensor,
    score: Tensor,
    weight: Tensor,
    sigma: float,
    prior_log_prob: Tensor | None = None,
) -> Tensor:
    """Return mean over rows of (log Z + log pi - log prior - sigma score)^2.

    Trajectory balance (Malkin et al. 2022) where every design has one path, the prior being
    absent (log prior = 0) or the one to tilt; differentiates `log_prob` and `log_z`, a number.
    On rows drawn from pi its mean gradient by the policy is exactly
    2 grad KL(pi | prior e^{sigma score} / Z) for any log Z, which acts as a baseline; it is 0
    where pi is that distribution and log Z its normaliser, on rows drawn from anywhere.
    """
    aim = sigma * kept(score, weight)
    if prior_log_prob is not None:
        aim = aim + prior_log_prob.sum(1)
    return mean((log_z + log_prob.sum(1) - aim.detach()).square(), weight)


def bandit_gradient(preferences: Tensor, arm: Tensor, payoff: Tensor, baseline: float) -> Tensor:
    """Return [A] the mean over draws of (r - baseline) (1[a] - pi), pi = softmax(preferences).

    Sutton and Barto 2018, section 2.8; `arm` and `payoff` are [N]. For draws from pi its mean is
    the gradient of the expected payoff, pi_a (r_a - J), whatever the constant baseline.
    """
    pi = torch.softmax(preferences.detach(), dim=0)
    taken = torch.nn.functional.one_hot(arm, len(pi)).to(pi.dtype)
    return ((payoff - baseline).unsqueeze(1) * (taken - pi)).mean(0)


def weighted_likelihood(log_prob: Tensor, weight: Tensor) -> Tensor:
    """Return -mean over rows of log pi(row): imitation of given designs; differentiates it.

    The cross-entropy method's and rank-weighted replay's loss: the ranks are in `weight`.
    """
    return -mean(log_prob.sum(1), weight)


def log_ratio(log_prob: Tensor, behaviour: Tensor) -> Tensor:
    """Return [B, T] log pi - log behaviour, held within 20; zero gradient beyond."""
    return (log_prob - behaviour.detach()).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def approx_kl(log_prob: Tensor, behaviour: Tensor, active: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over active steps of r - 1 - log r, an estimate of KL(behaviour | pi)."""
    difference = log_ratio(log_prob, behaviour)
    return mean(torch.expm1(difference) - difference, weight.unsqueeze(1) * active)


def clip_fraction(
    log_prob: Tensor, behaviour: Tensor, active: Tensor, weight: Tensor, clip: float = 0.2
) -> Tensor:
    """Return the share of active steps whose ratio left [1 - clip, 1 + clip], in [0, 1]."""
    outside = torch.expm1(log_ratio(log_prob, behaviour)).abs() > clip
    return mean(outside.to(log_prob.dtype), weight.unsqueeze(1) * active)


def explained_variance(value: Tensor, target: Tensor, active: Tensor, weight: Tensor) -> Tensor:
    """Return 1 - Var(G - V) / Var(G) over active steps, at most 1; 0 where G does not vary."""
    counted = weight.unsqueeze(1) * active
    target = target.expand_as(value)
    spread = _variance(target, counted)
    real = spread > torch.finfo(value.dtype).eps * mean(target.square(), counted)
    left = _variance(target - value, counted)
    return torch.where(real, 1.0 - left / torch.where(real, spread, 1.0), 0.0)


def _variance(values: Tensor, weight: Tensor) -> Tensor:
    return mean((values - mean(values, weight)).square(), weight)


def _credited(advantage: Tensor, weight: Tensor) -> Tensor:
    return kept(advantage.detach(), weight.unsqueeze(1))


def _check_steps(log_prob: Tensor, advantage: Tensor, weight: Tensor) -> None:
    if log_prob.dim() != 2 or advantage.dim() != 2 or weight.dim() != 1:
        shapes = [tuple(x.shape) for x in (log_prob, advantage, weight)]
        raise ValueError(f"log_prob, advantage, weight are {shapes}; expected [B, T] twice and [B]")
