"""The learner: it improves, it repeats itself, it survives what is broken."""

from __future__ import annotations

import math
from dataclasses import fields
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import Shaped, lively, vector

from designer.errors import InputError
from designer.learner import LEARNERS, Learner, LearnerSettings, Ppo, Reinforce, Reinvent
from designer.policy import RecurrentPolicy
from designer.protocols import Trajectory
from designer.rollout import evaluate, retrace, rollout
from designer.sequences import Sequences

ENV = Sequences("abcd", max_length=6, min_length=2)
METRICS = {
    "loss", "entropy", "approx_kl", "clip_fraction", "explained_variance", "grad_norm",
    "value_loss", "skipped",
}  # fmt: skip


def fresh(seed: int = 0) -> RecurrentPolicy:
    return RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=16, seed=seed)


# elite_balance learns from what is remembered alone: see test_rehearsal
SAMPLED = [kind for kind in LEARNERS if kind != "elite_balance"]


def kinds() -> dict[str, LearnerSettings]:
    made = {}
    for name, place in LEARNERS.items():
        module, _, attribute = place.partition(":")
        given = {"agent_steps": 2} if name == "coma" else {}
        made[name] = getattr(import_module(module), attribute)(**given)
    return made


def make(settings: LearnerSettings, seed: int = 0) -> Learner:
    return Learner(fresh(seed), settings, prior=fresh(99))


def judged(trajectory: Trajectory) -> Tensor:
    """Return the share of "a" in each word."""
    words = ENV.decode(trajectory.actions.tolist())
    return torch.tensor([w.text.count("a") / 6 for w in words if w], dtype=torch.float64)


def run(learner: Learner, generator: torch.Generator, steps: int, rows: int = 64) -> list[float]:
    means = []
    for _ in range(steps):
        drawn = rollout(ENV, learner.policy, rows, generator)
        reward = judged(drawn)
        learner.update(drawn, reward, torch.ones(rows))
        means.append(float(reward.mean()))
    return means


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", SAMPLED)
def test_every_kind_learns(kind: str) -> None:
    changes = {f.name: getattr(kinds()[kind], f.name) for f in fields(LearnerSettings)}
    lr = 0.3 if kind == "natural" else 1e-2  # whose step does not know of Adam
    learner = make(type(kinds()[kind])(**changes | {"lr": lr}))
    means = run(learner, seeded(), steps=40)
    assert sum(means[-5:]) / 5 > sum(means[:5]) / 5 + 0.2, means


@pytest.mark.parametrize(
    "baseline",
    ["none", "running_mean", "batch_mean", "leave_one_out", "critic", "quantile", "entropic"],
)
def test_every_baseline_learns(baseline: str) -> None:
    learner = make(LearnerSettings(baseline=baseline, lr=1e-2))  # type: ignore[arg-type]
    means = run(learner, seeded(), steps=40)
    assert sum(means[-5:]) / 5 > sum(means[:5]) / 5 + 0.2, means


@pytest.mark.parametrize("kind", SAMPLED)
def test_figures_are_numbers_on_the_device(kind: str) -> None:
    learner = make(kinds()[kind])
    drawn = rollout(ENV, learner.policy, 32, seeded())
    figures = learner.update(drawn, judged(drawn), torch.ones(32))
    assert set(figures) >= METRICS
    for name, value in figures.items():
        assert value.shape == () and not value.requires_grad and math.isfinite(float(value)), name
    assert float(figures["skipped"]) == 0 and float(figures["entropy"]) > 0


