"""Credit and losses one by one, against plain loops and against known answers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from designer import credit, estimators

B, T = 6, 5


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities [B, T] with gradients, active [B, T] and advantages [B, T]."""
    generator = torch.Generator().manual_seed(seed)
    length = torch.randint(1, T + 1, (B, 1), generator=generator)
    active = torch.arange(T) < length
    log_prob = -torch.rand(B, T, generator=generator, dtype=torch.float64) * 2 * active
    advantage = torch.randn(B, T, generator=generator, dtype=torch.float64) * active
    return log_prob.requires_grad_(), active, advantage


# --- credit ---------------------------------------------------------------------------------------


def test_a_reward_is_paid_at_the_last_active_step() -> None:
    active = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])
    paid = credit.step_rewards(tensor(5, 6, 7), active)
    assert paid.tolist() == [[0, 5, 0], [0, 0, 6], [7, 0, 0]]
    by_step = torch.ones(3, 3, dtype=torch.float64)
    assert torch.equal(credit.step_rewards(by_step, active), active.double())
    with pytest.raises(ValueError, match=r"expected \[B\] or \[B, T\]"):
        credit.step_rewards(torch.ones(2), active)


@pytest.mark.parametrize("gamma", [1.0, 0.9, 0.0])
def test_returns_are_discounted_sums_of_what_follows(gamma: float) -> None:
    _, _, rewards = batch()
    expected = [
        [sum(gamma ** (k - t) * float(rewards[b, k]) for k in range(t, T)) for t in range(T)]
        for b in range(B)
    ]
    assert np.allclose(credit.discounted_returns(rewards, gamma).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_generalised_advantages_are_their_defining_sum(gamma: float, lam: float) -> None:
    _, active, rewards = batch(1)
    value = batch(2)[2] * active
    delta = np.zeros((B, T))
    for b in range(B):
        for t in range(T):
            after = float(value[b, t + 1]) if t + 1 < T else 0.0
            delta[b, t] = float(rewards[b, t]) + gamma * after - float(value[b, t])
    assert np.allclose(credit.td_error(rewards, value, gamma).numpy(), delta, atol=1e-12)
    expected = [
        [sum((gamma * lam) ** (k - t) * delta[b, k] for k in range(t, T)) for t in range(T)]
        for b in range(B)
    ]
    assert np.allclose(credit.gae(rewards, value, gamma, lam).numpy(), expected, atol=1e-12)


def test_lambda_one_is_monte_carlo_and_lambda_zero_the_td_error() -> None:
    _, active, rewards = batch(1)
    value = batch(2)[2] * active
    monte_carlo = credit.discounted_returns(rewards, 0.9) - value
    assert torch.allclose(credit.gae(rewards, value, 0.9, 1.0), monte_carlo, atol=1e-12)
    assert torch.equal(credit.gae(rewards, value, 0.9, 0.0), credit.td_error(rewards, value, 0.9))


def test_shaping_sums_to_nothing_and_counts_no_finished_state() -> None:
    potential = tensor(0, 1, 3, 4, 4).unsqueeze(0)
    active = torch.tensor([[True, True, True, False]])
    shaping = credit.shaping_rewards(potential, active)
    assert shaping.tolist() == [[1, 2, -3, 0]]
    discounted = credit.shaping_rewards(potential, active, 0.5)
    total = (discounted * torch.tensor([1.0, 0.5, 0.25, 0.125])).sum()
    assert float(total) == 0.0, "at any discount the discounted sum is that of the start: 0"


def test_leave_one_out_is_the_scaled_distance_from_the_mean() -> None:
    values = torch.randn(B, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ones = torch.ones_like(values)
    left = values - credit.leave_one_out(values, ones)
    assert torch.allclose(left, B / (B - 1) * (values - values.mean()), atol=1e-12)
    assert torch.allclose(credit.batch_mean(values, ones), values.mean().expand(B, 1), atol=1e-12)


def plain_others(values: Tensor, weight: Tensor, group: list[int], own: bool) -> list[list[float]]:
    rows, columns = values.shape
    out = [[0.0] * columns for _ in range(rows)]
    for i in range(rows):
        for k in range(columns):
            js = [j for j in range(rows) if group[j] == group[i] and (own or j != i)]
            mass = sum(float(weight[j, k]) for j in js)
            if mass > 0:
                terms = [float(weight[j, k] * values[j, k]) for j in js if weight[j, k] > 0]
                out[i][k] = sum(terms) / mass
    return out


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-2, 3), st.booleans()), min_size=1, max_size=9), st.data())
def test_means_by_group_agree_with_loops(rows: list[tuple[int, bool]], data: st.DataObject) -> None:
    group = [label * 10**9 for label, _ in rows]
    number = st.floats(-1e3, 1e3)
    cells = data.draw(st.lists(number, min_size=2 * len(rows), max_size=2 * len(rows)))
    values = torch.tensor(cells, dtype=torch.float64).reshape(-1, 2)
    weight = torch.tensor([[1.0 if used else 0.0] for _, used in rows]).double().expand(-1, 2)
    values = torch.where(weight > 0, values, torch.nan)
    labels = torch.tensor(group)
    for own, function in ((False, credit.leave_one_out), (True, credit.batch_mean)):
        found = function(values, weight, labels)
        assert np.allclose(found.numpy(), plain_others(values, weight, group, own), atol=1e-9)


