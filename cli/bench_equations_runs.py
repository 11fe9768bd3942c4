"""One search for one law: the shipped campaign, or a peer, within so many processor seconds."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cli.bench_equations_cases import Case, held_out, noisy, sample, truth, unit_file
from cli.bench_equations_same import same_form, same_law, size
from cli.build import build
from cli.options import Options
from cli.presets import shipped
from cli.session import apply
from designer.protocols import Floats
from tasks.symbolic.fit import constants, fitting, graph
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.library import library
from tasks.symbolic.language.operators import SETS
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.trees import Trees
from tasks.symbolic.making import is_exact
from tasks.symbolic.search import semantic

_OPERON = {"add", "sub", "mul", "div", "sin", "cos", "exp", "log", "sqrt", "square", "tan", "tanh"}
_SLICE = 1  # seconds by the clock after which pyoperon is asked for its processor time


@dataclass(frozen=True)
class Setting:
    """How a law is asked for. Runs of equal settings, cases and seeds are one run."""

    limit: float = 90.0  # processor seconds of search
    noise: float = 0.0  # of the target, over its root mean square
    units: bool = False  # given, where the case has them
    changes: tuple[str, ...] = ()  # of the shipped campaign: KEY=VALUE
    plain: tuple[str, ...] = ()  # parts of the evaluator that are switched off


@dataclass(frozen=True)
class Outcome:
    """What one search came to."""

    recovered: bool  # what is recommended is the law
    front: bool  # something on the front is
    exact: bool  # the error is at rounding level
    seconds: float  # of the processor, in the search
    evaluations: int
    tokens: int
    size: int  # nodes of the sympy tree
    nmse: float  # on the rows of the search
    r2: float  # on points held out, without noise; -inf where it is not finite there
    found: str


@dataclass(frozen=True)
class Data:
    """A case sampled: [P, V] and [P], the law's own values, and the deviation of the noise."""

    x: Floats
    y: Floats
    clean: Floats
    spread: float


def sampled(case: Case, seed: int, noise: float) -> Data:
    """Return the rows that a search is given."""
    x, clean = sample(case, seed)
    y, spread = noisy(case, seed, clean, noise)
    return Data(x, y, clean, spread)


def run(case: Case, seed: int, setting: Setting, options: Options) -> Outcome:
    """Return what the shipped campaign finds of a case."""
    data = sampled(case, seed, setting.noise)
    with tempfile.TemporaryDirectory() as folder:
        campaign = _campaign(case, seed, setting, options, data, Path(folder))
        with _apart() if "sharing" in setting.plain else nullcontext():
            result = campaign.run()
    told = campaign.task.tell(result.best, result.front)
    parse = campaign.task.parse
    best, front = parse(told.best[0].design), [parse(one.design) for one in told.front]
    recovered = is_law(best, case, data)
    scores = told.best[0].scores
    return Outcome(
        recovered, recovered or any(is_law(one, case, data) for one in front), is_exact(scores),
        result.seconds, result.evaluations, best.complexity, size(best), float(scores["nmse"]),
        r2(best.predict, case, seed), best.infix(6),
    )  # fmt: skip


def is_law(found: Expression, case: Case, data: Data) -> bool:
    """Return whether it is the law: the function itself, or on noisy data its form."""
    if data.spread > 0:
        return same_form(found, truth(case), case, data.x, data.clean, data.spread)
    return same_law(found, truth(case), case)


def r2(predict: Any, case: Case, seed: int) -> float:
    """Return 1 - mean squared error over the variance, on points held out."""
    x, y = held_out(case, seed)
    with np.errstate(all="ignore"):
        found = 1.0 - float(np.mean((predict(x) - y) ** 2) / np.var(y))
    return found if math.isfinite(found) else -math.inf


def warm_up(case: Case, options: Options) -> None:
    """Search for one step, so that no measured run compiles anything or loads sympy."""
    run(case, 0, Setting(changes=("campaign.steps=1",)), options)


def _campaign(
    case: Case, seed: int, setting: Setting, options: Options, data: Data, folder: Path
) -> Any:
    file = folder / "data.csv"
    header = ",".join([*case.variables, "target"])
    rows = np.column_stack([data.x, data.y])
    np.savetxt(file, rows, "%.17g", ",", header=header, comments="")
    document = shipped("equation")
    wishes: dict[tuple[str, str], Any] = {
        ("task", "data"): str(file),
        ("task", "target"): "target",
        ("task", "operators"): case.operators,
        ("task", "constants"): case.constants,
        ("campaign", "seed"): seed,
        ("campaign", "time"): setting.limit,
        ("campaign", "clock"): "processor",
    }
    if case.units is not None and setting.units:
        wishes["task", "units"] = str(unit_file(case, folder))
    for path, value in wishes.items():
        document.override(path, value, "the suite")
    changed = Options(device=options.device, assignments=list(setting.changes))
    apply(document, changed)
    return build(document).campaign()


@contextmanager
def _apart() -> Iterator[None]:
    """Within, no two expressions share a node of the evaluator's graph."""

    def build(trees: Trees, *rest: Any) -> Any:
        own = torch.arange(trees.tokens.numel()).view_as(trees.tokens)
        return graph.build(replace(trees, hashes=torch.stack([own, own])), *rest)

    users: tuple[Any, ...] = (constants, fitting, semantic)
    for module in users:
        module.build = build
    try:
        yield
    finally:
        for module in users:
            module.build = graph.build


def run_operon(case: Case, seed: int, setting: Setting) -> Outcome:
    """Return what pyoperon finds of a case: Pareto search of R2 against length, fits of 5 steps.

    It may use fitted constants everywhere, which its trees are made of, and no units. Of its
    front the model of least BIC is taken.
    """
    from pyoperon.sklearn import SymbolicRegressor

    data = sampled(case, seed, setting.noise)
    symbols = [name for name in SETS[case.operators] if name in _OPERON]
    made = SymbolicRegressor(
        allowed_symbols=",".join([*symbols, "constant", "variable"]), objectives=["r2", "length"],
        optimizer_iterations=5, generations=10**6, max_evaluations=10**9, max_time=_SLICE,
        epsilon=0.0, n_threads=1, warm_start=True,
        model_selection_criterion="bayesian_information_criterion",
    )  # fmt: skip
    evaluations, started, turn = 0, time.process_time(), 0
    while time.process_time() - started < setting.limit:
        made.set_params(random_state=1000 * seed + turn)  # a slice goes on from the last one
        made.fit(data.x, data.y)
        evaluations, turn = evaluations + made.stats_["residual_evaluations"], turn + 1
    seconds = time.process_time() - started
    names = [f"x{i}" for i in range(len(case.variables))]
    text = made.get_model_string(made.model_, 17, names)
    found = parse(text, library("all", names, constant=True))
    with np.errstate(all="ignore"):
        nmse = float(np.mean((found.predict(data.x) - data.y) ** 2) / np.var(data.y))
    recovered = is_law(found, case, data)
    return Outcome(
        recovered, recovered, nmse <= 1e-20, seconds, evaluations, found.complexity, size(found),
        nmse, r2(found.predict, case, seed), found.infix(6),
    )  # fmt: skip
