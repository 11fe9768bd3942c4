"""All small expressions without constants that differ on the data: a stock of building blocks.

Enumerated by size; of those that are equal on the data points the smallest is kept (and of one
size, the first). Letters: M blocks, P points, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from designer.protocols import Floats
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.strips import Ints, Strips, joined, single, stacked, whole
from tasks.symbolic.language.trees import read
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.mask.units import balance, unit_tables

_DIGITS = 10  # blocks that agree in so many digits at every point are one


@dataclass(frozen=True)
class Bank:
    """M blocks, smallest first; blocks `starts[s] : starts[s + 1]` have s + 1 tokens."""

    rows: Strips  # [M, W]
    values: Floats  # [M, P]
    starts: Ints  # [sizes + 1]
    units: Floats | None = None  # [M, U], where the search has units

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def columns(self) -> Tensor:
        """The values as [P, M]."""
        return torch.from_numpy(np.ascontiguousarray(self.values.T))

    @cached_property
    def squares(self) -> Tensor:
        """The values squared, as [P, M]."""
        return self.columns**2


def stock(
    env: Expressions, x: Floats, most: int = 10_000, largest: int = 9, tried: int = 100_000
) -> Bank:
    """Return the blocks of at most `largest` tokens on points x [P, V], about `most` of them.

    Where an operator on blocks of two sizes makes more than `tried`, it is left out.

    Blocks that the environment would never write (nested sines, say), or that are not finite on
    the points, are left out with all that holds them.
    """
    library = env.library
    leaf = np.arange(library.first_variable, library.constant_id)
    rows, values = single(leaf)[0], _leaves(library, x)
    width = min(largest, env.max_length)
    units = None if env.units is None else replace(env.units, target=None)
    free = replace(env, min_length=1, units=units)
    found: list[tuple[Strips, Floats]] = []
    seen: set[int] = set()
    total = 0
    for size in range(1, width + 1):
        made = [(_widened(rows, width), values)] if size == 1 else []
        made += list(_grown(found, library, size, width, tried))
        kept = [_fresh(part, free, seen, size) for part in made]
        rows_ = stacked([part for part, _ in kept]) if kept else _none(width)
        found.append((rows_, np.concatenate([k[1] for k in kept]) if kept else values[:0]))
        total += len(found[-1][0])
        if total >= most:
            break
    cut = [0, *np.cumsum([len(part[0]) for part in found]).tolist()]
    tokens = np.concatenate([part[0].tokens for part in found])[:most].astype(np.int64)
    stored = Strips(tokens, np.full(tokens.shape, np.nan))
    everything = np.concatenate([part[1] for part in found])[:most]
    own = None
    if units is not None:
        table = unit_tables(units, library, torch.device("cpu"))
        own = balance(read(torch.from_numpy(tokens), library), table)[0][0].numpy()
    return Bank(stored, everything, np.minimum(np.array(cut), len(tokens)), own)


def _none(width: int) -> Strips:
    return Strips(np.zeros((0, width), dtype=np.int64), np.zeros((0, width)))


def _leaves(library: Library, x: Floats) -> Floats:
    literals = np.array(library.values, dtype=np.float64).reshape(-1, 1)
    return np.concatenate([x.T, np.broadcast_to(literals, (len(literals), len(x)))])


def _widened(rows: Strips, width: int) -> Strips:
    return joined([whole(rows)], width)[0]


def _grown(
    found: list[tuple[Strips, Floats]], library: Library, size: int, width: int, tried: int
) -> Iterator[tuple[Strips, Floats]]:
    """Yield what one more operator makes of the blocks found so far, all of `size` tokens."""
    for token, operator in enumerate(library.operators):
        if operator.arity == 1 and size >= 2:
            rows, values = found[size - 2]
            if len(rows):
                yield _applied(token, operator.function, [(rows, values)], width)
        for left in range(1, size - 1) if operator.arity == 2 else ():
            right = size - 1 - left
            if operator.commutes and left < right:
                continue
            (a, av), (b, bv) = found[left - 1], found[right - 1]
            if not len(a) or not len(b) or len(a) * len(b) > tried:
                continue
            i, j = (n.ravel() for n in np.indices((len(a), len(b))))
            if operator.commutes and left == right:
                i, j = i[i <= j], j[i <= j]
            yield _applied(
                token, operator.function, [(a.take(i), av[i]), (b.take(j), bv[j])], width
            )


def _applied(
    token: int, function: object, parts: list[tuple[Strips, Floats]], width: int
) -> tuple[Strips, Floats]:
    head = single(np.full(len(parts[0][0]), token))
    rows = joined([head, *(whole(rows) for rows, _ in parts)], width)[0]
    given = [torch.from_numpy(values) for _, values in parts]
    return rows, function(*given).numpy()  # type: ignore[operator]


def _fresh(
    part: tuple[Strips, Floats], env: Expressions, seen: set[int], size: int
) -> tuple[Strips, Floats]:
    """Return the blocks that are finite, lawful and unlike all before; `seen` learns them."""
    rows, values = part
    fine = np.isfinite(values).all(1) & (np.abs(values).max(1, initial=0.0) < 1e12)
    marks = prints(values)
    _, first = np.unique(marks, return_index=True)
    once = np.zeros(len(marks), dtype=bool)
    once[first] = True
    old = np.fromiter((p in seen for p in marks.tolist()), dtype=bool, count=len(marks))
    keep = np.flatnonzero(fine & once & ~old)
    if len(keep):
        legal = env.lawful(read(torch.from_numpy(rows.tokens[keep][:, :size]), env.library))
        keep = keep[legal.numpy()]
    seen.update(marks[keep].tolist())
    return rows.take(keep), values[keep]


def prints(values: Floats, digits: int = _DIGITS) -> Ints:
    """Return [N] a hash of each row of values, rounded to so many significant digits."""
    with np.errstate(all="ignore"):
        scale = np.abs(values).max(1, keepdims=True)
        step = 10.0 ** (np.ceil(np.log10(np.where(scale > 0, scale, 1.0))) - digits)
        whole_numbers = np.rint(values / step) + 0.0
        sizes = np.log10(step).astype(np.int64)
    bits = np.ascontiguousarray(np.nan_to_num(whole_numbers)).view(np.int64)
    odd = np.random.default_rng(7).integers(1, 2**62, size=values.shape[1]) * 2 + 1
    with np.errstate(over="ignore"):
        mixed: Ints = ((bits ^ (bits >> 29)) * odd).sum(1) + sizes.ravel() * 7919
    return mixed