def test_one_group_is_the_same_as_no_group() -> None:
    values = torch.randn(B, T, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = (values > -1).double()
    same = torch.full((B,), 7)
    for function in (credit.leave_one_out, credit.batch_mean):
        assert torch.allclose(function(values, weight, same), function(values, weight), atol=1e-12)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=40),
    st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0]),
)
def test_the_quantile_is_the_inverse_of_the_distribution(values: list[float], eps: float) -> None:
    rows = tensor(*values)
    found = float(credit.upper_quantile(rows, torch.ones_like(rows), eps))
    rank = max(math.ceil((1 - eps) * len(values) - 1e-9), 1)
    assert found == sorted(values)[rank - 1]
    above = sum(value > found for value in values)
    assert above <= eps * len(values) + 1e-9
    padded = torch.cat([rows, tensor(math.nan, math.inf, -math.inf)])
    weight = torch.cat([torch.ones_like(rows), torch.zeros(3, dtype=torch.float64)])
    assert float(credit.upper_quantile(padded, weight, eps)) == found


def test_only_the_best_share_teaches() -> None:
    values = torch.arange(100, dtype=torch.float64)
    advantage = credit.quantile_advantage(values, torch.ones_like(values), 0.05)
    assert advantage.nonzero().squeeze(1).tolist() == [95, 96, 97, 98, 99]
    assert advantage[95:].tolist() == pytest.approx([20, 40, 60, 80, 100])


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e4])
@pytest.mark.parametrize("sign", [1, -1])
def test_exponential_utility_survives_any_reward(size: float, sign: int) -> None:
    values = tensor(-1, 0, 0.5, 1, math.nan)
    weight = tensor(1, 1, 1, 1, 0)
    eta = sign * size
    advantage = credit.entropic_advantage(values, weight, eta)
    assert bool(torch.isfinite(advantage).all()) and float(advantage[4]) == 0
    assert float(advantage.sum()) == pytest.approx(0.0, abs=1e-9)
    rising = bool((advantage[:4].diff() >= 0).all()) and bool(advantage[3] > advantage[0])
    assert rising, "whatever the sign of eta, the better design has the larger advantage"
    if size == 1e4:  # all that counts is the best (eta > 0) or the worst (eta < 0)
        shares = (advantage[:4] * eta + 1) / 4
        assert float(shares[3 if sign > 0 else 0]) == pytest.approx(1.0)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.1, 1e6), st.floats(-1e3, 1e3), st.integers(0, 1000))
def test_normalised_advantages_have_mean_0_and_deviation_1(
    scale: float, shift: float, seed: int
) -> None:
    _, active, advantage = batch(seed)
    weight = active.double() * tensor(1, 1, 0, 1, 1, 1).unsqueeze(1)
    advantage = torch.where(weight > 0, advantage, torch.nan)
    done = credit.normalise(advantage, weight)
    kept = done[weight > 0]
    assert float(kept.mean()) == pytest.approx(0.0, abs=1e-9)
    assert float(kept.std(correction=0)) == pytest.approx(1.0, abs=1e-9)
    assert bool((done[weight == 0] == 0).all())
    moved = credit.normalise(scale * advantage + shift, weight)
    assert torch.allclose(done, moved, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-300])
