"""Names become callables, and code from outside the registry only by consent."""

import subprocess
import sys
from pathlib import Path

import pytest

from designer.errors import InputError, OracleError
from designer.plugins import load_file, needs_consent, resolve, told

REGISTRY = {"sequence": "collections:OrderedDict", "square_root": "math:sqrt"}


@needs_consent
def launcher() -> None:
    """Stands for a plug-in that runs what its settings name."""


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_short_name_and_registered_path_need_no_consent() -> None:
    import math

    assert resolve("square_root", REGISTRY) is math.sqrt
    assert resolve("math:sqrt", REGISTRY) is math.sqrt


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("square_rot", "did you mean 'square_root'"),
        ("xyz", "known: sequence, square_root"),
        ("mine.py", "expected mine.py:name"),
        ("os:system", "--allow-plugins"),
        ("mine.py:score", "--allow-plugins"),
    ],
)
def test_refusals_say_what_to_do(spec: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        resolve(spec, REGISTRY)


def test_refused_file_is_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    path = write(tmp_path, f"open({str(touched)!r}, 'w').close()\nscore = len\n")
    with pytest.raises(InputError, match="--allow-plugins"):
        resolve(f"{path}:score", REGISTRY)
    assert not touched.exists()
    assert resolve(f"{path}:score", REGISTRY, allow_plugins=True) is len
    assert touched.exists()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("no_such_module_anywhere:f", "no module 'no_such_module_anywhere' is installed"),
        ("math:sqr", "math has no 'sqr'; did you mean 'sqrt'"),
        ("math:pi", "a value of type float, expected a class or a function"),
        ("math:not a name", "is not a name"),
        ("missing.py:f", "No such file"),
        (":f", "'' is no module; expected module:name or file.py:name"),
        ("..up:f", "'..up' is no module"),
    ],
)
def test_outside_code_that_cannot_be_found(spec: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        resolve(spec, REGISTRY, allow_plugins=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\ndef f(:\n", r"mine.py:2: SyntaxError"),
        ("a = 1\nb = 2\nc = a / 0\n", r"mine.py:3: ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name\n", r"mine.py:1: ModuleNotFoundError"),
        ("import sys\nsys.exit(5)\n", r"mine.py:2: SystemExit: 5"),
        ("def skore(x): ...\n", r"mine.py has no 'score'; did you mean 'skore'"),
    ],
)
def test_broken_file_is_named_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    write(tmp_path, text)
    with pytest.raises(InputError, match=expected):
        resolve("mine.py:score", REGISTRY, allow_plugins=True, base=tmp_path)


def test_a_module_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "x = 1 / 0\n", "broken_module_of_mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="'broken_module_of_mine:f': ZeroDivisionError: division"):
        resolve("broken_module_of_mine:f", REGISTRY, allow_plugins=True)


def test_file_is_loaded_once_and_again_when_it_changed(tmp_path: Path) -> None:
    path = write(tmp_path, "def score():\n    return 1\n")
    first = load_file(path)
    assert load_file(path) is first and first.__name__ in sys.modules
    write(tmp_path, "def score():\n    return 2\n")  # same length, same second
    assert load_file(path).score() == 2
    assert not (tmp_path / "__pycache__").exists()


def test_private_name_hides_nothing(tmp_path: Path) -> None:
    import math

    write(tmp_path, "def score():\n    return 'mine'\n", "math.py")
    found = resolve("math.py:score", REGISTRY, allow_plugins=True, base=tmp_path)
    assert found() == "mine" and sys.modules["math"] is math


@pytest.mark.parametrize("place", ["~nobody-here/a.py", "a\0b.py", "x" * 5000 + ".py"])
def test_a_file_that_cannot_be_is_one_line(place: str) -> None:
    with pytest.raises(InputError):
        resolve(f"{place}:f", {}, allow_plugins=True)


def test_an_error_is_told_with_the_line_of_the_users_file(tmp_path: Path) -> None:
    """The innermost line of it, whoever raised; with none of it on the way, no place."""
    text = "import json\n\ndef score(text):\n    return [json.loads(t) for t in text]\n"
    score = load_file(write(tmp_path, text)).score
    with pytest.raises(ValueError, match="Expecting value") as caught:
        score(["?"])
    assert told(caught.value).startswith("mine.py:4: JSONDecodeError: Expecting value: line 1")
    assert told(KeyError("a\nb" * 300)).startswith("KeyError: 'a")
    assert len(told(KeyError("a\nb" * 300))) == 300 and "\n" not in told(ValueError("a\nb"))
    assert told(SystemExit()) == "SystemExit"


def test_failed_file_leaves_no_half_module(tmp_path: Path) -> None:
    path = write(tmp_path, "x = 1 / 0\n")
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(InputError, match="ZeroDivisionError"):
            load_file(path)
    assert set(sys.modules) == before


def test_marked_plugin_is_refused_even_when_registered() -> None:
    registry = {"launch": f"{__name__}:launcher"}
    with pytest.raises(InputError, match="--allow-plugins"):
        resolve("launch", registry)
    with pytest.raises(InputError, match="--allow-plugins"):
        resolve(f"{__name__}:launcher", registry)
    assert resolve("launch", registry, allow_plugins=True) is launcher


def test_our_errors_from_a_users_file_keep_their_line(tmp_path: Path) -> None:
    text = "from designer.errors import OracleError\nraise OracleError('no licence')\n"
    with pytest.raises(InputError, match=r"mine.py:2: OracleError: no licence"):
        load_file(write(tmp_path, text))
    assert issubclass(OracleError, Exception)


def test_module_needs_no_torch() -> None:
    code = "import sys, designer.plugins; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
