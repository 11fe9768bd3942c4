"""Campaign files with one fault each: every message points at it, and offers what was meant."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from cli.build import build
from designer import config
from designer.errors import ConfigError

HOME = Path(str(files("data"))) / "campaigns"
Fault = tuple[list[str], int, int, str]  # lines, line and column of the fault, what must be said


def campaign(kind: str) -> list[str]:
    """Return the lines of a shipped campaign."""
    return (HOME / f"{kind}.toml").read_text(encoding="utf-8").splitlines()


def keys(lines: list[str], wanted: str = r"[a-z_]+ = ") -> list[int]:
    """Return the numbers of the lines that set a value."""
    return [n for n, line in enumerate(lines) if re.match(wanted, line)]


def changed(lines: list[str], at: int, line: str) -> list[str]:
    return [*lines[:at], line, *lines[at + 1 :]]


def value_of(line: str) -> str:
    """Return the value that a line sets, as TOML writes it."""
    return line.split(" = ", 1)[1].split("#")[0].strip()


def misspelt(word: str, rng: random.Random) -> str:
    """Return the word with two letters exchanged, one left out or one doubled."""
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0 and word[at] != word[at - 1]:
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def key(lines: list[str], rng: random.Random) -> Fault:
    """A misspelt key."""
    names = [n for n in keys(lines) if len(lines[n].split(" =")[0]) > 3]
    at = rng.choice([n for n in names if not lines[n].startswith("kind")])
    name = lines[at].split(" =")[0]
    wrong, indent = misspelt(name, rng), " " * rng.randrange(4)
    line = indent + lines[at].replace(name, wrong, 1)
    said = rf"unknown key '{wrong}' in .*did you mean '{name}'\?"
    return changed(lines, at, line), at, len(indent), said


def header(lines: list[str], rng: random.Random) -> Fault:
    """A misspelt table."""
    at = rng.choice([n for n, line in enumerate(lines) if line.startswith("[") and len(line) > 6])
    name = lines[at].strip("[]")
    wrong = misspelt(name, rng)
    said = rf"unknown table \[{wrong}\]; did you mean '{name}'\?"
    return changed(lines, at, lines[at].replace(name, wrong)), at, 0, said


def kind(lines: list[str], rng: random.Random) -> Fault:
    """A misspelt kind."""
    at = rng.choice([n for n in keys(lines, 'kind = "') if len(value_of(lines[n])) > 5])
    name = value_of(lines[at]).strip('"')
    wrong = misspelt(name, rng)
    said = rf"unknown name '{wrong}'; did you mean '{name}'\?"
    return changed(lines, at, lines[at].replace(name, wrong, 1)), at, 0, said


def wrong_type(lines: list[str], rng: random.Random) -> Fault:
    """Text for a number, a number for text, a list or a table for either."""
    at = rng.choice(keys(lines))
    name, value = lines[at].split(" =")[0], value_of(lines[at])
    other = "17" if value.startswith('"') else '"many"'
    new = rng.choice([other, "true", "[[1]]", "{a = 1}", "1979-05-27"])
    if value.startswith('"') and new.startswith("1979"):
        new = other  # a date in place of text is read as text
    return changed(lines, at, f"{name} = {new}"), at, 0, ""


def out_of_range(lines: list[str], rng: random.Random) -> Fault:
    """A number far below what the setting allows."""
    numbers = [n for n in keys(lines, r"[a-z_]+ = \d") if "weight" not in lines[n]]
    at = rng.choice(numbers)
    name = lines[at].split(" =")[0]
    low = "-1000000" if "." not in value_of(lines[at]) else "-1e6"
    return changed(lines, at, f"{name} = {low}"), at, 0, "-1000000"


def not_finite(lines: list[str], rng: random.Random) -> Fault:
    """inf or nan where a number belongs, in tables that are there and in others."""
    extra = {"[learner]": "lr", "[campaign]": "temperature", "[[objective]]": "weight"}
    table, name = rng.choice(sorted(extra.items()))
    value = rng.choice(["inf", "-inf", "nan"])
    at = lines.index(table) + 1
    whole = [*lines[:at], f"  {name} = {value}", *lines[at:]]
    return whole, at, 2, rf"{name} is {value}, expected a finite number"


def twice(lines: list[str], rng: random.Random) -> Fault:
    """A key that is set twice."""
    at = rng.choice(keys(lines))
    return [*lines[: at + 1], lines[at], *lines[at + 1 :]], at + 1, -1, "Cannot overwrite a value"


def table_twice(lines: list[str], rng: random.Random) -> Fault:
    """A table that is begun twice."""
    at = rng.choice([n for n, line in enumerate(lines) if re.match(r"\[[a-z]", line)])
    end = len(lines)
    return [*lines, lines[at]], end, -1, "Cannot declare .* twice"


def syntax(lines: list[str], rng: random.Random) -> Fault:
    """A line that is no TOML."""
    at = rng.choice(keys(lines, r'[a-z_]+ = ("[^"]*"|[\d.]+)'))
    name, value = lines[at].split(" =")[0], value_of(lines[at])
    broken = rng.choice(
        [
            f"{name} {value}",
            f"{name} = ",
            f"{name} = {value} {value}",
            f'{name} = "{value.strip(chr(34))}',
            f"{name} == {value}",
            f"[{name}",
            f"{name} = yes",
        ]
    )
    return changed(lines, at, broken), at, -1, ""


def absent(lines: list[str], rng: random.Random) -> Fault:
    """A table that is not there: no line to point at, so the message says what to add."""
    name = rng.choice(["[task]", "[[objective]]"])
    at = lines.index(name)
    following = (n for n in range(at + 1, len(lines)) if lines[n].startswith("["))
    end = next(following, len(lines))
    rest = [*lines[:at], *lines[end:]]
    while name in rest:
        rest = absent_all(rest, name)
    said = "task needs a kind; known: " if name == "[task]" else r"needs at least one \[\[objective"
    return rest, -1, -1, said


def absent_all(lines: list[str], name: str) -> list[str]:
    at = lines.index(name)
    following = (n for n in range(at + 1, len(lines)) if lines[n].startswith("["))
    return [*lines[:at], *lines[next(following, len(lines)) :]]


FAULTS: dict[Callable[[list[str], random.Random], Fault], int] = {
    key: 70, header: 10, kind: 10, wrong_type: 40, out_of_range: 25, not_finite: 15, twice: 10,
    table_twice: 6, syntax: 25, absent: 4,
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["fold", "equation", "molecule"])
def test_the_message_points_at_the_fault(
    name: str, fault: Callable[[list[str], random.Random], Fault]
) -> None:
    rng = random.Random(11)
    for _ in range(FAULTS[fault]):
        lines, line, column, expected = fault(campaign(name), rng)
        with pytest.raises(ConfigError) as caught:
            build(config.parse("\n".join(lines), "c.toml", HOME))
        said = str(caught.value)
        place = (
            r"c\.toml:"
            + ("" if line < 0 else rf"{line + 1}:")
            + ("" if column < 0 else rf"{column + 1}:")
        )
        assert re.match(place, said) and re.search(expected, said), (said, lines[line])
        assert "\n" not in said and len(said) < 500, said


def test_there_are_hundreds() -> None:
    assert 3 * sum(FAULTS.values()) >= 600
