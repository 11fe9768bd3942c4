"""Building expressions token by token, in prefix order, for B rows at once.

What is still to be written is a stack of open slots, each knowing its parent, its finished
sibling, its depth and what stands above it. The mask closes every expression within
`max_length` (an operator is legal only while its operands still fit) and applies the rules of
`tasks.symbolic.mask.rules`. Parent and sibling in the observation: Petersen et al. 2021 (DSR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from tasks.symbolic.forms import Form
from tasks.symbolic.language.expression import Expression, ExpressionBatch, translate
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import Trees, pack
from tasks.symbolic.language.variants import respell
from tasks.symbolic.mask import occurrences as o
from tasks.symbolic.mask import rules as r
from tasks.symbolic.mask import slotted
from tasks.symbolic.mask.lawful import lawful
from tasks.symbolic.mask.respelling import held, legal, valued
from tasks.symbolic.mask.slots import CONTEXT, DEPTH, FIELDS, PARENT, ROLE, SIBLING, Writing, top
from tasks.symbolic.mask.units import Units, UnitTables, fits_target, unit_tables


@dataclass(frozen=True)
class Expressions:
    """The environment. Tokens of `library` are the actions; a finished row repeats action 0.

    `max_depth` counts levels (0 = no limit); `max_constants` is the number of fitted constants
    that the mask writes, `coefficients` that which a lawful expression may hold at all, where it
    is more; `occurrences` says of variables how often at least and at most they stand; the rest
    are the rules of `tasks.symbolic.mask.rules`. With `drawn` the policy gives each
    constant its value, a real number that goes with the token (and is not seen by later choices).
    """

    library: Library
    max_length: int = 24
    min_length: int = 1
    max_depth: int = 0
    max_constants: int = 3
    coefficients: int = 0
    nesting: tuple[tuple[str, ...], ...] = r.NESTING
    inverses: tuple[tuple[str, ...], ...] = r.INVERSES
    distinct: tuple[str, ...] = r.DISTINCT
    idle_constants: bool = False
    units: Units | None = None
    form: Form | None = None  # what does not have it is no design; the mask knows nothing of it
    drawn: bool = False
    occurrences: tuple[o.Occurrence, ...] = ()
    undefined: tuple[tuple[str, str], ...] = ()  # (function, variable) that the data rule out

    unseen = True  # no later choice depends on a number that was drawn

    def __post_init__(self) -> None:
        if self.drawn and not (self.library.constant and self.max_constants):
            raise InputError(
                "drawn constants need constants to draw, and this task has none; raise constants, "
                "or leave drawn out"
            )
        if not 1 <= self.min_length <= self.max_length:
            raise InputError(
                f"lengths {self.min_length}..{self.max_length} hold no expression; "
                "expected 1 <= min_length <= max_length"
            )
        if self.form is not None and len(self.form.names) > self.max_length:
            raise InputError(
                f"form {self.form.text.strip()!r} takes at least {len(self.form.names)} tokens, "
                f"and max_length is {self.max_length}; raise it, or write the form shorter"
            )
        o.check(self.occurrences, self.library, self.max_length)
        if self.units is not None:
            table = self._units(torch.device("cpu"))
            if float(table.least.one(table.goal)) > self.max_length:
                raise InputError(
                    f"no expression of at most {self.max_length} tokens has the target's unit with "
                    f"the operators {', '.join(each.name for each in self.library.operators)}; "
                    "allow more tokens or operators, mend a unit, or let constants have units "
                    "(free_units)"
                )

    @property
    def num_actions(self) -> int:
        """A, one action a token."""
        return len(self.library)

    @property
    def num_values(self) -> int:
        """K: 1 where constants are drawn, else 0."""
        return int(self.drawn)

    @property
    def max_steps(self) -> int:
        """T, the greatest length."""
        return self.max_length

    @property
    def obs_size(self) -> int:
        """F: one-hot parent, sibling and previous token, then four fractions."""
        return 3 * (len(self.library) + 1) + 4

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Writing:
        """Return B empty expressions: one open slot each, with no parent."""
        A = self.num_actions
        slots = torch.zeros(
            batch_size, self._most_open + 1, FIELDS, dtype=torch.int64, device=device
        )
        slots[:, 0, PARENT] = slots[:, 0, SIBLING] = A
        zeros = slots.new_zeros(batch_size)
        wanted = torch.zeros(batch_size, 0, device=device)
        if self.units is not None:
            wanted = slotted.begin(slots, self._units(device))
        used = slots.new_zeros(batch_size, len(self.occurrences))
        return Writing(slots, zeros + 1, zeros, zeros, zeros + A, wanted, used)

    def observe(self, state: Writing, /) -> Tensor:
        """Return [B, F] float32, every entry between 0 and 1."""
        eye, slot = _rules(self, state.open.device).eye, top(state)
        fractions = torch.stack(
            [
                slot[:, DEPTH] / self.max_length,
                state.open / self._most_open,
                state.length / self.max_length,
                state.constants / max(1, self.max_constants),
            ],
            dim=1,
        )
        hot = [eye[i] for i in (slot[:, PARENT], slot[:, SIBLING], state.previous)]
        return torch.cat([*hot, fractions], dim=1)

    def mask(self, state: Writing, /) -> Tensor:
        """Return [B, A] bool. Leaves always close what operators opened."""
        rule, slot = _rules(self, state.open.device), top(state)
        parent, sibling = slot[:, PARENT], slot[:, SIBLING]
        second = (slot[:, ROLE] == r.SECOND).unsqueeze(1)
        # every open slot takes at least one token
        ends = (state.length + state.open).unsqueeze(1) + rule.arity
        possible = (ends <= self.max_length) & (
            ~rule.constant | (state.constants < self.max_constants).unsqueeze(1)
        )
        if self.max_depth:
            possible &= (rule.arity == 0) | (slot[:, DEPTH] + 1 < self.max_depth).unsqueeze(1)
        if self.occurrences:
            left = self.max_length - state.length
            constants = self.max_constants * self.library.constant - state.constants
            kept = o.fits(self.occurrences, self.library, state.used, constants, state.open, left,
                          rule.arity)  # fmt: skip
            possible = _prefer(possible, kept)
        wise = ~rule.below[parent] & ((slot[:, CONTEXT].unsqueeze(1) & rule.group[:-1]) == 0)
        wise &= ~(second & rule.fixed[sibling].unsqueeze(1) & rule.fixed[:-1])
        token = torch.arange(self.num_actions, device=parent.device)
        same = rule.distinct[parent].unsqueeze(1) & (sibling.unsqueeze(1) == token)
        wise &= ~(second & same & (rule.arity == 0))
        if self.units is not None:
            room = self.max_length - state.length
            units = slotted.fits(state.wanted, state.open, room, self._units(parent.device))
            possible = _prefer(possible, units)
        legal = _prefer(possible, wise)
        longer = (rule.arity > 0) | (ends >= self.min_length) | (state.open > 1).unsqueeze(1)
        legal = _prefer(legal, longer)
        return torch.where((state.open == 0).unsqueeze(1), token == 0, legal)

    def valued(self, state: Writing, action: Tensor, /) -> Tensor:
        """Return [B] bool, True where the token is a constant: its value matters."""
        return action == self.library.constant_id

    def step(self, state: Writing, action: Tensor, values: Tensor | None = None, /) -> Writing:
        """Return the state after writing one token a row; values are kept by who drew them."""
        rule, slot = _rules(self, action.device), top(state)
        active = (state.open > 0).long()
        A, last = self.num_actions, state.slots.shape[1] - 1
        below = torch.where(slot[:, ROLE] == r.FIRST, state.open - 2, last).clamp(min=0)
        slots = state.slots.clone()
        slots[:, :, SIBLING].scatter_(1, below.unsqueeze(1), action.unsqueeze(1))
        context = slot[:, CONTEXT] | rule.group[action]
        binary = (rule.arity[action] == 2).long()
        fields = [action, torch.full_like(action, A), slot[:, DEPTH] + 1, context]
        lower = torch.stack([*fields, binary * r.SECOND], dim=1)
        upper = torch.stack([*fields, torch.full_like(action, r.FIRST)], dim=1)
        at = torch.stack([state.open - 1, state.open], dim=1)
        at = torch.where((state.open > 0).unsqueeze(1), at, last).clamp(max=last)
        slots.scatter_(
            1, at.unsqueeze(2).expand(-1, -1, FIELDS), torch.stack([lower, upper], dim=1)
        )
        wanted = state.wanted
        if self.units is not None:
            wanted = slotted.after(wanted, state.open, action, self._units(action.device))
        return Writing(
            slots=slots,
            open=state.open + (rule.arity[action] - 1) * active,
            length=state.length + active,
            constants=state.constants + rule.constant[action] * active,
            previous=torch.where(active.bool(), action, state.previous),
            wanted=wanted,
            used=state.used + self._counted(action) * active.unsqueeze(1),
        )

    def done(self, state: Writing, /) -> Tensor:
        """Return [B] bool, True where no slot is open."""
        return state.open == 0

    def decode(
        self, actions: Sequence[Sequence[int]] | Tensor, /, values: Sequence[Any] | None = None
    ) -> ExpressionBatch:
        """Return the expressions, made when asked for; `None` where a row never closes.

        `values` [N][T][1] are those of the constants where they are drawn.
        """
        if isinstance(actions, Tensor):
            tokens = actions.detach().to("cpu", torch.int64)
        elif isinstance(actions, np.ndarray):
            tokens = torch.from_numpy(np.ascontiguousarray(actions, dtype=np.int64))
        else:
            tokens = pack([list(row) for row in actions])
        fits = self.admitted if self.units or self.occurrences or self.form else None
        return ExpressionBatch(tokens, self.library, fits, held(tokens, values, self.library))

    def encode(
        self, designs: Sequence[Expression], rng: np.random.Generator | None = None
    ) -> list[Any]:
        """Return each expression's tokens; with `rng`, operands that commute may change places.

        `None` where this environment would not write it, or lacks one of its tokens. Where
        constants are drawn, a `Spelling` each, and `None` too where a constant has no value yet or
        is larger than `FARTHEST`.
        """
        if self.drawn:
            written = replace(self, drawn=False).encode(designs)
            return [valued(row, design) for row, design in zip(written, designs, strict=True)]
        rows = [translate(design, self.library) for design in designs]
        found = [list(row) for row in rows if row is not None]
        if rng is not None:
            spelled = [respell(row, self.library, rng) for row in found]
            plain = zip(found, spelled, self.legal(spelled), strict=True)
            found = [other if fine else row for row, other, fine in plain]
        fine = iter(zip(found, self.legal(found), strict=True))
        out: list[list[int] | None] = []
        for row in rows:
            tokens, legal = next(fine) if row is not None else ([], False)
            out.append(tokens if legal else None)
        return out

    def legal(self, rows: Sequence[Sequence[int]]) -> list[bool]:
        """Return for each row whether this environment writes exactly that expression."""
        return legal(rows, self)

    def lawful(self, trees: Trees) -> Tensor:
        """Return [N] bool for complete expressions: True only where `legal` is, and fast.

        Here rules never yield, so a few legal rows are False. Up to `coefficients` constants are
        lawful, which `legal` with its `max_constants` may not write.
        """
        fine = lawful(trees, self, _rules(self, trees.tokens.device))
        return fine & self.admitted(trees)

    def admitted(self, trees: Trees) -> Tensor:
        """Return [N] bool, whether whole expressions balance, use variables as often as asked,
        and have the form.

        The mask sees to the first two, but for a unit that it learns too late and a rule in the
        way; it knows nothing of the form.
        """
        fine = self.balanced(trees)
        if self.form is not None:
            fine = fine & self.form.fits(trees, self.library)
        return fine & o.kept(self.occurrences, self.library, trees) if self.occurrences else fine

    def balanced(self, trees: Trees) -> Tensor:
        """Return [N] bool, whether units balance and give the target's; True without units."""
        if self.units is None:
            return torch.ones_like(trees.tokens[0], dtype=torch.bool)
        return fits_target(trees, self._units(trees.tokens.device))

    def _counted(self, action: Tensor) -> Tensor:
        if not self.occurrences:
            return action.new_zeros(len(action), 0)
        return o.counted(self.occurrences, self.library, action)

    def _units(self, device: torch.device) -> UnitTables:
        assert self.units is not None
        return unit_tables(self.units, self.library, device, self.max_length)

    @property
    def _most_open(self) -> int:
        return self.max_length // 2 + 2


@lru_cache(maxsize=64)
def _rules(env: Expressions, device: torch.device) -> r.Rules:
    return r.tabulate(
        env.library,
        env.nesting,
        env.inverses + env.undefined,
        env.distinct,
        env.idle_constants,
        device,
    )


def _prefer(possible: Tensor, wise: Tensor) -> Tensor:
    """Return [B, A] what is possible and wise; what is possible where nothing is both."""
    both = possible & wise
    return torch.where(both.any(1, keepdim=True), both, possible)
