"""Fitting against independent solvers: finite differences, numpy and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from tasks.symbolic.fit.constants import Problem, _Bench
from tasks.symbolic.fit.fitting import evaluate, fit
from tasks.symbolic.fit.outer import Points, Settings, outer_fit
from tasks.symbolic.language.library import library
from tasks.symbolic.language.operators import OPERATORS, Operator
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.trees import pack

LIBRARY = library("all", ["x", "y"], (), True)
PLAIN = Settings(scale=False)
HELD = (1.0, 0.0)


def points(function, count=60, seed=0, weight=False):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.uniform(0.5, 2.0, (count, 2)))
    w = torch.from_numpy(rng.uniform(0.1, 2.0, count)) if weight else None
    w = None if w is None else w / w.mean()
    return Points(x, function(x[:, 0], x[:, 1]), w)


def rows(*texts):
    return pack([parse(text, LIBRARY).tokens for text in texts])


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_derivatives_of_operators_equal_automatic_ones(name):
    operator = OPERATORS[name]
    low = {"acos": -0.9, "asin": -0.9}.get(name, 0.1)
    args = [torch.linspace(low, 0.9, 7, dtype=torch.float64).roll(2 * i) for i in range(2)]
    args = args[: operator.arity]
    automatic = Operator(name, operator.arity, operator.function).derivatives(args[0], *args)
    reads = range(operator.arity) if operator.reads is None else operator.reads
    seen = [a if i in reads else None for i, a in enumerate(args)]
    own = operator.derivatives(operator.function(*args), *seen)
    for mine, theirs in zip(own, automatic, strict=True):
        torch.testing.assert_close(torch.as_tensor(mine) * torch.ones_like(theirs), theirs)


TEXTS = (
    "a*exp(b*x) + c", "a*x**b", "sin(a*x + b)*y/c", "x*y + a", "log(a + x)*tanh(b*y)",
    "sqrt(a + x)/(b + y)", "a*(b + x)", "max(a*x, b*y)", "(a*x)**2 - (b + y)**3", "a - inv(x + b)",
)  # fmt: skip


@pytest.mark.parametrize(
    "outer", [(1.0, 0.0), (math.nan, 0.0), (math.nan, math.nan), (2.0, math.nan)]
)
@pytest.mark.parametrize("weight", [False, True])
def test_normal_equations_equal_those_of_finite_differences(outer, weight):
    data = points(lambda x, y: 3 * x * y + 1, weight=weight)
    tokens = rows(*TEXTS)
    N, K = len(tokens), 4
    at = torch.from_numpy(np.random.default_rng(1).uniform(0.4, 1.2, (N, K)))
    held = torch.tensor([outer] * N, dtype=torch.float64)
    count = (tokens == LIBRARY.constant_id).sum(1, keepdim=True)
    free = torch.arange(K) < count
    problem = Problem(tokens, LIBRARY, data, held, free)
    cost, normal, gradient, _ = _Bench(problem, at).linearise(at)
    root = torch.ones_like(data.y) if data.weight is None else data.weight.sqrt()

    def residual(c):
        f = evaluate(tokens, LIBRARY, data.x, c)
        _, scale, offset = outer_fit(f, data, held)
        return f, (scale[:, None] * f + offset[:, None] - data.y) * root, scale

    f, r, scale = residual(at)
    slopes = []
    for k in range(K):
        step = torch.zeros_like(at)
        step[:, k] = 1e-6
        up, down = (evaluate(tokens, LIBRARY, data.x, at + s) for s in (step, -step))
        slopes.append((up - down) / 2e-6 * scale[:, None] * root)
    J = torch.stack(slopes, 2)
    for n in range(N):
        free_of = [f[n] * root] * math.isnan(outer[0]) + [root] * math.isnan(outer[1])
        if free_of:  # project the columns off what scale and offset explain
            Q, _ = torch.linalg.qr(torch.stack(free_of, 1))
            J[n] -= Q @ (Q.T @ J[n])
    P = len(data.y)
    torch.testing.assert_close(normal, J.transpose(1, 2) @ J / P, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, torch.einsum("npk,np->nk", J, r) / P, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(cost, (r**2).mean(1) / data.variance)
    # the gradient of the cost itself, by differences: the projection leaves it exact
    for k in range(2):
        step = torch.zeros_like(at)
        step[:, k] = 1e-6
        slope = (
            (residual(at + step)[1] ** 2).mean(1) - (residual(at - step)[1] ** 2).mean(1)
        ) / 2e-6
        torch.testing.assert_close(2 * gradient[:, k], slope, rtol=1e-4, atol=1e-5)


def test_fitted_constants_reach_the_optimum_that_scipy_finds():
    data = points(lambda x, y: 2.5 * torch.exp(-0.7 * x) + 0.3 * torch.sin(3 * y))
    texts = ["a*exp(b*x)", "a*exp(b*x) + c*y", "a + b*x*y", "a*x**b", "tanh(a*x + b)*c"]
    tokens = rows(*texts)
    outer = torch.tensor([HELD] * len(texts), dtype=torch.float64)
    found = fit(tokens, LIBRARY, data, Settings(starts=4, iterations=60), None, outer)
    for n in range(len(texts)):
        count = int((tokens[n] == LIBRARY.constant_id).sum())

        def residual(c, n=n):
            given = torch.from_numpy(np.asarray(c))[None]
            return (evaluate(tokens[n : n + 1], LIBRARY, data.x, given)[0] - data.y).numpy()

        theirs = min(
            2 * least_squares(residual, s, xtol=1e-15, ftol=1e-15, gtol=1e-15).cost
            for s in (np.ones(count), -np.ones(count), np.array([2.0, -1.0, 0.5])[:count])
        ) / len(data.y)
        assert float(found.nmse[n] * data.variance) <= theirs * (1 + 1e-7)


def test_exact_laws_are_recovered_with_their_constants():
    data = points(lambda x, y: 1.7 * torch.exp(-0.6 * x) * y)
    tokens = rows("a*exp(b*x)*y", "exp(b*x)*y")
    found = fit(
        tokens, LIBRARY, data, Settings(), None, torch.tensor([HELD, (math.nan, 0.0)]).double()
    )
    assert bool((found.nmse < 1e-25).all())
    np.testing.assert_allclose(found.constants[0, :2], [1.7, -0.6], rtol=1e-10)
    np.testing.assert_allclose([found.scale[1], found.constants[1, 0]], [1.7, -0.6], rtol=1e-10)


@pytest.mark.parametrize("weight", [False, True])
def test_scale_and_offset_equal_weighted_least_squares(weight):
    data = points(lambda x, y: 3 * x + torch.sin(9 * y) + 7, weight=weight)
    tokens = rows("x*y", "exp(x)")
    root = np.ones(60) if data.weight is None else data.weight.sqrt().numpy()
    for scale, offset in ((True, True), (True, False)):
        found = fit(tokens, LIBRARY, data, Settings(scale, offset))
        for n, f in enumerate(evaluate(tokens, LIBRARY, data.x).numpy()):
            A = np.stack([f, np.ones_like(f)][: 1 + offset], 1) * root[:, None]
            best, cost, *_ = np.linalg.lstsq(A, data.y.numpy() * root, rcond=None)
            wanted = [best[0], best[1] if offset else 0.0]
            np.testing.assert_allclose([found.scale[n], found.offset[n]], wanted, rtol=1e-9)
            np.testing.assert_allclose(found.nmse[n] * data.variance * 60, cost[0], rtol=1e-9)


def test_held_constants_stay_and_the_others_move():
    data = points(lambda x, y: 2 * x + 5 * y)
    given = torch.tensor([[2.0, math.nan], [3.0, math.nan]], dtype=torch.float64)
    found = fit(rows("a*x + b*y", "a*x + b*y"), LIBRARY, data, PLAIN, given)
    assert found.constants[:, 0].tolist() == [2.0, 3.0]
    assert float(found.constants[0, 1]) == pytest.approx(5.0, rel=1e-12)
    assert float(found.nmse[0]) < 1e-28 < 1e-3 < float(found.nmse[1])


def test_what_is_not_finite_on_the_data_has_infinite_error():
    data = points(lambda x, y: x)
    found = fit(
        rows("log(0 - x)", "exp(exp(exp(exp(x))))", "sqrt(a - 10 - x)", "x - x"),
        LIBRARY,
        data,
        Settings(),
    )
    assert torch.isinf(found.nmse).all()


def test_rows_are_fitted_alike_alone_and_together():
    data = points(lambda x, y: 2.5 * torch.exp(-0.7 * x) + 0.3 * torch.sin(3 * y))
    tokens = rows(*TEXTS, "x", "a + b*x + c*y + d*x*y + g*x*x")
    together = fit(tokens, LIBRARY, data, Settings())
    for n in range(len(tokens)):
        alone = fit(tokens[n : n + 1], LIBRARY, data, Settings())
        torch.testing.assert_close(alone.nmse[0], together.nmse[n], rtol=1e-9, atol=1e-14)
    small = fit(tokens, LIBRARY, data, Settings(cells=2000))
    torch.testing.assert_close(small.nmse, together.nmse, rtol=1e-9, atol=1e-14)


def test_a_users_operator_needs_no_derivatives_of_its_own():
    softplus = Operator("softplus", 1, torch.nn.functional.softplus)
    own = library(["mul", "add", softplus], ["x", "y"], (), True)
    data = points(lambda x, y: torch.nn.functional.softplus(1.3 * x - 0.4))
    mul, add, soft, x, _, c = range(6)
    found = fit(pack([[soft, add, mul, c, x, c]]), own, data, PLAIN)
    assert float(found.nmse[0]) < 1e-24
    np.testing.assert_allclose(found.constants[0, :2], [1.3, -0.4], rtol=1e-9)
