"""A grid of traffic signals: each shows green to one of its two roads, one signal after another.

Cars enter from the north and the west, drive straight on and leave in the south and the east. In
each tick the signals choose in turn; then cars arrive, and each green road lets up to `flow` cars
pass to the next crossing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.control.chance import seeds, uniform
from tasks.control.schedule import Daily, at_least_one, shares


@dataclass(frozen=True)
class Crossings:
    """B grids in the middle of their day."""

    seed: Tensor  # [B, 1] int64
    turn: Tensor  # [B] int64, choices made
    green: Tensor  # [B, N] int64, what each signal chose last: 0 north-south, 1 west-east
    cars: Tensor  # [B, 2, N] int64, waiting on each road
    waited: Tensor  # [B] int64, car-ticks spent waiting
    passed: Tensor  # [B] int64, cars that left the grid
    longest: Tensor  # [B] int64, the longest queue of the day


@dataclass(frozen=True)
class Signals(Daily):
    """`rows` x `columns` signals for `ticks` ticks; T = ticks * N choices, agents in turn.

    `north` and `west` are the chances that a car comes on each road in a tick. `day` fixes the
    seed: every row lives the same day; without it each row draws its own.
    """

    rows: int = 2
    columns: int = 2
    ticks: int = 12
    north: float = 0.6
    west: float = 0.3
    flow: int = 2
    day: int | None = None

    num_actions = 2

    def __post_init__(self) -> None:
        at_least_one(self, "rows", "columns", "ticks", "flow")
        shares(self, "north", "west")

    @property
    def agents(self) -> int:
        """N, the number of signals."""
        return self.rows * self.columns

    @property
    def max_steps(self) -> int:
        """T = ticks * N."""
        return self.ticks * self.agents

    @property
    def obs_size(self) -> int:
        """F: who chooses, all queues, all lights, the share of the day gone."""
        return 4 * self.agents + 1

    def reset(
        self,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator | None = None,
        *,
        start: Tensor | None = None,
    ) -> Crossings:
        """Return B empty grids; `start` [B, 1] gives their seeds again."""
        seed = seeds(batch_size, device, generator, self.day) if start is None else start
        zero = torch.zeros(batch_size, dtype=torch.int64, device=device)
        lights = zero.unsqueeze(1).expand(-1, self.agents).clone()
        cars = zero[:, None, None].expand(-1, 2, self.agents).clone()
        return Crossings(seed, zero, lights, cars, zero, zero, zero)

    def agent(self, state: Crossings) -> Tensor:
        """Return [B], which signal chooses next."""
        return state.turn % self.agents

    def observe(self, state: Crossings, /) -> Tensor:
        """Return [B, F] float32."""
        mine = torch.nn.functional.one_hot(self.agent(state), self.agents)
        share = (state.turn / self.max_steps).unsqueeze(1)
        queues = torch.log1p(state.cars.flatten(1).float())
        return torch.cat([mine, queues, state.green, share], dim=1).to(torch.float32)

    def mask(self, state: Crossings, /) -> Tensor:
        """Return [B, 2]; finished rows have north-south only."""
        legal = torch.ones(len(state.turn), 2, dtype=torch.bool, device=state.turn.device)
        legal[:, 1] = ~self.done(state)
        return legal

    def step(self, state: Crossings, action: Tensor, /) -> Crossings:
        """Return the grids after a signal's choice; after the last signal's, cars move."""
        done = self.done(state)
        here = torch.arange(self.agents, device=action.device) == self.agent(state)[:, None]
        green = torch.where(here & ~done[:, None], action[:, None], state.green)
        moves = ((state.turn + 1) % self.agents == 0) & ~done
        moved = self._ticked(replace(state, green=green))
        turn = state.turn + ~done
        kept = replace(state, green=green, turn=turn)
        rest = {
            name: torch.where(_like(moves, old), getattr(moved, name), old)
            for name, old in vars(kept).items()
            if name in ("cars", "waited", "passed", "longest")
        }
        return replace(kept, **rest)

    def done(self, state: Crossings, /) -> Tensor:
        """Return [B] bool, True when the day is over."""
        return state.turn >= self.max_steps

    def reward(self, state: Crossings, action: Tensor, after: Crossings) -> Tensor:
        """Return [B] minus the waiting of this step; over a day minus the metric `waiting`."""
        return -(after.waited - state.waited).float() / self.ticks

    def metrics(self, state: Crossings) -> dict[str, Tensor]:
        """Return what a day came to: cars waiting (mean a tick), longest queue, cars through."""
        waiting = state.waited.double() / self.ticks
        return {"waiting": waiting, "longest": state.longest, "through": state.passed}

    def _ticked(self, state: Crossings) -> Crossings:
        """Return the grids one tick on: arrivals at the edges, then cars over the green roads."""
        grid = (-1, self.rows, self.columns)
        chance = uniform(state.seed, state.turn // self.agents, self.columns + self.rows)
        comes = chance < torch.tensor(
            [self.north] * self.columns + [self.west] * self.rows, device=chance.device
        )
        south, east = (state.cars[:, i].reshape(grid).clone() for i in (0, 1))
        south[:, 0, :] += comes[:, : self.columns]
        east[:, :, 0] += comes[:, self.columns :]
        lights = state.green.reshape(grid)
        go_south = torch.where(lights == 0, south.clamp_max(self.flow), 0)
        go_east = torch.where(lights == 1, east.clamp_max(self.flow), 0)
        south, east = south - go_south, east - go_east
        south[:, 1:, :] += go_south[:, :-1, :]
        east[:, :, 1:] += go_east[:, :, :-1]
        cars = torch.stack([south.flatten(1), east.flatten(1)], dim=1)
        out = go_south[:, -1, :].sum(1) + go_east[:, :, -1].sum(1)
        return replace(
            state,
            cars=cars,
            waited=state.waited + cars.sum((1, 2)),
            passed=state.passed + out,
            longest=torch.maximum(state.longest, cars.amax((1, 2))),
        )


def _like(flags: Tensor, values: Tensor) -> Tensor:
    return flags.reshape(-1, *[1] * (values.dim() - 1))
