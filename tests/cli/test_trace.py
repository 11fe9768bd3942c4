"""The picture of a run's progress."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from cli.trace import progress

SVG = "{http://www.w3.org/2000/svg}"


def points(document: str) -> list[list[tuple[float, float]]]:
    lines = ElementTree.fromstring(document).iter(f"{SVG}polyline")
    pairs = [line.attrib["points"].split() for line in lines]
    return [[(float(a), float(b)) for a, b in (p.split(",") for p in row)] for row in pairs]


def test_best_and_mean_are_drawn_where_they_belong() -> None:
    rows = [{"evaluations": 10.0 * k, "best": 0.1 * k, "reward": 0.05 * k} for k in range(11)]
    rows[0]["best"] = math.nan  # nothing is known yet
    best, mean = points(str(progress(rows)))
    assert len(best) == 10 and len(mean) == 11
    assert [x for x, _ in mean] == sorted(x for x, _ in mean)
    heights = [y for _, y in mean]
    assert heights == sorted(heights, reverse=True)  # y grows downwards
    middle = (mean[0][1] + best[-1][1]) / 2  # the mean ends at half of what the best does
    assert mean[-1][1] == pytest.approx(middle, abs=0.2)


def test_a_long_run_is_thinned_and_keeps_its_end() -> None:
    rows = [{"evaluations": k, "best": float(k), "reward": float(k)} for k in range(10_000)]
    best, _ = points(str(progress(rows)))
    assert len(best) <= 601 and best[-1][0] > best[-2][0]


def test_a_run_without_a_measured_step_has_no_picture() -> None:
    assert progress([]) is None
    assert progress([{"evaluations": 0, "best": math.nan, "reward": math.nan}]) is None
