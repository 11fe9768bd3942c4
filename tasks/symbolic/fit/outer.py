"""The data a batch is fitted to, and the outer scale and offset in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Points:
    """The data on one device. Weights are scaled to mean 1."""

    x: Tensor  # [P, V]
    y: Tensor  # [P]
    weight: Tensor | None = None  # [P]
    groups: Tensor | None = None  # [P] int64, the label of each row: each is fitted by itself
    spread: Tensor | None = None  # [] what takes the place of the variance
    share: Tensor | None = None  # [] of all weight that these points have

    def to(self, device: str | torch.device) -> Points:
        """Return the points on a device."""
        held = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value.to(device) for name, value in held.items()})

    def label(self, label: int) -> Points:
        """Return the points of one label, measured in the variance of all points."""
        assert self.groups is not None
        rows = (self.groups == label).nonzero().squeeze(1)
        weight = None if self.weight is None else self.weight[rows]
        share = (
            self.y.new_tensor(len(rows) / len(self.y))
            if weight is None
            else weight.sum() / len(self.y)
        )
        if weight is not None:
            weight = weight / weight.mean() if bool(share > 0) else torch.ones_like(weight)
        return replace(
            self, x=self.x[rows], y=self.y[rows], weight=weight, groups=None,
            spread=self.variance, share=share,
        )  # fmt: skip

    @property
    def variance(self) -> Tensor:
        """The weighted variance of y: what an expression's error is measured in."""
        if self.spread is not None:
            return self.spread
        if self.weight is None:
            return self.y.var(correction=0)
        centred = self.y - (self.weight * self.y).mean()
        return (self.weight * centred**2).mean()


@dataclass(frozen=True)
class Settings:
    """How expressions are fitted."""

    scale: bool = True  # closed-form outer factor
    offset: bool = False  # closed-form outer constant
    starts: int = 3  # starting points for the constants
    iterations: int = 16  # Levenberg-Marquardt steps from the best start
    cells: int = 4_000_000  # numbers (8 bytes each) that values take at once: bounds memory


def outer_fit(f: Tensor, points: Points, outer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return NMSE, scale and offset [N] of expressions with values `f` [N, P].

    `outer` [N, 2] holds scale and offset where they are held, NaN where they are fitted.
    """
    scale, offset = outer.unbind(1)
    w = points.weight
    weighted = f if w is None else f * w
    y = points.y - torch.where(offset.isnan(), 0.0, offset).unsqueeze(1)
    mean = torch.where(offset.isnan(), weighted.mean(1), 0.0)
    y_mean = (y if w is None else y * w).mean(1)
    # with a fitted offset both are centred; the factor is then <f - m, y> / <f - m, f - m>
    centred = f - mean.unsqueeze(1)
    right = centred if w is None else centred * w
    factor = (right * y).mean(1) / (right * centred).mean(1)
    factor = torch.where(scale.isnan(), factor, scale)
    shift = torch.where(offset.isnan(), y_mean - factor * mean, offset)
    residual = points.y - factor.unsqueeze(1) * f - shift.unsqueeze(1)
    squared = residual**2 if w is None else residual**2 * w
    nmse = squared.mean(1) / points.variance
    bad = ~nmse.isfinite()
    return torch.where(bad, torch.inf, nmse), factor, shift
