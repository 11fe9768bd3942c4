"""Templates: `f(x)*g(y) + a` says how an equation is put together, f and g are searched.

A form is a prefix sequence with holes. An expression has the form where it begins with these
tokens, and what stands in a hole uses no other columns than the hole names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.parser import read_form
from tasks.symbolic.language.trees import PAD, Trees

MOST_COLUMNS = 60  # columns that can be told apart
NUMBER = "#"  # a fitted number in a form


@dataclass(frozen=True)
class Form:
    """Prefix names; a name that holes has is a hole, with the columns it may use."""

    names: tuple[str, ...]  # operators, columns, "#" for a fitted number, or "f(" for a hole f
    holes: Mapping[str, tuple[str, ...]]
    text: str = ""

    def __hash__(self) -> int:
        return hash((self.names, self.text))

    def fits(self, trees: Trees, library: Library) -> Tensor:
        """Return [N] bool, whether complete expressions have this form."""
        used = _used(trees, library)
        fine = torch.ones_like(trees.tokens[0], dtype=torch.bool)
        stack = [torch.zeros_like(trees.tokens[:1])]
        for name in self.names:
            at = stack.pop()
            token = trees.tokens.gather(0, at)[0]
            if name in self.holes:
                allowed = sum(1 << library.variables.index(v) for v in self.holes[name])
                fine &= (used.gather(0, at)[0] & ~allowed) == 0
                continue
            wanted = token_of(name, library)
            fine &= token == wanted
            second, first = trees.second.gather(0, at), trees.first.gather(0, at)
            stack += [second, first][2 - library.arities[wanted] :]
        return fine

    def written(self, library: Library, count: int, rng: np.random.Generator) -> list[list[int]]:
        """Return random expressions of this form, what stands in the holes being small."""
        leaves = {
            name: [token_of(v, library) for v in columns] for name, columns in self.holes.items()
        }
        out = []
        for _ in range(count):
            row: list[int] = []
            for name in self.names:
                if name in self.holes:
                    row += _small(library, leaves[name], rng, int(rng.integers(4)))
                else:
                    row.append(token_of(name, library))
            out.append(row)
        return out


def form(text: str, library: Library, symbols: Mapping[str, str]) -> Form:
    """Return the form that `text` says; raises InputError that names the character."""
    if len(library.variables) > MOST_COLUMNS:
        raise InputError(
            f"a form tells at most {MOST_COLUMNS} inputs apart, and there are "
            f"{len(library.variables)}; name those that matter with inputs"
        )
    names, holes = read_form(text, library, symbols)
    if not holes:
        raise InputError(
            f"form {text!r} leaves nothing to search; write what is unknown as f(x), "
            "or judge the formula with --score"
        )
    return Form(tuple(names), holes, text)


def token_of(name: str, library: Library) -> int:
    """Return the id of an operator, a column, or the constant."""
    if name in library.operator_ids:
        return library.operator_ids[name]
    if name == NUMBER:
        return library.constant_id
    return library.first_variable + library.variables.index(name)


def _used(trees: Trees, library: Library) -> Tensor:
    """Return [L, N] the columns in each subtree, a bit each."""
    tokens = trees.tokens
    place = (tokens - library.first_variable).clamp(0, MOST_COLUMNS)
    column = (tokens >= library.first_variable) & (tokens < library.first_literal)
    used = torch.where(column, torch.ones_like(tokens) << place, 0)
    arities = torch.tensor([*library.arities, 0], device=tokens.device)
    arity = torch.where(tokens == PAD, 0, arities[tokens.clamp(min=0)])
    for t in range(len(tokens) - 1, -1, -1):
        first = used.gather(0, trees.first[t : t + 1])[0]
        second = used.gather(0, trees.second[t : t + 1])[0]
        used[t] |= torch.where(arity[t] >= 1, first, 0) | torch.where(arity[t] == 2, second, 0)
    return used


def _small(
    library: Library, leaves: Sequence[int], rng: np.random.Generator, depth: int
) -> list[int]:
    """Return a random expression of some columns, and numbers beside them."""
    if depth == 0 or not library.operators:
        return [leaves[int(rng.integers(len(leaves)))]]
    operator = int(rng.integers(len(library.operators)))
    inner = _small(library, leaves, rng, depth - 1)
    if library.arities[operator] == 1:
        return [operator, *inner]
    other = [library.constant_id] if library.constant and rng.random() < 0.5 else (
        _small(library, leaves, rng, 0)
    )  # fmt: skip
    return [operator, *inner, *other] if rng.random() < 0.5 else [operator, *other, *inner]
