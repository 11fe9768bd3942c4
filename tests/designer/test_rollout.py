"""Sampling and replay: legal, repeatable, independent by row, and in agreement."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
from toys import Shaped, listed, lively, world

from designer.policy import RecurrentPolicy
from designer.protocols import Trajectory
from designer.rollout import evaluate, replay, retrace, rollout
from designer.sequences import Sequences, Written

ENV = Sequences("abcde", max_length=9, min_length=2, forbidden=[("a", "b"), ("c", "c")])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(a: Trajectory, b: Trajectory) -> bool:
    """Return whether two trajectories are equal bit for bit."""
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Trajectory)]
    return all(x is y is None or torch.equal(x, y) for x, y in pairs)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["single", "double"])
def policy(request: pytest.FixtureRequest) -> RecurrentPolicy:
    return lively(ENV, layers=2, hidden=16).to(request.param)


def test_rollout_and_replay_agree(policy: RecurrentPolicy) -> None:
    drawn = rollout(ENV, policy, 64, seeded())
    actions = drawn.actions.tolist()
    again = replay(ENV, policy, actions)
    tolerance = 1e-5 if policy.head.weight.dtype == torch.float32 else 1e-12
    for name in ("log_prob", "entropy", "value"):
        gap = (getattr(drawn, name) - getattr(again, name)).abs().max().detach()
        assert float(gap) < tolerance, name
    for name in ("observations", "masks", "actions", "active"):
        assert torch.equal(getattr(drawn, name), getattr(again, name)), name


def test_replay_of_rows_without_their_padding(policy: RecurrentPolicy) -> None:
    drawn = rollout(ENV, policy, 32, seeded())
    counts = drawn.active.sum(1).tolist()
    cut = [row[:n] for row, n in zip(drawn.actions.tolist(), counts, strict=True)]
    assert torch.equal(retrace(ENV, cut).actions, drawn.actions)


def test_the_same_seed_gives_the_same_rows(policy: RecurrentPolicy) -> None:
    assert same(rollout(ENV, policy, 40, seeded(3)), rollout(ENV, policy, 40, seeded(3)))
    assert not same(rollout(ENV, policy, 40, seeded(3)), rollout(ENV, policy, 40, seeded(4)))


def test_every_action_taken_is_legal(policy: RecurrentPolicy) -> None:
    drawn = rollout(ENV, policy, 500, seeded())
    assert bool(drawn.masks.gather(2, drawn.actions.unsqueeze(2)).all())
    assert None not in ENV.decode(drawn.actions.tolist())


def test_finished_rows_absorb(policy: RecurrentPolicy) -> None:
    drawn = rollout(ENV, policy, 200, seeded())
    idle = ~drawn.active
    assert bool(idle.any())
    for name in ("log_prob", "entropy", "value"):
        assert bool((getattr(drawn, name)[idle] == 0).all()), name
    assert bool((drawn.masks[idle].sum(-1) == 1).all())


def test_designs_come_as_often_as_their_probabilities_say() -> None:
    toy = world(seed=5)
    rows = {tuple(r): i for i, r in enumerate(listed(toy.env))}
    drawn = rollout(toy.env, toy.policy, 20_000, seeded())
    counts = torch.zeros(len(rows), dtype=torch.float64)
    lengths = drawn.active.sum(1).tolist()
    for row, n in zip(drawn.actions.tolist(), lengths, strict=True):
        counts[rows[tuple(row[:n])]] += 1
    expected = toy.weight * 20_000
    chi_square = float(((counts - expected).square() / expected).sum())
    assert chi_square < 27.9, "p < 0.001 with nine degrees of freedom"


def test_a_low_temperature_draws_the_most_probable() -> None:
    policy = lively(ENV, hidden=8)
    cold = rollout(ENV, policy, 50, seeded(), temperature=1e-3)
    assert len({tuple(row) for row in cold.actions.tolist()}) == 1
    assert float(cold.log_prob.min()) > -1e-3, "the log-probability is the tempered one"


@dataclass(frozen=True)
class Patient:
    """A world that never says that it is done, to see what early exit changes."""

    inner: Sequences

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def done(self, state: Written, /) -> torch.Tensor:
        done = self.inner.done(state).clone()
        done[0] = False
        return done


def test_early_exit_changes_nothing() -> None:
    env = Sequences("ab", max_length=30)
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    with torch.no_grad():
        policy.head.bias[-1] = 3.0  # END soon
    early = rollout(env, policy, 16, seeded())
    late = rollout(Patient(env), policy, 16, seeded())  # type: ignore[arg-type]
    steps = early.actions.shape[1]
    assert steps < 30 and late.actions.shape[1] == 30
    for name in ("observations", "masks", "actions"):
        assert torch.equal(getattr(early, name), getattr(late, name)[:, :steps])
    for name in ("log_prob", "entropy", "value"):
        assert torch.equal(getattr(early, name)[1:], getattr(late, name)[1:, :steps])
        assert bool((getattr(late, name)[1:, steps:] == 0).all())


def test_rows_do_not_influence_each_other(policy: RecurrentPolicy) -> None:
    drawn = rollout(ENV, policy, 12, seeded())
    whole = evaluate(policy, drawn)
    for row in range(12):
        alone = replay(ENV, policy, drawn.actions[row : row + 1])
        gap = (alone.log_prob - whole.log_prob[row : row + 1]).abs().max().detach()
        assert float(gap) < 1e-5


def test_potentials_are_recorded_for_every_state() -> None:
    env = Shaped(Sequences("ab", max_length=5))
    drawn = rollout(env, lively(env), 30, seeded())
    assert drawn.potential is not None
    assert drawn.potential.shape == (30, drawn.actions.shape[1] + 1)
    texts = [d.text if d else "" for d in env.decode(drawn.actions.tolist())]
    assert drawn.potential[:, -1].tolist() == [text.count("a") for text in texts]
    traced = retrace(env, drawn.actions).potential
    assert traced is not None and torch.equal(traced, drawn.potential)


@pytest.mark.parametrize(
    "rows,words",
    [([[0, 1, 5]], "row 0, step 1"), ([[0, 0, 5], [5]], "row 1, step 0"), ([[0, 0]], "unfinished")],
)
def test_actions_that_build_nothing_are_refused(rows: list[list[int]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        retrace(ENV, rows)


def test_a_prior_is_asked_without_gradients(policy: RecurrentPolicy) -> None:
    prior = lively(ENV, seed=9)
    drawn = rollout(ENV, policy, 20, seeded())
    seen = evaluate(policy, drawn, prior)
    alone = evaluate(prior, drawn)
    assert seen.prior_log_prob is not None and not seen.prior_log_prob.requires_grad
    assert torch.equal(seen.prior_log_prob, alone.log_prob.detach())
    assert seen.log_prob.requires_grad


def test_a_rollout_has_no_gradients(policy: RecurrentPolicy) -> None:
    drawn = rollout(ENV, policy, 4, seeded())
    assert not drawn.log_prob.requires_grad and not drawn.value.requires_grad