def test_the_critic_learns_what_to_expect() -> None:
    learner = make(LearnerSettings(baseline="critic", lr=1e-2, epochs=4, entropy=0.0))
    generator = seeded()
    first, last = 0.0, 0.0
    with torch.no_grad():
        learner.policy.head.bias[:1] = 1.0
    for step in range(40):
        drawn = rollout(ENV, learner.policy, 128, generator)
        figures = learner.update(drawn, judged(drawn), torch.ones(128))
        last = float(figures["value_loss"])
        first = last if step == 0 else first
    assert last < 0.5 * first


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    "settings",
    [*kinds().values(), LearnerSettings(baseline="running_mean", optimiser="sgd")],
    ids=[*kinds(), "running mean"],
)
def test_a_restored_learner_goes_on_bit_for_bit(settings: LearnerSettings) -> None:
    learner, generator = make(settings), seeded()
    run(learner, generator, steps=3)
    state, random = learner.state_dict(), generator.get_state()
    run(learner, generator, steps=3)
    again = make(settings, seed=5)
    run(again, seeded(7), steps=2)  # whatever it learned meanwhile is forgotten
    again.load_state_dict(state)
    assert same(again.state_dict(), state)
    later = seeded(1)
    later.set_state(random)
    run(again, later, steps=3)
    assert same(again.state_dict(), learner.state_dict())
    assert (again.steps, again.skipped) == (learner.steps, learner.skipped)


def test_a_state_before_the_first_step_is_restored_too() -> None:
    learner = make(Ppo())
    state = learner.state_dict()
    run(learner, seeded(), steps=2)
    learner.load_state_dict(state)
    assert same(learner.state_dict(), state)


def test_the_state_is_flat_tensors_that_share_nothing() -> None:
    learner = make(Ppo())
    run(learner, seeded(), steps=1)
    state = learner.state_dict()
    assert all(isinstance(v, Tensor) and v.is_contiguous() for v in state.values())
    assert len({v.untyped_storage().data_ptr() for v in state.values()}) == len(state)
    before = vector(learner.policy)
    for value in state.values():
        value.zero_()
    assert torch.equal(vector(learner.policy), before)


def test_the_same_seed_learns_the_same() -> None:
    states = []
    for _ in range(2):
        learner = make(Ppo(seed=3))
        run(learner, seeded(), steps=3)
        states.append(learner.state_dict())
    assert same(*states)
    other = make(Ppo(seed=4))
    run(other, seeded(), steps=3)
    assert not torch.equal(vector(other.policy), vector(learner.policy)), "the seed shuffles"


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_batch_without_weight_moves_nothing(kind: str) -> None:
    learner = make(kinds()[kind])
    run(learner, seeded(), steps=2)  # the optimiser has momentum by now
    before = learner.state_dict()
    drawn = rollout(ENV, learner.policy, 16, seeded(1))
    reward = torch.full((16,), math.nan)
    figures = learner.update(drawn, reward, torch.zeros(16))
    figures |= learner.imitate(drawn, reward, torch.zeros(16))
    after = learner.state_dict()
    moved = [k for k in before if k != "generator" and not torch.equal(before[k], after[k])]
    assert moved == []
    assert all(math.isfinite(float(v)) for v in figures.values())
    assert learner.skipped == 0, "nothing was broken"


@pytest.mark.parametrize("kind", SAMPLED)
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_skipped_and_counted(kind: str, broken: float) -> None:
    learner = make(kinds()[kind])
    run(learner, seeded(), steps=2)
    before, steps = learner.state_dict(), learner.steps
    drawn = rollout(ENV, learner.policy, 16, seeded(1))
    reward = judged(drawn)
    reward[3] = broken  # measured, it is claimed
    figures = learner.update(drawn, reward, torch.ones(16))
    wanted = learner.settings.epochs * learner.settings.minibatches
    taken = learner.steps - steps
    assert float(figures["skipped"]) == learner.skipped == wanted - taken
    # the worst row of a batch teaches nothing where only the best do, however bad it is
    assert taken < wanted or (kind, broken) == ("risk_seeking", -math.inf)
    assert bool(torch.isfinite(vector(learner.policy)).all())
    if taken == 0:
        after = learner.state_dict()
        names = [k for k in before if k.startswith(("policy", "optimiser"))]
        assert all(torch.equal(before[k], after[k]) for k in names)


