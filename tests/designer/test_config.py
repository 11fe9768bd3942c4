"""Campaign files: positions, validation over signatures, overrides, writing back."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from designer import config
from designer.errors import ConfigError, InputError
from designer.signature import Unbounded
from designer.toml import dump, positions

TEXT = '''# a comment with [brackets] and = signs
title = "x # no comment" # a comment
[task."b c".d]
k.l = [1, 2,
  {x = 1, "y z" = "a,]}"},  # comment ]
]
m = """several
 [not.a.table]
 \\""" still = inside"""
n = 1979-05-27T07:32:00Z
[[objective]]
kind = 'q'
transform = {kind = "linear", low = 0}
[[objective]]
  kind = "r"
[objective.sub]
z = true
'''


@dataclass(frozen=True)
class Settings:
    """What the tests build."""

    steps: int
    rate: float = 0.1
    names: tuple[str, ...] = ()
    mode: Literal["a", "b"] = "a"
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise InputError(f"rate is {self.rate}, expected a number above 0")


def document(text: str, base: Path | None = None) -> config.Document:
    return config.parse(text, "c.toml", base)


def message(text: str, **injected: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        document(text).build(("t",), Settings, injected)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_positions_by_hand() -> None:
    found = positions(TEXT)
    assert found["title",] == (2, 1)
    assert found["task", "b c", "d", "k", "l", 2, "y z"] == (5, 11)
    assert found["task", "b c", "d", "n"] == (10, 1)
    assert found["objective", 0, "transform", "low"] == (13, 31)
    assert found["objective", 1] == (14, 1)
    assert found["objective", 1, "kind"] == (15, 3)
    assert found["objective", 1, "sub", "z"] == (17, 1)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [p for key, inner in items for p in ((*path, key), *paths(inner, (*path, key)))]


def test_every_key_has_a_position() -> None:
    assert set(positions(TEXT)) >= set(paths(tomllib.loads(TEXT)))


keys = st.text(min_size=1, max_size=6)
scalars = (
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=20)
)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=8
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, values, max_size=4))
def test_writing_reads_back_and_positions_are_complete(data: dict[str, Any]) -> None:
    text = dump(data)
    assert tomllib.loads(text) == data
    assert set(positions(text)) >= set(paths(data))


def test_a_table_becomes_keyword_arguments(tmp_path: Path) -> None:
    text = '[t]\nkind = "any"\nsteps = 3\nrate = 1\nnames = ["x"]\nfile = "in.csv"\n'
    built = document(text, tmp_path).build(("t",), Settings)
    assert built == Settings(3, 1.0, ("x",), "a", tmp_path / "in.csv")
    assert document("").build(("t",), Settings, {"steps": 4}) == Settings(4)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (r"a\u0000.csv", "holds the character 0"),
        ("~nobody-here/a.csv", "nobody of that name has a home"),
    ],
)
def test_names_that_no_file_has_are_refused_at_their_place(value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^c.toml:3:1: .*{said}"):
        document(f'[t]\nsteps = 3\nfile = "{value}"\n').build(("t",), Settings)
    long = "x" * 5000 + ".csv"
    assert document(f'[t]\nsteps = 3\nfile = "{long}"\n').build(("t",), Settings).file.name == long


@dataclass(frozen=True)
class Open:
    """Settings of which some may be infinite."""

    step: float = 1.0
    most: Unbounded = 1.0
    high: float = math.inf
    table: dict[str, float] = field(default_factory=dict)


def test_infinity_is_taken_where_it_means_no_limit_and_nan_nowhere() -> None:
    for line in ("most = inf", "high = inf", "high = 3", "step = 1e300"):
        document(f"[t]\n{line}").build(("t",), Open)
    for line, said in {
        "step = inf": "t.step is inf",
        "most = nan": "t.most is nan",
        "high = -nan": "t.high is nan",
        "table = {a = 1, b = -inf}": "t.table is -inf",
    }.items():
        with pytest.raises(ConfigError, match=rf"^c.toml:2:1: {said}, expected a finite number"):
            document(f"[t]\n{line}").build(("t",), Open)


def test_a_message_is_placed_by_name_and_value() -> None:
    doc = document("[t]\nfirst = 10000\nsecond = 16\nthird = 16\nfile = 'x'\n")
    for said, line in {
        "third is 16, expected less": 4,
        "second: -10000 is too little": 3,
        "the value 10000 is odd": 2,
        "'x' is no file": 5,
        "nothing of this": 1,
    }.items():
        with pytest.raises(ConfigError, match=f"^c.toml:{line}:1: "), doc.blamed(("t",)):
            raise InputError(said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[t]\nsteps = 1\n  rat = 2", "c.toml:3:3: unknown key 'rat' in t; did you mean 'rate'?"),
        ("[t]\nrate = 1.5", "c.toml:1:1: t.steps (int) is missing; add it, or --set t.steps=VALUE"),
        ("\n[t]\nsteps = 'x'", 'c.toml:3:1: t.steps is "x", should be a valid integer'),
        ("[t]\nsteps = 1.5", "c.toml:2:1: t.steps is 1.5, should be a valid integer"),
        ("[t]\nsteps = true", "c.toml:2:1: t.steps is true, should be a valid integer"),
        ("[t]\nsteps = 1\nmode = 'c'", "c.toml:3:1: t.mode is \"c\", should be 'a' or 'b'"),
        (
            "[t]\nsteps = 1\nnames = ['x',\n 4]",
            "c.toml:4:2: t.names.1 is 4, should be a valid string",
        ),
        (
            "[t]\nsteps = 1\nrate = -1.0",
            "c.toml:3:1: rate is -1.0, expected a number above 0",
        ),
        ("t = 3", "c.toml:1:1: t is 3, expected a table"),
    ],
)
def test_a_bad_value_is_one_line_with_its_place(text: str, expected: str) -> None:
    assert message(text) == expected


def test_what_the_program_sets_cannot_come_from_a_file() -> None:
    assert "unknown key 'steps'" in message("[t]\nsteps = 1", steps=2)

    def make(call: config.Document) -> None:
        """A parameter no file can hold."""

    with pytest.raises(ConfigError, match="'call' is set by the program"):
        document("[t]\ncall = 3").build(("t",), make)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("[t\nsteps = 1", "c.toml:1:3: Expected ']'"),
        ("a = 1\nb = ", "c.toml:2:5: Invalid value"),
        ('a = 1\nb = "x\n', "c.toml:2:7: the line ends within a text; close it with a quotation"),
        ("a = 1\na = 2", "c.toml:2:6: Cannot overwrite a value"),
    ],
)
def test_syntax_errors_carry_line_and_column(text: str, start: str) -> None:
    with pytest.raises(ConfigError) as caught:
        document(text)
    assert str(caught.value).startswith(start)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.toml: no such file"):
        config.load(tmp_path / "no.toml")
    with pytest.raises(InputError, match="a directory"):
        config.load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        config.load(tmp_path / "latin.toml")
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    assert config.load(tmp_path / "bom.toml").data == {"a": 1, "b": 2}


def test_overrides_name_the_command_line() -> None:
    path, value = config.assignment("t.rate=0.5")
    assert (path, value) == (("t", "rate"), 0.5)
    assert config.assignment("t.mode=b") == (("t", "mode"), "b")
    assert config.assignment("objective.0.weight=2")[0] == ("objective", 0, "weight")
    assert config.assignment("²=1")[0] == ("²",)
    page = document("[t]\nsteps = 1\n[[objective]]\nweight = 1")
    page.override(("t", "steps"), "many", "--set t.steps")
    page.override(("objective", 0, "weight"), 2, "--set")
    page.override(("new", "key"), 1, "--set")
    assert page.data["objective"] == [{"weight": 2}] and page.data["new"] == {"key": 1}
    with pytest.raises(ConfigError) as caught:
        page.build(("t",), Settings)
    assert str(caught.value) == '--set t.steps: t.steps is "many", should be a valid integer'
    with pytest.raises(InputError, match="none of the 1 entries"):
        page.override(("objective", 3, "weight"), 2, "--set")
    with pytest.raises(InputError, match="is a value, not a table"):
        page.override(("t", "steps", "x"), 2, "--set")
    with pytest.raises(InputError, match="expected KEY=VALUE"):
        config.assignment("steps")


def test_unknown_tables_and_merging() -> None:
    with pytest.raises(ConfigError) as caught:
        document("[campain]\nx = 1").known(["campaign", "task"])
    assert str(caught.value) == "c.toml:1:1: unknown table [campain]; did you mean 'campaign'?"
    first = {"a": {"b": 1, "c": [1]}, "d": 2}
    assert config.merged(first, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}, "d": 2}
    assert first["a"] == {"b": 1, "c": [1]}
