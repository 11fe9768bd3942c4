"""A pool of servers: how many to run in each tick, so that few requests wait and little is spent.

Requests come from `users` who each ask with a chance that swings over the day. A server answers
`rate` requests a tick; what is not answered waits. The latency of a tick is the time its queue
needs at the present pool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from designer.errors import InputError
from tasks.control.chance import seeds, uniform
from tasks.control.schedule import Daily, at_least_one, shares


@dataclass(frozen=True)
class Pool:
    """B pools in the middle of their day."""

    seed: Tensor  # [B, 1] int64
    tick: Tensor  # [B] int64
    running: Tensor  # [B] int64 servers
    queue: Tensor  # [B] int64 requests that wait
    cost: Tensor  # [B] int64 server-ticks so far
    latency: Tensor  # [B] float64 sum of the ticks' latencies
    late: Tensor  # [B] int64 ticks whose latency was beyond the bound


@dataclass(frozen=True)
class Servers(Daily):
    """One choice a tick: how many of at most `most` servers run (0 to `most`).

    `users` ask with a chance of `load` on average, swinging by `swing` of it over the day;
    `bound` is the latency in ticks that the service promises. `day` fixes the seed.
    """

    most: int = 6
    ticks: int = 24
    users: int = 40
    load: float = 0.25
    swing: float = 0.6
    rate: int = 4
    bound: float = 1.0
    day: int | None = None

    def __post_init__(self) -> None:
        at_least_one(self, "most", "ticks", "users", "rate")
        if self.most > 9:
            raise InputError(f"most is {self.most}, expected at most 9 (a digit a tick)")
        shares(self, "load", "swing")
        if not self.bound > 0:
            raise InputError(f"bound is {self.bound}, expected above 0 ticks")

    @property
    def num_actions(self) -> int:
        """A = most + 1."""
        return self.most + 1

    @property
    def max_steps(self) -> int:
        """T, the ticks of a day."""
        return self.ticks

    @property
    def obs_size(self) -> int:
        """F: servers running, the queue, the hour as sine and cosine, the share gone."""
        return 5

    def reset(
        self,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator | None = None,
        *,
        start: Tensor | None = None,
    ) -> Pool:
        """Return B idle pools; `start` [B, 1] gives their seeds again."""
        seed = seeds(batch_size, device, generator, self.day) if start is None else start
        zero = torch.zeros(batch_size, dtype=torch.int64, device=device)
        return Pool(seed, zero, zero, zero, zero, zero.double(), zero)

    def observe(self, state: Pool, /) -> Tensor:
        """Return [B, F] float32."""
        hour = 2.0 * math.pi * state.tick / self.ticks
        parts = [
            state.running / self.most,
            torch.log1p(state.queue.float()),
            hour.sin(),
            hour.cos(),
            state.tick / self.ticks,
        ]
        return torch.stack(parts, dim=1).to(torch.float32)

    def mask(self, state: Pool, /) -> Tensor:
        """Return [B, A]; finished rows have no server only."""
        shape = (len(state.tick), self.num_actions)
        legal = torch.ones(shape, dtype=torch.bool, device=state.tick.device)
        legal[:, 1:] = ~self.done(state)[:, None]
        return legal

    def step(self, state: Pool, action: Tensor, /) -> Pool:
        """Return the pools one tick on."""
        over = self.done(state)
        queue = state.queue + self._asked(state)
        waits = queue / (self.rate * action).clamp_min(1)  # a pool of none answers at most one
        queue = (queue - self.rate * action).clamp_min(0)
        after = Pool(
            state.seed,
            state.tick + 1,
            action,
            queue,
            state.cost + action,
            state.latency + waits.double(),
            state.late + (waits > self.bound),
        )
        return Pool(
            **{n: torch.where(over if v.dim() == 1 else over[:, None], v, getattr(after, n))
               for n, v in vars(state).items()}
        )  # fmt: skip

    def done(self, state: Pool, /) -> Tensor:
        """Return [B] bool."""
        return state.tick >= self.ticks

    def reward(self, state: Pool, action: Tensor, after: Pool) -> Tensor:
        """Return [B] minus the servers of this tick; over a day minus the metric `cost`."""
        return -(after.cost - state.cost).float() / self.ticks

    def metrics(self, state: Pool) -> dict[str, Tensor]:
        """Return servers (mean a tick), mean latency, the share of late ticks, requests left."""
        return {
            "cost": state.cost.double() / self.ticks,
            "latency": state.latency / self.ticks,
            "late": state.late.double() / self.ticks,
            "left": state.queue,
        }

    def _asked(self, state: Pool) -> Tensor:
        """Return [B] how many users ask in this tick."""
        hour = 2.0 * math.pi * state.tick.double() / self.ticks
        chance = (self.load * (1.0 - self.swing * hour.cos())).clamp(0.0, 1.0)
        return (uniform(state.seed, state.tick, self.users) < chance[:, None]).sum(1)
