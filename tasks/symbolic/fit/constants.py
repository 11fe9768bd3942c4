"""Constants of many expressions at once, by Levenberg-Marquardt with several starts.

Derivatives: constants are taken as one variable a data point, so a single pass back through the
(forest-shaped) varying part of the graph gives every column of the Jacobian of every row.
Normal equations with Marquardt's scaling of the damping (Marquardt 1963, eq. 10).

Letters in shapes: R rows (an expression from one start), K constants, P data points, M nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from tasks.symbolic.fit.graph import Graph, build, fill, values
from tasks.symbolic.fit.outer import Points, Settings, outer_fit
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import read

_DAMPING = 1e-2  # at the start
_FLOOR = 1e-11  # least damping, against the column's own size: columns may be redundant
_REVISE = 4  # steps between two looks at which rows are still on their way
SHORT = 3  # steps from every start, before the best one goes on
_FEW = 32  # points on which starts are compared
_DONE = 1e-7  # a step that lowers the error by less, relatively, ends the search
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
    floor: Tensor  # [R, K] the least that is added to the diagonal
    damping: Tensor  # [R]
    done: Tensor  # [R] bool

    def take(self, rows: Tensor) -> Search:
        """Return the search of some rows."""
        return Search(*(getattr(self, f.name)[rows] for f in fields(self)))

    def put(self, rows: Tensor, those: Search) -> Search:
        """Return this search with some rows replaced."""
        pairs = ((getattr(self, f.name), getattr(those, f.name)) for f in fields(self))
        return Search(*(mine.index_copy(0, rows, theirs) for mine, theirs in pairs))


def chunks(rows: Tensor, tokens: Tensor, points: int, cells: int) -> Iterator[Tensor]:
    """Yield pieces of `rows` small enough that their graphs hold about `cells` numbers."""
    size = max(1, min(4096, cells // max(1, points * min(tokens.shape[1], 8))))
    yield from (rows[i : i + size] for i in range(0, len(rows), size))


def solve(
    problem: Problem, held: Tensor, settings: Settings, initial: Tensor | None = None
) -> Tensor:
    """Return [R, K] the best constants found; held ones (not NaN in `held`) stay as they are.

    A few steps from every start, on some of the points; then `settings.iterations` from the best
    of them, on all. `initial` [R, K] takes the place of the first start where it is not NaN.
    """
    R, K = held.shape
    begin = starts(settings.starts, K, held)
    many = torch.arange(R, device=held.device).repeat_interleave(len(begin))
    tried = begin.repeat(R, 1)
    if initial is not None:
        tried[:: len(begin)] = torch.where(initial.isnan(), tried[:: len(begin)], initial)
    at = torch.where(problem.free[many], tried, held[many])
    if len(begin) > 1:
        at = _chosen(problem, many, at)
    return _descend(problem, at, settings.iterations).at


def _chosen(problem: Problem, many: Tensor, at: Tensor) -> Tensor:
    """Return [R, K] where a few steps from the best of several starts lead.

    `at` holds the starts of row `many`, as many for each.
    """
    few = replace(problem, points=some(problem.points)).take(many)
    first = _descend(few, at, SHORT)
    cost = first.cost
    if few.points is not problem.points:  # what is fine on some points may be undefined on others
        cost = _Bench(problem.take(many), first.at).cost(first.at)
    count = len(many) // len(problem.tokens)
    best = cost.view(-1, count).argmin(1)
    return first.at[best + torch.arange(len(best), device=at.device) * count]


def some(points: Points) -> Points:
    """Return about `_FEW` of the points, spread over all; all where there are not many more."""
    P = len(points.y)
    if P < 2 * _FEW:
        return points
    rows = torch.arange(_FEW, device=points.y.device) * P // _FEW
    weight = None if points.weight is None else points.weight[rows]
    if weight is not None:
        weight = weight / weight.mean()
    return Points(points.x[rows], points.y[rows], weight)


def jacobian(graph: Graph, out: Tensor, back: Tensor) -> Tensor:
    """Return [R, K, P] the derivative of each root by each of its constants, at values `out`.

    `back` [M + 1 - static, P] is room to work in. Absent constants have derivative 0.
    """
    since = graph.static
    back[graph.roots - since] = 1.0
    back[-1] = 0.0
    for group in reversed(graph.groups):
        if group.start < since or group.token >= graph.library.first_variable:
            continue
        operator = graph.library.operators[group.token]
        flowing = back[group.start - since : group.stop - since]
        arguments = (group.first, group.second)[: operator.arity]
        partials = operator.derivatives(
            out[group.start : group.stop],
            *(
                out.index_select(0, argument)
                if operator.reads is None or i in operator.reads
                else None
                for i, argument in enumerate(arguments)
            ),
        )
        for argument, partial, varies in zip(arguments, partials, group.varying, strict=False):
            if varies:  # each varying node is the argument of one node only
                back.index_copy_(0, argument - since, flowing * partial)
    return back[graph.leaves - since]


def linear(tokens: Tensor, library: Library, x: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values [N, P] of expressions that hold constants [N, K], and the derivatives
    [N, K, P] by these."""
    graph = build(read(tokens, library), library, at.shape[1])
    out = values(graph, x, at)
    back = torch.empty_like(out[graph.static :])
    return out.index_select(0, graph.roots), jacobian(graph, out, back)


