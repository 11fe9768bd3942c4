"""The design of this task: one expression, with its constants where these are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from tasks.symbolic.language.library import Library
from tasks.symbolic.language.printing import infix, number
from tasks.symbolic.language.trees import PAD, Trees, closed, keys, pack, read

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False, slots=True)
class Expression:
    """scale * f(variables; constants) + offset, with f as prefix tokens.

    A number that is still to be fitted is NaN. `key` begins with 32 hex digits: equal for
    expressions that differ in the order of commutative operands only, whatever was fitted, but
    not for ones whose numbers somebody has set (see `tasks.symbolic.language.parser`).
    """

    tokens: tuple[int, ...]
    library: Library
    key: str
    constants: tuple[float, ...] = ()
    scale: float = math.nan
    offset: float = math.nan

    @property
    def text(self) -> str:
        """Infix that sympy parses; constants that are not fitted yet are c0, c1, ..."""
        return self.infix()

    @property
    def complexity(self) -> int:
        """Number of tokens; a scale or offset other than 1 or 0 counts as two more each."""
        scaled = not math.isnan(self.scale) and self.scale != 1.0
        shifted = not math.isnan(self.offset) and self.offset != 0.0
        return len(self.tokens) + 2 * scaled + 2 * shifted

    @property
    def parameters(self) -> int:
        """How many numbers were, or are to be, fitted."""
        return len(self.constants) + (self.complexity - len(self.tokens)) // 2

    def infix(self, digits: int | None = None) -> str:
        """Return infix text, with `digits` significant digits or all of them."""
        return infix(self.tokens, self.library, self.numbers(digits), self._outer(digits))

    def numbers(self, digits: int | None = None) -> list[str]:
        """Return the constants as text; c0, c1, ... where they are not fitted yet."""
        taken = set(self.library.variables)
        names = (f"c{i}" for i in range(len(self.tokens) + len(taken)) if f"c{i}" not in taken)
        return [next(names) if math.isnan(v) else number(v, digits) for v in self.constants]

    def fitted(self, constants: Sequence[float], scale: float, offset: float) -> Expression:
        """Return the same expression with its numbers filled in."""
        return replace(self, constants=tuple(constants), scale=scale, offset=offset)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return [P] float64 values at `x` [P, V]; NaN where it is not defined."""
        from tasks.symbolic.fit.fitting import evaluate

        given = torch.tensor([self.constants], dtype=torch.float64) if self.constants else None
        points = torch.from_numpy(np.array(x, dtype=np.float64, order="C"))
        f = evaluate(pack([self.tokens]), self.library, points, given)[0]
        scale = 1.0 if math.isnan(self.scale) else self.scale
        offset = 0.0 if math.isnan(self.offset) else self.offset
        return np.asarray(scale * f + offset)

    def sympy(self) -> sympy.Expr:
        """Return the expression as a sympy tree, built node by node."""
        from tasks.symbolic.output.export import to_sympy

        return to_sympy(self)

    def _outer(self, digits: int | None) -> tuple[str, str]:
        scale = "1" if math.isnan(self.scale) else number(self.scale, digits)
        offset = "0" if math.isnan(self.offset) else number(self.offset, digits)
        return scale, offset


class ExpressionBatch(Sequence["Expression | None"]):
    """Many expressions as one array; items are made when asked for, and made once."""

    def __init__(
        self,
        tokens: Tensor,
        library: Library,
        fits: Callable[[Trees], Tensor] | None = None,
        constants: Tensor | None = None,
    ) -> None:
        """Take [N, T] tokens on the CPU; a row that never closes is no expression.

        Neither is one for which `fits` says False: its units do not balance. `constants` [N, K]
        are values that the rows hold.
        """
        lengths = closed(tokens, library)
        width = int(lengths.max()) if len(tokens) else 0
        kept = torch.arange(width) < lengths.unsqueeze(1)
        self.tokens = torch.where(kept, tokens[:, :width], PAD)
        if fits is not None and width:
            lengths = lengths * fits(read(self.tokens, library))
        self.library, self.lengths, self.constants = library, lengths, constants
        self._items: list[Expression | bool | None] = [False] * len(tokens)
        self._keys: list[str] | None = None
        self._rows: list[list[int]] = []

    @property
    def keys(self) -> list[str]:
        """The canonical key of every row."""
        if self._keys is None:
            empty = self.tokens.shape[1] == 0
            starts = () if empty else range(0, len(self), 2048)
            parts = (slice(i, i + 2048) for i in starts)
            self._keys = [key for part in parts for key in keys(self._trees(part))]
            self._keys += [""] * (len(self) - len(self._keys))
        return self._keys

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, at: int) -> Expression | None: ...
    @overload
    def __getitem__(self, at: slice) -> list[Expression | None]: ...
    def __getitem__(self, at: int | slice) -> Any:
        """Return one expression, or a list of them."""
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        item = self._items[at]
        if item is False:
            item = self._items[at] = self._make(at)
        return item

    def __iter__(self) -> Iterator[Expression | None]:
        return (self[i] for i in range(len(self)))

    def _trees(self, part: slice) -> Trees:
        held = None if self.constants is None else self.constants[part]
        return read(self.tokens[part], self.library, held)

    def _make(self, at: int) -> Expression | None:
        if not self._rows:
            self._rows = self.tokens.tolist()
        length = int(self.lengths[at])
        if length == 0:
            return None
        tokens = tuple(self._rows[at][:length])
        own = (math.nan,) * tokens.count(self.library.constant_id)
        if self.constants is not None:
            own = tuple(self.constants[at, : len(own)].tolist())
        return Expression(tokens, self.library, self.keys[at], own)


def expression(
    tokens: Sequence[int],
    library: Library,
    constants: Sequence[float] | None = None,
    scale: float = math.nan,
    offset: float = math.nan,
) -> Expression:
    """Return one expression; numbers that are given are held, and belong to its key."""
    values = None if constants is None else torch.tensor([list(constants)], dtype=torch.float64)
    key = keys(read(pack([tuple(tokens)]), library, values))[0]
    if not (math.isnan(scale) and math.isnan(offset)):
        key += f"*{number(scale)}+{number(offset)}"
    own = (
        constants if constants is not None else [math.nan] * list(tokens).count(library.constant_id)
    )
    return Expression(tuple(tokens), library, key, tuple(own), scale, offset)


def explicit(expr: Expression, scale: bool, offset: bool) -> Expression:
    """Return the expression with its free factor and constant around it as tokens.

    A number that it holds stays. The key stays too: it is the same design.
    """
    library = expr.library.extended()
    tokens = translate(expr, library)
    assert tokens is not None, "an extended library has every token"
    ids, numbers = library.operator_ids, expr.constants
    if scale and math.isnan(expr.scale):
        tokens = (ids["mul"], library.constant_id, *tokens)
        numbers = (math.nan, *numbers)
    if offset and math.isnan(expr.offset):
        tokens = (ids["add"], *tokens, library.constant_id)
        numbers = (*numbers, math.nan)
    return Expression(tokens, library, expr.key, numbers, 1.0, 0.0)


def translate(expr: Expression, to: Library) -> tuple[int, ...] | None:
    """Return the tokens of `expr` in another library, None where a token is missing there."""
    if expr.library is to or expr.library == to:
        return expr.tokens
    out = []
    for token in expr.tokens:
        name = expr.library.names[token]
        if token < expr.library.first_variable:
            found = to.operator_ids.get(name)
        elif token == expr.library.constant_id:
            found = to.constant_id if to.constant else None
        else:
            found = to.leaf_ids.get(name)
        if found is None:
            return None
        out.append(found)
    return tuple(out)
