"""`designer bench pipeline`: the processor time of each stage of the loop, on three tasks."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.build import Parts, build
from cli.options import Options
from cli.presets import KINDS, shipped
from cli.session import apply
from designer.store import Store

STAGES = ("sample", "decode", "propose", "score", "learn", "record")


def bench_pipeline(options: Options) -> None:
    """Print designs a processor second, and each stage's share of a step, for each shipped task."""
    found = {kind: pipeline(_parts(kind, options)) for kind in KINDS}
    if options.as_json:
        print(json.dumps(found))
        return
    print("designs a processor second; share of the processor time of a step")
    rows = [["task", "designs/s", *STAGES, "other"]]
    for kind, row in found.items():
        shares = [f"{row[stage]:.1%}" for stage in (*STAGES, "other")]
        rows.append([kind, f"{row['designs_per_second']:.0f}", *shares])
    for cells in rows:
        print("".join(cell.rjust(10) for cell in cells))


def pipeline(parts: Parts, warm_up: int = 3, steps: int = 20) -> dict[str, float]:
    """Return designs judged a processor second, and each stage's share of a step's time."""
    clock: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "campaign.sqlite")
        campaign = parts.campaign(store)
        proposer = campaign.task.proposer
        campaign.task = dataclasses.replace(
            campaign.task,
            environment=_Timed(campaign.task.environment, {"decode": "decode"}, clock),
            proposer=proposer and _timed(proposer, "propose", clock),
        )
        campaign.objective = _timed(campaign.objective, "score", clock)  # type: ignore[assignment]
        learns = {"update": "learn", "imitate": "learn"}
        campaign.learner = _Timed(campaign.learner, learns, clock)
        campaign.store = _Timed(store, {"write_step": "record"}, clock)  # type: ignore[assignment]
        asked = total = designs = 0.0
        for step in range(warm_up + steps):
            if step == warm_up:
                clock.clear()
                asked = total = designs = 0.0
            started = time.process_time()
            batch = campaign.ask()
            asked += time.process_time() - started
            campaign.tell(batch, campaign.judge(batch))
            total += time.process_time() - started
            designs += len(batch.designs)
        store.close()
    clock["sample"] = asked - clock["decode"] - clock["propose"]
    shares = {stage: clock[stage] / total for stage in STAGES}
    other = 1.0 - sum(shares.values())
    return {"designs_per_second": designs / total, **shares, "other": other}


def _parts(kind: str, options: Options) -> Parts:
    document = shipped(kind)
    apply(document, options)
    return build(document)


class _Timed:
    """Stands for an object and adds the time spent in some of its methods to a clock."""

    def __init__(self, inner: Any, methods: dict[str, str], clock: dict[str, float]) -> None:
        self._inner, self._methods, self._clock = inner, methods, clock

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        stage = self._methods.get(name)
        return found if stage is None else _timed(found, stage, self._clock)


def _timed(call: Callable[..., Any], stage: str, clock: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **named: Any) -> Any:
        started = time.process_time()
        try:
            return call(*args, **named)
        finally:
            clock[stage] += time.process_time() - started

    return timed