def starts(count: int, K: int, like: Tensor) -> Tensor:
    """Return [S, K]: ones, then fixed pseudo-random values of both signs and many sizes."""
    generator = torch.Generator().manual_seed(20)
    table = torch.randn(max(count, 1) - 1, 64, generator=generator, dtype=torch.float64) * 2
    table = torch.cat([torch.ones(1, 64, dtype=torch.float64), table])
    return table[:, :K].to(like)


def _descend(problem: Problem, at: Tensor, steps: int) -> Search:
    """Return where `steps` steps lead; rows that are done leave the graph every few steps."""
    damping = torch.full_like(at[:, 0], _DAMPING)
    rows = torch.arange(len(at), device=at.device)
    here = _Bench(problem, at)
    now = Search(at, *here.linearise(at), damping, torch.zeros_like(damping, dtype=torch.bool))
    now = replace(now, done=~now.cost.isfinite())
    final = now
    for step in range(steps):
        if step % _REVISE == 0:
            rows, now, here = _active(rows, now, here, problem)
            if not len(rows):
                break
        now = _step(here, now)
        if (step + 1) % _REVISE == 0 or step == steps - 1:
            final = final.put(rows, now)
    return final


def _active(
    rows: Tensor, now: Search, here: _Bench, problem: Problem
) -> tuple[Tensor, Search, _Bench]:
    """Return the rows that are not done, their search, and a bench for them alone."""
    left = (~now.done).nonzero().squeeze(1)
    if len(left) > 0.8 * len(rows):
        return rows, now, here
    rows, now = rows[left], now.take(left)
    return rows, now, _Bench(problem.take(rows), now.at) if len(rows) else here


def _step(here: _Bench, now: Search) -> Search:
    diagonal = now.normal.diagonal(dim1=1, dim2=2)
    damped = now.normal + torch.diag_embed(now.damping.unsqueeze(1) * diagonal + now.floor)
    change, _ = torch.linalg.solve_ex(damped, -now.gradient)
    change = torch.where(change.isfinite() & ~now.done.unsqueeze(1), change, 0.0)
    at = now.at + change
    cost, normal, gradient, floor = here.linearise(at)
    better = cost < now.cost
    settled = better & ((now.cost - cost) <= _DONE * now.cost)
    stuck = ~better & (now.damping > 1e10)
    pick = better.unsqueeze(1)
    return Search(
        at=torch.where(pick, at, now.at),
        cost=torch.where(better, cost, now.cost),
        normal=torch.where(pick.unsqueeze(2), normal, now.normal),
        gradient=torch.where(pick, gradient, now.gradient),
        floor=torch.where(pick, floor, now.floor),
        damping=torch.where(better, now.damping * 0.1, now.damping * 8).clamp(1e-12, 1e12),
        done=now.done | settled | (cost <= _EXACT) | stuck,
    )


class _Bench:
    """The graph of some rows, with room to evaluate it again and again."""

    def __init__(self, problem: Problem, at: Tensor) -> None:
        self.problem = problem
        self.graph = build(read(problem.tokens, problem.library), problem.library, at.shape[1])
        self.out = values(self.graph, problem.points.x, at)
        self.back = torch.empty_like(self.out[self.graph.static :])

    def cost(self, at: Tensor) -> Tensor:
        """Return [R] the cost at `at`, inf where it is not finite."""
        fill(self.graph, self.out, self.problem.points.x, at, self.graph.static)
        f = self.out.index_select(0, self.graph.roots)
        return outer_fit(f, self.problem.points, self.problem.outer)[0]

    def linearise(self, at: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the cost [R], J'J [R, K, K], J'r [R, K] and the least damping [R, K] at `at`.

        J is the derivative of the residual r once scale and offset have been fitted to it: its
        columns are freed of what these two can explain.
        """
        points, (R, K) = self.problem.points, at.shape
        fill(self.graph, self.out, points.x, at, self.graph.static)
        f = self.out.index_select(0, self.graph.roots)
        nmse, scale, offset = outer_fit(f, points, self.problem.outer)
        stack = f.new_empty(R, K + 2, f.shape[1])
        stack[:, :K] = jacobian(self.graph, self.out, self.back)
        stack[:, K] = f
        stack[:, K + 1] = scale.unsqueeze(1) * f + offset.unsqueeze(1) - points.y
        loose = self.problem.outer.isnan()
        if bool(loose[:, 1].any()):
            weighted = stack if points.weight is None else stack * points.weight
            stack[:, :-1] -= weighted[:, :-1].mean(2, keepdim=True) * loose[:, 1:, None]
        weighted = stack if points.weight is None else stack * points.weight
        gram = stack @ weighted.transpose(1, 2) / f.shape[1]
        along = gram[:, :K, K] * loose[:, :1]
        share = along / gram[:, K, K].clamp(min=1e-300).unsqueeze(1)
        normal = gram[:, :K, :K] - share.unsqueeze(2) * along.unsqueeze(1)
        gradient = gram[:, :K, K + 1] - share * gram[:, K, K + 1].unsqueeze(1)
        free, s = self.problem.free.to(f.dtype), scale.unsqueeze(1)
        floor = s**2 * gram.diagonal(dim1=1, dim2=2)[:, :K] * _FLOOR + 1e-300
        normal = s.unsqueeze(2) ** 2 * normal * free.unsqueeze(1) * free.unsqueeze(2)
        gradient = s * gradient * free
        fine = nmse.isfinite() & gradient.isfinite().all(1) & normal.isfinite().all((1, 2))
        return torch.where(fine, nmse, torch.inf), normal, gradient, floor
