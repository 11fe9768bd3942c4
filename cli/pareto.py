"""`pareto.csv`: where several things are wanted, what no other design beats in all of them.

A design that breaks a constraint which each must keep is on no front, as it is among no best.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from designer.campaign import Campaign
from designer.constraints import Constraint
from designer.pareto import hypervolume, nondominated
from designer.rundir import RunDirectory
from designer.store import Evaluation

MOST_TERMS, MOST_POINTS = 5, 5000  # of more the volume takes longer than ten seconds


def write(campaign: Campaign, run: RunDirectory) -> str | None:
    """Write the front of all recorded evaluations; return a line about it, or about why there is
    none where the oracles are cheap and not recorded; None where there is one term only.
    """
    terms = campaign.objective.terms
    if len(terms) < 2:
        return None
    if campaign.meter.cheap:
        return (
            "no pareto.csv: all oracles are cheap, and evaluations of cheap ones are not recorded; "
            "with one that is not (qed, logp, your own) they are"
        )
    rows = [row for row in run.store.evaluations() if row.error is None]
    bounds = [one for one in campaign.objective.constraints if not one.on_average]
    rows = [row for row in rows if all(_keeps(row, bound) for bound in bounds)]
    if not rows:
        return None
    raw = [[row.columns.get(_name(term), np.nan) for row in rows] for term in terms]
    shaped = np.stack([t.transform(np.array(v)) for t, v in zip(terms, raw, strict=True)], axis=1)
    front = nondominated(shaped)
    run.write("pareto.csv", _csv(rows, front, shaped))
    told = f"{len(front)} designs are beaten by none in all {len(terms)} terms (pareto.csv)"
    if len(terms) > MOST_TERMS or len(front) > MOST_POINTS:
        return f"{told}; their hypervolume is left out, it takes long for so many"
    volume = hypervolume(shaped[front])
    return f"{told}; the hypervolume of their transformed values above 0 is {volume:.4g}"


def _keeps(row: Evaluation, bound: Constraint) -> bool:
    """Return whether a design keeps a bound; what was not measured does not."""
    value = np.array([row.columns.get(bound.name, np.nan)])
    return bool(bound.excess({bound.name: value})[0] <= 0.0)


def _name(term: Any) -> str:
    return str(term.column or term.oracle.name)


def _csv(rows: list[Evaluation], front: list[int], shaped: Any) -> str:
    names = list(dict.fromkeys(name for i in front for name in rows[i].columns))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    wanted = [f"wanted_{k + 1}" for k in range(shaped.shape[1])]
    writer.writerow(["design", *wanted, *names])
    for i in front:
        raw = [repr(rows[i].columns.get(name, np.nan)) for name in names]
        writer.writerow([rows[i].text, *(repr(float(v)) for v in shaped[i]), *raw])
    return text.getvalue()
