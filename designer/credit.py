"""From rewards to advantages: who earned what. Pure functions, nothing here is differentiated.

`reward` is [B] (one number a finished design) or [B, T] (where steps pay). `weight` counts: 0
takes an entry out of sums, means, baselines and normalisers alike, whatever it holds (NaN
included), so a batch with unmeasured rows gives exactly what its measured rows give alone.
Functions that compare rows work on `values` and `weight` of the same shape [B, K]; a column is
compared with itself only. Expectations in the docstrings are over rows drawn from the policy.
"""

from __future__ import annotations

import torch
from torch import Tensor


def kept(values: Tensor, weight: Tensor) -> Tensor:
    """Return `values` with 0 wherever the weight is 0, NaN and infinities included."""
    return torch.where(weight > 0, values, 0.0)


def mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over all entries, a number; 0 where all weights are 0."""
    return _ratio((kept(values, weight) * weight).sum(), weight.sum())


def step_rewards(reward: Tensor, active: Tensor) -> Tensor:
    """Return rewards [B, T]: a reward [B] is paid at the row's last active step.

    Raises ValueError where `reward` is neither [B] nor [B, T].
    """
    if reward.shape == active.shape:
        return reward * active
    if reward.shape != active.shape[:1]:
        raise ValueError(
            f"reward is {tuple(reward.shape)}, expected [B] or [B, T] = {active.shape}"
        )
    going_on = torch.cat([active[:, 1:], torch.zeros_like(active[:, :1])], dim=1)
    return torch.where(active & ~going_on, reward.unsqueeze(1), 0.0)


def discounted_returns(rewards: Tensor, gamma: float = 1.0) -> Tensor:
    """Return [B, T] what is still to be earned, G_t = sum over k >= t of gamma^(k - t) r_k.

    With gamma = 1 this is the reward to go, unbiased (Sutton et al. 2000). With gamma < 1 the
    policy gradient made from it lacks the factor gamma^t and is biased, as everywhere in practice
    (Thomas 2014).
    """
    return _backwards(rewards, gamma)


def td_error(rewards: Tensor, value: Tensor, gamma: float = 1.0) -> Tensor:
    """Return [B, T] delta_t = r_t + gamma V_{t+1} - V_t, with V = 0 after the end.

    `value` is 0 where inactive. With the exact V, E[delta grad log pi] is the policy gradient
    (Sutton et al. 2000); with any other, it is biased by what V is wrong.
    """
    after = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=1)
    return rewards + gamma * after - value


def gae(rewards: Tensor, value: Tensor, gamma: float = 1.0, lam: float = 1.0) -> Tensor:
    """Return [B, T] generalised advantages, sum of (gamma lam)^k delta_{t+k}.

    Schulman et al. 2016, equation 16. lam = 1 is G_t - V_t, unbiased for any V; lam = 0 is the
    TD error; in between biased as far as V is wrong.
    """
    return _backwards(td_error(rewards, value, gamma), gamma * lam)


def shaping_rewards(potential: Tensor, active: Tensor, gamma: float = 1.0) -> Tensor:
    """Return rewards [B, T] gamma Phi(s_{t+1}) - Phi(s_t), with Phi = 0 once a row is finished.

    `potential` is [B, T + 1] and 0 at the start, so (at gamma = 1) a row's shaping sums to
    exactly 0: credit moves between steps, the optimum does not (Ng, Harada and Russell 1999).
    """
    going_on = torch.cat([active, torch.zeros_like(active[:, :1])], dim=1)
    phi = potential * going_on
    return (gamma * phi[:, 1:] - phi[:, :-1]) * active


def batch_mean(values: Tensor, weight: Tensor, group: Tensor | None = None) -> Tensor:
    """Return [B, K] the weighted mean of each row's group (all rows without `group` [B]).

    As a baseline it is **biased**: it holds the row's own value, so K equal rows give
    (K - 1) / K of the gradient (GRPO's mean; Kool et al. 2019 for the cure).
    """
    total, count = _sums(kept(values, weight) * weight, weight, group)
    return _ratio(total, count)


def leave_one_out(values: Tensor, weight: Tensor, group: Tensor | None = None) -> Tensor:
    """Return [B, K] the weighted mean of the *other* rows of each row's group; unbiased.

    Kool, van Hoof and Welling 2019. A row without others gets 0.
    """
    own = kept(values, weight) * weight
    total, count = _sums(own, weight, group)
    others = count - weight
    enough = others > 1e-9 * count  # not merely what rounding left of the own weight
    return torch.where(enough, _ratio(total - own, torch.where(enough, others, 0.0)), 0.0)


def upper_quantile(values: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return the (1 - epsilon) quantile, a number: the least value that at least 1 - epsilon of
    the weight does not exceed. `values`, `weight` [B]; 0 < epsilon <= 1; 0 without any weight.
    """
    order = torch.where(weight > 0, values, torch.inf).argsort(stable=True)
    below = weight[order].double().cumsum(0)
    # rounding must not push the border past the row that meets it exactly
    enough = below >= (1.0 - epsilon) * below[-1:] * (1.0 - 1e-12)
    first = (enough & (weight[order] > 0)).to(torch.uint8).argmax(0, keepdim=True)
    return kept(values, weight)[order][first].squeeze(0)


def quantile_advantage(values: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return [B] (R - q)+ / epsilon with q the (1 - epsilon) quantile: learn from the best only.

    Risk-seeking policy gradient, Petersen et al. 2021, equation 2. With the exact q its mean is
    the gradient of the expected reward of the best share epsilon (upper CVaR); with the sample's
    own q it is **biased**, less so the larger the batch. epsilon = 1 is R - min R.
    """
    quantile = upper_quantile(values, weight, epsilon)
    return kept((values - quantile).clamp_min(0.0) / epsilon, weight)


def entropic_advantage(values: Tensor, weight: Tensor, eta: float | Tensor) -> Tensor:
    """Return [B] (e^{eta R} / mean e^{eta R} - 1) / eta: exponential utility, eta of either sign.

    With exact means its expectation is the gradient of log E[e^{eta R}] / eta (Howard and
    Matheson 1972; Noorani, Mavridis and Baras 2022); with the sample's mean it is **biased** at
    order 1 / B. eta > 0 seeks risk, eta < 0 avoids it, eta = 0 is R - mean R. Safe for any eta R.
    """
    eta = torch.as_tensor(eta, dtype=values.dtype, device=values.device)
    plain = kept(values - mean(values, weight), weight)
    some = torch.where(eta == 0, 1.0, eta)
    exponent = torch.where(weight > 0, some * values, -torch.inf)
    top = torch.where(weight.sum() > 0, exponent.max(), 0.0)
    # expm1 keeps the digits of a small eta, the plain form those of a rare best design
    near = mean(torch.expm1(exponent - top), weight)
    far = mean((exponent - top).exp(), weight).clamp_min(torch.finfo(values.dtype).tiny)
    log_mean = top + torch.where(near > -0.5, torch.log1p(near), far.log())
    tilted = kept(torch.expm1(some * values - log_mean) / some, weight)
    # a reward that is not finite must stay visible, also where its exponential is 0
    return torch.where((eta == 0) | ~torch.isfinite(plain), plain, tilted)


def normalise(advantage: Tensor, weight: Tensor) -> Tensor:
    """Return the advantages with weighted mean 0 and standard deviation 1, in their own shape.

    **Biased**: the scale depends on the sample. Equal advantages become 0, not NaN.
    """
    centred = kept(advantage - mean(advantage, weight), weight)
    deviation = mean(centred.square(), weight).sqrt()
    size = kept(advantage, weight).abs().max()
    # below this it is rounding, not spread; NaN is not below, so a broken reward stays visible
    equal = deviation <= 8 * torch.finfo(advantage.dtype).eps * size
    return torch.where(equal, 0.0, centred / torch.where(equal, 1.0, deviation))


def group_scaled(values: Tensor, weight: Tensor, group: Tensor | None = None) -> Tensor:
    """Return [B, K] (R - mean) / deviation, both of the row's group (GRPO, Shao et al. 2024).

    **Biased** by (K - 1) / K and by the deviation, which depends on the sample. A group of equal
    rewards gives 0, not NaN.
    """
    centred = kept(values - batch_mean(values, weight, group), weight)
    deviation = batch_mean(centred.square(), weight, group).sqrt()
    size = batch_mean(kept(values, weight).abs(), weight, group)
    equal = deviation <= 8 * torch.finfo(values.dtype).eps * size
    return torch.where(equal, 0.0, centred / torch.where(equal, 1.0, deviation))


def _backwards(terms: Tensor, decay: float) -> Tensor:
    """Return [B, T] x_t = terms_t + decay x_{t+1}."""
    if decay == 1.0:
        return terms.flip(1).cumsum(1).flip(1)
    running, out = torch.zeros_like(terms[:, 0]), []
    for column in reversed(terms.unbind(1)):
        running = column + decay * running
        out.append(running)
    return torch.stack(out[::-1], dim=1)


def _sums(values: Tensor, weight: Tensor, group: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the sums of values and of weights over each row's group, both [B, K]."""
    if group is None:
        return values.sum(0, keepdim=True).expand_as(values), weight.sum(0, keepdim=True)
    label = _dense(group)
    total = torch.zeros_like(values).index_add(0, label, values)
    count = torch.zeros_like(weight).index_add(0, label, weight)
    return total[label], count[label]


def _dense(group: Tensor) -> Tensor:
    """Return labels below B for any integer labels [B], without reading them on the host."""
    ordered, order = group.sort(stable=True)
    steps = (ordered[1:] != ordered[:-1]).cumsum(0)
    return torch.zeros_like(order).scatter(0, order[1:], steps) if len(group) > 1 else order


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return the quotient, and 0 where the denominator is 0."""
    return torch.where(
        denominator > 0, numerator / torch.where(denominator > 0, denominator, 1.0), 0.0
    )
