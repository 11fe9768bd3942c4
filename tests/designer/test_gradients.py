"""Exact gradients: on a world that can be listed, an expectation is a sum.

Each estimator, weighted by the probabilities of all designs (or of all K-tuples of designs), must
equal autograd's gradient of the objective it claims, with the real policy class, in float64.
"""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from toys import Shaped, World, gap, lively, vector, world

from designer import credit, estimators
from designer.baselines import BASELINES
from designer.learner import Learner, LearnerSettings
from designer.rollout import evaluate
from designer.sequences import Sequences

EXACT = 1e-12


@pytest.fixture(params=[0, 1], ids=["one layer", "two layers"])
def toy(request: pytest.FixtureRequest) -> World:
    return world(seed=request.param, layers=1 + request.param)


def exact(toy: World) -> Tensor:
    """Return the gradient of the expected reward."""
    return toy.gradient((toy.share * toy.reward).sum())


def estimated(toy: World, advantage: Tensor) -> Tensor:
    """Return minus the expected gradient of the REINFORCE loss."""
    return toy.gradient(-estimators.reinforce(toy.trajectory.log_prob, advantage, toy.weight))


def step_rewards(toy: World) -> Tensor:
    """Return [N, T] rewards that depend on the prefix written so far, as real step rewards do."""
    actions, active = toy.trajectory.actions, toy.trajectory.active
    code = torch.zeros(len(actions), dtype=torch.float64)
    out = []
    for t in range(actions.shape[1]):
        code = 3.0 * code + actions[:, t] + 1
        out.append(torch.sin(code * 1.7) * active[:, t])
    return torch.stack(out, dim=1)


def test_the_probabilities_of_all_designs_sum_to_one(toy: World) -> None:
    assert abs(float(toy.weight.sum()) - 1.0) < EXACT


def test_reinforce(toy: World) -> None:
    assert gap(estimated(toy, toy.reward.unsqueeze(1)), exact(toy)) < EXACT


@pytest.mark.parametrize("constant", [-3.0, 0.0, 17.0])
def test_any_constant_baseline_leaves_the_mean_unchanged(toy: World, constant: float) -> None:
    assert gap(estimated(toy, toy.reward.unsqueeze(1) - constant), exact(toy)) < 3e-12


def test_reward_to_go_and_the_total_have_the_same_mean(toy: World) -> None:
    rewards = step_rewards(toy)
    truth = toy.gradient((toy.share * rewards.sum(1)).sum())
    assert gap(estimated(toy, credit.discounted_returns(rewards)), truth) < EXACT
    assert gap(estimated(toy, rewards.sum(1, keepdim=True)), truth) < EXACT


def test_reward_to_go_has_less_variance(toy: World) -> None:
    rewards = step_rewards(toy)
    spread = []
    for advantage in (
        credit.discounted_returns(rewards),
        rewards.sum(1, keepdim=True).expand_as(rewards),
    ):
        rows = [
            toy.gradient((toy.trajectory.log_prob[i] * advantage[i]).sum())
            for i in range(len(rewards))
        ]
        stacked = torch.stack(rows)
        spread.append(float((toy.weight.unsqueeze(1) * stacked.square()).sum()))
    assert spread[0] < spread[1]


def test_a_critic_of_any_quality_is_unbiased_at_lambda_one(toy: World) -> None:
    rewards = credit.step_rewards(toy.reward, toy.trajectory.active)
    advantage = credit.gae(rewards, toy.trajectory.value.detach())
    assert gap(estimated(toy, advantage), exact(toy)) < EXACT


def exact_value(toy: World) -> Tensor:
    """Return [N, T], the true expected reward from each prefix on (0 where inactive)."""
    actions, active = toy.trajectory.actions.tolist(), toy.trajectory.active
    weight, value = toy.weight, torch.zeros(active.shape, dtype=torch.float64)
    for i, row in enumerate(actions):
        for t in range(int(active[i].sum())):
            same = torch.tensor([other[:t] == row[:t] for other in actions])
            value[i, t] = (weight * toy.reward)[same].sum() / weight[same].sum()
    return value


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_with_the_true_value_every_lambda_is_unbiased(toy: World, lam: float) -> None:
    rewards = credit.step_rewards(toy.reward, toy.trajectory.active)
    advantage = credit.gae(rewards, exact_value(toy), lam=lam)
    assert gap(estimated(toy, advantage), exact(toy)) < EXACT


def test_the_td_error_with_a_wrong_value_is_biased(toy: World) -> None:
    rewards = credit.step_rewards(toy.reward, toy.trajectory.active)
    wrong = credit.td_error(rewards, toy.trajectory.value.detach())
    assert gap(estimated(toy, wrong), exact(toy)) > 1e-3


