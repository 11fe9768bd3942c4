"""The fit oracle, penalties on expressions, and the choice of one equation."""

import math

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.rollout import rollout
from designer.testing import check_oracle, walk
from oracles.complexity import DescriptionLength, WeightedComplexity
from oracles.fit import Fit
from tasks.symbolic.choice import Candidate, front, recommend
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.making import make_task
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.tables.table import make_table
from tasks.symbolic.task import task


def law(count=40, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 3.0, (count, 2))
    y = 2.5 * x[:, 0] / np.sqrt(x[:, 1])
    y = y + noise * y.std() * rng.normal(size=count)
    return make_table(x, y, ["x", "y"])


def some(table, count=120, constants=2, seed=0):
    made = make_task(table, Expressions(library("default", table.variables, (), constants > 0)))
    env = made.environment
    return [d for d in env.decode(walk(env, count, seed)[0]) if d is not None]


def test_the_oracle_keeps_its_promises():
    table = law()
    check_oracle(Fit(table), some(table))
    check_oracle(Fit(table, offset=True), some(table, constants=0))


def test_columns_agree_with_the_completed_designs():
    table = law(noise=0.1)
    measured = Fit(table, offset=True)(some(table))
    finite = np.isfinite(measured.columns["nmse"])
    assert 20 < finite.sum() < len(finite)
    for row in np.flatnonzero(finite):
        residual = measured.designs[row].predict(table.x) - table.y
        nmse = (residual**2).mean() / table.y.var()
        assert nmse == pytest.approx(measured.columns["nmse"][row], rel=1e-6, abs=1e-15)
    nmse = measured.columns["nmse"][finite]
    np.testing.assert_allclose(measured.columns["r2"][finite], 1 - nmse)
    np.testing.assert_allclose(measured.columns["fit"][finite], 1 / (1 + np.sqrt(nmse)))
    assert (nmse <= 1 + 1e-9).all()  # with an offset nothing is worse than the mean


def test_what_is_not_finite_is_inadmissible_and_never_unmeasured():
    table = law()
    bad = [parse(t, library("default", table.variables)) for t in ("log(0 - x)", "x/(y - y)")]
    columns = Fit(table)(bad).columns
    assert columns["nmse"].tolist() == [math.inf] * 2
    assert columns["fit"].tolist() == columns["r2"].tolist() == [-math.inf] * 2


def test_a_formula_of_the_users_is_taken_as_it_is():
    table, lib = law(), library("default", ["x", "y"])
    texts = ["2.5*x/sqrt(y)", "5*x/sqrt(y)", "a*x/sqrt(y)"]
    measured = Fit(table)([parse(t, lib) for t in texts])
    nmse = measured.columns["nmse"]
    assert nmse[0] < 1e-28 and nmse[2] < 1e-28
    assert nmse[1] == pytest.approx((table.y**2).mean() / table.y.var())
    assert measured.designs[2].constants[0] == pytest.approx(2.5, rel=1e-12)
    again = Fit(table)(measured.designs)
    np.testing.assert_allclose(again.columns["nmse"], nmse, atol=1e-28)


def test_weights_count_like_repeated_rows():
    table = law(12, noise=0.2)
    times = np.array([1, 2, 3] * 4)
    heavy = make_table(table.x, table.y, ["x", "y"], weights=times.astype(float))
    repeated = make_table(table.x.repeat(times, 0), table.y.repeat(times), ["x", "y"])
    designs = some(table, 30)
    one, two = Fit(heavy)(designs), Fit(repeated)(designs)
    np.testing.assert_allclose(one.columns["nmse"], two.columns["nmse"], rtol=1e-6, atol=1e-12)


def test_no_designs_and_wrong_designs():
    table = law()
    assert Fit(table)([]).columns["fit"].shape == (0,)
    other = make_table(table.x, table.y, ["p", "q"])
    with pytest.raises(InputError, match="speak of p, q, but the table has x, y"):
        Fit(table)(some(other, 3))
    with pytest.raises(InputError, match="at least 1 start"):
        Fit(table, starts=0)


