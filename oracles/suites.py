"""Benchmark suites: their tasks (`data/suites.toml`), and the figures they are judged by."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from designer.errors import InputError, nearest
from oracles import OBJECTIVES, ORACLES

EVERY = 100  # calls between the looks of PMO


@lru_cache(maxsize=1)
def suites() -> Mapping[str, Any]:
    """Return the shipped suites as tables, by name."""
    return tomllib.loads(files("data").joinpath("suites.toml").read_text(encoding="utf-8"))


def chosen(names: Sequence[str]) -> list[str]:
    """Return the tasks that names of tasks and suites mean; raises InputError for others."""
    found: list[str] = []
    for name in names:
        tasks = suites()[name]["tasks"] if name in suites() else [name]
        for task in tasks:
            if task not in OBJECTIVES | ORACLES:
                hint = nearest(task, [*suites(), *OBJECTIVES])
                raise InputError(f"no task or suite {task!r}; {hint}")
        found += [task for task in tasks if task not in found]
    return found


def auc_top(scores: Sequence[float], budget: int, top: int = 10, every: int = EVERY) -> float:
    """Return PMO's figure, 0 to 1: the area under the mean of the `top` best, over the budget.

    `scores` are those of the distinct molecules in the order in which they were judged. A look
    every `every` calls, trapezoids from 0; a run that ended early keeps its last value
    (Gao et al. 2022, `top_auc` of their code).
    """
    judged = np.asarray(scores[:budget], dtype=np.float64)
    if not len(judged):
        return 0.0
    area = before = 0.0
    looked = 0  # calls at the last look
    for looked in range(every, len(judged), every):
        now = _best(judged[:looked], top)
        area, before = area + every * (now + before) / 2, now
    now = _best(judged, top)
    area += (len(judged) - looked) * (now + before) / 2 + (budget - len(judged)) * now
    return float(area / budget)


def guacamol_score(scores: Sequence[float], tops: Sequence[int] = (1, 10, 100)) -> float:
    """Return GuacaMol's figure of a task: the mean of the averages of the best `tops` scores.

    Missing molecules count as 0. The caller leaves out duplicates that differ in stereo only.
    """
    ranked = np.sort(np.asarray(scores, dtype=np.float64))[::-1]
    averages = [float(ranked[:top].sum()) / top for top in tops]
    return sum(averages) / len(averages)


def diversity(mols: Sequence[Any]) -> float:
    """Return one minus the mean Tanimoto similarity of all pairs (ECFP4, 2048 bits); 0 for one."""
    from rdkit.DataStructs import BulkTanimotoSimilarity

    from oracles.fingerprints import fingerprint

    make = fingerprint("ecfp4_bits")
    prints = [make(mol) for mol in mols]
    pairs = [BulkTanimotoSimilarity(one, prints[:i]) for i, one in enumerate(prints) if i]
    alike = [value for row in pairs for value in row]
    return 1.0 - sum(alike) / len(alike) if alike else 0.0


def _best(judged: Any, top: int) -> float:
    return float(np.sort(judged)[-top:].mean())
