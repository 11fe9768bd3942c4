"""A user's function: lists and single texts, several columns, failures, and broken contracts."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drugs import Plain
from hypothesis import given
from hypothesis import strategies as st

from designer.errors import InputError, OracleError
from designer.protocols import Measured
from designer.testing import check_oracle
from oracles.python import PythonFunction, python

DESIGNS = [Plain(text) for text in ("CCO", "C", "CCCC", "x + 1", "RRU")]

FILE = """
from __future__ import annotations
import math
import numpy

def lengths(designs: list[str]) -> list[float]:
    return [len(text) for text in designs]

def length(design: str) -> float:
    return len(design)

def array(designs):
    return numpy.array([len(text) for text in designs], dtype=numpy.float32)

def lazily(designs):
    return (1 / (len(text) - 1) for text in designs)

def picky(designs):
    if "C" in designs:
        raise ValueError("cannot embed\\n   this one")
    return [len(text) for text in designs]

def picky_alone(design: str):
    if design == "C":
        raise ValueError("cannot embed")
    return {"size": len(design), "first": ord(design[0])}

def leaving(designs):
    if "C" in designs:
        raise SystemExit(0)  # what exit() in a script does
    return [len(text) for text in designs]

def missing(designs):
    return [None if text == "C" else math.nan if text == "RRU" else math.inf for text in designs]

def several(designs):
    return {"size": [len(text) for text in designs], "first": [ord(text[0]) for text in designs]}

def one_short(designs):
    return [1.0] * (len(designs) - 1)

def one_long(designs):
    return [1.0] * (len(designs) + 1)

def one_number(designs):
    return 1.0

def words(designs):
    return ["high" for _ in designs]

def numerals(designs):
    return ["1.0" for _ in designs]

def text(designs):
    return "12345"[:len(designs)]

def imaginary(designs):
    return [1j for _ in designs]

def square(designs):
    return numpy.ones((len(designs), 2))

def unordered(designs):
    return set(range(len(designs)))

def nothing(designs):
    pass

def no_columns(designs):
    return {}

def changing(design: str):
    return {"a": 1.0} if len(design) > 2 else {"b": 1.0}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("user") / "mine.py"
    file.write_text(FILE)
    return file


def ask(path: Path, name: str, **settings: Any) -> Measured:
    return PythonFunction(f"{path}:{name}", **settings)(DESIGNS)


@pytest.mark.parametrize("name", ["lengths", "length", "array", "several", "picky", "picky_alone"])
def test_keeps_the_contract(path: Path, name: str) -> None:
    oracle = python(path, name)
    assert oracle.name == name
    check_oracle(oracle, DESIGNS[2:])
    assert len(next(iter(oracle([]).columns.values()))) == 0


@pytest.mark.parametrize("name", ["lengths", "length", "array"])
def test_one_column(path: Path, name: str) -> None:
    measured = ask(path, name)
    assert measured.columns[name].tolist() == [3, 1, 4, 5, 3]
    assert measured.columns[name].dtype == np.float64 and not measured.errors


def test_several_columns_and_a_choice_of_them(path: Path) -> None:
    assert {k: v.tolist() for k, v in ask(path, "several").columns.items()} == {
        "size": [3, 1, 4, 5, 3],
        "first": [67, 67, 67, 120, 82],
    }
    assert list(ask(path, "several", endpoints=("first",)).columns) == ["first"]
    with pytest.raises(OracleError, match=r"no column 'frist'; did you mean 'first'"):
        ask(path, "several", endpoints=("frist",))
    with pytest.raises(OracleError, match=r"returned list .*, expected columns a, b"):
        ask(path, "lengths", endpoints=("a", "b"))


@pytest.mark.parametrize(
    ("name", "column", "others"),
    [
        ("picky", "picky", [3, 4, 5, 3]),
        ("leaving", "leaving", [3, 4, 5, 3]),
        ("picky_alone", "first", [67, 67, 120, 82]),
        ("lazily", "lazily", [1 / 2, 1 / 3, 1 / 4, 1 / 2]),
    ],
)
def test_exception_costs_its_design_alone(
    path: Path, name: str, column: str, others: list[float]
) -> None:
    measured = ask(path, name)
    values = measured.columns[column]
    assert np.isnan(values[1]) and np.delete(values, 1).tolist() == others
    assert list(measured.errors) == [1]
    told = "ValueError: cannot embed|ZeroDivisionError: |SystemExit: 0"
    assert re.match(rf"{path.name}:\d+: ({told})", measured.errors[1])
    assert "\n" not in measured.errors[1]


