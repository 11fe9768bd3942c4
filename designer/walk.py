"""What a walk through an environment keeps of each step, and what may go with the choices.

Most environments have actions and nothing else; real numbers, agents, chance drawn at reset and
paid steps are looked for here, once, and leave no trace where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from designer.protocols import Environment, Spelling, Trajectory


class Columns:
    """What is kept of every step, written into place, step after step.

    Room for all T steps is taken at the first one: thousands of small tensors kept alive until
    the end would cost more than the choices themselves.
    """

    def __init__(self, length: int) -> None:
        self.length, self.count = length, 0
        self.columns: list[Tensor] = []

    def append(self, *values: Tensor) -> None:
        """Keep one step's values, [B, ...] each."""
        if not self.columns:
            self.columns = [value.new_empty((self.length, *value.shape)) for value in values]
        for column, value in zip(self.columns, values, strict=True):
            column[self.count] = value
        self.count += 1

    def joined(self) -> list[Tensor]:
        """Return each column as [B, T, ...], T being the steps taken."""
        return [column[: self.count].transpose(0, 1) for column in self.columns]


def start_of(env: Environment[Any, Any], state: Any) -> Tensor | None:
    """Return [B, S] what chance drew at reset, None where there is none."""
    start = getattr(env, "start", None)
    return None if start is None else start(state)


def valued(env: Environment[Any, Any], state: Any, action: Tensor, active: Tensor) -> Tensor:
    """Return [B] bool, where the values that go with an action matter."""
    matter = getattr(env, "valued", None)
    return active if matter is None else matter(state, action) & active


class Potentials:
    """The potential of every state: the environment's own, or the sum of what its steps paid."""

    def __init__(self, env: Environment[Any, Any], state: Any) -> None:
        self.potential = getattr(env, "potential", None)
        self.reward = getattr(env, "reward", None) if self.potential is None else None
        self.kept: list[Tensor] = []
        if self.potential is not None:
            self.kept.append(self.potential(state))
        elif self.reward is not None:
            self.kept.append(torch.zeros(env.done(state).shape, device=env.done(state).device))

    def append(self, before: Any, action: Tensor, after: Any) -> None:
        """Keep the potential after one step."""
        if self.potential is not None:
            self.kept.append(self.potential(after))
        elif self.reward is not None:
            self.kept.append(self.kept[-1] + self.reward(before, action, after))

    def stacked(self) -> Tensor | None:
        """Return [B, T + 1], None where the environment has neither."""
        return torch.stack(self.kept, dim=1) if self.kept else None


def beside(
    env: Environment[Any, Any], state: Any, action: Tensor, active: Tensor, *values: Tensor
) -> dict[str, Tensor]:
    """Return what a step keeps beside the choice itself; nothing for most environments."""
    kept: dict[str, Tensor] = {}
    if values:
        kept = {"values": values[0], "valued": valued(env, state, action, active)}
    if hasattr(env, "agent"):
        kept["agent"] = env.agent(state)
    return kept


def names(env: Environment[Any, Any]) -> list[str]:
    """Return what `beside` calls the columns it keeps, in order."""
    names = ["values", "valued"] if getattr(env, "num_values", 0) else []
    return [*names, "agent"] if hasattr(env, "agent") else names


def noise(
    env: Environment[Any, Any],
    batch_size: int,
    device: torch.device,
    generator: torch.Generator | None,
) -> Tensor | None:
    """Return standard normal numbers [T, B, K], None where no values go with the choices."""
    count = getattr(env, "num_values", 0)
    if not count:
        return None
    where = generator.device if generator is not None else device
    shape = (env.max_steps, batch_size, count)
    return torch.randn(shape, generator=generator, device=where).to(device)


