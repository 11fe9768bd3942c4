"""Fronts and volumes by hand, and against counting points."""

from __future__ import annotations

import numpy as np
import pytest

from designer.pareto import hypervolume, nondominated


def test_the_front_by_hand() -> None:
    values = [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.4, 0.6], [0.3, 0.3], [0.5, 0.2], [2, np.nan]]
    assert nondominated(values) == [0, 1, 3]
    assert nondominated(np.zeros((0, 2))) == nondominated(np.zeros((0, 3))) == []
    assert nondominated([[0.0, 1.0], [1.0, -np.inf], [0.0, -np.inf]]) == [1, 0]


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_the_front_is_what_nothing_dominates(columns: int) -> None:
    values = np.random.default_rng(columns).integers(0, 5, (60, columns)).astype(float)
    front = nondominated(values)
    for i, row in enumerate(values):
        beaten = any((o >= row).all() and (o > row).any() for o in values)
        assert beaten == (not any((values[j] == row).all() for j in front)), i


def test_volumes_by_hand() -> None:
    assert hypervolume([[2.0, 1.0], [1.0, 2.0]]) == 3.0
    assert hypervolume([[2.0, 1.0], [1.0, 2.0]], (1.0, 0.0)) == 1.0
    assert hypervolume([[1.0, 1.0, 1.0], [2.0, 0.5, 0.5]]) == pytest.approx(1.25)
    assert hypervolume([[0.5, -1.0]]) == 0.0


@pytest.mark.parametrize("columns", [2, 3, 4, 5])
def test_the_volume_is_the_share_of_a_grid(columns: int) -> None:
    """With whole numbers the volume is the number of unit cells below some point."""
    points = np.random.default_rng(7).integers(0, 5, (12, columns))
    cells = np.stack(np.meshgrid(*[np.arange(5)] * columns), -1).reshape(-1, columns)
    covered = sum((cell < points).all(1).any() for cell in cells)
    assert hypervolume(points) == covered


@pytest.mark.parametrize(("columns", "rows"), [(2, 100_000), (3, 1000), (4, 500), (5, 200)])
def test_large_fronts_end(columns: int, rows: int) -> None:
    """Points on a sphere are all in the front; chance tells how much they cover."""
    rng = np.random.default_rng(0)
    points = np.abs(rng.normal(size=(rows, columns)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    assert len(nondominated(points)) == rows
    darts = rng.random((2000, columns))
    some = points if columns > 2 else points[:: rows // 1000]
    share = (darts[:, None] < some[None]).all(-1).any(1).mean()
    assert hypervolume(points) == pytest.approx(share, abs=5 * np.sqrt(share / 2000))
