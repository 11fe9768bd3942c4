"""The SQLite record: what is committed stays, what belongs to later steps goes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from designer.errors import InputError
from designer.store import SCHEMAS, DesignRow, Evaluation, Part, Store


def test_evaluations_come_back_in_order_with_nan_and_infinity(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite")
    rows = [
        Evaluation(0, "a", "A", {"x": 1.5, "y": math.nan}, "why"),
        Evaluation(0, "b", "B", {"x": -math.inf, "y": 0.1}),
    ]
    store.keep(rows, durable=False)
    store.keep([Evaluation(0, "a", "A", {"x": 9.0, "y": 9.0})], durable=True)  # first one stays
    store.close()
    first, second = Store(tmp_path / "c.sqlite").evaluations()
    assert (first.key, first.columns["x"], first.error) == ("a", 1.5, "why")
    assert math.isnan(first.columns["y"]) and second.columns["x"] == -math.inf


def test_what_gave_no_value_is_counted_with_the_last_reason() -> None:
    store = Store(":memory:")
    assert store.unmeasured()[0] == 0
    store.keep([Evaluation(0, "a", "A", {"x": math.nan}, "no licence")], durable=False)
    store.keep([Evaluation(0, "b", "B", {"x": 1.0}), Evaluation(0, "c", "C", {})], durable=False)
    assert store.unmeasured() == (1, "no licence")
    store.keep([Evaluation(0, "d", "D", {"x": 1.0, "y": math.nan})], durable=False)
    assert store.unmeasured() == (2, "the oracle returned NaN")


def test_rewind_drops_steps_and_keeps_evaluations(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite")
    store.keep([Evaluation(0, "a", "A", {"x": 1.0})], durable=False)
    for step in range(3):
        store.write_step(step, {"reward": float(step)}, [DesignRow("a", 1.0, 1.0, False)])
    store.rewind(1)
    assert [m["step"] for m in store.metrics()] == [0]
    assert [row[0] for row in store.designs()] == [0] and store.last_rowid() == 1
    store.write_step(1, {"reward": 5.0}, [])
    store.write_step(0, {"reward": 7.0}, [])  # begun again: what came later is void
    assert store.metrics() == [{"step": 0, "reward": 7.0}] and store.designs() == []


def test_a_newer_schema_or_a_foreign_file_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite")
    store._db.execute("UPDATE meta SET value = '999'")
    store.close()
    with pytest.raises(InputError, match="newer designer"):
        Store(tmp_path / "c.sqlite")
    (tmp_path / "d.sqlite").write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(InputError, match=r"d\.sqlite"):
        Store(tmp_path / "d.sqlite")


WRITER = """
import sys
from designer.store import Evaluation, Store
store = Store(sys.argv[1])
for i in range(10**6):
    store.keep([Evaluation(0, f"k{i}", "t", {"x": float(i)})], durable=False)
    print(i, flush=True)
"""


def test_acknowledged_evaluations_survive_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = [line for line in process.stdout.read().splitlines(keepends=True) if line]
    process.stdout.close()
    process.wait()
    store = Store(path)
    kept = {row.key for row in store.evaluations()}
    complete = [int(line) for line in acknowledged if line.endswith("\n")]
    assert complete and {f"k{i}" for i in complete} <= kept
    assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


OLD = Path(__file__).parent / "fixtures" / "schema-1.sqlite"


def test_a_record_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    path.write_bytes(OLD.read_bytes())
    store = Store(path)
    first, second = store.evaluations()
    assert (first.key, first.columns["x"], first.error) == ("a", 1.5, "TimeoutError: slow")
    assert math.isnan(first.columns["y"]) and second.columns == {"x": -math.inf, "y": 0.1}
    assert (first.attempts, first.completed) == (1, None)
    assert store.metrics() == [{"step": 0, "reward": 0.25}]
    assert store.designs() == [(0, 0, "a", 0.0, 0.0), (0, 1, "b", 0.5, 1.0)]
    store.keep([Evaluation(0, "c", "C", {"x": 2.0}, None, 3, "C!")], durable=True)
    store.keep_parts([Part("d", "0 x", {"x": 1.0})], durable=False)
    store.close()
    again = Store(path)
    third = list(again.evaluations())[2]
    assert (third.attempts, third.completed) == (3, "C!")
    new = Store(tmp_path / "new.sqlite")
    for table in ("meta", "evaluations", "parts", "designs", "metrics"):
        shape = f"SELECT name, type, pk, dflt_value FROM pragma_table_info('{table}')"
        assert again._db.execute(shape).fetchall() == new._db.execute(shape).fetchall()


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.sqlite"
    path.write_bytes(OLD.read_bytes())
    with monkeypatch.context() as patch:
        patch.setitem(SCHEMAS, 2, (*SCHEMAS[2], "no such statement"))
        with pytest.raises(InputError, match=r"old\.sqlite"):
            Store(path)
    assert len(list(Store(path).evaluations())) == 2


def test_parts_go_when_their_evaluation_comes(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite")
    part = Part("a", "0 x", {"x": math.nan, "y": 1.0}, "why", 2, "A!")
    store.keep_parts([part, Part("b", "0 x", {})], durable=True)
    store.keep_parts([Part("a", "0 x", {"x": 9.0})], durable=False)  # the first one stays
    found = {p.key: p for p in store.parts()}
    assert repr(found["a"]) == repr(part)
    store.keep([Evaluation(0, "a", "A", {"x": 1.0})], durable=False)
    assert [p.key for p in store.parts()] == ["b"]


@pytest.mark.parametrize("durable", [False, True])
def test_dear_results_are_synced(tmp_path: Path, durable: bool) -> None:
    store = Store(tmp_path / "c.sqlite")
    store.keep_parts([Part("a", "0 x", {})], durable=durable)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2 if durable else 1,)
    store.keep([Evaluation(0, "a", "A", {})], durable=durable)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2 if durable else 1,)
