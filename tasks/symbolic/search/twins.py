"""Products and sums of two functions with a number inside each: sin(a u) cos(b v), f + c g.

All numbers of a grid in all functions of a few small blocks are columns; how much any two of them
explain, as a product or as a sum, is one matrix product. Of each two functions the best numbers
are then fitted by Gauss and Newton's steps, the factors in front being least squares' (variable
projection, Golub and Pereyra 1973).

Letters in shapes: K functions (a bend of a block), G numbers tried in each, P points.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as every

import numpy as np

from designer.protocols import Floats
from tasks.symbolic.language.strips import Ints
from tasks.symbolic.search.bank import Bank
from tasks.symbolic.search.products import BENDS

_BLOCKS = 4  # smallest blocks with a number before them
_GRID = 60  # numbers tried in a function
_REFINED, _STEPS = 24, 20
_EXACT = 1e-18  # squared miss against what is wanted


@dataclass(frozen=True)
class Bent:
    """bend(number * block)."""

    block: int
    bend: str
    number: float


@dataclass(frozen=True)
class Twins:
    """factors[0] * first * second, or factors[0] * first + factors[1] * second."""

    operator: str  # mul or add
    factors: tuple[float, ...]
    first: Bent
    second: Bent


def twins(wanted: Floats, bank: Bank, bends: tuple[str, ...]) -> list[Twins]:
    """Return what is `wanted` [P] exactly; blocks are taken as numbers without unit."""
    blocks = np.arange(min(_BLOCKS, len(bank)))
    kinds = list(every(blocks.tolist(), bends))
    if not (kinds and np.isfinite(wanted).all() and wanted.any()):
        return []
    goal = wanted / np.abs(wanted).max()
    numbers, made = _grids(kinds, bank)
    out = []
    for operator in ("mul", "add"):
        share = _explained(operator, goal, made)
        share = share.reshape(len(kinds), _GRID, len(kinds), _GRID).transpose(0, 2, 1, 3)
        share = share.reshape(len(kinds), len(kinds), -1)
        best, at = share.max(2), share.argmax(2)
        rows, columns = np.triu_indices(len(kinds))
        order = np.argsort(-best[rows, columns], kind="stable")[:_REFINED]
        for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            a, b = divmod(int(at[i, j]), _GRID)
            start = np.array([numbers[i, a], numbers[j, b]])
            found = _fitted(operator, wanted, (kinds[i], kinds[j]), start, bank)
            out += [found] if found else []
    return out


def _grids(kinds: list[tuple[int, str]], bank: Bank) -> tuple[Floats, Floats]:
    """Return the numbers [K, G], and the functions with them [K * G, P], largest 1."""
    half = np.geomspace(0.1, 10.0, _GRID // 2)
    tried, waves = np.concatenate([half, -half]), np.linspace(0.2, 12.0, _GRID)
    numbers, made = [], []
    with np.errstate(all="ignore"):
        for block, bend in kinds:
            u = bank.values[block]
            own = (waves if bend in ("sin", "cos") else tried) / np.abs(u).max()
            values = BENDS[bend](own[:, None] * u)
            numbers.append(own)
            made.append(values / np.abs(values).max(1, keepdims=True))
    return np.array(numbers), np.nan_to_num(np.concatenate(made))


def _explained(operator: str, goal: Floats, made: Floats) -> Floats:
    """Return [K * G, K * G] how much of the goal's square any two explain."""
    own = made**2
    with np.errstate(all="ignore"):
        if operator == "mul":
            share = ((made * goal) @ made.T) ** 2 / (own @ own.T)
        else:
            cross, with_goal, size = made @ made.T, made @ goal, own.sum(1)
            determinant = size[:, None] * size - cross**2
            one = with_goal**2
            share = one[:, None] * size + size[:, None] * one
            share = (share - 2 * with_goal[:, None] * with_goal * cross) / determinant
            share[determinant < 1e-4 * size[:, None] * size] = 0.0
    out: Floats = np.nan_to_num(share, posinf=0.0, neginf=0.0)
    return out


def _fitted(
    operator: str,
    wanted: Floats,
    kinds: tuple[tuple[int, str], tuple[int, str]],
    start: Floats,
    bank: Bank,
) -> Twins | None:
    """Return the two with the numbers that fit, None where they are not exact."""
    blocks: Ints = np.array([block for block, _ in kinds])
    u, v = bank.values[blocks]
    f, g = (BENDS[bend] for _, bend in kinds)

    def left(k: Floats) -> tuple[Floats, Floats]:
        one, two = f(k[0] * u), g(k[1] * v)
        columns = np.column_stack([one * two] if operator == "mul" else [one, two])
        if not np.isfinite(columns).all():
            return np.full(len(wanted), np.inf), np.zeros(columns.shape[1])
        factors = np.asarray(np.linalg.lstsq(columns, wanted, rcond=1e-12)[0], dtype=np.float64)
        return columns @ factors - wanted, factors

    k, damping = start.copy(), 1e-3
    size = float((wanted**2).sum())
    with np.errstate(all="ignore"):
        miss, factors = left(k)
        for _ in range(_STEPS):
            steps = 1e-6 * np.diag(k)
            J = np.column_stack([(left(k + s)[0] - left(k - s)[0]) / 2e-6 for s in steps])
            if not (np.isfinite(J).all() and np.isfinite(miss).all()):
                return None
            A = J.T @ J
            move = np.linalg.lstsq(A + damping * np.diag(np.diag(A)), J.T @ miss, rcond=1e-14)[0]
            tried = k * (1 - np.clip(move, -0.5, 0.5))
            there, own = left(tried)
            if float(there @ there) < float(miss @ miss):
                k, miss, factors, damping = tried, there, own, damping * 0.1
            else:
                damping *= 10
            if float(miss @ miss) <= 1e-6 * _EXACT * size:
                break
    if not float(miss @ miss) <= _EXACT * size:
        return None
    both = [Bent(*kind, number) for kind, number in zip(kinds, k.tolist(), strict=True)]
    return Twins(operator, tuple(factors.tolist()), *both)
