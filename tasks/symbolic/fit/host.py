"""Constants found by compiled code on the host: where the data are small and operators built in.

What `tasks.symbolic.fit.constants.solve` does, and the reference for it; see
`tasks.symbolic.fit.descent`.

Letters in shapes: N expressions, L tokens, S starts, K constants, P data points.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.symbolic.fit.constants import SHORT, Problem, some, starts
from tasks.symbolic.fit.outer import Points, Settings
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.operators import OPERATORS
from tasks.symbolic.language.trees import Trees, read

if TYPE_CHECKING:
    from tasks.symbolic.fit.descent import Data

MOST = 20_000  # data points up to which an expression is worked on by one thread
_PIECE = 64  # rows that a thread takes at a time
_FLOATS = NDArray[np.float64]


@dataclass(frozen=True)
class Solved:
    """What was found, a row an expression; `work` counts residuals and derivatives computed."""

    constants: Tensor  # [N, K]
    nmse: Tensor  # [N], inf where not finite
    scale: Tensor  # [N]
    offset: Tensor  # [N]
    work: NDArray[np.int64]  # [N, 2] values, one a data point


def suits(tokens: Tensor, library: Library, points: Points) -> Tensor:
    """Return [N] bool, which of [N, L] expressions can be compiled for these points."""
    if points.x.device.type != "cpu" or points.x.dtype != torch.float64 or len(points.y) > MOST:
        return torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    known = torch.from_numpy(_codes(library) >= 0)
    fine: Tensor = known[tokens].all(1)
    return fine


def solve(
    problem: Problem,
    held: Tensor,
    settings: Settings,
    initial: Tensor | None = None,
    threads: int = 1,
) -> Solved:
    """Return the best constants found, and how well they fit; as `constants.solve` does.

    Expressions do not influence each other, so neither does the number of threads.
    """
    N, K = held.shape
    begin = starts(settings.starts, K, held).unsqueeze(0).repeat(N, 1, 1)
    if initial is not None:
        begin[:, 0] = torch.where(initial.isnan(), begin[:, 0], initial)
    begin = torch.where(problem.free.unsqueeze(1), begin, held.nan_to_num().unsqueeze(1))
    literals = begin.new_tensor(problem.library.values).expand(*begin.shape[:2], -1)
    at: _FLOATS = torch.cat([begin, literals], 2).numpy()
    S = at.shape[1]
    data, work = _data(problem.points), np.zeros((N, 2), np.int64)
    run = _runner(problem, threads)
    if S > 1:
        few = some(problem.points)
        tried, cost, _ = run(_data(few), at.reshape(N * S, -1), SHORT, work)
        if few is not problem.points:  # what is fine on some may be undefined on others
            tried, cost, _ = run(data, tried, 0, work)
        best = cost.reshape(N, S).argmin(1)
        at = tried.reshape(at.shape)[np.arange(N), best]
    found, _, _ = run(data, at.reshape(N, -1), settings.iterations, work)
    found, nmse, outer = run(data, found, 0, work)
    scale, offset = torch.from_numpy(outer).unbind(1)
    return Solved(torch.from_numpy(found[:, :K]), torch.from_numpy(nmse), scale, offset, work)


def _runner(
    problem: Problem, threads: int
) -> Callable[[Data, _FLOATS, int, NDArray[np.int64]], tuple[_FLOATS, _FLOATS, _FLOATS]]:
    """Return what makes steps from [N * S, K + literals] numbers, S for each expression.

    It returns where they lead, the cost there and the scale and offset tried last.
    """
    from tasks.symbolic.fit.descent import Found, Sought, descend

    trees = read(problem.tokens, problem.library)
    leaves, counts = _leaves(problem, trees)
    sought = Sought(_programs(problem, trees), leaves, counts, problem.outer.numpy())

    def run(data: Data, at: _FLOATS, steps: int, work: NDArray[np.int64]) -> Any:
        R, each = len(at), len(at) // max(1, len(counts))
        found = Found(at.copy(), np.empty(R), np.empty((R, 2)), np.zeros((R, 2), np.int64))

        def piece(lo: int) -> None:
            desk = _desk(sought.trees.shape[1], problem.free.shape[1], at.shape[1], len(data.y))
            descend(data, sought, found, desk, steps, each, lo, min(lo + size, R))

        size = _PIECE if threads > 1 else R
        if size < R:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(piece, range(0, R, size)))
        elif R:
            piece(0)
        work += found.work.reshape(-1, each, 2).sum(1) if R else 0
        return found.at, found.nmse, found.outer

    return run


def _data(points: Points) -> Data:
    from tasks.symbolic.fit.descent import Data

    weight = torch.ones_like(points.y) if points.weight is None else points.weight
    return Data(
        points.x.T.contiguous().numpy(), points.y.contiguous().numpy(),
        weight.contiguous().numpy(), float(points.variance),
    )  # fmt: skip


def _desk(L: int, K: int, numbers: int, P: int) -> Any:
    from tasks.symbolic.fit.descent import Desk
    from tasks.symbolic.fit.kernels import BLOCK

    sizes: tuple[Any, ...] = (
        (L, P), P, (L + 1, min(P, BLOCK)), (K, K + 2), (K, K + 2), (K + 1, K + 2), (2, K + 1), K,
        numbers,
    )  # fmt: skip
    return Desk(*(np.empty(size) for size in sizes))


@lru_cache(maxsize=64)
def _codes(library: Library) -> NDArray[np.int64]:
    """Return [A + 1] each token's code in `kernels`, -1 for an operator of the user's.

    The last is that of padding.
    """
    from tasks.symbolic.fit.kernels import END, NAMES, NUMBER, VARIABLE

    first = max(END, NUMBER, VARIABLE) + 1
    built_in = {name: first + i for i, name in enumerate(NAMES)}
    codes = [built_in[o.name] if OPERATORS.get(o.name) is o else -1 for o in library.operators]
    codes += [VARIABLE] * len(library.variables)
    codes += [NUMBER] * (len(library) - len(codes))
    return np.array([*codes, END])


def _programs(problem: Problem, trees: Trees) -> NDArray[np.int64]:
    """Return [N, L, 5] what `kernels` reads."""
    library, K = problem.library, problem.free.shape[1]
    tokens = problem.tokens.numpy()
    own = np.where(tokens < library.first_literal, tokens - library.first_variable, 0)
    own = np.where(tokens >= library.first_literal, K + tokens - library.first_literal, own)
    own = np.where(tokens == library.constant_id, trees.ordinal.numpy().T, own)
    parts = (_codes(library)[tokens], trees.first.numpy().T, trees.second.numpy().T, own)
    return np.stack([*parts, trees.varying.numpy().T], axis=2).astype(np.int64)


def _leaves(problem: Problem, trees: Trees) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return [N, K] the tokens of free constants, and [N] how many they are."""
    N, K = problem.free.shape
    is_free = (problem.tokens == problem.library.constant_id).numpy()
    is_free &= np.take_along_axis(
        problem.free.numpy(), trees.ordinal.numpy().T.clip(0, K - 1), axis=1
    )
    row, token = is_free.nonzero()
    leaves = np.zeros((N, K), dtype=np.int64)
    leaves[row, (is_free.cumsum(1) - 1)[row, token]] = token
    return leaves, is_free.sum(1)
