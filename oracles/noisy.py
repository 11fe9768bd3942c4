"""How well an equation fits a table whose inputs are not known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from designer.errors import InputError
from designer.protocols import Measured
from designer.robust import Robust, check_robust, combined
from oracles.fit import Fit
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.tables.table import Table


@dataclass(frozen=True)
class NoisyFit:
    """Columns `noisy_fit`, and of the table as it is `fit`, `nmse` and `r2` (see `fit`).

    Constants are fitted to the table as it is; then the equation, unchanged, is held against
    `copies` of the table whose inputs carry Gaussian noise of `noise` standard deviations of
    their column. `noisy_fit` is what these come to, as `robust` says: worst, mean, kl (the worst
    shares within `radius` nats) or variance (mean less `risk` times variance). noise = 0 is `fit`.
    """

    data: Table
    noise: float = 0.02
    copies: int = 8
    robust: Robust = "worst"
    radius: float = 0.1
    risk: float = 1.0
    noise_seed: int = 0
    scale: bool = True
    offset: bool = False
    device: str = "cpu"
    name: str = "noisy_fit"

    cheap = True

    def __post_init__(self) -> None:
        check_robust(self.robust, self.radius, self.risk)
        if self.copies < 1 or not 0 <= self.noise < np.inf:
            raise InputError(
                f"noise {self.noise}, copies {self.copies}; expected noise of 0 or more and at "
                "least 1 copy"
            )

    def __call__(self, designs: Sequence[Expression], /) -> Measured:
        """Return the columns [N], and the designs with their numbers."""
        plain = self._fits[0](designs)
        fitted = plain.designs or designs
        heard = np.stack([fit(fitted).columns["fit"] for fit in self._fits[1:]], axis=1)
        value = combined(heard, np.ones(self.copies), self.robust, self.radius, self.risk)
        value = np.where(np.isnan(value), -np.inf, value)  # inadmissible on some copy
        columns = {**plain.columns, self.name: value}
        return Measured(columns, plain.designs)

    @cached_property
    def _fits(self) -> list[Fit]:
        """The table as it is, then the noisy ones, where everything a design holds stays."""
        rng = np.random.default_rng(self.noise_seed)
        spread = self.noise * self.data.x.std(axis=0)
        tables = [
            replace(self.data, x=self.data.x + spread * rng.standard_normal(self.data.x.shape))
            for _ in range(self.copies)
        ]
        first = Fit(self.data, self.scale, self.offset, device=self.device)
        return [first, *(Fit(t, False, False, device=self.device) for t in tables)]
