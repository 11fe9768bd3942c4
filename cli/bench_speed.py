"""`designer bench equations --suite speed`: expressions scored a second, beside peers.

Peers (`pip install designer[peers]`) are run on the same data in the same process, on one
thread; one that is not installed is left out and named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from io import StringIO
from itertools import chain
from typing import Any

import numpy as np
import torch

from tasks.symbolic.fit import host
from tasks.symbolic.fit.fitting import fit
from tasks.symbolic.fit.outer import Points, Settings
from tasks.symbolic.language.library import library
from tasks.symbolic.mask.environment import Expressions

_SYMBOLS = "add,sub,mul,div,sin,cos,exp,log,constant,variable"


@dataclass(frozen=True)
class Rate:
    """How many expressions took how long; `residuals` counts values of residuals
    while fitting, each at all points (those at some of the points count as a part)."""

    who: str
    constants: str
    points: int
    expressions: int
    cpu: float  # seconds
    wall: float
    residuals: int = 0


def speed(count: int = 20_000) -> None:
    """Print how many expressions a second are scored on one core: ours are distinct ones."""
    torch.set_num_threads(1)
    print("who        constants  points  expressions  per CPU second  per second"
          "  residuals per CPU second")  # fmt: skip
    for rate in chain(_ours(count), _theirs()):
        each = f"{rate.residuals / rate.cpu:,.0f}" if rate.residuals else ""
        print(
            f"{rate.who:9s}  {rate.constants:>9s}  {rate.points:6d}  {rate.expressions:11,d}"
            f"  {rate.expressions / rate.cpu:14,.0f}  {rate.expressions / rate.wall:10,.0f}"
            f"  {each:>24s}",
            flush=True,
        )


def _data(points: int) -> tuple[Any, Any]:
    x = np.random.default_rng(0).uniform(0.5, 1.5, (points, 2))
    return x, np.sin(x[:, 0] * 1.3) + x[:, 1] ** 2


def _ours(count: int) -> Iterator[Rate]:
    for constants, points in ((0, 20), (0, 256), (3, 100)):
        tokens = library("koza", ["x", "y"], constant=constants > 0)
        rows = distinct(Expressions(tokens, max_length=20), count, constants)
        data = Points(*(torch.from_numpy(a) for a in _data(points)))
        settings = Settings(scale=constants > 0)
        fit(rows[:50], tokens, data, settings)  # what is compiled is compiled before
        solved: list[host.Solved] = []
        with _noting(solved):
            cpu, wall = _timed(partial(fit, rows, tokens, data, settings))
        residuals = sum(int(each.work[:, 0].sum()) for each in solved) // points
        yield Rate("designer", str(constants), points, len(rows), cpu, wall, residuals)


@contextmanager
def _noting(solved: list[host.Solved]) -> Iterator[None]:
    """Within, note what the fitting of constants tells of its work."""
    place: Any = host
    original = place.solve

    def noted(*args: Any) -> host.Solved:
        solved.append(original(*args))
        return solved[-1]

    place.solve = noted
    try:
        yield
    finally:
        place.solve = original


def _theirs() -> Iterator[Rate]:
    calls: dict[str, list[Callable[[], Rate]]] = {
        "gplearn": [partial(_gplearn, 20)],
        "nsr_engine": [partial(_nsr, 20)],
        "psrn": [partial(_psrn, 20)],
        "pyoperon": [partial(_pyoperon, 20, 0), partial(_pyoperon, 256, 0),
                     partial(_pyoperon, 100, 5)],
    }  # fmt: skip
    for name, measures in calls.items():
        if find_spec(name) is None:
            print(f"{name}: not installed (pip install designer[peers])")
            continue
        yield from (measure() for measure in measures)


def _nsr(points: int) -> Rate:
    """Every expression its policy samples counts, in its usual number of steps; training is part
    of the time, and so is what it does with the best in the end."""
    import pandas
    from nsr_engine import NSREngine

    x, y = _data(points)
    frame, steps, batch = pandas.DataFrame(x, columns=["a", "b"]), 200, 64
    made = NSREngine(
        n_lambda=1, n_iters=steps, batch_size=batch, max_len=20, boosting=False, save_front=False,
        device="cpu", random_state=0,
    )  # fmt: skip
    with redirect_stdout(StringIO()):
        cpu, wall = _timed(lambda: made.fit(frame, pandas.Series(y)))
    return Rate("nsr", "affine", points, steps * batch, cpu, wall)


def _psrn(points: int) -> Rate:
    """One pass of its network: all expressions of three layers, with its own duplicates removed.

    It takes three inputs; the third is a sum, as its generator would put there.
    """
    from psrn import PSRN_Regressor

    x, y = _data(points)
    inputs = torch.from_numpy(np.column_stack([x, x.sum(1)])).float()
    operators = ["Add", "Mul", "Sub", "Div", "Identity", "Sin", "Cos", "Exp", "Log"]
    stages = {"default": {"operators": operators, "time_limit": 1, "n_psrn_inputs": 3,
                          "n_sample_variables": 3}, "stages": [{}]}  # fmt: skip
    with redirect_stdout(StringIO()):
        net = PSRN_Regressor(
            variables=["x0", "x1", "x2"], n_symbol_layers=3, device=torch.device("cpu"),
            token_generator_config={"base": {"has_const": False, "tokens": operators}},
            stage_config=stages,
        ).net  # fmt: skip
        target = torch.from_numpy(y).float().unsqueeze(1)
        with torch.no_grad():
            cpu, wall = _timed(lambda: net.score_mse(inputs, target))
    return Rate("psrn", "none", points, net.out_dim, cpu, wall)


def _gplearn(points: int) -> Rate:
    from gplearn.genetic import SymbolicRegressor

    x, y = _data(points)
    functions = ("add", "sub", "mul", "div", "sin", "cos", "log")
    made = SymbolicRegressor(
        population_size=1000, generations=5, function_set=functions, random_state=0, n_jobs=1
    )
    cpu, wall = _timed(lambda: made.fit(x, y))
    return Rate("gplearn", "random", points, 1000 * len(made.run_details_["generation"]), cpu, wall)


def _pyoperon(points: int, steps: int) -> Rate:
    """With `steps` of Levenberg-Marquardt for each tree; its constants are as many as it likes."""
    from pyoperon.sklearn import SymbolicRegressor

    x, y = _data(points)
    made = SymbolicRegressor(
        allowed_symbols=_SYMBOLS, optimizer_iterations=steps, max_length=20, n_threads=1,
        generations=10**6, max_evaluations=100_000, max_time=20, random_state=0,
    )  # fmt: skip
    cpu, wall = _timed(lambda: made.fit(x, y))
    told = made.stats_
    residuals = told["residual_evaluations"] if steps else 0
    kind = "fitted" if steps else "random"
    return Rate("pyoperon", kind, points, told["evaluation_count"], cpu, wall, residuals)


def _timed(call: Callable[[], Any]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def distinct(env: Expressions, count: int, constants: int) -> torch.Tensor:
    """Return tokens [N, L] of distinct random expressions with that many constants."""
    generator = torch.Generator().manual_seed(0)
    state, taken = env.reset(40 * count if constants else 3 * count, torch.device("cpu")), []
    for _ in range(env.max_steps):
        mask = env.mask(state)
        chance = torch.rand(mask.shape, generator=generator) * mask
        taken.append(torch.where(env.done(state), -1, chance.argmax(1)))
        state = env.step(state, chance.argmax(1))
    rows = torch.stack(taken, dim=1)
    if constants:
        rows = rows[(rows == env.library.constant_id).sum(1) == constants]
    keys: dict[str, int] = {}
    batch = env.decode(rows)
    for at, key in enumerate(batch.keys):
        keys.setdefault(key, at)
    chosen = rows[list(keys.values())[: count if not constants else count // 10]]
    return chosen
