"""Relaxation: many conformations downhill at once, by limited-memory quasi-Newton steps.

L-BFGS (Liu and Nocedal 1989) with one history a row and a backtracking line search (Armijo).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Value = Callable[[Tensor], Tensor]  # [N, M] -> [N], differentiable
ARMIJO, SHRINK, TRIES = 1e-4, 0.3, 8
SETTLED = 1e-9  # what a step must gain, or the row is at rest
LONGEST_STEP = 0.6  # radians a step: farther, a chain would pass through itself


@dataclass
class Descent:
    """N rows on their way down; `evaluations` counts every row whose energy was computed.

    A row that finds nothing lower is at rest, and costs nothing from then on.
    """

    value: Value
    x: Tensor  # [N, M]
    memory: int = 10
    evaluations: int = 0
    history: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)  # s, y, 1 / s.y

    def __post_init__(self) -> None:
        self.f, self.g = self._measure(self.x)
        self.moving = torch.ones_like(self.f, dtype=torch.bool)

    def step(self) -> bool:
        """Make one step of every moving row; return whether any row moves still."""
        direction = self._direction()
        slope = (direction * self.g).sum(1, keepdim=True)
        downhill = slope < 0
        direction = torch.where(downhill, direction, -self.g)
        slope = torch.where(downhill, slope, -self.g.square().sum(1, keepdim=True))
        direction, slope = self._shortened(direction, slope)
        x, f, g = self._searched(direction, slope)
        self.moving = self.moving & (self.f - f > SETTLED)
        self._remember(x - self.x, g - self.g)
        self.x, self.f, self.g = x, f, g
        return bool(self.moving.any())

    def _measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.evaluations += len(x)
        held = x.detach().requires_grad_(True)
        with torch.enable_grad():
            value = self.value(held)
            (slope,) = torch.autograd.grad(value.sum(), held)
        return value.detach(), slope

    def _searched(self, direction: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return where each row goes: the first of shrinking steps that goes down enough."""
        length = torch.ones_like(slope)
        x, f, g = self.x.clone(), self.f.clone(), self.g.clone()
        open_ = self.moving.nonzero().squeeze(1)
        for _ in range(TRIES):
            if len(open_) == 0:
                break
            there = self.x[open_] + length[open_] * direction[open_]
            value, gradient = self._measure(there)
            aim = self.f[open_] + ARMIJO * (length[open_] * slope[open_]).squeeze(1)
            good = value <= aim
            rows = open_[good]
            x[rows], f[rows], g[rows] = there[good], value[good], gradient[good]
            open_ = open_[~good]
            length[open_] *= SHRINK
        return x, f, g

    def _direction(self) -> Tensor:
        """Return [N, M] minus the inverse curvature times the gradient (two loops)."""
        q, weights = self.g.clone(), []
        for s, y, rho in reversed(self.history):
            alpha = rho * (s * q).sum(1, keepdim=True)
            q = q - alpha * y
            weights.append(alpha)
        if self.history:
            s, y, rho = self.history[-1]
            scale = 1.0 / (rho * y.square().sum(1, keepdim=True)).clamp_min(1e-300)
            q = q * torch.where(rho > 0, scale, 1.0)
        for (s, y, rho), alpha in zip(self.history, reversed(weights), strict=True):
            q = q + s * (alpha - rho * (y * q).sum(1, keepdim=True))
        return -q

    def _shortened(self, direction: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        largest = direction.abs().amax(1, keepdim=True)
        factor = (LONGEST_STEP / largest.clamp_min(1e-300)).clamp_max(1.0)
        return direction * factor, slope * factor

    def _remember(self, s: Tensor, y: Tensor) -> None:
        """Keep a pair; rows without positive curvature keep nothing of it."""
        curvature = (s * y).sum(1, keepdim=True)
        enough = curvature > 1e-10 * s.norm(dim=1, keepdim=True) * y.norm(dim=1, keepdim=True)
        rho = torch.where(enough, 1.0 / torch.where(enough, curvature, 1.0), 0.0)
        keep = enough.to(s.dtype)
        self.history = [*self.history[1 - self.memory :], (s * keep, y * keep, rho)]
