"""Constants that the policy draws: the contracts, and gradients that are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from designer import credit, pathwise
from designer.differentiable import Dpg, Pathwise
from designer.enumeration import flat, gap, listed
from designer.errors import InputError
from designer.objective import Objective, Penalty, Term
from designer.policy import RecurrentPolicy
from designer.protocols import Spelling
from designer.rollout import evaluate, retrace, rollout
from designer.testing import check_environment, check_policy
from designer.through import ThroughNumbers
from oracles.fit import Fit
from oracles.penalties import Complexity
from tasks.symbolic.language.library import library
from tasks.symbolic.making import make_task
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.tables.table import Table

X = np.linspace(0.5, 2.0, 7)
TABLE = Table(X[:, None], 1.3 * X + 0.4, ("x",), "y", {})


def world(operators: list[str], length: int = 3, **more: Any) -> Any:
    tokens = library(operators, ["x"], (), True)
    return make_task(TABLE, Expressions(tokens, max_length=length, drawn=True, **more))


def actor(env: Any, seed: int = 0) -> RecurrentPolicy:
    """Return a float64 policy with constants that are not near zero."""
    policy = RecurrentPolicy(env.obs_size, env.num_actions, 4, seed=seed, num_values=1)
    policy.double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for head in (policy.head, policy.number_head):
            head.weight.normal_(0.0, 0.4, generator=generator)  # type: ignore[union-attr]
    return policy


class Quadratic:
    """Minus the mean squared error, no scale: a polynomial in the constants."""

    name, cheap, relaxed_column = "quadratic", True, "quadratic"

    def relaxed(self, drawn: pathwise.Drawn) -> torch.Tensor:
        x, y = torch.from_numpy(X), torch.from_numpy(TABLE.y)
        packed, rows = drawn.packed(), []
        for design, own in zip(drawn.designs, packed, strict=True):
            numbers, stack = iter(own), []
            for token in reversed(list(named(design, numbers))):
                if token == "add":
                    stack.append(stack.pop() + stack.pop())
                elif token == "mul":
                    stack.append(stack.pop() * stack.pop())
                else:
                    stack.append(x if token == "x" else token * torch.ones_like(x))
            rows.append(-(stack.pop() - y).square().mean())
        return torch.stack(rows)


def named(design: Any, numbers: Any) -> Any:
    for token in design.tokens:
        name = design.library.names[token]
        yield next(numbers) if name == "c" else name


def test_the_gradient_is_exact_by_either_way() -> None:
    """All tokens are listed, all numbers integrated (Gauss-Hermite): three gradients agree."""
    env = world(["add", "mul"]).environment
    policy, rows = actor(env), listed(env)
    nodes, mass = np.polynomial.hermite_e.hermegauss(5)  # exact to degree 9
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    share = torch.from_numpy(np.outer(mass, mass).reshape(-1) / mass.sum() ** 2)
    many = [row for row in rows for _ in grid]
    noise = torch.zeros(len(many), env.max_steps, 1, dtype=torch.float64)
    for i, row in enumerate(many):  # the first and second constant of a row get the two nodes
        at = [t for t, token in enumerate(row) if token == env.library.constant_id]
        for k, t in enumerate(at):
            noise[i, t, 0] = grid[i % len(grid), k]
    bare = retrace(env, many, values=noise)
    location = policy.unroll(bare.observations)
    values = (location.location + location.scale * noise).detach()  # type: ignore[operator]
    walked = retrace(env, many, values=values)
    now = evaluate(policy, walked)
    tokens = evaluate(policy, walked.replace(values=None)).log_prob.sum(1)
    node = share.repeat(len(rows))
    weight = (tokens.exp() * node).detach()
    assert float(weight.sum()) == pytest.approx(1.0, abs=1e-12)
    drawn = pathwise.drawn(env, policy, walked)
    reward = Quadratic().relaxed(drawn)

    exact = flat(policy, (tokens.exp() * node * reward).sum())
    score = flat(policy, (weight * reward.detach() * now.log_prob.sum(1)).sum())
    assert gap(score, exact) < 1e-12 * max(1.0, float(exact.abs().max()))

    learner = ThroughNumbers(
        policy, Pathwise(), env, pathwise.relaxed_reward(Objective([Term(Quadratic())]))
    )
    found = flat(policy, -_without_baseline(learner, walked, reward.detach(), weight))
    assert gap(found, exact) < 1e-12 * max(1.0, float(exact.abs().max()))
    assert float(exact.abs().max()) > 0.1


def _without_baseline(learner: Any, walked: Any, reward: Any, weight: Any) -> torch.Tensor:
    """Return the loss on everything there is, where a mean of the others would be no other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credit, "leave_one_out", lambda values, weight: torch.zeros_like(values))
        loss: torch.Tensor = learner.loss(walked, reward, weight)["loss"]
    return loss


