"""How well expressions fit a table: closed-form outer scale and offset, constants by LM.

y is modelled by scale * f(x; constants) + offset. Scale and offset have a closed form for given
constants, so the search over constants sees the projected problem (variable projection, Golub
and Pereyra 1973, with Kaufman's approximation of the derivative).

Letters in shapes: N expressions, L tokens, K constants, P data points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.symbolic import constants as lm
from tasks.symbolic.graph import build, values
from tasks.symbolic.library import Library
from tasks.symbolic.trees import PAD, read


@dataclass(frozen=True)
class Points:
    """The data on one device. Weights are scaled to mean 1."""

    x: Tensor  # [P, V]
    y: Tensor  # [P]
    weight: Tensor | None = None  # [P]

    @property
    def variance(self) -> Tensor:
        """The weighted variance of y: what an expression's error is measured in."""
        if self.weight is None:
            return self.y.var(correction=0)
        centred = self.y - (self.weight * self.y).mean()
        return (self.weight * centred**2).mean()


@dataclass(frozen=True)
class Settings:
    """How expressions are fitted."""

    scale: bool = True  # closed-form outer factor
    offset: bool = False  # closed-form outer constant
    starts: int = 3  # starting points for the constants
    iterations: int = 16  # Levenberg-Marquardt steps from the best start
    cells: int = 2_000_000  # numbers held at once for values (8 bytes each), bounds memory


@dataclass(frozen=True)
class Fits:
    """What fitting found, a row an expression; `nmse` is inf where it is not finite on the data."""

    nmse: Tensor  # [N] mean squared error over variance of y
    scale: Tensor  # [N]
    offset: Tensor  # [N]
    constants: Tensor  # [N, K], NaN beyond a row's own number


def fit(
    tokens: Tensor,
    library: Library,
    points: Points,
    settings: Settings,
    given: Tensor | None = None,
    outer: Tensor | None = None,
) -> Fits:
    """Return the fits of [N, L] complete expressions.

    `given` [N, K] holds constants that are held at a value, NaN where they are to be fitted;
    `outer` [N, 2] the same for scale and offset. Rows do not influence each other.
    """
    count = (tokens == library.constant_id).sum(1)
    K = int(count.max()) if len(count) else 0
    values_ = torch.full((len(tokens), K), torch.nan, dtype=points.x.dtype, device=tokens.device)
    if given is not None:
        values_[:, : given.shape[1]] = given[:, :K]
    within = torch.arange(K, device=tokens.device) < count.unsqueeze(1)
    free = within & values_.isnan()
    if outer is None:
        outer = values_.new_full((len(tokens), 2), torch.nan)
    outer = _outer(outer, settings)
    nmse, scale, offset = (values_.new_empty(len(tokens)) for _ in range(3))
    searched = free.any(1)
    # rows with as many constants go together, so that how a row is fitted depends on it alone
    for k in range(K + 1):
        rows = (searched & (count == k)).nonzero().squeeze(1)
        for some in lm.chunks(rows, tokens, points.x.shape[0], settings.cells):
            problem = lm.Problem(tokens[some], library, points, outer[some], free[some, :k])
            values_[some, :k] = lm.solve(problem, values_[some, :k], settings)
    for some in lm.chunks(torch.arange(len(tokens)), tokens, points.x.shape[0], settings.cells):
        some = some.to(tokens.device)
        f = evaluate(tokens[some], library, points.x, values_[some])
        nmse[some], scale[some], offset[some] = outer_fit(f, points, outer[some])
    return Fits(nmse, scale, offset, values_)


def evaluate(tokens: Tensor, library: Library, x: Tensor, given: Tensor | None = None) -> Tensor:
    """Return [N, P] the values of [N, L] expressions at `x` [P, V], constants as `given` [N, K]."""
    shorter = int((tokens != PAD).sum(1).max()) if len(tokens) else 0
    K = None if given is None else given.shape[1]
    graph = build(read(tokens[:, :shorter], library), library, K)
    return values(graph, x, given).index_select(0, graph.roots)


def outer_fit(f: Tensor, points: Points, outer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return NMSE, scale and offset [N] of expressions with values `f` [N, P].

    `outer` [N, 2] holds scale and offset where they are held, NaN where they are fitted.
    """
    scale, offset = outer.unbind(1)
    w = points.weight
    weighted = f if w is None else f * w
    y = points.y - torch.where(offset.isnan(), 0.0, offset).unsqueeze(1)
    mean = torch.where(offset.isnan(), weighted.mean(1), 0.0)
    y_mean = (y if w is None else y * w).mean(1)
    # with a fitted offset both are centred; the factor is then <f - m, y> / <f - m, f - m>
    centred = f - mean.unsqueeze(1)
    right = centred if w is None else centred * w
    factor = (right * y).mean(1) / (right * centred).mean(1)
    factor = torch.where(scale.isnan(), factor, scale)
    shift = torch.where(offset.isnan(), y_mean - factor * mean, offset)
    residual = points.y - factor.unsqueeze(1) * f - shift.unsqueeze(1)
    squared = residual**2 if w is None else residual**2 * w
    nmse = squared.mean(1) / points.variance
    bad = ~nmse.isfinite()
    return torch.where(bad, torch.inf, nmse), factor, shift


def _outer(outer: Tensor, settings: Settings) -> Tensor:
    fallback = outer.new_tensor(
        [torch.nan if settings.scale else 1.0, torch.nan if settings.offset else 0.0]
    )
    return torch.where(outer.isnan(), fallback, outer)