def test_equal_advantages_become_0_and_not_nan(value: float) -> None:
    for dtype in (torch.float32, torch.float64):
        same = torch.full((7, 1), value, dtype=dtype)
        assert bool((credit.normalise(same, torch.ones_like(same)) == 0).all())


def test_a_batch_without_weight_gives_zeros() -> None:
    nothing, zero = tensor(math.nan, math.inf), tensor(0, 0)
    for advantage in (
        credit.quantile_advantage(nothing, zero, 0.1),
        credit.entropic_advantage(nothing, zero, 2.0),
        credit.leave_one_out(nothing.unsqueeze(1), zero.unsqueeze(1)).squeeze(1),
        credit.batch_mean(nothing.unsqueeze(1), zero.unsqueeze(1)).expand(2, 1).squeeze(1),
        credit.normalise(nothing, zero),
    ):
        assert advantage.tolist() == [0, 0]


# --- losses ---------------------------------------------------------------------------------------


def test_reinforce_is_the_sum_over_steps_and_the_mean_over_rows() -> None:
    log_prob, _, advantage = batch()
    weight = tensor(1, 0, 2, 1, 0.5, 1)
    loss = estimators.reinforce(log_prob, advantage, weight)
    expected = -((log_prob * advantage).sum(1) * weight).sum() / weight.sum()
    assert float((loss - expected).detach()) == pytest.approx(0.0, abs=1e-14)


Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "reinforce": lambda lp, a, g, w: estimators.reinforce(lp, g, w),
    "ppo": lambda lp, a, g, w: estimators.ppo_clip(lp, lp.detach() - 0.1 * a, g, w),
    "augmented": lambda lp, a, g, w: estimators.augmented_likelihood(
        lp, lp.detach() - 0.3 * a, g[:, 0], w, 5.0
    ),
    "likelihood": lambda lp, a, g, w: estimators.weighted_likelihood(lp, w),
    "entropy": lambda lp, a, g, w: estimators.entropy_bonus(-lp, w, 0.7),
    "value": lambda lp, a, g, w: estimators.value_loss(lp, g, a, w),
    "k1": lambda lp, a, g, w: estimators.kl_k1(lp, lp.detach() - 0.1 * a, w),
    "k3": lambda lp, a, g, w: estimators.kl_k3(lp, lp.detach() - 0.1 * a, w),
}


@pytest.mark.parametrize("name", LOSSES)
def test_rows_of_weight_0_leave_no_trace(name: str) -> None:
    loss = LOSSES[name]
    log_prob, active, advantage = batch(3)
    used = torch.tensor([True, False, True, True, False, True])
    spoiled = torch.where(used.unsqueeze(1), advantage, torch.nan)
    whole = loss(log_prob, active, spoiled, used.double())
    part = loss(log_prob[used], active[used], advantage[used], torch.ones(4).double())
    assert float((whole - part).detach()) == pytest.approx(0.0, abs=1e-14)
    (a,) = torch.autograd.grad(whole, log_prob)
    (b,) = torch.autograd.grad(part, log_prob)
    assert torch.allclose(a, b, atol=1e-15) and bool((a[~used] == 0).all())


@pytest.mark.parametrize("name", LOSSES)
def test_losses_divide_by_the_weight_and_not_by_the_count(name: str) -> None:
    loss = LOSSES[name]
    log_prob, active, advantage = batch(4)
    weight = tensor(1, 2, 0.5, 3, 1, 1)
    once = loss(log_prob, active, advantage, weight)
    assert float((once - loss(log_prob, active, advantage, 10 * weight)).detach()) < 1e-12
    repeated = torch.tensor([0, 1, 1, 3, 3, 3, 4, 5])  # a weight of two is the row twice
    whole = tensor(1, 2, 0, 3, 1, 1)
    twice = loss(log_prob[repeated], active[repeated], advantage[repeated], torch.ones(8).double())
    assert float((loss(log_prob, active, advantage, whole) - twice).abs().detach()) < 1e-12


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_weight_has_loss_0_and_gradient_0(name: str) -> None:
    log_prob, active, advantage = batch(5)
    loss = LOSSES[name](log_prob, active, advantage * torch.nan, torch.zeros(B).double())
    (gradient,) = torch.autograd.grad(loss, log_prob)
    assert float(loss.detach()) == 0 and bool((gradient == 0).all())


