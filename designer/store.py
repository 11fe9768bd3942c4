"""The record of a run in SQLite: evaluations, designs and metrics.

Write-ahead logging: a killed process loses nothing that was committed, and a reader never
blocks the run. Evaluations are committed as they arrive and never removed. Rows of designs and
metrics belong to steps; those after the last checkpoint are dropped on resume and written again.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from designer.errors import DiskFullError, InputError

SCHEMA = 1
TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evaluations (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, design TEXT NOT NULL,
    columns TEXT NOT NULL, error TEXT);
CREATE TABLE IF NOT EXISTS designs (
    step INTEGER NOT NULL, row INTEGER NOT NULL, key TEXT, reward REAL, weight REAL NOT NULL,
    proposed INTEGER NOT NULL, PRIMARY KEY (step, row)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics (step INTEGER PRIMARY KEY, metrics TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Evaluation:
    """One paid evaluation: raw values by column, NaN where it failed, with the reason."""

    rowid: int
    key: str
    text: str
    columns: Mapping[str, float]
    error: str | None = None


class Ledger(Protocol):
    """What the meter needs of a store: paid evaluations, kept for ever."""

    def keep(self, rows: Sequence[Evaluation], *, durable: bool) -> None:
        """Commit the rows; `durable` also survives a power cut."""

    def evaluations(self) -> Iterator[Evaluation]:
        """Yield every evaluation in the order it was kept."""

    def last_rowid(self) -> int:
        """Return the id of the last evaluation, 0 where there is none."""


@dataclass(frozen=True)
class DesignRow:
    """One row of a batch as it was judged."""

    key: str | None  # None = not a design
    reward: float
    weight: float
    proposed: bool


class Store:
    """A run's SQLite file. Use `Store(":memory:")` for a run that leaves nothing behind."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._db = sqlite3.connect(str(path), isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{path}: cannot be used as a run's record ({error}); name another --out, or "
                "move the file away"
            ) from None
        self._durable = False
        self._check_schema()

    def keep(self, rows: Sequence[Evaluation], *, durable: bool) -> None:
        """Commit paid evaluations; a key that is there already keeps its first result."""
        if durable != self._durable:
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        values = [(r.key, r.text, _dumps(r.columns), r.error) for r in rows]
        with self._transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO evaluations (key, design, columns, error) "
                "VALUES (?, ?, ?, ?)",
                values,
            )

    def evaluations(self) -> Iterator[Evaluation]:
        """Yield every evaluation in the order it was kept."""
        rows = self._db.execute(
            "SELECT id, key, design, columns, error FROM evaluations ORDER BY id"
        )
        for rowid, key, text, columns, error in rows:
            yield Evaluation(rowid, key, text, _loads(columns), error)

    def last_rowid(self) -> int:
        """Return the id of the last evaluation, 0 where there is none."""
        return int(self._db.execute("SELECT COALESCE(MAX(id), 0) FROM evaluations").fetchone()[0])

    def write_step(
        self, step: int, metrics: Mapping[str, float], rows: Sequence[DesignRow]
    ) -> None:
        """Commit a step's metrics and design rows together."""
        values = [(step, i, r.key, r.reward, r.weight, int(r.proposed)) for i, r in enumerate(rows)]
        with self._transaction() as db:
            db.execute("INSERT INTO metrics VALUES (?, ?)", (step, _dumps(metrics)))
            db.executemany("INSERT INTO designs VALUES (?, ?, ?, ?, ?, ?)", values)

    def rewind(self, step: int) -> None:
        """Drop the metrics and designs of `step` and later; evaluations stay."""
        with self._transaction() as db:
            db.execute("DELETE FROM designs WHERE step >= ?", (step,))
            db.execute("DELETE FROM metrics WHERE step >= ?", (step,))

    def metrics(self) -> list[dict[str, float]]:
        """Return the metrics of every step, in order."""
        rows = self._db.execute("SELECT step, metrics FROM metrics ORDER BY step")
        return [{"step": step} | _loads(text) for step, text in rows]

    def designs(self) -> list[tuple[int, int, str | None, float, float]]:
        """Return (step, row, key, reward, weight) of every recorded row, in order."""
        return list(
            self._db.execute("SELECT step, row, key, reward, weight FROM designs ORDER BY 1, 2")
        )

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._db.close()

    def _check_schema(self) -> None:
        row = self._db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        if row is None:
            self._db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
        elif int(row[0]) > SCHEMA:
            raise InputError(
                f"{self.path}: written by a newer designer (schema {row[0]}, this one reads up "
                f"to {SCHEMA}); update designer"
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
                raise DiskFullError(
                    f"{self.path}: the disk is full; free some space and run "
                    f"`designer resume {self.path.parent}`"
                ) from None
            raise


def _dumps(values: Mapping[str, float]) -> str:
    # JSON knows neither NaN nor infinity: NaN becomes null, infinities text
    return json.dumps({k: _plain(v) for k, v in values.items()}, allow_nan=False)


def _plain(value: float) -> Any:
    value = float(value)
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _loads(text: str) -> dict[str, float]:
    return {k: math.nan if v is None else float(v) for k, v in json.loads(text).items()}
