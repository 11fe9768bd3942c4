"""What came of a day of control: the metrics that its schedule realised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from designer.errors import InputError
from designer.protocols import Measured
from tasks.control.schedule import Schedule


@dataclass(frozen=True)
class Realised:
    """Every metric of the day as a column, and `score`: minus the metric named `cost_of`.

    Signals: waiting, longest, through. Servers: cost, latency, late, left.
    """

    cost_of: str
    name: str = "realised"

    cheap = True

    def __call__(self, designs: Sequence[Schedule], /) -> Measured:
        """Return the columns [N]; raises InputError for other designs or an unknown metric."""
        for row, design in enumerate(designs):
            if not isinstance(design, Schedule):
                text = str(getattr(design, "text", ""))[:60]
                raise InputError(f"{self.name} judges schedules, but row {row} is {text!r}")
            if self.cost_of not in design.metrics:
                known = ", ".join(design.metrics)
                raise InputError(f"cost_of is {self.cost_of!r}, expected one of {known}")
        names = list(designs[0].metrics) if designs else [self.cost_of]
        columns = {n: np.array([float(d.metrics[n]) for d in designs]) for n in names}
        return Measured(columns | {"score": -columns[self.cost_of]})
