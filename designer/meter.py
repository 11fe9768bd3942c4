"""Calling oracles: each distinct design once, inside a hard budget, with nothing lost.

The budget counts distinct designs on which the oracles ran. It is checked before the call;
repeats are free; a failed evaluation is counted, kept as NaN with its reason, and never becomes
a number. Paid results are handed to the ledger before anybody sees them, one by one where the
oracle has them one by one; the order in which they arrive changes nothing.

After a resume two kinds of design need no new count or no new call: those evaluated after the
last checkpoint ("prepaid": counted when met again, not run again), and, for cheap oracles, those
counted before it (run again, not counted again). Either way the resumed run sees what the
uninterrupted one would have seen.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.calling import Answer, call
from designer.errors import InputError, OracleError
from designer.journal import FULL_SYNC_SECONDS, Journal, completion
from designer.protocols import Floats, Oracle
from designer.store import Evaluation, Ledger

ENOUGH = 20  # outcomes before the failure rate means anything


@dataclass(frozen=True)
class Metered:
    """What the meter knows of B rows, in order. NaN = unmeasured (or no design in that row)."""

    columns: Mapping[str, Floats]  # raw values [B]
    designs: Sequence[Any]  # [B] completed where measuring completed them
    fresh: NDArray[np.bool_]  # [B] counted for the first time, in this row
    errors: Mapping[int, str] = field(default_factory=dict)  # row -> why it is unmeasured
    exhausted: bool = False  # the budget did not cover every new design


@dataclass(frozen=True)
class _Known:
    values: tuple[float, ...]  # aligned with Meter._names
    error: str | None
    completed: str | None = None  # the design's text after measuring, where that changed it


class Meter:
    """Wraps the oracles (and the penalties, which cost nothing) of one campaign."""

    def __init__(
        self,
        oracles: Sequence[Oracle[Any]],
        penalties: Sequence[Oracle[Any]] = (),
        *,
        budget: int | None = None,
        ledger: Ledger | None = None,
        max_failure_rate: float = 0.5,
        window: int = 100,
        parse: Callable[[str], Any] | None = None,
    ) -> None:
        if budget is not None and budget < 1:
            raise InputError(f"budget is {budget}; expected at least 1 evaluation")
        self.oracles, self.penalties = list(oracles), list(penalties)
        self.budget, self.ledger = budget, ledger
        self.max_failure_rate, self.parse = max_failure_rate, parse
        self.cheap = all(oracle.cheap for oracle in self.oracles)
        self.spent = 0
        self._names: list[str] = []
        self._given: dict[str, list[str]] = {}  # oracle -> its columns, once it measured
        self._known: dict[str, _Known] = {}
        self._prepaid: dict[str, _Known] = {}
        self._journal = Journal(ledger, parse)
        self._counted: set[int] = set()  # hashes of keys counted before a resume
        self._outcomes: deque[bool] = deque(maxlen=window)
        self._complaint = ""  # what the last failure said

    @property
    def left(self) -> int | None:
        """Evaluations left, or None where there is no budget."""
        return None if self.budget is None else max(0, self.budget - self.spent)

    def spend(self, evaluations: int) -> None:
        """Count evaluations that a searching proposer made by itself."""
        self.spent += evaluations

    def knows(self, key: str) -> bool:
        """Return whether the design of that key was evaluated."""
        return key in self._known or self._was_counted(key)

    def __call__(self, designs: Sequence[Any], *, run: bool = True) -> Metered:
        """Return the raw values of every row; rows without a design stay NaN.

        With `run` False nothing is called: unknown designs stay unmeasured. Raises OracleError
        where an oracle breaks its contract or fails more often than `max_failure_rate`.
        """
        first: dict[str, int] = {}  # key -> the row in which it first appears
        for row, design in enumerate(designs):
            if design is not None:
                first.setdefault(design.key, row)
        unknown = [key for key in first if key not in self._known] if run else []
        paid = [key for key in unknown if not self._was_counted(key)]
        left = len(paid) if self.left is None else self.left
        fresh = set(paid[:left])
        wanted = [key for key in unknown if key in fresh or self._was_counted(key)]
        completed = self._measure({key: designs[first[key]] for key in wanted}, fresh)
        return self._rows(designs, first, completed, fresh, len(paid) > left)

    def preflight(self, examples: Sequence[Any]) -> dict[str, list[str]]:
        """Call every oracle on known designs before the first step; nothing is counted.

        Return the columns each of them gives; a resumed run whose oracles have measured
        something already does not ask again, and returns none.
        Raises OracleError, with the oracle's own message, where none of them can be measured, and
        InputError where two of them, or of the penalties, give the same column.
        """
        if self._known or self._prepaid or self._journal.waiting or not examples:
            return {}
        whole = Answer({}, list(examples), {})
        for oracle in self.oracles:
            answer = self._called(oracle, call(oracle, examples))
            whole = _merged(whole, answer, oracle)
            if all(np.isnan(values).all() for values in answer.columns.values()):
                reason = answer.errors.get(0) or "it returned NaN"
                raise OracleError(
                    f"oracle {oracle.name!r} could not measure known designs "
                    f"(the first: {examples[0].text}): {reason}"
                )
        for penalty in self.penalties:
            whole = _merged(whole, call(penalty, whole.designs), penalty)
        return dict(self._given)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: counts, the failure window, hashes of cheap keys."""
        hashes = self._counted | {_hash(key) for key in self._known} if self.cheap else set()
        return {
            "spent": self.spent,
            "names": self._names,
            "given": self._given,
            "outcomes": list(self._outcomes),
            "complaint": self._complaint,
            "rowid": self.ledger.last_rowid() if self.ledger is not None else 0,
            "hashes": np.array(sorted(hashes), dtype=np.uint64).view(np.int64),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint; what the ledger holds beyond it becomes prepaid."""
        self.spent, self._complaint = state["spent"], state["complaint"]
        self._given = {name: list(columns) for name, columns in state["given"].items()}
        self._outcomes = deque(state["outcomes"], maxlen=self._outcomes.maxlen)
        self._counted = set(np.asarray(state["hashes"]).view(np.uint64).tolist())
        self.adopt(int(state["rowid"]), list(state["names"]))

    def adopt(self, rowid: int = 0, names: Sequence[str] = ()) -> None:
        """Read the ledger: rows up to `rowid` are known, later ones prepaid."""
        self._names, self._known, self._prepaid = list(names), {}, {}
        for row in self.ledger.evaluations() if self.ledger is not None else ():
            target = self._known if row.rowid <= rowid else self._prepaid
            self._name(row.columns)
            target[row.key] = _Known(self._aligned(row.columns), row.error, row.completed)
        self._journal.read()

    def _was_counted(self, key: str) -> bool:
        return bool(self._counted) and _hash(key) in self._counted

    def _measure(self, wanted: Mapping[str, Any], fresh: set[str]) -> dict[str, Any]:
        """Run what nobody has run; return the completed designs by key."""
        completed = {}
        for key in [key for key in wanted if key in self._prepaid]:
            known = self._prepaid.pop(key)
            self._admit(key, known, key in fresh)
            if known.completed is not None and self.parse is not None:
                completed[key] = self.parse(known.completed)
        designs = [design for key, design in wanted.items() if key not in self._known]
        if not designs:
            self._check_failures()
            return completed
        started = time.perf_counter()
        answer = Answer({}, designs, {})
        for place, oracle in enumerate(self.oracles):
            answer = _merged(answer, self._ask(place, oracle, answer.designs), oracle)
        seconds = (time.perf_counter() - started) / len(designs)
        return completed | self._keep(designs, answer, seconds, fresh)

    def _ask(self, place: int, oracle: Oracle[Any], designs: Sequence[Any]) -> Answer:
        """Return one oracle's answer; what is paid for is committed as it arrives."""
        alone = len(self.oracles) + len(self.penalties) == 1
        if oracle.cheap or not self._journal.needed(oracle, alone):
            return self._called(oracle, call(oracle, designs))
        answer = self._journal.ask(place, oracle, designs, self._check_hopeless)
        return self._called(oracle, answer)

    def _called(self, oracle: Oracle[Any], answer: Answer) -> Answer:
        """Return the answer with its columns' own names, where nothing in it could tell them."""
        if len(answer.errors) < len(answer.designs):
            self._given[oracle.name] = list(answer.columns)
            return answer
        names = self._given.get(oracle.name, list(answer.columns))
        nothing = np.full(len(answer.designs), np.nan)
        return replace(answer, columns=dict.fromkeys(names, nothing))

    def _keep(
        self, designs: list[Any], answer: Answer, seconds: float, fresh: set[str]
    ) -> dict[str, Any]:
        """Add the penalties, write paid results down in the order of the rows, admit them."""
        for penalty in self.penalties:
            answer = _merged(answer, call(penalty, answer.designs), penalty)
        self._name(answer.columns)
        table = np.stack([answer.columns[name] for name in self._names], axis=1).tolist()
        if self.ledger is not None and not self.cheap:
            rows = [
                Evaluation(
                    0,
                    design.key,
                    design.text,
                    dict(zip(self._names, values, strict=True)),
                    answer.errors.get(i),
                    answer.attempts.get(i, 1),
                    completion(design, answer.designs[i]),
                )
                for i, (design, values) in enumerate(zip(designs, table, strict=True))
            ]
            self.ledger.keep(rows, durable=seconds > FULL_SYNC_SECONDS)
        for i, (design, values) in enumerate(zip(designs, table, strict=True)):
            known = _Known(tuple(values), answer.errors.get(i))
            self._admit(design.key, known, design.key in fresh)
        self._check_failures()
        return {d.key: done for d, done in zip(designs, answer.designs, strict=True)}

    def _admit(self, key: str, known: _Known, fresh: bool) -> None:
        self._known[key] = known
        if not fresh:
            return
        self.spent += 1
        failed = known.error is not None or any(value != value for value in known.values)
        self._outcomes.append(not failed)
        if failed:
            self._complaint = known.error or "the oracle returned NaN"

    def _name(self, columns: Mapping[str, Any]) -> None:
        """Learn the columns' names; rows known before get NaN for a new one."""
        new = [name for name in columns if name not in self._names]
        if not new:
            return
        self._names += new
        pad = (float("nan"),) * len(new)
        for rows in (self._known, self._prepaid):
            for key, known in rows.items():
                rows[key] = _Known(known.values + pad, known.error, known.completed)

    def _aligned(self, columns: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(columns.get(name, float("nan")) for name in self._names)

    def _check_failures(self) -> None:
        failures, count = self._outcomes.count(False), len(self._outcomes)
        if count >= ENOUGH and failures > self.max_failure_rate * count:
            raise OracleError(
                f"{failures} of the last {count} evaluations failed (limit "
                f"{self.max_failure_rate:.0%}); the last one said: {self._complaint}"
            )

    def _check_hopeless(self, count: int, lost: int, why: str) -> None:
        """Do not wait for the rest of a batch where nothing was ever measured."""
        if lost == count >= ENOUGH and True not in self._outcomes and self.max_failure_rate < 1:
            raise OracleError(f"the first {count} evaluations all failed; the last said: {why}")

    def _rows(
        self,
        designs: Sequence[Any],
        first: Mapping[str, int],
        completed: Mapping[str, Any],
        fresh: set[str],
        exhausted: bool,
    ) -> Metered:
        table = np.full((len(designs), len(self._names)), np.nan)
        new = np.zeros(len(designs), dtype=bool)
        errors: dict[int, str] = {}
        out = list(designs)
        for row, design in enumerate(designs):
            known = None if design is None else self._known.get(design.key)
            if known is None:
                continue
            table[row] = known.values
            if known.error is not None:
                errors[row] = known.error
            new[row] = first[design.key] == row and design.key in fresh
            out[row] = completed.get(design.key, design)
        columns = {name: table[:, i] for i, name in enumerate(self._names)}
        return Metered(columns, out, new, errors, exhausted)


def _merged(answer: Answer, more: Answer, oracle: Oracle[Any]) -> Answer:
    clash = answer.columns.keys() & more.columns.keys()
    if clash:
        raise InputError(
            f"two oracles give a column {min(clash)!r} (the second is {oracle.name!r}); "
            "give one of them another name"
        )
    rows = answer.attempts.keys() | more.attempts.keys()
    tries = {row: max(answer.attempts.get(row, 1), more.attempts.get(row, 1)) for row in rows}
    errors = answer.errors | more.errors
    return Answer(answer.columns | more.columns, more.designs, errors, tries)


def _hash(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
