"""What is paid for is written down as it arrives, before the rest of its batch is known.

A part is what one oracle said of one design. Parts become evaluations when their whole batch is
judged, in the order of its rows, so the order in which they arrived leaves no trace. After a
kill the parts that are there are read instead of being paid for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from designer.calling import Answer, joined, stream
from designer.protocols import Oracle
from designer.store import Ledger, Part

FULL_SYNC_SECONDS = 0.05  # an evaluation dearer than this is fsynced, so a power cut keeps it too


class Journal:
    """The parts that a ledger holds, and how new ones get there."""

    def __init__(self, ledger: Ledger | None, parse: Callable[[str], Any] | None) -> None:
        self.ledger, self.parse = ledger, parse
        self._held: dict[tuple[str, str], Part] = {}

    def read(self) -> None:
        """Find the parts that a killed run left behind."""
        parts = self.ledger.parts() if self.ledger is not None else ()
        self._held = {(part.key, part.oracle): part for part in parts}

    @property
    def waiting(self) -> bool:
        """Whether a killed run left parts that nobody has asked for yet."""
        return bool(self._held)

    def needed(self, oracle: Oracle[Any], alone: bool) -> bool:
        """Return whether results come one by one; else a batch is an evaluation at once."""
        one_by_one = not alone or hasattr(oracle, "stream") or bool(self._held)
        return self.ledger is not None and one_by_one

    def ask(
        self,
        place: int,
        oracle: Oracle[Any],
        designs: Sequence[Any],
        check: Callable[[int, int, str], None],
    ) -> Answer:
        """Return the answer for all designs; what arrives is committed before the next is.

        `check` hears after every arrival how many came, how many of them failed, and why the
        last one did; it may raise.
        """
        assert self.ledger is not None
        known = f"{place} {oracle.name}"
        parts = self._reread(known, designs)
        held = {rows[0] for rows, _ in parts}
        missing = [row for row in range(len(designs)) if row not in held]
        asked = [designs[row] for row in missing]
        started, count, lost = time.perf_counter(), 0, 0
        for places, answer in stream(oracle, asked) if missing else ():
            rows = [missing[i] for i in places]
            count, lost = count + len(rows), lost + len(answer.errors)
            paid = (time.perf_counter() - started) * getattr(oracle, "workers", 1) / count
            kept = [_part(designs[row], known, answer, i) for i, row in enumerate(rows)]
            self.ledger.keep_parts(kept, durable=paid > FULL_SYNC_SECONDS)
            parts.append((rows, answer))
            check(count, lost, next(iter(answer.errors.values()), ""))
        return joined(parts, designs, oracle.name)

    def _reread(self, known: str, designs: Sequence[Any]) -> list[tuple[list[int], Answer]]:
        found = []
        for row, design in enumerate(designs):
            part = self._held.pop((design.key, known), None)
            if part is None:
                continue
            columns = {name: np.array([value]) for name, value in part.columns.items()}
            text = part.completed
            done = design if text is None or self.parse is None else self.parse(text)
            errors = {} if part.error is None else {0: part.error}
            tries = {0: part.attempts} if part.attempts > 1 else {}
            found.append(([row], Answer(columns, [done], errors, tries)))
        return found


def completion(design: Any, done: Any) -> str | None:
    """Return the text of a design that measuring completed, None where it changed nothing."""
    return None if done is design or done.text == design.text else str(done.text)


def _part(design: Any, known: str, answer: Answer, i: int) -> Part:
    """Return row `i` of an oracle's answer as it is written down."""
    columns = {name: float(values[i]) for name, values in answer.columns.items()}
    error = answer.errors.get(i)
    if error is not None:  # the names of columns without a value may be stand-ins
        columns = {name: value for name, value in columns.items() if value == value}
    done = completion(design, answer.designs[i])
    return Part(design.key, known, columns, error, answer.attempts.get(i, 1), done)
