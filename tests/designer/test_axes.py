"""Round numbers along an axis."""

from __future__ import annotations

import numpy as np
import pytest

from designer.axes import ticks


@pytest.mark.parametrize(("low", "high"), [(0, 7), (-3.2, 0.1), (5, 5), (0, 0), (1e-7, 3e-7)])
def test_ticks_are_few_even_and_around(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 9 and found[0] <= low and found[-1] >= high
    np.testing.assert_allclose(np.diff(found), found[1] - found[0])