def test_the_gradient_is_shortened_to_its_limit() -> None:
    for limit in (0.01, math.inf):
        settings = Reinforce(optimiser="sgd", lr=1.0, max_grad_norm=limit)
        learner = make(settings)
        before = vector(learner.policy)
        drawn = rollout(ENV, learner.policy, 32, seeded())
        figures = learner.update(drawn, 100 * judged(drawn), torch.ones(32))
        length = float((vector(learner.policy) - before).norm())
        norm = float(figures["grad_norm"])
        assert norm > 1.0, "the figure is the length before it is shortened"
        assert length == pytest.approx(min(limit, norm), rel=1e-3)


def test_minibatches_see_every_row_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make(Ppo(epochs=2, minibatches=3))
    drawn = rollout(ENV, learner.policy, 10, seeded())
    marked = drawn.replace(value=torch.arange(10.0).unsqueeze(1).expand_as(drawn.value))
    seen: list[Tensor] = []
    learn = learner._learn

    def spy(batch: Any) -> dict[str, Tensor]:
        seen.append(batch.trajectory.value[:, 0])
        return learn(batch)

    monkeypatch.setattr(learner, "_learn", spy)
    learner.update(marked, judged(drawn), torch.ones(10))
    assert len(seen) == 6
    for epoch in (seen[:3], seen[3:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(10))
    assert torch.cat(seen[:3]).tolist() != torch.cat(seen[3:]).tolist()


@pytest.mark.parametrize("imitation", ["likelihood", "augmented"])
def test_imitation_makes_given_designs_likelier(imitation: str) -> None:
    learner = make(LearnerSettings(imitation=imitation, lr=1e-2, sigma=30.0))  # type: ignore[arg-type]
    rows = ENV.encode([ENV.parse(text) for text in ("aaaaaa", "abab", "dd")])
    trajectory = retrace(ENV, [row for row in rows if row is not None])
    reward, weight = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 0.0])

    def likelihood() -> Tensor:
        return evaluate(learner.policy, trajectory).log_prob.detach().sum(1)

    before = likelihood()
    for _ in range(30):
        figures = learner.imitate(trajectory, reward, weight)
    after = likelihood()
    assert set(figures) == {"loss", "grad_norm", "skipped"}
    assert bool((after[:2] > before[:2] + 1).all()), "the weighted rows became likelier"
    assert float(after[2]) < float(before[2]), "the row without weight did not"


def test_imitation_is_the_gradient_of_the_weighted_likelihood() -> None:
    policy = lively(ENV)
    settings = LearnerSettings(
        optimiser="sgd", lr=1.0, max_grad_norm=math.inf, imitation_weight=0.5
    )
    learner = Learner(policy, settings)
    trajectory = retrace(ENV, [[0, 1, 4], [2, 2, 2, 4]])
    weight = torch.tensor([3.0, 1.0], dtype=torch.float64)
    total = (evaluate(policy, trajectory).log_prob.sum(1) * weight).sum() / 4
    parts = torch.autograd.grad(0.5 * total, list(policy.parameters()), allow_unused=True)
    flat = [
        torch.zeros(p.numel()).double() if g is None else g.reshape(-1)
        for p, g in zip(policy.parameters(), parts, strict=True)
    ]
    before = vector(policy)
    learner.imitate(trajectory, torch.zeros(2), weight)
    assert float((vector(policy) - before - torch.cat(flat)).abs().max()) < 1e-12


