"""Campaigns killed at random moments: they end as if nobody had touched them.

Each has elites, replay, a proposer, a diversity filter, a paid oracle and a scikit-learn
surrogate on two worker processes. It is killed again and again until it is through.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cli.build import build
from cli.drills import scores
from cli.drills.record import clean
from cli.drills.toy import Row, finish, forked, killed_after, own_tracker
from cli.presets import shipped
from designer.campaign import Campaign
from designer.store import Store
from oracles.isolation import Limits
from oracles.pool import Parallel

STEPS = 6
CAMPAIGN = {
    "seed": 5, "batch_size": 24, "steps": STEPS, "proposals": 6, "parents": 12, "replay": 8,
    "replay_from": 4, "bucket_size": 6, "bucket_from": 0.0,
}  # fmt: skip


@dataclass
class Ended:
    """How a campaign ended: the SHA-256 of what was learned, and the record."""

    sha256: str
    designs: list[Any]
    evaluations: list[Any]
    calls: list[str] = field(repr=False)  # texts that the paid oracle was asked for, in order


def kills(folder: Path, kind: str, learner: str, tries: int, rng: random.Random) -> Row:
    """Kill a campaign `tries` times, in as many runs as it takes; compare each with a whole one."""
    make = _maker(folder, kind, learner)
    started = time.monotonic()
    whole = _run(clean(folder / "whole"), make)
    length = time.monotonic() - started
    killed = broken = lost = runs = same = 0
    while killed < tries:
        runs += 1
        path = clean(folder / "cut")
        seen: list[tuple[int, set[str]]] = []  # calls made, and keys acknowledged, at each kill
        while killed < tries:
            pid = forked(lambda path=path: _work(path, make))  # type: ignore[misc]
            if not killed_after(pid, rng.uniform(0.1, 0.6) * length):
                break
            killed += 1
            calls, keys, sound = _look(path)
            broken += not sound
            seen.append((calls, keys))
        ended = _run(path, make)
        same += (ended.sha256, ended.designs, ended.evaluations) == (
            whole.sha256, whole.designs, whole.evaluations,
        )  # fmt: skip
        lost += _paid_again(seen, ended)
    note = f"{same} of {runs} runs bit-identical, SHA-256 {whole.sha256[:12]}"
    survived = killed - broken if same == runs else 0
    return Row(f"SIGKILL: {kind}, {learner}", killed, survived, lost, note)


def _paid_again(seen: list[tuple[int, set[str]]], ended: Ended) -> int:
    """Return how many acknowledged evaluations were lost, or asked for again after a kill."""
    texts = {key: text for key, text, _ in ended.evaluations}
    again = 0
    for calls, keys in seen:
        later = set(ended.calls[calls:])
        again += sum(key not in texts or texts[key] in later for key in keys)
    return again


def _maker(folder: Path, kind: str, learner: str) -> Callable[[Any], Campaign]:
    model = _model(folder)
    source = scores.__file__

    def make(store: Any = None) -> Campaign:
        document = shipped(kind)
        for name in ("time", "budget"):
            document.table(("campaign",)).pop(name, None)
        for name, value in CAMPAIGN.items():
            document.override(("campaign", name), value, "drill")
        document.override(("learner",), {"kind": learner}, "drill")
        document.override(("policy", "hidden"), 16, "drill")
        guess = {
            "kind": "custom_surrogate",
            "path": str(model),
            "code": str(source),
            "function": "features",
        }
        terms = [{"kind": f"{source}:slow"}, {**guess, "weight": 0.5}]
        document.override(("objective",), terms, "drill")
        parts = build(document, allow_plugins=True)
        paid, guessed = parts.objective.terms
        pool = Parallel(paid.oracle, workers=2, limits=Limits(timeout=60.0))
        objective = replace(parts.objective, terms=(replace(paid, oracle=pool), guessed))
        return replace(parts, objective=objective).campaign(store)

    return make


def _model(folder: Path) -> Path:
    """Save a small random forest that predicts something of a text."""
    from sklearn.ensemble import RandomForestRegressor

    from oracles.surrogate import save

    rng = random.Random(0)
    texts = ["".join(rng.choices("CRxULN", k=rng.randrange(2, 30))) for _ in range(60)]
    features = scores.features(texts)
    model = RandomForestRegressor(n_estimators=5, random_state=0, n_jobs=1)
    model.fit(features, [row[1] / row[0] for row in features])
    path = clean(folder / "model") / "model.skops"
    save(model, path)
    return path


def _work(path: Path, make: Callable[[Any], Campaign]) -> None:
    os.environ[scores.LOG] = str(path / "calls")
    quiet = os.open(path / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(quiet, 2)
    own_tracker()
    sha256 = finish(path / "run", make)
    (path / "sha256").write_text(sha256)


def _run(path: Path, make: Callable[[Any], Campaign]) -> Ended:
    """Run to the end in a process of its own, and read what it left."""
    pid = forked(lambda: _work(path, make))
    if os.waitpid(pid, 0)[1]:
        said = (path / "stderr").read_text()[-300:]
        raise RuntimeError(f"the campaign in {path} could not be finished: {said}")
    store = Store(path / "run" / "campaign.sqlite")
    rows = [(row.key, row.text, sorted(row.columns.items())) for row in store.evaluations()]
    designs = store.designs()
    store.close()
    calls = (path / "calls").read_text().splitlines()
    return Ended((path / "sha256").read_text(), designs, rows, calls)


def _look(path: Path) -> tuple[int, set[str], bool]:
    """Return calls made, keys acknowledged, and whether the record is sound."""
    file = path / "run" / "campaign.sqlite"
    calls = path / "calls"
    made = len(calls.read_text().splitlines()) if calls.exists() else 0
    if not file.exists():
        return made, set(), True
    store = Store(file)
    keys = {row.key for row in store.evaluations()}
    keys |= {part.key for part in store.parts() if part.oracle.startswith("0 ")}
    sound = store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()
    return made, keys, sound
