"""Constants of many expressions at once, by Levenberg-Marquardt with several starts.

Derivatives: constants are taken as one variable a data point, so a single pass back through the
(forest-shaped) varying part of the graph gives every column of the Jacobian of every row.
Normal equations with Marquardt's scaling of the damping (Marquardt 1963, eq. 10).

Letters in shapes: R rows (an expression from one start), K constants, P data points, M nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.symbolic.graph import Graph, build, fill, values
from tasks.symbolic.library import Library
from tasks.symbolic.trees import read

if TYPE_CHECKING:
    from tasks.symbolic.fitting import Points, Settings

_SHORT = 5  # steps from every start, before the best one goes on
_DONE = 1e-14  # a step that lowers the error by less, relatively, ends the search
_EXACT = 1e-28  # and so does an error this small against the variance of y


@dataclass(frozen=True)
class Problem:
    """Which constants of which expressions are to be found."""

    tokens: Tensor  # [R, L]
    library: Library
    points: Points
    outer: Tensor  # [R, 2] scale and offset, NaN where they have their closed form
    free: Tensor  # [R, K] bool, constants to be found

    def take(self, rows: Tensor) -> Problem:
        """Return the problem of some rows."""
        return replace(self, tokens=self.tokens[rows], outer=self.outer[rows], free=self.free[rows])


@dataclass(frozen=True)
class Search:
    """Where each row stands."""

    at: Tensor  # [R, K] constants
    cost: Tensor  # [R] mean squared residual over variance of y, inf where not finite
    normal: Tensor  # [R, K, K] J' J
    gradient: Tensor  # [R, K] J' r
    damping: Tensor  # [R]
    done: Tensor  # [R] bool


def chunks(rows: Tensor, tokens: Tensor, points: int, cells: int) -> Iterator[Tensor]:
    """Yield pieces of `rows` small enough that their graphs hold about `cells` numbers."""
    size = max(1, min(4096, cells // max(1, points * min(tokens.shape[1], 8))))
    yield from (rows[i : i + size] for i in range(0, len(rows), size))


def solve(problem: Problem, held: Tensor, settings: Settings) -> Tensor:
    """Return [R, K] the best constants found; held ones (not NaN in `held`) stay as they are.

    A few steps from every start, then `settings.iterations` from the best of them.
    """
    R, K = held.shape
    starts = _starts(settings.starts, K, held)
    many = torch.arange(R, device=held.device).repeat_interleave(len(starts))
    at = torch.where(problem.free[many], starts.repeat(R, 1), held[many])
    first = _descend(problem.take(many), at, _SHORT, None)
    best = first.cost.view(R, -1).argmin(1) + torch.arange(R, device=held.device) * len(starts)
    at, damping = first.at[best], first.damping[best]
    rest = (~first.done[best] & first.cost[best].isfinite()).nonzero().squeeze(1)
    if len(rest):
        second = _descend(problem.take(rest), at[rest], settings.iterations, damping[rest])
        at = at.index_copy(0, rest, second.at)
    return at


def jacobian(graph: Graph, out: Tensor) -> Tensor:
    """Return [R, K, P] the derivative of each root by each of its constants, at values `out`."""
    back = torch.zeros_like(out[graph.static :])
    back[graph.roots - graph.static] = 1.0
    back[-1] = 0.0
    trash = len(back) - 1
    for group in reversed(graph.groups):
        if group.start < graph.static or group.token >= graph.library.first_variable:
            continue
        operator = graph.library.operators[group.token]
        here = slice(group.start, group.stop)
        arguments = (group.first, group.second)[: operator.arity]
        partials = operator.derivatives(out[here], *(out[a] for a in arguments))
        flowing = back[group.start - graph.static : group.stop - graph.static]
        for argument, partial in zip(arguments, partials, strict=True):
            target = argument - graph.static
            # static arguments end in the last row, which nothing reads before it is cleared
            back[torch.where(target >= 0, target, trash)] = flowing * partial
    back[-1] = 0.0
    return back[graph.leaves - graph.static]


def _starts(count: int, K: int, like: Tensor) -> Tensor:
    """Return [S, K]: ones, then fixed pseudo-random values of both signs and many sizes."""
    generator = torch.Generator().manual_seed(20)
    table = torch.randn(max(count, 1) - 1, 64, generator=generator, dtype=torch.float64) * 2
    table = torch.cat([torch.ones(1, 64, dtype=torch.float64), table])
    return table[:, :K].to(like)


def _descend(problem: Problem, at: Tensor, steps: int, damping: Tensor | None) -> Search:
    graph = build(read(problem.tokens, problem.library), problem.library, at.shape[1])
    out = values(graph, problem.points.x, at)
    cost, normal, gradient = _linearise(problem, graph, out)
    if damping is None:
        damping = torch.full_like(cost, 1e-2)
    now = Search(at, cost, normal, gradient, damping, ~cost.isfinite())
    for _ in range(steps):
        now = _step(problem, graph, out, now)
        if bool(now.done.all()):
            break
    return now


def _step(problem: Problem, graph: Graph, out: Tensor, now: Search) -> Search:
    diagonal = now.normal.diagonal(dim1=1, dim2=2)
    floor = 1e-12 * diagonal.amax(1, keepdim=True) + 1e-300
    damped = now.normal + torch.diag_embed(now.damping.unsqueeze(1) * diagonal + floor)
    change, _ = torch.linalg.solve_ex(damped, -now.gradient)
    change = torch.where(change.isfinite() & ~now.done.unsqueeze(1), change, 0.0)
    at = now.at + change
    fill(graph, out, problem.points.x, at, graph.static)
    cost, normal, gradient = _linearise(problem, graph, out)
    better = cost < now.cost
    gain = (now.cost - cost) <= _DONE * now.cost
    settled = better & gain
    stuck = ~better & (now.damping > 1e10)
    pick = better.unsqueeze(1)
    return Search(
        at=torch.where(pick, at, now.at),
        cost=torch.where(better, cost, now.cost),
        normal=torch.where(pick.unsqueeze(2), normal, now.normal),
        gradient=torch.where(pick, gradient, now.gradient),
        damping=torch.where(better, now.damping * 0.1, now.damping * 8).clamp(1e-12, 1e12),
        done=now.done | settled | (cost <= _EXACT) | stuck,
    )


def _linearise(problem: Problem, graph: Graph, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cost [R], J'J [R, K, K] and J'r [R, K] of the projected residual."""
    from tasks.symbolic.fitting import outer_fit

    points, P = problem.points, problem.points.y.shape[0]
    f = out[graph.roots]
    nmse, scale, offset = outer_fit(f, points, problem.outer)
    residual = scale.unsqueeze(1) * f + offset.unsqueeze(1) - points.y
    columns = jacobian(graph, out)
    columns = torch.where(problem.free.unsqueeze(2), columns, 0.0)
    slope = scale.view(-1, 1, 1) * columns
    if points.weight is not None:
        root = points.weight.sqrt()
        residual, slope, f = residual * root, slope * root, f * root
    else:
        root = torch.ones_like(points.y)
    fitted_scale, fitted_offset = problem.outer.isnan().unbind(1)
    one = (root / root.norm()).expand_as(f) * fitted_offset.unsqueeze(1)
    f = f - (f * one).sum(1, keepdim=True) * one
    f = f / f.norm(dim=1, keepdim=True).clamp(min=1e-300) * fitted_scale.unsqueeze(1)
    for direction in (one, f):
        along = (slope * direction.unsqueeze(1)).sum(2, keepdim=True)
        slope = slope - along * direction.unsqueeze(1)
    normal = slope @ slope.transpose(1, 2) / P
    gradient = (slope @ residual.unsqueeze(2)).squeeze(2) / P
    bad = ~(nmse.isfinite() & gradient.isfinite().all(1) & normal.isfinite().all((1, 2)))
    return torch.where(bad, torch.inf, nmse), normal, gradient