def test_all_failing_still_gives_every_row(path: Path) -> None:
    guilty = [DESIGNS[1], DESIGNS[1]]
    measured = PythonFunction(f"{path}:picky")(guilty)
    assert np.isnan(measured.columns["picky"]).all() and list(measured.errors) == [0, 1]
    named = PythonFunction(f"{path}:picky_alone", endpoints=("size", "first"))(guilty)
    assert list(named.columns) == ["size", "first"] and np.isnan(named.columns["size"]).all()


def test_none_and_nan_are_missing_and_inf_is_measured(path: Path) -> None:
    measured = ask(path, "missing")
    assert measured.columns["missing"].tolist() == pytest.approx(
        [np.inf, np.nan, np.inf, np.inf, np.nan], nan_ok=True
    )
    assert sorted(measured.errors) == [1, 4] and "returned NaN" in measured.errors[1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one_short", r"mine.py:one_short returned 4 values for 5 designs in column 'one_short', "
         r"expected 5 numbers, one a design in order"),
        ("one_long", "returned 6 values for 5 designs"),
        ("one_number", r"returned float 1.0 in column 'one_number', expected 5 numbers.*`str`"),
        ("words", r"returned str 'high' in row 0, expected a number"),
        ("numerals", r"returned str '1.0' in row 0, expected a number"),
        ("text", r"returned str '12345'"),
        ("imaginary", r"returned complex 1j in row 0"),
        ("square", r"returned ndarray array\(\[1., 1.\]\) in row 0, expected a number"),
        ("unordered", r"returned set \{0, 1, 2, 3, 4\}"),
        ("nothing", r"returned NoneType None"),
        ("no_columns", "returned no columns, expected at least one"),
        ("changing", "columns a at first and b later"),
    ],
)  # fmt: skip
def test_broken_contract_is_named(path: Path, name: str, expected: str) -> None:
    with pytest.raises(OracleError, match=expected):
        ask(path, name)


def test_bad_names(path: Path) -> None:
    with pytest.raises(InputError, match=r"mine.py has no 'lenght'; did you mean 'length'"):
        python(path, "lenght")
    with pytest.raises(InputError, match="is not a name"):
        python(path, "os.system('x')")
    with pytest.raises(InputError, match="No such file"):
        python(path.parent / "other.py", "length")


def test_edit_during_a_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "edited.py"
    file.write_text("def score(designs):\n    return [1.0] * len(designs)\n")
    oracle = python(file, "score")
    file.write_text("def score(designs):\n    return [2.0] * len(designs)\n")
    assert oracle(DESIGNS[:1]).columns["score"].tolist() == [1.0]
    assert python(file, "score")(DESIGNS[:1]).columns["score"].tolist() == [2.0]
    assert oracle.files == (file,)


def test_copy_for_another_process_is_the_same(path: Path) -> None:
    oracle = python(path, "several", name="mine", endpoints=("size",))
    make, settings = oracle.__reduce__()
    again = make(*settings)
    assert again == oracle and again(DESIGNS).columns["size"].tolist() == [3, 1, 4, 5, 3]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_whatever_comes_back_is_measured_or_refused(said: Any) -> None:
    from oracles.rows import answer

    try:
        measured = answer(said, 2, "mine.py:score", "score")
    except OracleError as error:
        assert str(error).startswith("mine.py:score returned") and len(str(error)) < 400
        return
    for name, values in measured.columns.items():
        assert values.shape == (2,) and values.dtype == np.float64, name


def test_what_is_asked_alone_is_handed_over_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    alone, whole = (python(tmp_path / "mine.py", name) for name in ("length", "lengths"))
    rows = [(rows, measured.columns["length"].tolist()) for rows, measured in alone.stream(DESIGNS)]
    assert rows == [([0], [3]), ([1], [1]), ([2], [4]), ([3], [5]), ([4], [3])]
    assert [rows for rows, _ in whole.stream(DESIGNS)] == [[0, 1, 2, 3, 4]]