def test_the_augmented_likelihood_finds_the_tilted_prior() -> None:
    env = Sequences("ab", max_length=2)
    rows = [[0, 2], [1, 2], [0, 0], [0, 1], [1, 0], [1, 1]]
    prior = lively(env, seed=3)
    policy = lively(env, seed=4, hidden=12)
    learner = Learner(policy, Reinvent(sigma=2.0, lr=3e-2, entropy=0.0), prior=prior)
    trajectory = retrace(env, rows)
    reward = torch.tensor([0.0, 1.0, 0.5, 0.0, 0.2, 0.9]).double()
    prior_says = evaluate(prior, trajectory).log_prob.detach().sum(1)
    tilted = torch.softmax(prior_says + 2.0 * reward, dim=0)
    for _ in range(400):
        now = evaluate(policy, trajectory)
        fixed = now.replace(
            log_prob=now.log_prob.detach(), value=now.value.detach(), entropy=now.entropy.detach()
        )
        learner.update(fixed, reward, fixed.log_prob.sum(1).exp())
    share = evaluate(policy, trajectory).log_prob.detach().sum(1).exp()
    assert float((share - tilted).abs().max()) < 0.02


def test_a_prior_holds_the_policy_back() -> None:
    moved = []
    for weight in (0.0, 5.0):
        prior = fresh()
        learner = Learner(fresh(), Reinforce(kl_weight=weight, lr=1e-2, entropy=0.0), prior=prior)
        for step in range(30):
            drawn = rollout(ENV, learner.policy, 64, seeded(step))
            figures = learner.update(drawn, judged(drawn), torch.ones(64))
        moved.append(float(figures["kl_prior"]))
    assert moved[1] < 0.5 * moved[0]


def test_the_entropy_weight_falls_straight_and_is_remembered() -> None:
    settings = Reinforce(entropy=0.4, entropy_end=0.1, entropy_steps=4)
    learner, seen = make(settings), []
    reward, weight = torch.rand(8), torch.ones(8)
    for _ in range(6):
        seen.append(learner.entropy_weight)
        trajectory = rollout(ENV, learner.policy, 8, torch.Generator().manual_seed(0))
        learner.update(trajectory, reward, weight)
    assert seen == pytest.approx([0.4, 0.325, 0.25, 0.175, 0.1, 0.1])
    again = make(settings)
    again.load_state_dict(learner.state_dict())
    assert again.entropy_weight == pytest.approx(0.1)
    with pytest.raises(InputError, match=r"entropy_end is -1\.0, expected 0 or more"):
        Reinforce(entropy_end=-1.0)


def test_entropy_weight_keeps_choices_open() -> None:
    left = []
    for weight in (0.0, 1.0):
        learner = make(Reinforce(entropy=weight, lr=1e-2))
        generator = seeded()
        for _ in range(40):
            drawn = rollout(ENV, learner.policy, 64, generator)
            figures = learner.update(drawn, judged(drawn), torch.ones(64))
        left.append(float(figures["entropy"]))
    assert left[1] > left[0] + 0.3


def test_rewards_paid_by_step_are_learned_from() -> None:
    learner, generator = make(Reinforce(lr=1e-2)), seeded()
    shares = []
    for _ in range(40):
        drawn = rollout(ENV, learner.policy, 64, generator)
        reward = ((drawn.actions == 0) & drawn.active).float() / 6
        learner.update(drawn, reward, torch.ones(64))
        shares.append(float(reward.sum(1).mean()))
    assert shares[-1] > shares[0] + 0.3


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"lr": 0.0}, "lr is 0.0, expected above 0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"epochs": 0}, "epochs is 0"),
        ({"entropy": -1.0}, "entropy is -1.0, expected 0 or more"),
        ({"kl_weight": math.inf}, "kl_weight is inf"),
        ({"gamma": 1.1}, "gamma is 1.1, expected 0 to 1"),
        ({"baseline": "quantile", "normalise": True}, "normalise would teach away"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        LearnerSettings(**changes)


@pytest.mark.parametrize(
    "changes", [{"loss": "augmented"}, {"imitation": "augmented"}, {"kl_weight": 0.1}]
)
def test_a_prior_that_is_missing_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(changes))}.* needs a prior"):
        Learner(fresh(), LearnerSettings(**changes))


