"""Every registered oracle loads; a user's file may hold a class, an instance or a function."""

from pathlib import Path

import pytest
from drugs import Plain, values

from designer.errors import InputError
from designer.plugins import resolve
from oracles import ORACLES, PENALTIES
from oracles.registry import resolve_oracle

FILE = """
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Repeats:
    letter: str = "C"
    name: str = "repeats"
    cheap = True

    def __call__(self, designs):
        return np.array([d.text.count(self.letter) for d in designs], dtype=np.float64)

ready = Repeats("O", "oxygens")

def score(designs):
    return [len(text) for text in designs]

number = 3
class Scores:
    def score(self, smiles):
        return 1.0

class Texts:
    def __call__(self, smiles: list[str]):
        return [len(text) for text in smiles]

texts = Texts()
nameless = type("Nameless", (), {"__call__": lambda self, designs: designs})()
"""
DESIGNS = [Plain("CCO"), Plain("C")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path


@pytest.mark.parametrize("registry", [ORACLES, PENALTIES], ids=["oracles", "penalties"])
def test_every_registered_name_loads_and_says_what_it_is(registry: dict[str, str]) -> None:
    for name in registry:
        found = resolve(name, registry, allow_plugins=True)
        assert callable(found) and (found.__doc__ or "").strip(), f"{name} needs a docstring"


@pytest.mark.parametrize("name", ["python", "program", "custom_surrogate"])
def test_what_runs_code_needs_consent(name: str) -> None:
    with pytest.raises(InputError, match="--allow-plugins"):
        resolve_oracle(name)
    assert callable(resolve_oracle(name, allow_plugins=True))


def test_class_takes_settings(folder: Path) -> None:
    make = resolve_oracle("mine.py:Repeats", allow_plugins=True, base=folder)
    assert make(letter="O")(DESIGNS).tolist() == [1, 0]


def test_instance_takes_none(folder: Path) -> None:
    oracle = resolve_oracle("mine.py:ready", allow_plugins=True, base=folder)()
    assert oracle.name == "oxygens" and oracle(DESIGNS).tolist() == [1, 0]


def test_function_is_wrapped(folder: Path) -> None:
    make = resolve_oracle("mine.py:score", allow_plugins=True, base=folder)
    oracle = make(name="size")
    assert values(oracle, DESIGNS) == [3, 1]
    assert oracle.name == "size" and oracle.files == (folder.resolve() / "mine.py",)
    assert make().name == "score"


def test_an_object_that_says_that_it_takes_texts_is_wrapped(folder: Path) -> None:
    oracle = resolve_oracle("mine.py:texts", allow_plugins=True, base=folder)()
    assert values(oracle, DESIGNS) == [3, 1] and oracle.name == "texts"


def test_function_of_an_installed_module() -> None:
    make = resolve_oracle("drugs:lengths", allow_plugins=True)
    assert values(make(), DESIGNS) == [3, 1]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("mine.py:number", "a value of type int"),
        ("mine.py:nameless", "is a Nameless without `name` and `cheap`"),
        ("mine.py:nameless", r"annotate the parameter `list\[str\]`"),
        ("mine.py:Scores", r"cannot be called: .* judge = Scores\(\.\.\.\), and name it"),
        ("mine.py:scor", "did you mean 'score'"),
        ("qedd", "did you mean 'qed'"),
    ],
)
def test_refusals(folder: Path, spec: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        resolve_oracle(spec, allow_plugins=True, base=folder)
