"""Ready-made objectives: benchmark tasks and suites, written as data in `data/objectives.toml`.

Each is an oracle with one score in 0 to 1 and the raw value of every term beside it. What the
three classifiers judge (`drd2`, `gsk3b`, `jnk3`) and QED are oracles by themselves.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from designer.errors import InputError
from designer.transforms import TRANSFORMS, Identity
from oracles import OBJECTIVES, ORACLES
from oracles.composite import Composite, Part
from oracles.parsing import molecule

OWN = ("kind", "transform")


def objective(kind: str, name: str = "") -> Composite:
    """Return the objective called `kind` in the data; `name` is what its column is called."""
    table = definitions()[kind]
    parts = tuple(_part(label, term) for label, term in table["terms"].items())
    return Composite(name or kind, parts, table.get("aggregate", "geometric"))


@lru_cache(maxsize=1)
def definitions() -> Mapping[str, Any]:
    """Return the shipped objectives as tables, by name."""
    return tomllib.loads(files("data").joinpath("objectives.toml").read_text(encoding="utf-8"))


def __getattr__(kind: str) -> Callable[..., Composite]:
    """Return the maker of a shipped objective: the registry names them `module:attribute`."""
    if kind not in OBJECTIVES or kind not in definitions():
        raise AttributeError(kind)

    def make(name: str = kind) -> Composite:
        return objective(kind, name)

    make.__name__ = make.__qualname__ = kind
    make.__doc__ = _described(kind)
    return make


def _described(kind: str) -> str:
    table = definitions()[kind]
    lines = [f"{table['about'][0].upper()}{table['about'][1:]}, 0 to 1."]
    if len(table["terms"]) > 1:
        lines.append(f"The {table.get('aggregate', 'geometric')} mean of:")
    for term in table["terms"].values():
        settings = ", ".join(f"{k} {v}" for k, v in term.items() if k not in OWN)
        shape = term.get("transform", {"kind": "identity"})
        shown = ", ".join(f"{k} {v}" for k, v in shape.items() if k != "kind")
        lines.append(f"  {term['kind']} ({settings}) -> {shape['kind']} ({shown})")
    return "\n".join(lines).replace(" ()", "")


def _part(label: str, term: Mapping[str, Any]) -> Part:
    settings = {key: value for key, value in term.items() if key not in OWN}
    oracle = _named(ORACLES, term["kind"])(**settings)
    shape = dict(term.get("transform", {}))
    if not shape:
        return Part(label, oracle, Identity())
    make = _named(TRANSFORMS, shape.pop("kind"))
    return Part(label, oracle, make(**{key: _number(v, oracle) for key, v in shape.items()}))


def _number(value: Any, oracle: Any) -> float:
    """Return a setting of a transform; `{of = SMILES}` is the oracle's value of that molecule."""
    if not isinstance(value, dict):
        return float(value)
    target = molecule(value["of"], "target")
    return float(oracle([_Target(target)]).columns[oracle.name][0])


class _Target:
    """A molecule as far as an oracle looks at it."""

    def __init__(self, mol: Any) -> None:
        self.mol = mol


def _named(registry: Mapping[str, str], kind: str) -> Any:
    if kind not in registry:
        raise InputError(f"data/objectives.toml: no {kind!r} is registered")
    module, attribute = registry[kind].split(":")
    return getattr(import_module(module), attribute)
