"""Two time scales: what learns apart, how fast, and where the critic comes to rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from toys import World, gap, lively, world

from designer.descent import rate
from designer.enumeration import true_value
from designer.errors import InputError
from designer.learner import Learner
from designer.learning import ActorCritic, Coma, LearnerSettings
from designer.rollout import evaluate, retrace
from designer.suiting import suits

APART = {"entropy": 0.0, "max_grad_norm": float("inf"), "optimiser": "sgd"}


def features(toy: World) -> Tensor:
    """Return [N, T, H] what the value head sees."""
    with torch.no_grad():
        out, _ = toy.policy.gru(toy.trajectory.observations.double())
    return out


def knowing() -> World:
    """Return a world whose value head knows the truth: features enough to tell prefixes apart."""
    toy = world()
    policy = lively(toy.env, 3, hidden=24)
    toy = World(
        toy.env, policy, evaluate(policy, retrace(toy.env, toy.trajectory.actions)), toy.reward
    )
    active = toy.trajectory.active
    seen = torch.cat([features(toy), torch.ones(*active.shape, 1).double()], dim=2)[active]
    solved = torch.linalg.lstsq(seen, true_value(toy)[active].unsqueeze(1), driver="gelsd").solution
    with torch.no_grad():
        policy.value_head.weight.copy_(solved[:-1].T)
        policy.value_head.bias.copy_(solved[-1])
    return World(
        toy.env, policy, evaluate(policy, retrace(toy.env, toy.trajectory.actions)), toy.reward
    )


def test_the_true_value_is_the_critics_fixed_point() -> None:
    toy = knowing()
    assert gap(toy.trajectory.value.detach(), true_value(toy)) < 1e-8
    before = toy.policy.value_head.weight.detach().clone()
    settings = ActorCritic(lr=1e-30, critic_lr=0.5, **APART)  # type: ignore[arg-type]
    Learner(toy.policy, settings).update(toy.fixed, toy.reward, toy.weight)
    assert gap(toy.policy.value_head.weight.detach(), before) < 1e-8


def test_a_critic_that_is_wrong_comes_nearer_while_the_actor_stands_still() -> None:
    toy = knowing()
    with torch.no_grad():
        toy.policy.value_head.bias += 1.0
    settings = ActorCritic(lr=1e-30, critic_lr=0.05, **APART)  # type: ignore[arg-type]
    learner, errors = Learner(toy.policy, settings), []
    for _ in range(30):
        now = evaluate(toy.policy, toy.fixed)
        fixed = now.replace(log_prob=now.log_prob.detach(), value=now.value.detach())
        wrong = (now.value.detach() - true_value(toy)) * toy.trajectory.active
        errors.append(float(wrong.square().sum()))
        learner.update(fixed, toy.reward, toy.weight)
    assert errors[-1] < 0.5 * errors[0]


def test_the_value_head_moves_nothing_else() -> None:
    steps = []
    for reward in (1.0, 5.0):  # the critic's error differs, the actor's gradient is 0 in both
        toy = world()
        settings = ActorCritic(lr=1.0, critic_lr=0.1, gae_lambda=1.0, **APART)  # type: ignore[arg-type]
        fixed = toy.fixed.replace(value=torch.full_like(toy.fixed.value, reward) * toy.fixed.active)
        Learner(toy.policy, settings).update(fixed, torch.full_like(toy.reward, reward), toy.weight)
        steps.append({k: v.detach().clone() for k, v in toy.policy.named_parameters()})
    for name, value in steps[0].items():
        same = gap(value, steps[1][name]) < 1e-12
        assert same != name.startswith("value_head"), name


@pytest.mark.parametrize("natural", [False, True])
def test_the_critic_of_actions_learns_beside_any_actor(natural: bool) -> None:
    toy = world()
    settings = Coma(agents=2, agent_steps=1, natural=natural, entropy=0.0, optimiser="sgd")
    learner, steps = Learner(toy.policy, settings), []
    before = {k: v.clone() for k, v in learner.extras.state_dict().items()}
    learner.update(toy.fixed, toy.reward, toy.weight)
    steps = [gap(v, before[k]) for k, v in learner.extras.state_dict().items()]
    assert max(steps) > 1e-5


def test_the_rates_fall_as_robbins_and_monro_ask_and_the_actors_faster() -> None:
    toy = world()
    settings = ActorCritic(lr_power=0.9, critic_lr=0.01, critic_lr_power=0.6)
    learner = Learner(toy.policy, settings)
    for _ in range(5):
        learner.update(toy.fixed, toy.reward, toy.weight)
    actor, critic = (group["lr"] for group in learner.optimiser.param_groups)
    assert (actor, critic) == (rate(1e-3, 0.9, 4), rate(0.01, 0.6, 4))
    ratios = [rate(1.0, 0.9, t) / rate(1.0, 0.6, t) for t in (10, 1000, 100_000, 10_000_000)]
    assert ratios == sorted(ratios, reverse=True) and ratios[-1] < 0.01
    # sum a diverges: blocks [2^n, 2^(n+1)) do not shrink; sum a^2 converges: theirs do
    blocks = [sum(rate(1.0, 0.9, t) for t in range(2**n, 2 ** (n + 1))) for n in (8, 12)]
    squares = [sum(rate(1.0, 0.9, t) ** 2 for t in range(2**n, 2 ** (n + 1))) for n in (8, 12)]
    assert blocks[1] >= blocks[0] and squares[1] < 0.2 * squares[0]


def test_a_policy_without_a_value_head_cannot_have_it_apart() -> None:
    class Bare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(2, 2)

    with pytest.raises(InputError, match="needs a policy with a `value_head`, and Bare has none"):
        Learner(Bare(), ActorCritic())  # type: ignore[arg-type]


def test_a_critic_of_actions_needs_to_know_the_sizes() -> None:
    class Bare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(2, 2)

    with pytest.raises(InputError, match=r"needs policy.obs_size and policy.num_actions"):
        settings = LearnerSettings(baseline="counterfactual", agents=2)
        Learner(Bare(), settings)  # type: ignore[arg-type]


def test_a_large_policy_has_no_natural_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    from designer import natural

    monkeypatch.setattr(natural, "LARGEST", 100)
    toy = world()
    with pytest.raises(InputError, match=r"take a smaller policy \(hidden = 16\)"):
        Learner(toy.policy, LearnerSettings(natural=True)).update(toy.fixed, toy.reward, toy.weight)


def test_trajectory_balance_learns_the_normaliser() -> None:
    toy = world(scale=0.3)
    settings = LearnerSettings(
        loss="trajectory_balance", sigma=2.0, lr=3e-2, log_z_lr=5e-2, entropy=0.0
    )
    learner = Learner(toy.policy, settings)
    for _ in range(150):
        now = evaluate(toy.policy, toy.fixed)
        fixed = now.replace(log_prob=now.log_prob.detach(), value=now.value.detach())
        learner.update(fixed, toy.reward, torch.ones_like(toy.reward))
    aim = torch.softmax(2.0 * toy.reward, 0)
    share = evaluate(toy.policy, toy.fixed).log_prob.sum(1).exp().detach()
    assert gap(share, aim) < 0.02
    log_z = float(learner.extras["partition"]().detach())
    assert log_z == pytest.approx(float((2.0 * toy.reward).exp().sum().log()), abs=0.05)


def test_one_design_a_batch_is_too_few_to_compare() -> None:
    with pytest.raises(InputError, match="compares designs of one batch, and batch_size is 1"):
        suits(LearnerSettings(baseline="entropic"), 1)