def test_potential_shaping_moves_credit_but_not_the_gradient() -> None:
    toy = world(Shaped(Sequences("ab", max_length=3)))
    potential = toy.trajectory.potential
    assert potential is not None
    shaping = credit.shaping_rewards(potential.double(), toy.trajectory.active)
    assert gap(shaping.sum(1), torch.zeros(())) == 0.0
    assert float(shaping.abs().sum()) > 1.0
    rewards = credit.step_rewards(toy.reward, toy.trajectory.active) + shaping
    assert gap(estimated(toy, credit.discounted_returns(rewards)), exact(toy)) < EXACT


def tuples(toy: World, k: int, advantage_of: object) -> Tensor:
    """Return the exact mean gradient of K rows drawn at once, over all K-tuples of designs."""
    weight, log_prob = toy.weight, toy.log_prob
    total = torch.zeros((), dtype=torch.float64)
    for rows in product(range(len(weight)), repeat=k):
        index = torch.tensor(rows)
        advantage = advantage_of(toy.reward[index].unsqueeze(1))  # type: ignore[operator]
        loss = (advantage.squeeze(1) * log_prob[index]).mean()
        total = total + weight[index].prod() * loss
    return toy.gradient(total)


@pytest.mark.parametrize("k", [2, 3])
def test_leave_one_out_over_all_tuples(k: int) -> None:
    toy = world()
    mean = tuples(toy, k, lambda r: r - credit.leave_one_out(r, torch.ones_like(r)))
    assert gap(mean, exact(toy)) < EXACT


@pytest.mark.parametrize("k", [2, 3])
def test_the_batch_mean_is_short_by_exactly_its_own_share(k: int) -> None:
    toy = world()
    mean = tuples(toy, k, lambda r: r - credit.batch_mean(r, torch.ones_like(r)))
    assert gap(mean, (k - 1) / k * exact(toy)) < EXACT
    assert gap(mean, exact(toy)) > 1e-3


def test_a_row_alone_is_plain_reinforce_with_leave_one_out() -> None:
    toy = world()
    mean = tuples(toy, 1, lambda r: r - credit.leave_one_out(r, torch.ones_like(r)))
    assert gap(mean, exact(toy)) < EXACT


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 0.77])
def test_the_quantile_is_the_gradient_of_the_upper_tail(toy: World, epsilon: float) -> None:
    order = toy.reward.argsort(descending=True)
    share, reward = toy.share[order], toy.reward[order]
    before = share.cumsum(0) - share
    taken = torch.minimum(share, (epsilon - before).clamp_min(0.0))  # the best `epsilon` of mass
    truth = toy.gradient((taken * reward).sum() / epsilon)
    advantage = credit.quantile_advantage(toy.reward, toy.weight, epsilon).unsqueeze(1)
    assert gap(estimated(toy, advantage), truth) < EXACT / epsilon


def test_the_whole_batch_as_quantile_is_reinforce(toy: World) -> None:
    advantage = credit.quantile_advantage(toy.reward, toy.weight, 1.0).unsqueeze(1)
    assert gap(estimated(toy, advantage), exact(toy)) < EXACT


@pytest.mark.parametrize("eta", [-4.0, -0.5, 0.5, 4.0])
def test_the_entropic_estimator_is_the_gradient_of_exponential_utility(
    toy: World, eta: float
) -> None:
    truth = toy.gradient((toy.share * (eta * toy.reward).exp()).sum().log() / eta)
    advantage = credit.entropic_advantage(toy.reward, toy.weight, eta).unsqueeze(1)
    assert gap(estimated(toy, advantage), truth) < EXACT


def test_the_entropic_estimator_becomes_reinforce_at_first_order(toy: World) -> None:
    errors = []
    for eta in (1e-2, 1e-3, 1e-4):
        advantage = credit.entropic_advantage(toy.reward, toy.weight, eta).unsqueeze(1)
        errors.append(gap(estimated(toy, advantage), exact(toy)))
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)
    at_zero = credit.entropic_advantage(toy.reward, toy.weight, 0.0).unsqueeze(1)
    assert gap(estimated(toy, at_zero), exact(toy)) < EXACT


def with_prior(sigma: float, seed: int = 0) -> tuple[World, Tensor, Tensor]:
    """Return a world, its prior's log-probabilities, and KL(pi | prior e^{sigma s} / Z)."""
    env = Sequences("ab", max_length=3, forbidden=[("b", "b")])
    toy = world(env, seed, prior=lively(env, seed + 50))
    theirs = toy.trajectory.prior_log_prob
    assert theirs is not None
    aim = torch.log_softmax(theirs.sum(1) + sigma * toy.reward, dim=0)
    return toy, theirs, (toy.share * (toy.log_prob - aim)).sum()