def test_keplers_law_is_the_best_of_random_expressions():
    made = task(data="planets", constants=0, max_length=8)
    env, seen = made.environment, {}
    for seed in range(4):
        for design in env.decode(walk(env, 500, seed)[0]):
            seen.setdefault(design.key, design)
    measured = Fit(made.context["data"])(list(seen.values()))
    rows = zip(measured.designs, measured.columns["nmse"], strict=True)
    best = recommend([Candidate(d, e, d.complexity) for d, e in rows], points=8)
    a = "semi_major_axis_au"
    wanted = parse(f"365*{a}*sqrt({a})", env.library)
    assert best.expression.scale == pytest.approx(365, abs=0.5)
    x = np.linspace(0.5, 30, 9)[:, None]
    ratio = best.expression.predict(x) / wanted.predict(x)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)


def test_the_front_holds_what_nothing_simpler_matches():
    lib = library("default", ["x", "y"])
    rows = [
        ("x", 0.5),
        ("y", 0.4),
        ("x*y", 0.4),
        ("x + y", 0.1),
        ("log(0-x)", math.inf),
        ("x+y+y", 0.1),
    ]
    candidates = [Candidate(e := parse(t, lib), v, e.complexity) for t, v in rows]
    assert [c.expression.text for c in front(candidates)] == ["y", "x + y"]
    assert recommend([], 10) is None and recommend(candidates[4:5], 10) is None


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_the_recommended_equation_is_the_law_at_any_noise(noise, seed):
    table = law(60, noise, seed)
    lib = library("default", ["x", "y"], (), True)
    texts = ["x", "x/y", "x/sqrt(y)", "x/sqrt(y) + a", "x/sqrt(y) + a*sin(b*x + c)", "a*x**b/y**c",
             "x/sqrt(y) + a*x + b*y", "x/sqrt(y + a*sin(x*b))", "exp(a*x)", "x - y"]  # fmt: skip
    free = [parse(t, lib) for t in texts]
    loose = [d.fitted(d.constants, math.nan, math.nan) for d in free]
    measured = Fit(table)(loose)
    rows = zip(measured.designs, measured.columns["nmse"], strict=True)
    best = recommend([Candidate(d, e, d.complexity) for d, e in rows], points=60)
    assert best.expression.tokens == free[2].tokens


def test_penalties_on_expressions():
    lib = library(["add", "sin", "div"], ["x", "y"], ["2"], True)
    designs = [parse(t, lib) for t in ("x", "sin(x) + y", "x/y")]
    check_oracle(WeightedComplexity(), designs)
    check_oracle(DescriptionLength(), designs)
    assert WeightedComplexity()(designs).tolist() == [1, 6, 4]
    assert WeightedComplexity(costs={"sin": 10}, leaf=0.5)(designs).tolist() == [0.5, 12, 3]
    own = make_task(law(), Expressions(lib)).environment.decode([[3], [0, 6, 3]])
    assert DescriptionLength(bits=8)(list(own)).tolist() == pytest.approx(
        [np.log2(7), 3 * np.log2(7) + 8]
    )
    with pytest.raises(InputError, match="did you mean 'sin'"):
        WeightedComplexity(costs={"sine": 2})


def test_sampled_batches_are_scored_without_leaving_arrays():
    from designer.policy import RecurrentPolicy

    made = task(data="planets", max_length=12)
    torch.manual_seed(0)
    policy = RecurrentPolicy(made.environment.obs_size, made.environment.num_actions)
    drawn = rollout(made.environment, policy, 64, torch.Generator().manual_seed(0))
    designs = made.environment.decode(drawn.actions)
    assert len(designs) == 64 and all(d is not None for d in designs)
    assert len(Fit(made.context["data"])(designs).designs) == 64
