"""Gradients through the design: exact where they claim to be, biased by what they say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from toys import flat, gap

from designer import config, gaussian, masking, pathwise
from designer.constraints import Constraint
from designer.differentiable import Dpg, Gumbel, Pathwise
from designer.errors import InputError
from designer.learnedcritic import ThroughCritic
from designer.learner import Learner, LearnerSettings
from designer.objective import Objective, Penalty, Term
from designer.policy import RecurrentPolicy
from designer.rollout import evaluate, gaussians, retrace, rollout
from designer.sequences import Sequences
from designer.suiting import shared_biases
from designer.through import ThroughChoices
from designer.transforms import Linear, Sigmoid
from oracles.foldfit import FoldFit
from oracles.offlattice import AbEnergy
from tasks.offlattice.task import task

EXACT = 1e-12


def actor(env: Any, seed: int = 0, deviation: float = 0.3) -> RecurrentPolicy:
    """Return a float64 policy whose values are not near zero."""
    k = env.num_values
    made = RecurrentPolicy(env.obs_size, 1, 4, seed=seed, num_values=k, deviation=deviation)
    made.double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        made.number_head.weight[:k].normal_(0.0, 0.7, generator=generator)  # type: ignore[union-attr]
        made.number_head.bias[:k].normal_(0.0, 0.7, generator=generator)  # type: ignore[union-attr]
    return made


def nodes(count: int, dimensions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return Gauss-Hermite nodes [N, dimensions] and weights [N] for standard normal numbers."""
    x, w = np.polynomial.hermite_e.hermegauss(count)
    grid = np.stack(np.meshgrid(*[x] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
    weight = np.prod(np.meshgrid(*[w] * dimensions, indexing="ij"), axis=0).reshape(-1)
    return torch.from_numpy(grid), torch.from_numpy(weight / weight.sum())


def polynomial(values: torch.Tensor) -> torch.Tensor:
    x = values.sum((1, 2))
    return 0.3 * x**4 - x**3 + 0.5 * x**2 + x


def both(env: Any, policy: Any, noise: torch.Tensor, weight: torch.Tensor, reward: Any) -> Any:
    """Return the exact pathwise and score-function gradients of the mean reward."""
    values, _ = pathwise.unrolled(env, policy, noise)
    through = flat(policy, (weight * reward(values)).sum())
    actions = torch.zeros(noise.shape[:2], dtype=torch.int64)
    seen = retrace(env, actions, values=values.detach())
    score = evaluate(policy, seen).log_prob.sum(1)
    return through, flat(policy, (weight * reward(values).detach() * score).sum())


@pytest.mark.parametrize("model", ["2d", "3d-angle"])
def test_pathwise_is_the_score_gradient_on_polynomials(model: str) -> None:
    env: Any = task("ABA", model).environment
    noise, weight = nodes(8, env.num_values)
    through, score = both(env, actor(env), noise.unsqueeze(1), weight, polynomial)
    assert gap(through, score) < EXACT
    assert float(through.abs().max()) > 0.1


@pytest.fixture
def in_double() -> Iterator[None]:
    """Keep observations in float64 too."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("in_double")
def test_the_path_goes_through_what_the_policy_saw() -> None:
    """Two choices: the second depends on the first, and the reward on both."""
    env: Any = task("ABBA", "2d").environment
    noise, weight = nodes(40, 2)
    through, score = both(env, actor(env, 1), noise.unsqueeze(2), weight, polynomial)
    assert gap(through, score) < 1e-10


def test_the_noise_behind_values_is_found_again() -> None:
    env: Any = task("ABBAB", "3d-angle").environment
    policy = actor(env)
    drawn = rollout(env, policy, 16, torch.Generator().manual_seed(0))
    values, _ = pathwise.unrolled(env, policy, pathwise.noise_of(policy, drawn))
    assert drawn.values is not None
    assert torch.allclose(values, drawn.values, atol=1e-12)


def test_the_deterministic_gradient_is_reached_at_second_order() -> None:
    """SPG - DPG falls by 100 for a tenth of the deviation; on a quadratic reward it is 0."""
    env: Any = task("ABA", "2d").environment
    base = actor(env)
    noise, weight = nodes(20, 1)
    with torch.no_grad():
        base.number_head.weight[1:] = 0.0  # type: ignore[union-attr]
    still, _ = pathwise.unrolled(env, base, torch.zeros(1, 1, 1, dtype=torch.float64))
    for reward, exact in ((polynomial, False), (lambda x: x.sum((1, 2)) ** 2, True)):
        dpg = flat(base, reward(still).sum())
        errors = []
        for sigma in (0.1, 0.01):
            with torch.no_grad():
                base.number_head.bias[1] = math.log(sigma / 0.3)  # type: ignore[union-attr]
            values, _ = pathwise.unrolled(env, base, noise.unsqueeze(1))
            spg = flat(base, (weight * reward(values)).sum())
            mean_only = torch.ones_like(spg, dtype=torch.bool)
            if exact:  # the deviation's own gradient is no part of DPG
                held = [torch.zeros_like(p) for p in base.parameters()]
                for mask, (name, _) in zip(held, base.named_parameters(), strict=True):
                    if name.startswith("number_head"):
                        mask[1:] = 1.0
                mean_only = torch.cat([m.reshape(-1) for m in held]) == 0
            errors.append(gap(spg[mean_only], dpg[mean_only]))
        if exact:
            assert max(errors) < EXACT
        else:
            assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)


def test_the_hard_form_is_one_hot_and_its_law_is_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.log_softmax(torch.tensor([0.5, -1.0, 1.2, 0.0], dtype=torch.float64), 0)
    mask = torch.tensor([True, True, True, False])
    log_probs = masking.log_probabilities(log_probs, mask)
    waits = torch.empty(40000, 4, dtype=torch.float64).exponential_(generator=generator)
    hard = pathwise.gumbel_softmax(log_probs.expand(40000, 4), mask, -waits.log(), 0.7)
    detached = hard.detach()
    assert float((detached - detached.round()).abs().max()) < 1e-15
    assert torch.equal(detached.round().sum(1), torch.ones(40000).double())
    counts, expected = detached.round().sum(0)[:3], 40000 * log_probs[:3].exp()
    assert float(((counts - expected) ** 2 / expected).sum()) < 13.8  # chi^2(2) at 0.001
    assert float(counts.sum()) == 40000


def test_noise_given_the_action_has_the_unconditional_law() -> None:
    generator = torch.Generator().manual_seed(1)
    log_probs = torch.log_softmax(torch.tensor([0.5, -1.0, 1.2], dtype=torch.float64), 0)
    n = 40000
    actions = torch.multinomial(log_probs.exp(), n, True, generator=generator)
    waits = torch.empty(n, 3, dtype=torch.float64).exponential_(generator=generator)
    given = pathwise.gumbel_given(log_probs.expand(n, 3), actions, waits)
    assert torch.equal(given.argmax(1), actions)
    uniform = (-(-(given - log_probs)).exp()).exp()  # the law of Gumbel numbers, coordinate-wise
    for column in uniform.T:
        ranks = (torch.arange(n) + 0.5) / n
        assert float((column.sort().values - ranks).abs().max()) < 1.95 / math.sqrt(n)
    pairs = torch.corrcoef(uniform.T) - torch.eye(3)
    assert float(pairs.abs().max()) < 4 / math.sqrt(n)


def quadrature(tau: float, logit: float = 0.4) -> float:
    """Return the expected soft gradient of p(first) by the logit, two actions, exactly."""
    # the difference of two Gumbel numbers is logistic; equal steps converge at once
    difference = torch.linspace(-45.0, 45.0, 18001, dtype=torch.float64)
    density = torch.sigmoid(difference) * torch.sigmoid(-difference) * 0.005
    value = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
    log_probs = torch.log_softmax(torch.stack([value, torch.zeros(())]).double(), 0)
    noise = torch.stack([difference, torch.zeros_like(difference)], 1)
    soft = pathwise.gumbel_softmax(
        log_probs.expand(len(noise), 2), torch.ones(2, dtype=torch.bool), noise, tau, hard=False
    )
    (slope,) = torch.autograd.grad((soft[:, 0] * density).sum(), value)
    return float(slope)


def test_the_bias_of_the_soft_form_falls_with_the_square_of_the_temperature() -> None:
    p = 1 / (1 + math.exp(-0.4))
    bias = [abs(quadrature(tau) - p * (1 - p)) for tau in (1.0, 0.5, 0.2, 0.1, 0.05)]
    assert bias == sorted(bias, reverse=True) and bias[0] > 0.01
    assert bias[3] / bias[4] == pytest.approx(4, rel=0.05)
    assert bias[4] < 5e-4


def test_relaxed_observations_are_those_of_the_design() -> None:
    env = Sequences("abc", max_length=4, min_length=4)
    policy = RecurrentPolicy(env.obs_size, env.num_actions, 4, seed=0).double()
    drawn = rollout(env, policy, 16, torch.Generator().manual_seed(0))
    waits = torch.ones(drawn.masks.shape, dtype=torch.float64).exponential_(
        generator=torch.Generator().manual_seed(0)
    )
    hard = pathwise.relaxed_rollout(env, policy, drawn, waits, 0.5).detach()
    assert torch.equal(hard.argmax(-1), drawn.actions)
    for t in range(1, 4):
        seen = env.observe_relaxed(t, hard[:, t - 1], 16, torch.device("cpu"))
        assert torch.allclose(seen.float(), drawn.observations[:, t], atol=1e-6)


FOLD = {"target": "RRULLURRR", "lattice": "square"}


def test_straight_through_climbs_where_the_exact_gradient_climbs() -> None:
    """Averaged over many rows, the soft-gradient points along the exact one (cosine)."""
    env = Sequences("HP", max_length=10, min_length=10)
    policy = RecurrentPolicy(env.obs_size, env.num_actions, 4, seed=0).double()
    oracle = FoldFit(**FOLD)
    from toys import listed

    world = evaluate(policy, retrace(env, listed(env)))
    log_prob = world.log_prob.sum(1)
    gaps = torch.from_numpy(
        np.array(oracle(env.decode(world.actions.tolist())).columns["gap"])  # type: ignore[arg-type]
    )
    exact = flat(policy, (log_prob.exp() * gaps).sum())
    settings = Gumbel(hard=True, tau=0.7, tau_end=0.7)
    learner = ThroughChoices(policy, settings, env, pathwise.relaxed_reward(objective(oracle)))
    drawn = rollout(env, policy, 8000, torch.Generator().manual_seed(0))
    loss = learner.loss(drawn, torch.zeros(8000).double(), torch.ones(8000).double())["loss"]
    found = flat(policy, -loss)
    assert float(torch.cosine_similarity(found, exact, dim=0)) > 0.8


def objective(oracle: Any, column: str = "gap", **more: Any) -> Objective:
    return Objective([Term(oracle, column, **more)])


AB = task("ABBABBAB", "2d", relaxation=3)
AB_ORACLE = AbEnergy("ABBABBAB", "2d")


KINDS = [Pathwise(lr=5e-3), Dpg(lr=5e-3), Dpg(lr=3e-3, critic="learned", critic_hidden=16)]


@pytest.mark.parametrize("settings", KINDS, ids=["pathwise", "dpg exact", "dpg learned"])
def test_every_kind_learns_and_its_state_is_whole(settings: Any) -> None:
    learner, drawn, rewards = taught(settings, 120)
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 0.3
    again = fresh(settings)
    again.load_state_dict(learner.state_dict())
    for one in (learner, again):
        one.update(drawn, torch.zeros(8), torch.ones(8))
    assert changed(learner, again.state_dict()) == []


class Near:
    """How near the six turns of a chain are to some aim, smoothly."""

    name, cheap, relaxed_column = "near", True, "near"
    aim = torch.tensor([0.5, -0.4, 0.3, 0.2, -0.6, 0.1])

    def relaxed(self, values: torch.Tensor) -> torch.Tensor:
        return -(values.squeeze(-1) - self.aim).square().sum(1)


def fresh(settings: Any) -> Any:
    """Return a learner of six turns, always the same one."""
    env: Any = AB.environment
    policy = RecurrentPolicy(env.obs_size, 1, 16, seed=0, num_values=1, deviation=0.3)
    return settings.learner(policy, env, Objective([Term(Near())]))  # type: ignore[arg-type]


def taught(settings: Any, batches: int) -> tuple[Any, Any, list[float]]:
    """Return a learner after so many batches, a batch more, and the mean rewards."""
    learner, generator, rewards = fresh(settings), torch.Generator().manual_seed(0), []
    for _ in range(batches):
        drawn = rollout(AB.environment, learner.policy, 32, generator)
        reward = Near().relaxed(drawn.values)  # type: ignore[arg-type]
        learner.update(drawn, reward, torch.ones(32))
        rewards.append(float(reward.mean()))
    return learner, rollout(AB.environment, learner.policy, 8, generator), rewards


def changed(learner: Any, before: dict[str, torch.Tensor]) -> list[str]:
    after = learner.state_dict()
    assert after.keys() == before.keys()
    return [name for name in before if not torch.equal(before[name], after[name])]


@pytest.mark.parametrize("settings", KINDS, ids=["pathwise", "dpg exact", "dpg learned"])
def test_an_unmeasured_batch_moves_nothing(settings: Any) -> None:
    """Not even by the momentum of earlier batches."""
    learner, drawn, _ = taught(settings, 3)
    before = learner.state_dict()
    nothing = torch.full((8,), torch.nan)
    assert float(learner.update(drawn, nothing, torch.zeros(8))["skipped"]) == 0
    learner.imitate(drawn, nothing, torch.zeros(8))
    assert changed(learner, before) == []
    learner.update(drawn, torch.zeros(8), torch.ones(8))
    assert changed(learner, before)


@pytest.mark.parametrize("settings", KINDS, ids=["pathwise", "dpg exact", "dpg learned"])
def test_unmeasured_rows_hold_whatever_they_hold(settings: Any) -> None:
    learner, drawn, _ = taught(settings, 3)
    other = fresh(settings)
    other.load_state_dict(learner.state_dict())
    weight = torch.ones(8)
    weight[2] = 0.0
    for one, held in ((learner, torch.nan), (other, 5.0)):
        reward = torch.linspace(-1, 1, 8)
        reward[2] = held
        assert float(one.update(drawn, reward, weight)["skipped"]) == 0
    assert changed(learner, other.state_dict()) == []


def test_a_critic_that_cannot_learn_is_counted_and_stays() -> None:
    learner, drawn, _ = taught(KINDS[2], 3)
    before = learner.state_dict()
    reward = torch.full((8,), torch.inf)
    skipped = learner.update(drawn, reward, torch.ones(8))["skipped"]
    assert float(skipped) == KINDS[2].critic_epochs
    assert not [name for name in changed(learner, before) if "critic" in name]


@pytest.mark.parametrize("settings", KINDS, ids=["pathwise", "dpg exact", "dpg learned"])
def test_a_state_from_before_the_first_step_forgets_the_later_ones(settings: Any) -> None:
    first = fresh(settings).state_dict()
    learner, drawn, _ = taught(settings, 3)
    learner.load_state_dict(first)
    assert changed(learner, first) == []
    again = fresh(settings)
    for one in (learner, again):
        one.update(drawn, torch.zeros(8), torch.ones(8))
    assert changed(learner, again.state_dict()) == []


def test_the_mean_design_needs_no_noise_of_the_sampled_ones() -> None:
    learner, drawn, _ = taught(KINDS[1], 0)

    def unwanted(observations: torch.Tensor) -> Any:
        raise AssertionError("the policy was asked again what it thought of sampled rows")

    learner.policy.unroll = unwanted
    learner.update(drawn, torch.zeros(8), torch.ones(8))
    assert learner.steps == 1


def test_targets_follow_by_polyaks_formula() -> None:
    slow, fast = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    before = slow.weight.detach().clone()
    pathwise.polyak(slow, fast, 0.1)
    assert torch.allclose(slow.weight, 0.9 * before + 0.1 * fast.weight, atol=1e-7)


def test_the_critics_target_is_the_reward_at_the_end() -> None:
    env: Any = AB.environment
    policy = RecurrentPolicy(env.obs_size, 1, 8, seed=0, num_values=1)
    learner = ThroughCritic(policy, Dpg(critic="learned"), env)
    drawn = rollout(env, policy, 4, torch.Generator().manual_seed(0))
    reward = torch.arange(4.0)
    target = learner.target(drawn.observations, drawn.active, reward)
    assert torch.equal(target[:, -1], reward)
    means, _ = gaussians(policy.unroll(drawn.observations))
    assert torch.allclose(target[:, :-1], learner.critic(drawn.observations, means)[:, 1:])


class Plain:
    """An oracle without a derivative."""

    name, cheap = "plain", True


def test_what_does_not_fit_is_refused_with_the_alternatives() -> None:
    letters = Sequences("HP", max_length=10, min_length=10)
    words = Sequences("HP", max_length=10)
    fold = FoldFit(**FOLD)
    env: Any = AB.environment
    good = objective(AB_ORACLE, "score")
    bound = Constraint(AB_ORACLE, "energy", at_most=0.0)
    cases: list[tuple[Any, Any, Objective, str]] = [
        (Pathwise(), env, Objective([Term(Plain())]), "'plain' gives no derivative"),  # type: ignore[arg-type]
        (Pathwise(), env, objective(AB_ORACLE, "energy"), "column 'score' only"),
        (Pathwise(), env, objective(AB_ORACLE, "score", transform=Sigmoid(0, 1)), "sigmoid"),
        (Pathwise(), letters, objective(fold), "real numbers, and this task has none"),
        (Dpg(critic="learned"), letters, objective(fold), "kind = 'gumbel'"),
        (Gumbel(), words, objective(fold), "writes 1 to 10 tokens"),
        (Gumbel(), env, good, "has no relaxed form"),
        (Pathwise(), env, replace(good, constraints=[bound]), "constraints are priced"),
        (Gumbel(), letters, Objective([Term(fold, "gap")], [Penalty(Plain())]), "'plain'"),  # type: ignore[arg-type]
    ]
    for settings, where, wanted, message in cases:
        with pytest.raises(InputError, match=message) as told:
            settings.learner(None, where, wanted)
        assert "reinforce" in str(told.value)
    for bad in ({"lr": 0.0}, {"tau": -1.0}):
        with pytest.raises(InputError, match="expected above 0"):
            Gumbel(**bad)
    straight = objective(AB_ORACLE, "score", transform=Linear(0.0, 4.0))
    values = torch.full((2, 6, 1), 1.2, dtype=torch.float64)
    raw = AB_ORACLE.relaxed(values)
    assert torch.allclose(pathwise.relaxed_reward(straight)(values), (raw / 4).clamp(0, 1))


@pytest.mark.parametrize("kind", [Pathwise, Dpg, Gumbel])
def test_gradients_of_any_length_may_be_asked_for(kind: Any) -> None:
    table = config.parse("[learner]\nmax_grad_norm = inf\n")
    made = table.build(("learner",), kind)
    assert shared_biases(made) == [] and len(shared_biases(kind())) == 1


def test_zero_deviation_and_reinforce_agree_on_the_gradient_of_the_mean() -> None:
    """The densities of `gaussian` are those that `draw` samples: the mean of the score is 0."""
    noise, weight = nodes(10, 1)
    mu = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    x = gaussian.draw(mu, sigma, noise).detach()
    score = (weight * gaussian.log_density(x, mu.expand_as(x), sigma.expand_as(x))).sum()
    assert all(abs(float(g)) < EXACT for g in torch.autograd.grad(score, [mu, sigma]))
    assert Learner(actor(AB.environment), LearnerSettings()) is not None
