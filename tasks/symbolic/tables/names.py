"""Column headers as names that every reader of formulas agrees on."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Sequence

from tasks.symbolic.language.operators import OPERATORS

_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"c\d+")  # what constants that are not fitted yet are called


def safe_names(headers: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return a name for every header, and stand-in -> header for those that needed one.

    A header is its own name where it is an identifier that neither Python, sympy nor our own
    parser understands otherwise; `lambda`, `I` and `period [d]` become x0, x1, ... by column.
    """
    reserved = _reserved()
    fine = {h for h in headers if _SAFE.fullmatch(h) and h not in reserved
            and not _PLACEHOLDER.fullmatch(h)}  # fmt: skip
    names, symbols = [], {}
    for place, header in enumerate(headers):
        name = header
        if header not in fine:
            name = f"x{place}"
            while name in fine or name in symbols:
                name += "_"
            symbols[name] = header
        names.append(name)
    return tuple(names), symbols


def _reserved() -> set[str]:
    import sympy

    words = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *OPERATORS}
    return words | {name for name in dir(sympy) if not name.startswith("_")} | {"e", "ln"}
