"""The compiled fit of constants: against automatic derivatives, and the reference in tensors."""

import math

import numpy as np
import pytest
import torch

from tasks.symbolic.fit import constants as lm
from tasks.symbolic.fit import host
from tasks.symbolic.fit.fitting import evaluate, fit
from tasks.symbolic.fit.outer import Points, Settings, outer_fit
from tasks.symbolic.language.library import library
from tasks.symbolic.language.operators import OPERATORS, Operator
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.trees import pack

LIBRARY = library("all", ["x", "y"], ["2", "pi"], True)
TEXTS = (
    "a*exp(b*x) + c", "a*x**b", "sin(a*x + b)*y/c", "x*y + a", "log(a + x)*tanh(b*y)",
    "sqrt(a + x)/(b + y)", "a*(b + x)", "max(a*x, b*y)", "(a*x)**2 - (b + y)**3",
    "a - inv(x + b)", "2*a*cos(pi*x) + b", "sinh(a*x)", "atan(a*x + b*y)",
)  # fmt: skip
# those whose constants a fitted scale and offset leave no other choice
FIRM = (
    "x**b", "sin(a*x + b)", "log(a + x)*tanh(b*y)", "sqrt(a + x)/(b + y)", "exp(a*x) + b*y",
    "max(a*x, y)", "(a*x)**2 - (b + y)**3", "atan(a*x + b*y)", "y*inv(a + x)", "x*y + a*y",
)  # fmt: skip
# with scale and offset fitted too, rounding, and so the processor, decides where its search ends
VALLEY = "(a*x)**2 - (b + y)**3"


def points(count=300, weight=False, seed=0):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.uniform(0.5, 2.0, (count, 2)))
    w = torch.from_numpy(rng.uniform(0.1, 2.0, count)) if weight else None
    y = 2.5 * torch.exp(-0.7 * x[:, 0]) + 0.3 * torch.sin(3 * x[:, 1])
    return Points(x, y, None if w is None else w / w.mean())


def problem(tokens, data, outer=(math.nan, 0.0)):
    count = (tokens == LIBRARY.constant_id).sum(1, keepdim=True)
    held = torch.tensor([outer] * len(tokens), dtype=torch.float64)
    K = int(count.max())
    return lm.Problem(tokens, LIBRARY, data, held, torch.arange(K) < count)


def rows(*texts):
    return pack([parse(text, LIBRARY).tokens for text in texts])


def free(task):
    return torch.full(task.free.shape, math.nan, dtype=torch.float64)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_one_step_is_that_of_automatic_derivatives(name):
    operator, c = OPERATORS[name], LIBRARY.constant_id
    x, y, mul = LIBRARY.first_variable, LIBRARY.first_variable + 1, LIBRARY.operator_ids["mul"]
    inside = [[mul, c, x], [mul, c, y]][: operator.arity]
    tokens = pack([[LIBRARY.operator_ids[name], *(t for part in inside for t in part)]])
    inputs = points().x

    def function(at):
        return operator.function(*(at[i] * inputs[:, i] for i in range(operator.arity)))

    first = -0.4 if name == "unless" else 0.4  # where it is not 0
    true = torch.tensor([first, 0.3], dtype=torch.float64)[: operator.arity]
    data = Points(inputs, function(true))
    at = true * torch.tensor([1.02, 0.97])[: operator.arity]
    J = torch.autograd.functional.jacobian(function, at)
    normal = J.T @ J
    floor = 1.01 * normal.diagonal() + 1e-11 * normal.diagonal() + 1e-300
    normal = normal - torch.diag(normal.diagonal()) + torch.diag(floor)
    wanted = at - torch.linalg.solve(normal, J.T @ (function(at) - data.y))
    task = problem(tokens, data, (1.0, 0.0))
    found = host.solve(task, free(task), Settings(starts=1, iterations=1), at[None])
    assert float(((function(found.constants[0]) - data.y) ** 2).mean()) < float(
        ((function(at) - data.y) ** 2).mean()
    )
    torch.testing.assert_close(found.constants[0], wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "outer", [(1.0, 0.0), (math.nan, 0.0), (math.nan, math.nan), (2.0, math.nan)]
)
@pytest.mark.parametrize("weight", [False, True])
def test_compiled_steps_equal_those_of_the_reference(outer, weight):
    data = points(weight=weight)
    task = problem(rows(*(TEXTS if outer == (1.0, 0.0) else FIRM)), data, outer)
    begin = torch.from_numpy(np.random.default_rng(1).uniform(0.4, 1.2, task.free.shape))
    for settings in (Settings(starts=1, iterations=2), Settings(starts=3, iterations=40)):
        found = host.solve(task, free(task), settings, begin)
        theirs = torch.where(task.free, lm.solve(task, free(task), settings, begin), 0.0)
        values = evaluate(task.tokens, LIBRARY, data.x, theirs)
        nmse, scale, offset = outer_fit(values, data, task.outer)
        assert bool(nmse.isfinite().all())
        off = (found.nmse - nmse).abs() / nmse
        # where the search has ended, flat directions may differ more
        near = torch.full_like(nmse, 1e-9)
        if settings.starts > 1 and outer == (math.nan, math.nan):
            near[FIRM.index(VALLEY)] = 1e-3
        assert bool((off <= near + 1e-14 / nmse).all())
        if settings.starts == 1:
            mine = torch.where(task.free, found.constants, 0.0)
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(found.scale, scale, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(found.offset, offset, rtol=1e-9, atol=1e-12)


def test_the_number_of_threads_and_the_company_change_no_bit():
    data = points(100)
    tokens = rows(*TEXTS * 12)
    task = problem(tokens, data)
    alone = host.solve(task, free(task), Settings())
    many = host.solve(task, free(task), Settings(), threads=3)
    assert torch.equal(alone.constants.nan_to_num(), many.constants.nan_to_num())
    assert torch.equal(alone.nmse, many.nmse)
    for n in range(len(TEXTS)):
        assert float(fit(tokens[n : n + 1], LIBRARY, data, Settings()).nmse[0]) == alone.nmse[n]
    # each residual counted at each point: three starts compared, the best of them judged at least
    assert int(many.work[:, 0].min()) >= 3 * 100 + 2 * 100
    assert bool((many.work[:, 0] >= many.work[:, 1]).all())


def test_held_constants_stay_and_what_is_not_finite_is_infinite():
    data = points(40)
    task = problem(rows("a*exp(b*x)", "sqrt(a - 10 - x*b)", "a*log(y - y - x) + b"), data)
    held = free(task)
    held[:, 1] = -0.7
    task = lm.Problem(task.tokens, LIBRARY, data, task.outer, task.free & held.isnan())
    found = host.solve(task, held, Settings())
    assert found.constants[:2, 1].tolist() == [-0.7, -0.7]
    reference = lm.solve(task, held, Settings())
    values = evaluate(task.tokens, LIBRARY, data.x, reference.nan_to_num())
    nmse = outer_fit(values, data, task.outer)[0]
    torch.testing.assert_close(found.nmse, nmse, rtol=1e-9, atol=1e-14)
    assert math.isinf(float(found.nmse[2]))


def test_what_cannot_be_compiled_is_told():
    softplus = Operator("softplus", 1, torch.nn.functional.softplus)
    own = library(["mul", softplus], ["x", "y"], (), True)
    tokens = pack([[1, 2], [0, 2, 4]])
    assert host.suits(tokens, own, points()).tolist() == [False, True]
    assert not host.suits(tokens, own, points(host.MOST + 1)).any()
