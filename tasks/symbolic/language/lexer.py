"""Cutting formula text into words, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from designer.errors import InputError

MAX_TEXT = 10_000  # characters

_WORD = re.compile(
    r"(?P<number>(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)|(?P<name>[^\W\d]\w*)|`(?P<quoted>[^`]*)`"
    r"|(?P<sign>\*\*|[-+*/^(),<>])"
)


@dataclass(frozen=True)
class Word:
    """One word of a formula. `kind` is number, name, quoted, sign or end."""

    kind: str
    text: str
    at: int  # characters before it


def words(text: str) -> list[Word]:
    """Return the words of a formula, with an end at the end; raises InputError with the place."""
    if len(text) > MAX_TEXT:
        raise InputError(f"the formula has {len(text)} characters; at most {MAX_TEXT} are read")
    out, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _WORD.match(text, at)
        if match is None:
            raise complain(text, at, f"unexpected {text[at]!r}")
        kind = str(match.lastgroup)
        out.append(Word(kind, match.group(kind), at))
        at = match.end()
    return [*out, Word("end", "", len(text))]


def complain(text: str, at: int, what: str) -> InputError:
    """Return the error that names the place: the character, counted from 1, and what follows."""
    near = text[at : at + 20]
    where = f"before {near!r}" if near else "at its end"
    return InputError(f"formula, character {at + 1}, {where}: {what} (in {text[:80]!r})")
