"""How well expressions fit a table: closed-form outer scale and offset, constants by LM.

y is modelled by scale * f(x; constants) + offset. Scale and offset have a closed form for given
constants, so the search over constants sees the projected problem (variable projection, Golub
and Pereyra 1973, with Kaufman's approximation of the derivative).

Letters in shapes: N expressions, L tokens, K constants, P data points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.symbolic.fit import constants as lm
from tasks.symbolic.fit import host
from tasks.symbolic.fit.graph import build, values
from tasks.symbolic.fit.outer import Points, Settings, outer_fit
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import PAD, read

_WIDTH = 4  # constants are fitted in widths of 4, 8, ...
_LONG = 20_000  # data points from which one operation is worth several threads


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
    initial: Tensor | None = None,
) -> Fits:
    """Return the fits of [N, L] complete expressions.

    `given` [N, K] holds constants that are held at a value, NaN where they are to be fitted;
    `outer` [N, 2] the same for scale and offset; `initial` [N, K] is where the search for
    constants begins, NaN for the usual place. Rows do not influence each other.

    Where the points have labels, each label has numbers of its own: the error is that of all
    together, the numbers returned are those of the label that weighs most.
    """
    with _threads(points.x.shape[0]) as threads:
        if points.groups is None:
            return _fit(tokens, library, points, settings, given, outer, initial, threads)
        labels = torch.bincount(points.groups).nonzero().squeeze(1).tolist()
        parts = [points.label(label) for label in labels]
        fits = [_fit(tokens, library, p, settings, given, outer, initial, threads) for p in parts]
        return _together(fits, parts)


def evaluate(tokens: Tensor, library: Library, x: Tensor, given: Tensor | None = None) -> Tensor:
    """Return [N, P] the values of [N, L] expressions at `x` [P, V], constants as `given` [N, K]."""
    shorter = int((tokens != PAD).sum(1).max()) if len(tokens) else 0
    K = None if given is None else given.shape[1]
    graph = build(read(tokens[:, :shorter], library), library, K)
    return values(graph, x, given).index_select(0, graph.roots)


def smooth_nmse(
    tokens: Tensor, library: Library, points: Points, settings: Settings, constants: Tensor
) -> Tensor:
    """Return [N] the NMSE, differentiable in the constants [N, K]; inf where it is not finite.

    Scale and offset follow the constants as in `fit`; what is inadmissible has derivative 0.
    """
    outer = _outer(constants.new_full((len(tokens), 2), torch.nan), settings)
    with torch.no_grad():
        nmse, _, _ = outer_fit(evaluate(tokens, library, points.x, constants), points, outer)
    rows = (nmse.isfinite() & (tokens == library.constant_id).any(1)).nonzero().squeeze(1)
    if not len(rows) or not constants.shape[1]:
        return nmse
    f, columns = lm.linear(tokens[rows], library, points.x, constants[rows].detach())
    fine = columns.isfinite().all(2).all(1)
    rows, f, columns = rows[fine], f[fine], columns[fine]
    moved = constants[rows] - constants[rows].detach()
    f = f + torch.einsum("nkp,nk->np", columns, moved)
    found, _, _ = outer_fit(f, points, outer[rows])
    return nmse.index_put((rows,), found)


def _fit(
    tokens: Tensor,
    library: Library,
    points: Points,
    settings: Settings,
    given: Tensor | None,
    outer: Tensor | None,
    initial: Tensor | None,
    threads: int,
) -> Fits:
    count = (tokens == library.constant_id).sum(1)
    most = int(count.max()) if len(count) else 0
    K = -(-most // _WIDTH) * _WIDTH
    values_ = torch.full((len(tokens), K), torch.nan, dtype=points.x.dtype, device=tokens.device)
    if given is not None:
        values_[:, :most] = given[:, :most]
    within = torch.arange(K, device=tokens.device) < count.unsqueeze(1)
    free = within & values_.isnan()
    if outer is None:
        outer = values_.new_full((len(tokens), 2), torch.nan)
    outer = _outer(outer, settings)
    nmse, scale, offset = (values_.new_empty(len(tokens)) for _ in range(3))
    searched = free.any(1)
    compiled = searched & host.suits(tokens, library, points)
    rows = compiled.nonzero().squeeze(1)
    if len(rows):
        problem = lm.Problem(tokens[rows], library, points, outer[rows], free[rows])
        begin = None if initial is None else _padded(initial[rows], K)
        solved = host.solve(problem, values_[rows], settings, begin, threads)
        values_[rows] = torch.where(within[rows], solved.constants, torch.nan)
        nmse[rows], scale[rows], offset[rows] = solved.nmse, solved.scale, solved.offset
    searched &= ~compiled
    # widths depend on a row's own number of constants, so that its rounding does not depend on
    # what else is in the batch
    for k in range(_WIDTH, K + _WIDTH, _WIDTH):
        rows = (searched & (count <= k) & (count > k - _WIDTH)).nonzero().squeeze(1)
        for some in lm.chunks(rows, tokens, points.x.shape[0], settings.cells // 5):
            problem = lm.Problem(tokens[some], library, points, outer[some], free[some, :k])
            begin = None if initial is None else _padded(initial[some], k)
            values_[some, :k] = lm.solve(problem, values_[some, :k], settings, begin)
    rows = (~compiled).nonzero().squeeze(1)
    for some in lm.chunks(rows, tokens, points.x.shape[0], settings.cells):
        f = evaluate(tokens[some], library, points.x, values_[some])
        nmse[some], scale[some], offset[some] = outer_fit(f, points, outer[some])
    return Fits(nmse, scale, offset, values_)


def _together(fits: Sequence[Fits], parts: Sequence[Points]) -> Fits:
    """Return the error over all labels, with the numbers of the label that weighs most."""
    shares = torch.stack([part.share for part in parts if part.share is not None])
    nmse = (torch.stack([each.nmse for each in fits]) * shares.unsqueeze(1)).sum(0)
    return replace(fits[int(shares.argmax())], nmse=nmse)


def _padded(values: Tensor, width: int) -> Tensor:
    """Return [N, width] the values with NaN where there are none."""
    out = values.new_full((len(values), width), torch.nan)
    most = min(width, values.shape[1])
    out[:, :most] = values[:, :most]
    return out


@contextmanager
def _threads(points: int) -> Iterator[int]:
    """Use one thread a tensor inside where these are small: waiting makes more of them slower.

    Yields how many threads there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(before if points >= _LONG else 1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def _outer(outer: Tensor, settings: Settings) -> Tensor:
    fallback = outer.new_tensor(
        [torch.nan if settings.scale else 1.0, torch.nan if settings.offset else 0.0]
    )
    return torch.where(outer.isnan(), fallback, outer)
