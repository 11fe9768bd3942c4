"""The library of the fragment environment: what can be joined to what, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from designer.errors import InputError
from tasks.molecules import pieces as parts
from tasks.molecules.pieces import Piece, Point
from tasks.molecules.scaffold import named

if TYPE_CHECKING:
    from tasks.molecules.fragments import Fragments


@dataclass(frozen=True)
class Tables:
    """The library as tensors; P ways to join, Q kinds of points, W points of a fragment."""

    pair: Tensor  # [Q, Q] bool, may be joined
    must: Tensor  # [Q] bool, must be used
    reserve: Tensor  # [Q] int64, atoms kept for it
    need: Tensor  # [P] int64, the kind of the point that is joined
    weight: Tensor  # [P] int64
    starts: Tensor  # [P] bool, stands for the whole fragment where nothing is there yet
    pushes: Tensor  # [2, P, W] int64, the points that it opens: joined, and as a start
    count: Tensor  # [2, P] int64, how many
    musts: Tensor  # [2, P] int64, how many of these must be used
    kept: Tensor  # [2, P] int64, atoms kept for these


@lru_cache(maxsize=32)
def pieces(env: Fragments) -> tuple[Piece, ...]:
    """Return the fragments that can be used."""
    own = env.core.points if env.core is not None else ()
    return tuple(parts.usable([parts.read(text) for text in env.fragments], env.max_atoms, own))


@lru_cache(maxsize=32)
def ways(env: Fragments) -> tuple[tuple[Piece, int], ...]:
    """Return each fragment with each of its distinct points: the actions from FIRST on."""
    return tuple((piece, point) for piece in pieces(env) for point in piece.distinct)


@lru_cache(maxsize=32)
def kinds(env: Fragments) -> tuple[Point, ...]:
    """Return the Q different kinds of points."""
    own = env.core.points if env.core is not None else ()
    found = [*own, *(point for piece in pieces(env) for point in piece.points)]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=32)
def tables(env: Fragments, device: torch.device) -> Tables:
    """Return the library as tensors; raises InputError where the scaffold does not fit."""
    points, known = kinds(env), ways(env)
    index = {point: i for i, point in enumerate(points)}
    ends = [piece for piece in pieces(env) if len(piece.points) == 1]
    reserve = [
        min(e.weight for e in ends if parts.may_join(p, e.points[0])) if p.must else 0
        for p in points
    ]
    joined = [[q for i, q in enumerate(p.points) if i != j] for p, j in known]
    opened = [joined, [list(piece.points) for piece, _ in known]]
    width = max(1, *(len(piece.points) for piece, _ in known))
    _check_room(env, sum(reserve[index[p]] for p in env.core.points) if env.core else 0)

    def whole(values: list[Any]) -> Tensor:
        return torch.tensor(values, device=device)

    stacks = [[[index[p] for p in reversed(row)] for row in rows] for rows in opened]
    return Tables(
        pair=whole([[parts.may_join(a, b) for b in points] for a in points]),
        must=whole([p.must for p in points]),
        reserve=whole(reserve),
        need=whole([index[piece.points[j]] for piece, j in known]),
        weight=whole([piece.weight for piece, _ in known]),
        starts=whole([j == piece.distinct[0] for piece, j in known]),
        pushes=whole([[row + [0] * (width - len(row)) for row in rows] for rows in stacks]),
        count=whole([[len(row) for row in rows] for rows in opened]),
        musts=whole([[sum(p.must for p in row) for row in rows] for rows in opened]),
        kept=whole([[sum(reserve[index[p]] for p in row) for row in rows] for rows in opened]),
    )


def _check_room(env: Fragments, reserve: int) -> None:
    if env.core is None:
        return
    asked = {
        "max_atoms": (env.core.weight + reserve, env.max_atoms),
        "max_pieces": (len(env.core.points) + 1, env.max_pieces),
        "max_open": (len(env.core.points), env.max_open),
    }
    for name, (least, given) in asked.items():
        if least > given:
            raise InputError(
                f"{named(env.scaffold)} with its points filled needs {name} of {least} or "
                f"more, it is {given}"
            )