@pytest.mark.parametrize("sigma", [0.0, 1.0, 20.0])
def test_augmented_likelihood_is_twice_the_divergence_from_the_tilted_prior(sigma: float) -> None:
    toy, theirs, divergence = with_prior(sigma)
    loss = estimators.augmented_likelihood(
        toy.trajectory.log_prob, theirs, toy.reward, toy.weight, sigma
    )
    assert gap(toy.gradient(loss), 2 * toy.gradient(divergence)) < EXACT * max(1.0, sigma) * 10


def test_the_penalty_is_the_gradient_of_the_divergence_from_the_prior() -> None:
    toy, theirs, divergence = with_prior(sigma=0.0)
    truth = exact(toy) - 0.3 * toy.gradient(divergence)
    penalty = estimators.kl_penalty(toy.trajectory.log_prob, theirs)
    rewards = credit.step_rewards(toy.reward, toy.trajectory.active) - 0.3 * penalty
    assert gap(estimated(toy, credit.discounted_returns(rewards)), truth) < EXACT
    assert gap(estimated(toy, rewards.sum(1, keepdim=True)), truth) < EXACT


def test_k1_and_k3_have_their_exact_means() -> None:
    toy, theirs, divergence = with_prior(sigma=0.0)
    k1 = estimators.kl_k1(toy.trajectory.log_prob, theirs, toy.weight)
    k3 = estimators.kl_k3(toy.trajectory.log_prob, theirs, toy.weight)
    assert float((k1 - divergence).detach()) == pytest.approx(0.0, abs=EXACT)
    assert float((k3 - divergence).detach()) == pytest.approx(0.0, abs=EXACT)
    # k1 as a loss would do nothing at all, on average
    assert gap(toy.gradient(k1), torch.zeros(())) < EXACT


def test_the_entropy_bonus_is_the_mean_of_the_steps_entropies(toy: World) -> None:
    whole = -(toy.share * toy.log_prob).sum()  # of the design; the chain rule of entropy
    bonus = estimators.entropy_bonus(toy.trajectory.entropy, toy.weight)
    assert float((bonus - whole).detach()) == pytest.approx(0.0, abs=EXACT)


@pytest.mark.parametrize("clip", [0.1, 0.2, 1e9])
def test_the_first_step_of_ppo_has_the_gradient_of_reinforce(toy: World, clip: float) -> None:
    now, advantage = toy.trajectory.log_prob, toy.reward.unsqueeze(1) * toy.trajectory.active
    ppo = estimators.ppo_clip(now, now.detach(), advantage, toy.weight, clip)
    assert gap(toy.gradient(-ppo), estimated(toy, advantage)) < 1e-12
    assert gap(toy.gradient(-ppo), exact(toy)) < 1e-9


# --- the learner itself: one step of plain gradient descent, lr 1, moves by the gradient ---------

PLAIN = {"optimiser": "sgd", "lr": 1.0, "entropy": 0.0, "max_grad_norm": float("inf")}


PAIRS = [  # what the settings allow
    (normalise, baseline)
    for normalise in (False, True)
    for baseline in BASELINES
    if not (normalise and baseline in ("quantile", "group_scaled"))
]


def moved(toy: World, settings: LearnerSettings, reward: Tensor, weight: Tensor) -> Tensor:
    """Return how far one update moves the parameters, and put them back."""
    before = vector(toy.policy)
    saved = {k: v.clone() for k, v in toy.policy.state_dict().items()}
    Learner(toy.policy, settings).update(toy.fixed, reward, weight)
    after = vector(toy.policy)
    toy.policy.load_state_dict(saved)
    return after - before


@pytest.mark.parametrize("baseline", ["none", "running_mean"])
def test_the_learner_moves_by_the_exact_gradient(toy: World, baseline: str) -> None:
    settings = LearnerSettings(baseline=baseline, **PLAIN)  # type: ignore[arg-type]
    truth = exact(toy)
    assert gap(moved(toy, settings, toy.reward, toy.weight), truth) < EXACT


def test_the_learner_with_a_critic_moves_by_the_exact_gradient(toy: World) -> None:
    settings = LearnerSettings(baseline="critic", value_weight=0.0, **PLAIN)  # type: ignore[arg-type]
    truth = exact(toy)
    assert gap(moved(toy, settings, toy.reward, toy.weight), truth) < EXACT


def test_the_learner_with_step_rewards_moves_by_the_exact_gradient(toy: World) -> None:
    settings = LearnerSettings(baseline="none", **PLAIN)  # type: ignore[arg-type]
    rewards = step_rewards(toy)
    truth = toy.gradient((toy.share * rewards.sum(1)).sum())
    assert gap(moved(toy, settings, rewards, toy.weight), truth) < EXACT


