"""Small tables as people have them, and what a campaign records of formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from designer.memory import Found
from oracles.fit import Fit
from tasks.symbolic.language.parser import parse

X = np.random.default_rng(0).uniform(0.5, 3, (60, 2))


def csv(path: Path, header: str, *columns: Any) -> Path:
    """Write a table and return its path."""
    rows = [",".join(str(cell) for cell in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def found(made: Any, texts: list[str]) -> list[Found]:
    """Return what a campaign would have recorded of formulas."""
    designs = [parse(text, made.environment.library, made.symbols) for text in texts]
    measured = Fit(made.context["data"], made.context["scale"], made.context["offset"])(designs)
    assert measured.designs is not None
    out = []
    for row, done in enumerate(measured.designs):
        scores = {name: float(values[row]) for name, values in measured.columns.items()}
        place = (done.complexity, 0, 0, done.key, scores["fit"])
        out.append(Found(done.text, scores["fit"], scores, *place))
    return out