def restart(
    env: Environment[Any, Any],
    batch_size: int,
    device: torch.device,
    start: Sequence[Any] | Tensor | None,
) -> Any:
    """Return the state of B rows after the same chance; `start` [B, S] is what it drew.

    Raises ValueError where the environment draws and `start` is not given.
    """
    if not hasattr(env, "start"):
        return env.reset(batch_size, device)
    if start is None:
        raise ValueError("this environment draws chance at reset: give `start`, what it drew")
    drawn = torch.as_tensor(start, dtype=torch.int64, device=device)
    return env.reset(batch_size, device, start=drawn)  # type: ignore[call-arg]


def filled(
    env: Environment[Any, Any],
    values: Sequence[Any] | Tensor | None,
    batch_size: int,
    length: int,
    device: torch.device,
) -> Tensor | None:
    """Return the values [B, T, K] as numbers of the policy's kind, short rows filled with 0."""
    count = getattr(env, "num_values", 0)
    if not count:
        return None
    if isinstance(values, Tensor):
        return values.to(device)
    if values is None:
        raise ValueError(f"{count} real numbers go with each choice here: give `values`")
    rows = [[*row, *[[0.0] * count] * (length - len(row))] for row in values]
    return torch.tensor(rows, dtype=torch.float32, device=device).reshape(batch_size, length, count)


def trimmed(trajectory: Trajectory) -> list[Trajectory]:
    """Return each row by itself, as long as it is active (at least one step)."""
    lengths = trajectory.active.sum(1).clamp(min=1).tolist()
    return [_cut(trajectory, row, length) for row, length in enumerate(lengths)]


def _cut(trajectory: Trajectory, row: int, length: int) -> Trajectory:
    def part(name: str, value: Tensor) -> Tensor:
        one = value[row : row + 1]
        return one.clone() if name in WHOLE else one[:, : length + (name == "potential")].clone()

    return trajectory.replace(**{n: part(n, v) for n, v in columns(trajectory).items()})


def unjudged(trajectory: Trajectory) -> Trajectory:
    """Return the steps as `retrace` returns them: without what a policy thought of them."""
    zero = torch.zeros_like(trajectory.log_prob)
    return trajectory.replace(log_prob=zero, entropy=zero, value=zero, prior_log_prob=None)


def stacked(rows: Sequence[Trajectory]) -> Trajectory:
    """Return rows of different length as one trajectory; what is past a row's end is inactive."""
    length = max(row.actions.shape[1] for row in rows)

    def whole(name: str, values: list[Tensor]) -> Tensor:
        if name in WHOLE:
            return torch.cat(values)
        first = values[0]
        size = length + (name == "potential")
        out = first.new_zeros((len(values), size, *first.shape[2:]))
        for place, value in enumerate(values):
            out[place, : value.shape[1]] = value[0]
            if name not in COUNTED and value.shape[1] < size:
                out[place, value.shape[1] :] = value[0, -1]  # a legal state, that counts nothing
        return out

    held = [columns(row) for row in rows]
    return rows[0].replace(**{n: whole(n, [row[n] for row in held]) for n in held[0]})


WHOLE = ("group", "start")  # one a row, not one a step
COUNTED = ("active", "log_prob", "entropy", "value", "prior_log_prob", "valued")  # 0 past the end


def columns(trajectory: Trajectory) -> dict[str, Tensor]:
    """Return the tensors that a trajectory holds, by name."""
    held = {f.name: getattr(trajectory, f.name) for f in fields(trajectory)}
    return {name: value for name, value in held.items() if value is not None}


def spelling(row: Any) -> Spelling:
    """Return what an environment's `encode` gave for a design, as a `Spelling`."""
    return row if isinstance(row, Spelling) else Spelling(row)


def together(rows: Sequence[Spelling]) -> tuple[list[list[int]], dict[str, Any]]:
    """Return B rows as `decode` and `retrace` take them: actions [B][T], given [B] lists each."""
    names = rows[0].given if rows else ()
    given = {name: [row.given[name] for row in rows] for name in names}
    return [list(row.actions) for row in rows], given
