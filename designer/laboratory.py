"""People and laboratories as oracles: designs go out, measurements come back days later.

`ask` draws a batch of distinct designs nobody has measured and leaves it outstanding in the
campaign's state; asking again gives the same batch. `tell` takes what was measured and learns from
it. The designs that it leaves out are waited for: they may be told later, and are not drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from designer.campaign import Campaign, Metrics
from designer.errors import InputError, nearest
from designer.protocols import Measured, Spelling
from designer.round import Batch
from designer.walk import together

ROUNDS = 20  # batches drawn before `ask` says that nothing new is left


@dataclass(eq=False)
class Laboratory:
    """An oracle that answers only what it was told: the campaign waits for measurements.

    Called on a design without a measurement it says so as that row's error, so a campaign that
    is run instead of asked stops at once with the remedy.
    """

    columns: Sequence[str] = ("value",)
    name: str = "laboratory"
    cheap: bool = False
    results: dict[str, Mapping[str, float]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise InputError(
                f"columns of a laboratory are {list(self.columns)}; give distinct names, "
                'for example columns = ["ic50_nM"]'
            )

    def __call__(self, designs: Sequence[Any]) -> Measured:
        """Return the measurements known so far [N]; NaN and a reason for the others."""
        known = [self.results.get(design.key, {}) for design in designs]
        table = {c: np.array([row.get(c, np.nan) for row in known]) for c in self.columns}
        why = "measured by people: use `designer ask DIR N`, then `designer tell DIR RESULTS.csv`"
        errors = {row: why for row, found in enumerate(known) if not found}
        return Measured(table, errors=errors)


def laboratory(campaign: Campaign) -> Laboratory:
    """Return the campaign's laboratory; raises InputError where it has none."""
    for oracle in campaign.objective.oracles:
        if isinstance(oracle, Laboratory):
            return oracle
    raise InputError(
        "this campaign's oracles are programs, nobody needs to be asked; use `designer run`, "
        'or give an [[objective]] the kind "laboratory"'
    )


def ask(campaign: Campaign, count: int) -> Batch:
    """Return the batch that waits, or a new one of at most `count` distinct unmeasured designs.

    Raises InputError where the objective asks for a column that the laboratory will not give.
    """
    oracle = laboratory(campaign)
    waiting = campaign.outstanding
    if waiting.batch is None:
        campaign.objective.check({oracle.name: oracle.columns})  # before anybody measures
        if count < 1:
            raise InputError(f"asked for {count} designs; expected at least 1")
        left = campaign.meter.left
        if left is not None:
            count = min(count, max(0, left - len(waiting.late)))
        waiting.ask(_draw(campaign, count))
    assert waiting.batch is not None
    return waiting.batch


def tell(campaign: Campaign, results: Mapping[str, Mapping[str, float]]) -> Metrics:
    """Take measurements by design key, and learn from them; what is left out goes on waiting.

    A design whose values are all NaN could not be measured: it is waited for no longer, and may be
    drawn again. Results of the batch asked for last teach the policy by what it did; those of
    earlier ones are remembered, replayed and bred from. Raises InputError where nothing is told,
    or a design or column was not asked for.
    """
    asked = {design.key: design for design in campaign.outstanding.designs().values()}
    if not asked:
        raise InputError("no designs are waiting for results; run `designer ask DIR N` first")
    columns = laboratory(campaign).columns
    for key, row in results.items():
        if key not in asked:
            raise InputError(f"design {key!r} was not asked for; {nearest(key, asked)}")
        for name in row:
            if name not in columns:
                hint = nearest(name, columns)
                raise InputError(f"design {key!r}: no column {name!r} was asked for; {hint}")
    if not results:
        raise InputError("no results were given; the designs still wait")
    measured = {k: row for k, row in results.items() if any(v == v for v in row.values())}
    laboratory(campaign).results.update(measured)
    batch = campaign.outstanding.take(results)
    rows = [d if d is not None and d.key in measured else None for d in batch.designs]
    fresh = campaign.meter(rows).fresh  # told just now: they are new, and are remembered as such
    return campaign.tell(batch, replace(campaign.judge(batch, run=False), fresh=fresh))


def _draw(campaign: Campaign, count: int) -> Batch:
    """Sample until `count` new designs are there; proposals fill at most half of the batch."""
    late = {design.key for design in campaign.outstanding.late.values()}
    still = f" or still waited for ({len(late)})" if late else ""
    if count == 0:
        raise InputError(f"the budget of {campaign.meter.budget} measurements is spent{still}")
    drawn: dict[str, Spelling] = {}
    proposed: dict[str, Any] = {}
    for _ in range(ROUNDS):
        batch = campaign.ask()
        for row, design in enumerate(batch.designs):
            if design is None or design.key in late or campaign.meter.knows(design.key):
                continue
            room = len(drawn.keys() | proposed.keys()) < count
            if row < batch.sampled and room:
                drawn.setdefault(design.key, batch.spelling(row))
            elif room and len(proposed) < count // 2 and design.key not in drawn:
                proposed.setdefault(design.key, design)
        if len(drawn.keys() | proposed.keys()) >= count:
            break
    if not drawn:
        raise InputError(
            f"no new design in {ROUNDS} batches: everything in reach is measured{still}"
        )
    extra = [design for key, design in proposed.items() if key not in drawn]
    actions, given = together(list(drawn.values()))
    return campaign.batch(actions, extra, given)
