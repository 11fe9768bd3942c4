"""The record of a run in SQLite: evaluations, designs and metrics.

Write-ahead logging: a killed process loses nothing that was committed, and a reader never
blocks the run. Evaluations are committed as they arrive and never removed. Rows of designs and
metrics belong to steps; those after the last checkpoint are dropped on resume and written again.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from designer.errors import DesignerError, DiskFullError, InputError

# What leads from each schema to the next one. The tables as they are now are these in order, so a
# new file and a migrated one are the same. An entry, once released, is never edited.
SCHEMAS: dict[int, tuple[str, ...]] = {
    1: (
        """CREATE TABLE evaluations (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, design TEXT NOT NULL,
        columns TEXT NOT NULL, error TEXT)""",
        """CREATE TABLE designs (
        step INTEGER NOT NULL, row INTEGER NOT NULL, key TEXT, reward REAL, weight REAL NOT NULL,
        proposed INTEGER NOT NULL, PRIMARY KEY (step, row)) WITHOUT ROWID""",
        "CREATE TABLE metrics (step INTEGER PRIMARY KEY, metrics TEXT NOT NULL)",
    ),
    2: (
        "ALTER TABLE evaluations ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE evaluations ADD COLUMN completed TEXT",
        """CREATE TABLE parts (
        key TEXT NOT NULL, oracle TEXT NOT NULL, columns TEXT NOT NULL, error TEXT,
        attempts INTEGER NOT NULL, completed TEXT, PRIMARY KEY (key, oracle)) WITHOUT ROWID""",
    ),
}
SCHEMA = max(SCHEMAS)


@dataclass(frozen=True)
class Evaluation:
    """One paid evaluation: raw values by column, NaN where it failed, with the reason."""

    rowid: int
    key: str
    text: str
    columns: Mapping[str, float]
    error: str | None = None
    attempts: int = 1  # how many tries it took
    completed: str | None = None  # the design's text after measuring, where that changed it


@dataclass(frozen=True)
class Part:
    """What one oracle said of one design, before all of its batch was judged."""

    key: str
    oracle: str
    columns: Mapping[str, float]
    error: str | None = None
    attempts: int = 1
    completed: str | None = None


class Ledger(Protocol):
    """What the meter needs of a store: paid evaluations, kept for ever."""

    def keep(self, rows: Sequence[Evaluation], *, durable: bool) -> None:
        """Commit the rows and drop their parts; `durable` also survives a power cut."""

    def keep_parts(self, parts: Sequence[Part], *, durable: bool) -> None:
        """Commit results as they arrive, each before it is learned from."""

    def evaluations(self) -> Iterator[Evaluation]:
        """Yield every evaluation in the order it was kept."""

    def parts(self) -> Iterator[Part]:
        """Yield every part whose evaluation is not complete."""

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
        self._durable = False
        try:
            self._db = sqlite3.connect(str(path), isolation_level=None)
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from None
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()
        except (sqlite3.DatabaseError, InputError, DiskFullError) as error:
            self._db.close()
            if isinstance(error, sqlite3.DatabaseError):
                raise self._unusable(error) from None
            raise

    def keep(self, rows: Sequence[Evaluation], *, durable: bool) -> None:
        """Commit paid evaluations; a key that is there already keeps its first result."""
        values = [
            (r.key, r.text, _dumps(r.columns), r.error, r.attempts, r.completed) for r in rows
        ]
        with self._transaction(durable=durable) as db:
            db.executemany(
                "INSERT OR IGNORE INTO evaluations "
                "(key, design, columns, error, attempts, completed) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
            db.executemany("DELETE FROM parts WHERE key = ?", [(r.key,) for r in rows])

    def keep_parts(self, parts: Sequence[Part], *, durable: bool) -> None:
        """Commit what single oracles said, until the whole evaluation is kept."""
        values = [
            (p.key, p.oracle, _dumps(p.columns), p.error, p.attempts, p.completed) for p in parts
        ]
        with self._transaction(durable=durable) as db:
            db.executemany("INSERT OR IGNORE INTO parts VALUES (?, ?, ?, ?, ?, ?)", values)

    def evaluations(self) -> Iterator[Evaluation]:
        """Yield every evaluation in the order it was kept."""
        rows = self._db.execute(
            "SELECT id, key, design, columns, error, attempts, completed "
            "FROM evaluations ORDER BY id"
        )
        for rowid, key, text, columns, error, attempts, completed in rows:
            yield Evaluation(rowid, key, text, _loads(columns), error, attempts, completed)

    def unmeasured(self) -> tuple[int, str]:
        """Return how many evaluations lack a value, and why the last of them does."""
        rows = self._db.execute(
            "SELECT count(*), error, max(id) FROM evaluations "
            "WHERE error IS NOT NULL OR columns LIKE '%: null%'"
        )
        count, error, _ = next(rows)  # SQLite takes `error` from the row of the largest id
        return int(count), error or "the oracle returned NaN"

    def parts(self) -> Iterator[Part]:
        """Yield what single oracles said of designs whose evaluation is not complete."""
        rows = self._db.execute(
            "SELECT key, oracle, columns, error, attempts, completed FROM parts"
        )
        for key, oracle, columns, error, attempts, completed in rows:
            yield Part(key, oracle, _loads(columns), error, attempts, completed)

    def last_rowid(self) -> int:
        """Return the id of the last evaluation, 0 where there is none."""
        return int(self._db.execute("SELECT COALESCE(MAX(id), 0) FROM evaluations").fetchone()[0])

    def write_step(
        self, step: int, metrics: Mapping[str, float], rows: Sequence[DesignRow]
    ) -> None:
        """Commit a step's metrics and design rows together; what was there from it on goes.

        (A run killed before its first checkpoint begins again at step 0.)
        """
        values = [(step, i, r.key, r.reward, r.weight, int(r.proposed)) for i, r in enumerate(rows)]
        with self._transaction() as db:
            self._drop(step)
            db.execute("INSERT INTO metrics VALUES (?, ?)", (step, _dumps(metrics)))
            db.executemany("INSERT INTO designs VALUES (?, ?, ?, ?, ?, ?)", values)

    def rewind(self, step: int) -> None:
        """Drop the metrics and designs of `step` and later; evaluations stay."""
        with self._transaction():
            self._drop(step)

    def metrics(self) -> list[dict[str, float]]:
        """Return the metrics of every step, in order."""
        rows = self._db.execute("SELECT step, metrics FROM metrics ORDER BY step")
        return [{"step": step} | _loads(text) for step, text in rows]

    def designs(self) -> list[tuple[int, int, str | None, float, float]]:
        """Return (step, row, key, reward, weight) of every recorded row, in order."""
        return list(
            self._db.execute("SELECT step, row, key, reward, weight FROM designs ORDER BY 1, 2")
        )

    def _drop(self, step: int) -> None:
        self._db.execute("DELETE FROM designs WHERE step >= ?", (step,))
        self._db.execute("DELETE FROM metrics WHERE step >= ?", (step,))

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._db.close()

    def _migrate(self) -> None:
        """Bring the file's tables to the present schema, all of the way or not at all."""
        with self._transaction() as db:
            db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)")
            row = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
            found = 0 if row is None else int(row[0])
            if found > SCHEMA:
                raise InputError(
                    f"{self.path}: written by a newer designer (schema {found}, this one reads "
                    f"up to {SCHEMA}); update designer"
                )
            for step in range(found + 1, SCHEMA + 1):
                for statement in SCHEMAS[step]:
                    db.execute(statement)
            db.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(SCHEMA),))

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if durable != self._durable:
                self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.DatabaseError) and _no_room(error):
                raise self._full(error) from None
            raise

    def _unusable(self, error: sqlite3.Error) -> DesignerError:
        """Return what is said when the file cannot be opened: there is no room, or it is odd."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        room = code == sqlite3.SQLITE_CANTOPEN and not self.path.is_dir()
        if _no_room(error) or (room and os.access(self.path.parent, os.W_OK)):
            return self._full(error)
        return InputError(
            f"{self.path}: cannot be used as a run's record ({error}); name another --out, or "
            "move the file away"
        )

    def _full(self, error: sqlite3.Error) -> DiskFullError:
        return DiskFullError(
            f"{self.path}: cannot be written ({error}); free some space (or quota) and run "
            f"`designer resume {self.path.parent}`: what was recorded before is intact"
        )


def _no_room(error: sqlite3.Error) -> bool:
    """Return whether a write failed: a full disk, a quota, or a disk that fails."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


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