def test_an_unknown_baseline_and_a_policy_that_is_no_module_are_refused() -> None:
    with pytest.raises(InputError, match="baseline 'media' is unknown"):
        Learner(fresh(), LearnerSettings(baseline="media"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"object is not a torch\.nn\.Module"):
        Learner(object())  # type: ignore[arg-type]


def test_the_running_mean_of_a_step_is_that_of_the_steps_before() -> None:
    learner = make(LearnerSettings(baseline="running_mean", running_decay=0.0))
    drawn = rollout(ENV, learner.policy, 8, seeded())
    assert float(learner.baseline.mean) == 0.0  # type: ignore[arg-type]
    learner.update(drawn, torch.full((8,), 3.0), torch.ones(8))
    assert float(learner.baseline.mean) == 3.0  # type: ignore[arg-type]
    # the batch pays just what was expected: there is nothing to learn from it
    figures = learner.update(drawn, torch.full((8,), 3.0), torch.ones(8))
    assert float(figures["loss"]) == pytest.approx(-0.01 * float(rows_entropy(drawn)), abs=0.02)
    assert float(learner.update(drawn, torch.zeros(8), torch.ones(8))["grad_norm"]) > 0.1


def rows_entropy(trajectory: Trajectory) -> Tensor:
    return trajectory.entropy.sum(1).mean()


@pytest.mark.parametrize(
    "settings",
    [Reinforce(), Ppo(minibatches=1), LearnerSettings(epochs=2, baseline="none"), Reinvent()],
)
def test_padding_changes_no_figure(settings: LearnerSettings) -> None:
    long = Sequences("abcd", max_length=6)
    rows = [[0, 4], [1, 2, 4], [3, 3, 3, 4]]
    padded = [row + [4] * (6 - len(row)) for row in rows]
    reward = torch.tensor([0.2, 0.9, 0.5])
    seen = []
    for spelled in (rows, padded):
        learner = Learner(fresh(), settings, prior=fresh(99))
        with torch.no_grad():
            trajectory = evaluate(learner.policy, retrace(long, spelled))
        seen.append(learner.update(trajectory, reward, torch.ones(3)))
    assert len(rows[2]) < 6
    for name, value in seen[0].items():
        assert float(value) == pytest.approx(float(seen[1][name]), abs=1e-5), name


def step(settings: LearnerSettings, env: Any, trajectory: Trajectory, reward: Tensor) -> Tensor:
    """Return how far one step moves a fresh float64 policy."""
    policy = lively(env)
    before = vector(policy)
    Learner(policy, settings).update(trajectory, reward, torch.ones_like(reward))
    return vector(policy) - before


def test_rows_of_one_instance_are_compared_with_each_other() -> None:
    settings = Reinforce(optimiser="sgd", lr=1.0, entropy=0.0, max_grad_norm=math.inf)
    trajectory = retrace(ENV, [[0, 0, 4], [1, 1, 4], [2, 2, 4], [3, 3, 4]])
    reward = torch.tensor([1.0, 1.0, 5.0, 5.0])
    whole = step(settings, ENV, trajectory, reward)
    grouped = trajectory.replace(group=torch.tensor([8, 8, 3, 3]))
    assert float(whole.norm()) > 0.1
    assert float(step(settings, ENV, grouped, reward).norm()) < 1e-12, "equals within a group"


def test_shaping_moves_credit_between_the_steps_of_a_row() -> None:
    env = Shaped(Sequences("ab", max_length=4))
    trajectory = retrace(env, [[0, 0, 2], [1, 1, 1, 1]])
    reward = torch.tensor([1.0, 2.0])
    plain = Reinforce(optimiser="sgd", lr=1.0, entropy=0.0, max_grad_norm=math.inf)
    shaped = Reinforce(optimiser="sgd", lr=1.0, entropy=0.0, max_grad_norm=math.inf, shaping=1.0)
    moved = step(shaped, env, trajectory, reward) - step(plain, env, trajectory, reward)
    assert float(moved.norm()) > 0.1
