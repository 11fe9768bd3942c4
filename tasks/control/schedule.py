"""The design: the choices of one day, the day's seed, and what came of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from designer.protocols import Spelling
from designer.walk import restart


@dataclass(frozen=True)
class Schedule:
    """Choices of a day, one digit each; `metrics` follow from seed and choices."""

    seed: int
    digits: str
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def text(self) -> str:
        """Seed and choices, `seed:digits`."""
        return f"{self.seed}:{self.digits}"

    @property
    def key(self) -> str:
        """The text."""
        return self.text

    @property
    def complexity(self) -> int:
        """How often a choice differs from the one before."""
        return sum(a != b for a, b in zip(self.digits, self.digits[1:], strict=False))


class Daily(ABC):
    """What all days have in common: a seed that chance follows from, and choices to live by."""

    def start(self, state: Any) -> Tensor:
        """Return [B, 1], the seed of each row's day."""
        seed: Tensor = state.seed
        return seed

    def decode(
        self, actions: Sequence[Sequence[int]], /, start: Sequence[Any] = ()
    ) -> list[Schedule | None]:
        """Return the days lived; `None` for a row that is too short."""
        return lived(self, actions, start)

    def encode(
        self, designs: Sequence[Schedule], rng: np.random.Generator | None = None
    ) -> list[Spelling | None]:
        """Return choices and seed of each day."""
        return [Spelling([int(c) for c in d.digits], {"start": [d.seed]}) for d in designs]

    @abstractmethod
    def metrics(self, state: Any) -> dict[str, Tensor]:
        """Return what a day came to, [B] each."""


def at_least_one(settings: Any, *names: str) -> None:
    """Raise InputError where one of these settings is below 1."""
    for name in names:
        if getattr(settings, name) < 1:
            raise InputError(f"{name} is {getattr(settings, name)}, expected at least 1")


def shares(settings: Any, *names: str) -> None:
    """Raise InputError where one of these settings is not within 0 and 1."""
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise InputError(f"{name} is {getattr(settings, name)}, expected 0 to 1")


def lived(env: Any, actions: Sequence[Sequence[int]], start: Sequence[Any]) -> list[Any]:
    """Return the schedules of whole rows, `None` for rows that are too short."""
    whole = [len(row) >= env.max_steps for row in actions]
    rows = [list(row[: env.max_steps]) for row, full in zip(actions, whole, strict=True) if full]
    days = [day for day, full in zip(start, whole, strict=True) if full]
    if not rows:
        return [None] * len(whole)
    taken = torch.tensor(rows)
    state = restart(env, len(rows), torch.device("cpu"), torch.tensor(days))
    for t in range(env.max_steps):
        state = env.step(state, taken[:, t])
    columns = {name: values.tolist() for name, values in env.metrics(state).items()}
    made = iter(
        Schedule(int(day[0]), "".join(map(str, row)), {k: v[i] for k, v in columns.items()})
        for i, (day, row) in enumerate(zip(days, rows, strict=True))
    )
    return [next(made) if full else None for full in whole]


def parse_schedule(text: str, env: Any) -> Schedule:
    """Return the schedule that `seed:digits` means, lived through; raises InputError."""
    match = re.fullmatch(r"\s*(\d{1,10}):(\d+)\s*", text)
    if match is None:
        raise InputError(f"schedule {text[:40]!r}: expected SEED:CHOICES, such as 7:0110")
    digits = match[2]
    if len(digits) != env.max_steps:
        raise InputError(
            f"schedule {text[:40]!r} has {len(digits)} choices, expected {env.max_steps}"
        )
    for place, digit in enumerate(digits, start=1):
        if int(digit) >= env.num_actions:
            raise InputError(
                f"schedule {text[:40]!r}: choice {place} is {digit}, expected 0 to "
                f"{env.num_actions - 1}"
            )
    (made,) = lived(env, [[int(d) for d in digits]], [[int(match[1])]])
    assert isinstance(made, Schedule)
    return made


def show(design: Schedule) -> str:
    """Return the schedule and what came of it."""
    said = ", ".join(f"{name} {value:.4g}" for name, value in design.metrics.items())
    return f"{design.text}\n{said}"


def draw(designs: Sequence[Schedule]) -> str:
    """Return the schedules as one SVG document, a row of bars each, a bar a choice."""
    width = max(360, 60 + 8 * max((len(d.digits) for d in designs), default=0))
    body = []
    for row, design in enumerate(designs):
        top = max(1, *(int(c) for c in design.digits))
        for t, digit in enumerate(design.digits):
            height = 30.0 * int(digit) / top
            place = f'x="{20 + 8 * t}" y="{60 * row + 50 - height:.1f}"'
            body.append(f'<rect {place} width="7" height="{height:.1f}" fill="#1f6f78"/>')
        said = escape(show(design).splitlines()[1])
        body.append(f'<text x="20" y="{60 * row + 15}" font-size="11">{said}</text>')
    said = "a bar a choice, in the order made; its height is the choice"
    body.append(f'<text x="20" y="{60 * len(designs) + 15}" font-size="11">{said}</text>')
    size = f'width="{width}" height="{60 * len(designs) + 25}" font-family="sans-serif"'
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{paper}{"".join(body)}</svg>\n'