def test_the_learner_with_shaping_moves_by_the_exact_gradient() -> None:
    toy = world(Shaped(Sequences("ab", max_length=3)))
    settings = LearnerSettings(baseline="none", shaping=2.5, **PLAIN)  # type: ignore[arg-type]
    truth = exact(toy)
    assert gap(moved(toy, settings, toy.reward, toy.weight), truth) < EXACT


def test_the_learner_with_a_prior_moves_by_the_exact_gradient() -> None:
    toy, _, divergence = with_prior(sigma=0.0)
    truth = exact(toy) - 0.3 * toy.gradient(divergence)
    settings = LearnerSettings(baseline="none", kl_weight=0.3, **PLAIN)  # type: ignore[arg-type]
    before = vector(toy.policy)
    prior = lively(toy.env, 50)
    bare = toy.fixed.replace(prior_log_prob=None)
    Learner(toy.policy, settings, prior=prior).update(bare, toy.reward, toy.weight)
    assert gap(vector(toy.policy) - before, truth) < EXACT


def test_the_learners_first_ppo_step_is_its_reinforce_step(toy: World) -> None:
    steps = []
    for epochs in (1, 3):
        policy = lively(toy.env, layers=toy.policy.layers)
        policy.load_state_dict(toy.policy.state_dict())
        learner = Learner(policy, LearnerSettings(epochs=epochs, **PLAIN))  # type: ignore[arg-type]
        seen: list[Tensor] = []

        def note(_: object, __: object, ___: object, p=policy, seen=seen) -> None:  # type: ignore[no-untyped-def]
            seen.append(
                torch.cat([q.grad.reshape(-1) for q in p.parameters() if q.grad is not None])
            )

        learner.optimiser.register_step_pre_hook(note)
        learner.update(toy.fixed, toy.reward, torch.ones_like(toy.reward))
        assert len(seen) == epochs
        steps.append(seen[0])
    assert gap(steps[0], steps[1]) < 1e-9


@pytest.mark.parametrize("normalise,baseline", PAIRS)
def test_unmeasured_rows_leave_no_trace(toy: World, baseline: str, normalise: bool) -> None:
    options = {**PLAIN, "entropy": 0.1, "epsilon": 0.4, "normalise": normalise}
    if baseline == "counterfactual":
        options |= {"agents": 2, "agent_steps": 1}
    settings = LearnerSettings(baseline=baseline, **options)  # type: ignore[arg-type]
    valid = torch.tensor([i % 3 != 1 for i in range(len(toy.reward))])
    reward = torch.where(valid, toy.reward, torch.nan)
    whole = moved(toy, settings, reward, valid.double())
    part = toy.fixed
    fields = ("observations", "masks", "actions", "active", "log_prob", "entropy", "value")
    part = part.replace(**{name: getattr(part, name)[valid] for name in fields})
    alone = Learner(toy.policy, settings)
    before = vector(toy.policy)
    alone.update(part, toy.reward[valid], torch.ones(int(valid.sum()), dtype=torch.float64))
    assert gap(whole, vector(toy.policy) - before) < EXACT


def test_the_order_of_rows_does_not_matter(toy: World) -> None:
    settings = LearnerSettings(**PLAIN)  # type: ignore[arg-type]
    ones = torch.ones_like(toy.reward)
    first = moved(toy, settings, toy.reward, ones)
    order = torch.randperm(len(ones), generator=torch.Generator().manual_seed(0))
    fixed = toy.fixed
    names = ("observations", "masks", "actions", "active", "log_prob", "entropy", "value")
    shuffled = World(
        toy.env,
        toy.policy,
        fixed.replace(**{name: getattr(fixed, name)[order] for name in names}),
        toy.reward[order],
    )
    assert gap(first, moved(shuffled, settings, shuffled.reward, ones)) < EXACT


def test_single_precision_follows_double(toy: World) -> None:
    single = lively(toy.env, layers=toy.policy.layers)
    single.load_state_dict(toy.policy.state_dict())
    single.float()
    narrow = evaluate(single, toy.fixed)
    loss = estimators.reinforce(
        narrow.log_prob, toy.reward.float().unsqueeze(1), toy.weight.float()
    )
    parts = torch.autograd.grad(-loss, list(single.parameters()), allow_unused=True)
    flat = [
        torch.zeros(p.numel()) if g is None else g.reshape(-1)
        for p, g in zip(single.parameters(), parts, strict=True)
    ]
    assert gap(torch.cat(flat).double(), exact(toy)) < 1e-5
