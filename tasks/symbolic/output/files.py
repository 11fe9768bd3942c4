"""The recommended equation as files, for use elsewhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from designer.errors import InputError
from tasks.symbolic.judging import Judged
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.output.code import Language, to_code
from tasks.symbolic.output.export import to_latex, to_sympy
from tasks.symbolic.output.tidy import tidy_text
from tasks.symbolic.output.view import draw_fit
from tasks.symbolic.tables.table import Table

_SOURCES: Mapping[str, Language] = {
    "equation.py": "python", "equation_numpy.py": "numpy", "equation_torch.py": "torch",
    "equation.c": "c",
}  # fmt: skip


def files(judged: Judged, tidy: Judged, table: Table, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the files by name: text, LaTeX, source code, JSON, and a plot.

    `tidy` is the equation with short numbers, the same one where none are as good.
    """
    made = {
        "equation.txt": f"{to_sympy(judged.expression)}\n",
        "equation.tex": _latex(judged, tidy, table),
        "equation.json": json.dumps(facts, indent=1, allow_nan=False) + "\n",
        "equation.svg": draw_fit(judged, table),
    }
    for name, language in _SOURCES.items():
        try:
            made[name] = _source(judged, table, language)
        except InputError:  # an operator of the user's own, which the language does not know
            continue
    return made


def numbers_of(expression: Expression) -> dict[str, float]:
    """Return the fitted numbers by the names they have in the equation where they are free."""
    free = expression.fitted([math.nan] * len(expression.constants), 1.0, 0.0)
    return dict(zip(free.numbers(), expression.constants, strict=True))


def _source(judged: Judged, table: Table, language: Language) -> str:
    said = ", ".join(f"{name}: {header}" for name, header in table.symbols.items())
    note = f"{table.target}" + (f" ({said})" if said else "")
    if not judged.by_label:
        return to_code(judged.expression, language, note=note)
    parts: list[str] = []
    names = _functions(table.labels)
    for name, label, own in zip(names, table.labels, judged.by_label, strict=True):
        code = to_code(own, language, name, f"{note}, {table.category}: {label}")
        parts.append(code if not parts else code.split("\n\n", 1)[1].lstrip("\n"))
    return "\n\n".join(parts)


def _functions(labels: Sequence[str]) -> list[str]:
    """Return a name of letters, digits and _ for each label, no two alike."""
    names: list[str] = []
    for label in labels:
        name = "f_" + (re.sub(r"\W", "_", label, flags=re.ASCII) or "_")
        while name in names:
            name += "_"
        names.append(name)
    return names


def _latex(judged: Judged, tidy: Judged, table: Table) -> str:
    lines = [f"% {_line(table.target)}"]
    lines += [f"% {name}: {_line(header)}" for name, header in table.symbols.items()]
    lines += [f"y = {to_latex(judged.expression)}"]
    if tidy is not judged:
        lines += ["% with short numbers, which fit as well:"]
        lines += [f"% y = {to_latex(tidy.expression, exact=True)}"]
    for label, own in zip(table.labels, judged.by_label, strict=False):
        said = ", ".join(f"{name} = {value:.6g}" for name, value in numbers_of(own).items())
        lines += [f"% {_line(label)}: {said}"]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def short(tidy: Judged) -> str:
    """Return the text of an equation with short numbers."""
    return tidy_text(tidy.expression)


def described(judged: Judged, table: Table, size: int, bits: float) -> dict[str, Any]:
    """Return what is to be said of an equation, as JSON can hold it."""
    out: dict[str, Any] = {
        "equation": judged.expression.text,
        "complexity": size,
        "nmse": _plain(judged.nmse),
        "description_length": _plain(bits),
    }
    if not math.isnan(judged.held):
        out["held_out_nmse"] = _plain(judged.held)
    if judged.by_label:
        labels: Sequence[str] = table.labels
        own = zip(labels, judged.by_label, strict=True)
        out["constants"] = {label: numbers_of(each) for label, each in own}
    return out


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