def test_the_clipped_side_has_exactly_no_gradient() -> None:
    old = torch.full((4, 1), -2.0, dtype=torch.float64)
    log_ratio = tensor(0.5, -0.5, 0.5, -0.5).unsqueeze(1)
    now = (old + log_ratio).requires_grad_()
    advantage = tensor(1, -1, -1, 1).unsqueeze(1)
    loss = estimators.ppo_clip(now, old, advantage, torch.ones(4).double(), clip=0.2)
    (gradient,) = torch.autograd.grad(loss, now)
    # already moved far in the wanted direction: no more; in the unwanted one: pulled back
    assert gradient[:2].tolist() == [[0], [0]]
    expected = -advantage[2:] * log_ratio[2:].exp() / 4
    assert torch.allclose(gradient[2:], expected, atol=1e-15)
    value = -(1.2 - 0.8 - math.exp(0.5) + math.exp(-0.5)) / 4
    assert float(loss.detach()) == pytest.approx(value)


def test_a_log_ratio_of_hundreds_is_the_trap_that_the_limit_avoids() -> None:
    old = torch.tensor([[-300.0], [-1.0]])
    now = torch.tensor([[-0.1], [-1.0]], requires_grad=True)
    advantage = torch.tensor([[1.0], [1.0]])
    naive = (now - old).exp()
    surrogate = -torch.minimum(naive * advantage, naive.clamp(0.8, 1.2) * advantage).mean()
    (broken,) = torch.autograd.grad(surrogate, now)
    assert math.isfinite(float(surrogate.detach())) and bool(torch.isnan(broken).any())
    loss = estimators.ppo_clip(now, old, advantage, torch.ones(2))
    (gradient,) = torch.autograd.grad(loss, now)
    assert bool(torch.isfinite(gradient).all()) and float(gradient[1]) == -0.5


def test_entropy_of_early_steps_counts_more() -> None:
    entropy = torch.ones(2, 3, dtype=torch.float64)
    bonus = estimators.entropy_bonus(entropy, torch.ones(2).double(), 0.5)
    assert float(bonus) == 1.75
    assert float(estimators.entropy_bonus(entropy, torch.ones(2).double())) == 3.0


def test_augmented_likelihood_of_a_known_row() -> None:
    loss = estimators.augmented_likelihood(
        tensor(-1, -2).unsqueeze(0), tensor(-2, -3).unsqueeze(0), tensor(0.5), tensor(1), 10.0
    )
    assert float(loss) == pytest.approx((-5 + 5 + 3) ** 2)


def test_the_divergence_estimates() -> None:
    log_prob, active, _ = batch(6)
    now, old = log_prob.detach(), (log_prob.detach() - 0.4) * active
    weight = torch.ones(B).double()
    assert float(estimators.approx_kl(now, now, active, weight)) == 0
    expected = math.exp(0.4) - 1 - 0.4
    assert float(estimators.approx_kl(now, old, active, weight)) == pytest.approx(expected)
    assert float(estimators.clip_fraction(now, old, active, weight, 0.2)) == 1.0
    assert float(estimators.clip_fraction(now, old, active, weight, 0.5)) == 0.0
    assert float(estimators.kl_k3(now, old, weight)) >= 0


def test_explained_variance() -> None:
    _, active, target = batch(7)
    weight = torch.ones(B).double()

    def explained(value: Tensor, target: Tensor = target) -> float:
        return float(estimators.explained_variance(value, target, active, weight))

    assert explained(target) == pytest.approx(1.0)
    assert explained(torch.zeros_like(target)) == pytest.approx(0.0)
    assert explained(-target) == pytest.approx(-3.0)
    assert explained(target, torch.full_like(target, 0.1)) == 0.0, "nothing to explain"


def test_wrong_ranks_are_refused() -> None:
    log_prob, _, advantage = batch()
    weight = torch.ones(B).double()
    with pytest.raises(ValueError, match=r"expected \[B, T\]"):
        estimators.reinforce(log_prob, advantage[:, 0], weight)
    with pytest.raises(ValueError, match=r"expected \[B, T\]"):
        estimators.ppo_clip(log_prob[:, 0], log_prob[:, 0], advantage, weight)