@pytest.mark.parametrize("scale,offset", [(False, False), (True, False), (True, True)])
def test_the_smooth_fit_is_the_fit_and_its_slope(scale: bool, offset: bool) -> None:
    made = world(["add", "mul", "sin", "exp", "log", "div"], 9)
    env = made.environment
    policy = actor(env)
    walked = rollout(env, policy, 64, torch.Generator().manual_seed(3))
    oracle = Fit(TABLE, scale, offset)
    drawn = pathwise.drawn(env, policy, walked)
    measured = oracle(drawn.designs).columns["fit"]  # type: ignore[arg-type]
    held = drawn.values.detach().requires_grad_(True)
    smooth = oracle.relaxed(pathwise.Drawn(drawn.designs, held, drawn.valued))
    fine = np.isfinite(measured)
    assert np.allclose(smooth.detach().numpy()[fine], measured[fine], atol=1e-6)
    assert not smooth.detach().numpy()[~fine].any()
    (slope,) = torch.autograd.grad(smooth.sum(), held)
    step = 1e-5
    moved = (held.detach() + step, held.detach() - step)
    up, down = (oracle.relaxed(pathwise.Drawn(drawn.designs, v, drawn.valued)) for v in moved)
    along = (slope * drawn.valued.unsqueeze(-1)).sum((1, 2))
    middle = torch.from_numpy((fine & (measured < 0.999)).copy())
    wrong = ((up - down) / (2 * step) - along).abs()[middle]
    assert float(wrong.median()) < 1e-7 and float(along.abs().max()) > 0.01


def test_contracts_keys_and_spellings() -> None:
    made = world(["add", "mul", "sin"], 7)
    env: Any = made.environment
    check_environment(env)
    policy = RecurrentPolicy(env.obs_size, env.num_actions, 8, seed=0, num_values=1)
    check_policy(policy, env)
    drawn = rollout(env, policy, 32, torch.Generator().manual_seed(0))
    designs = env.decode(drawn.actions.tolist(), **drawn.given)
    again = env.encode(designs)
    walked = retrace(
        env,
        [s.actions for s in again],
        values=[s.given["values"] for s in again],
    )
    back = env.decode(walked.actions.tolist(), **walked.given)
    assert [d.key for d in designs] == [d.key for d in back]
    assert [d.constants for d in designs] == [d.constants for d in back]
    with_constants = [d for d in designs if d.constants]
    assert len({d.key for d in with_constants}) == len(with_constants)
    assert all(made.parse(d.text).constants == pytest.approx(d.constants) for d in with_constants)
    far = with_constants[0].fitted([50.0] * len(with_constants[0].constants), 1.0, 0.0)
    assert env.encode([far]) == [None]
    assert isinstance(again[0], Spelling)


def test_it_learns_where_the_constants_lie() -> None:
    """One expression, c * x + c: both ways come near 1.3 and 0.4."""
    env: Any = world(["add", "mul"], 5).environment
    oracle = Fit(TABLE, scale=False)
    objective = Objective([Term(oracle, "fit")], [Penalty(Complexity())])
    policy = RecurrentPolicy(env.obs_size, env.num_actions, 16, seed=0, num_values=1, deviation=0.5)
    learner = Pathwise(lr=3e-2).learner(policy, env, objective)
    generator, means = torch.Generator().manual_seed(0), []
    for _ in range(40):
        walked = rollout(env, policy, 32, generator)
        designs = env.decode(walked.actions.tolist(), **walked.given)
        reward = torch.from_numpy(oracle(designs).columns["fit"]).float()
        learner.update(walked, reward, torch.ones(32))
        means.append(float(reward.mean()))
    assert np.mean(means[-5:]) > 0.75 > np.mean(means[:5]) + 0.2
    assert "pathwise" in learner.biased[0]


def test_what_does_not_fit_is_refused() -> None:
    env = world(["add"]).environment
    with pytest.raises(InputError, match="need constants to draw"):
        Expressions(library(["add"], ["x"]), drawn=True)
    with pytest.raises(InputError, match="smooth in its values all the way"):
        Dpg().learner(None, env, Objective([Term(Fit(TABLE), "fit")]))
    with pytest.raises(InputError, match="column 'fit' only"):
        Pathwise().learner(None, env, Objective([Term(Fit(TABLE), "nmse")]))
