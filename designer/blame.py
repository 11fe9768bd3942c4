"""Which key of a table a message speaks of, so that the message can be given its place."""

from __future__ import annotations

import re
from typing import Any


def accused(table: Any, problem: str) -> list[str]:
    """Return the key that a message speaks of, by name and value or one of them; [] for none."""
    if not isinstance(table, dict):
        return []

    def said(text: str) -> bool:
        return re.search(rf"(?<![\w/.-]){re.escape(text)}(?![\w/-]|\.\w)", problem) is not None

    names = [key for key in table if said(key)]
    values = [key for key, value in table.items() if any(map(said, _spellings(value)))]
    both = [key for key in names if key in values]
    subject = [name for name in names if problem.startswith(f"{name} ")]  # from its first word on
    return (both or subject or values or names)[:1]


def _spellings(value: Any) -> list[str]:
    """Return how a message may write a value; short ones stand for too many things."""
    if isinstance(value, str):
        return [repr(value)]
    return [text for text in {repr(value), str(value)} if len(text) > 1]
