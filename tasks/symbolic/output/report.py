"""What people read of a search: the front, the recommended equation first, and why it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from designer.protocols import Told
from tasks.symbolic.choice import Candidate, description_length, front
from tasks.symbolic.conditions import Conditions
from tasks.symbolic.judging import Judged, judge
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.library import Library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.output.export import gathered
from tasks.symbolic.output.files import described, files, numbers_of, short
from tasks.symbolic.output.poles import Domain, domain
from tasks.symbolic.output.tidy import tidied
from tasks.symbolic.tables.parts import Parts
from tasks.symbolic.tables.table import Table

RULE = (
    "recommended: the shortest description of data and equation together (half the rows times "
    "ln error, half ln rows a fitted number, ln alphabet a token)"
)
MOST = 15  # equations shown; the front may be longer


@dataclass(frozen=True)
class Row:
    """An equation of the front."""

    judged: Judged
    size: int
    bits: float  # its description length, in nats
    found: Any = None  # the record of the search, if any


@dataclass(frozen=True)
class Reporter:
    """Judges the front on all rows and on those held out, recommends, and tells."""

    parts: Parts
    tokens: Library
    conditions: Conditions | None = None

    def __call__(self, best: Sequence[Any], found: Sequence[Any]) -> Told:
        """Return the records judged anew, the lines to print and the files to write."""
        if not all("nmse" in one.scores for one in [*best, *found]):
            return _plain(best, found)
        rows = self.ranked([(self._parsed(one.design), one) for one in found])
        if not rows:
            return _plain(best, found)
        chosen = min(rows, key=lambda row: row.bits)
        records = {row.found.key: self._record(row) for row in rows}
        first = records[chosen.found.key]
        others = [one for one in best if one.key != first.key]
        tidy = self.tidy(chosen.judged)
        within = self.domain(chosen.judged)
        facts = self._facts(rows, chosen, tidy)
        facts["recommended"]["defined_between_the_rows"] = within.defined
        made = files(chosen.judged, tidy, self.parts.whole, facts)
        lines = [*self.lines(rows, chosen, tidy), *self.warned(within)]
        return Told([first, *others], [records[r.found.key] for r in rows], lines, made, facts)

    def ranked(self, designs: Sequence[tuple[Expression, Any]]) -> list[Row]:
        """Return those that nothing simpler fits as well, simplest first, judged on all rows."""
        judged = [self.row(*pair) for pair in designs]
        if self.conditions is not None:  # fitting to all rows may have broken one
            kept = self.conditions.kept([r.judged.expression for r in judged], self.parts.whole)
            judged = [row for row, fine in zip(judged, kept, strict=True) if fine]
        rows = {self._candidate(row.judged): row for row in judged}
        return [rows[one] for one in front(list(rows))]

    def row(self, design: Expression, found: Any = None) -> Row:
        """Return one equation with its numbers, judged."""
        again = self.parts.search is not self.parts.whole and found is not None
        judged = judge(design, self.parts.whole, self.parts.held, again=again)
        candidate = self._candidate(judged)
        bits = description_length(candidate, len(self.parts.whole.y))
        return Row(judged, judged.expression.complexity, bits, found)

    def tidy(self, judged: Judged) -> Judged:
        """Return the equation with short numbers where it fits as well, else itself."""
        if judged.by_label or not judged.numbers or not math.isfinite(judged.nmse):
            return judged
        shorter = tidied(judged.expression, self.parts.search)
        done = judge(shorter, self.parts.whole, self.parts.held)
        worse = done.nmse > max(judged.nmse * 1.001, 1e-20)
        same = short(done) == judged.expression.infix(6)
        return judged if worse or same else done

    def lines(self, rows: Sequence[Row], chosen: Row | None, tidy: Judged | None) -> list[str]:
        """Return the table, the recommended row first, then what it says in full."""
        table, held = self.parts.whole, self.parts.held
        spread = _spread(table)
        others = [row for row in rows if row is not chosen]
        shown = others[:: max(1, math.ceil(len(others) / MOST))]
        ordered = [*([] if chosen is None else [chosen]), *shown]
        head = ["", "size", "nmse", "rms error", *(["held-out nmse"] if held else []), table.target]
        cells = [head]
        for row in ordered:
            one = row.judged
            mark = "*" if row is chosen else ""
            error = math.sqrt(one.nmse) * spread if math.isfinite(one.nmse) else math.inf
            kept = [f"{one.held:.3g}"] if held else []
            cells.append(
                [mark, str(row.size), f"{one.nmse:.3g}", f"{error:.3g}", *kept,
                 one.expression.infix(6)]
            )  # fmt: skip
        out = _aligned(cells)
        if chosen is not None:
            out += ["", f"* {RULE}", *self.details(chosen, tidy)]
        left = len(others) - len(shown)
        return [*out, *([f"({left} more in front.csv)"] if left else [])]

    def details(self, chosen: Row, tidy: Judged | None = None) -> list[str]:
        """Return the numbers by label, and the short numbers, where there are any."""
        table, judged = self.parts.whole, chosen.judged
        out: list[str] = []
        if judged.by_label:
            out += ["", f"its numbers, by {table.category}:"]
            names = list(numbers_of(judged.by_label[0]))
            cells = [[table.category, *names]]
            for label, own in zip(table.labels, judged.by_label, strict=True):
                cells.append([label, *(f"{value:.6g}" for value in numbers_of(own).values())])
            out += _aligned(cells)
        if tidy is not None and tidy is not judged:
            out += ["", f"with short numbers, as good: {table.target} = {short(tidy)}"]
        shown = judged if tidy is None else tidy
        plain = None if judged.by_label else gathered(shown.expression)
        if plain is not None:
            out += ["", f"that is: {table.target} = {plain}"]
        return out

    def domain(self, judged: Judged) -> Domain:
        """Return whether the equation is defined in the whole range of the data's inputs."""
        x = self.parts.whole.x
        known = [domain(one, x.min(0), x.max(0)) for one in judged.versions]
        order = ("not everywhere", "unknown", "everywhere")
        return min(known, key=lambda one: order.index(one.defined))

    def warned(self, within: Domain) -> list[str]:
        """Return a line where the recommended equation fails between the rows."""
        if within.at is None:
            return []
        named = zip(self.parts.whole.headers, within.at.tolist(), strict=True)
        point = ", ".join(f"{name} = {value:.6g}" for name, value in named)
        return ["", f"it is not defined everywhere between the rows: not at {point}"]

    def _facts(self, rows: Sequence[Row], chosen: Row, tidy: Judged) -> dict[str, Any]:
        table = self.parts.whole
        facts: dict[str, Any] = {
            "target": table.target,
            "rows": len(table.y),
            "held_out_rows": 0 if self.parts.held is None else len(self.parts.held.y),
            "rule": RULE,
            "recommended": self.described(chosen),
        }
        if tidy is not chosen.judged:
            facts["recommended"]["short"] = short(tidy)
        return facts | {"equations": [self.described(row) for row in rows]}

    def described(self, row: Row) -> dict[str, Any]:
        """Return what is to be said of an equation, as JSON can hold it."""
        return described(row.judged, self.parts.whole, row.size, row.bits)

    def _candidate(self, judged: Judged) -> Candidate:
        size, copies = judged.expression.complexity, max(1, len(judged.by_label))
        return Candidate(judged.expression, judged.nmse, size, copies)

    def _record(self, row: Row) -> Any:
        """Return what was found with its numbers and errors on all rows."""
        nmse = row.judged.nmse
        scores = dict(row.found.scores)
        scores |= {"nmse": nmse, "r2": 1 - nmse}
        if "fit" in scores:
            scores["fit"] = 1 / (1 + math.sqrt(nmse))
        if self.parts.held is not None:
            scores["held_out_nmse"] = row.judged.held
        design = row.judged.expression.text
        return replace(row.found, design=design, scores=scores, complexity=row.size)

    def _parsed(self, text: str) -> Expression:
        return parse(text, self.tokens, self.parts.whole.symbols)


def _plain(best: Sequence[Any], found: Sequence[Any]) -> Told:
    """Return what there is to say where the error was not measured."""
    lines = [f"{one.reward:.5g}  {one.design}" for one in best[:MOST]]
    return Told(best, found, lines)


def _spread(table: Table) -> float:
    mean = np.average(table.y, weights=table.weights)
    return float(np.sqrt(np.average((table.y - mean) ** 2, weights=table.weights)))


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]
    return [
        "  ".join([*(c.rjust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in cells
    ]
