"""The shipped campaign files: what `equation`, `fold` and `molecule` run; `init` writes any.

The commands change a few values of these files and go the same way as `designer run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from designer import config
from designer.config import Document
from designer.errors import InputError, nearest
from designer.files import located
from designer.plugins import is_file

PRIOR = "zinc250k"  # what molecules start from, where it is shipped
PRESETS = {
    "scratch": "molecule", "prior": "molecule_prior", "plausible": "molecule_plausible",
}  # fmt: skip
KINDS = ("equation", "fold", "molecule")  # those that have a command of their own
FOLDER = Path(str(files("data"))) / "campaigns"


def campaigns() -> dict[str, str]:
    """Return every shipped campaign's name, and what its first line says it is for."""
    found = {}
    for file in sorted(FOLDER.glob("*.toml")):
        with file.open(encoding="utf-8") as lines:
            found[file.stem] = lines.readline().lstrip("# ").strip()
    return found


def shipped(kind: str) -> Document:
    """Return a shipped campaign file as a document.

    It names no file of its own, so what `--set` puts in is found from where the command is given.
    Raises InputError for a name that none has.
    """
    known = campaigns()
    if kind not in known:
        raise InputError(f"no campaign {kind!r} is shipped; {nearest(kind, known)}")
    document = config.load(FOLDER / f"{kind}.toml")
    document.places, document.name = {}, ""  # nobody wrote this file: no place in it helps
    document.base = Path.cwd()
    return document


def equation(data: Path, wishes: Mapping[str, Any]) -> Document:
    """Return the campaign that explains a column of a CSV; `wishes` are options that were given."""
    document = shipped("equation")
    named = str(data.absolute()) if data.exists() or data.suffix else str(data)
    document.override(("task", "data"), named, "DATA.csv")
    document.table(("task",)).pop("target", None)
    for name, value in wishes.items():
        if value is None or value is False or value == []:
            continue
        option = "--input" if name == "inputs" else f"--{name}"
        absolute = str(value.absolute()) if isinstance(value, Path) else value
        document.override(("task", name), absolute, option)
    return document


def fold(sequence: str, lattice: str, energy: str) -> Document:
    """Return the campaign that folds a chain."""
    document = shipped("fold")
    document.override(("task", "sequence"), sequence, "SEQUENCE")
    document.override(("task", "lattice"), lattice, "--lattice")
    named = str(Path(energy).absolute()) if Path(energy).is_file() else energy
    document.override(("task", "matrix"), named, "--energy")
    return document


def molecule(
    objective: str,
    prior: str | None = None,
    task: Mapping[str, str | None] | None = None,
    preset: str | None = None,
) -> tuple[Document, bool]:
    """Return the campaign for an objective, and whether a person named code with it.

    It starts from the shipped prior, or from one that was taught, which brings the network's
    sizes and the way molecules are written; from nothing (`preset` "scratch") where no prior is
    shipped, where another run is the prior, or where options of the `task`, by name, ask for
    something that a prior of whole molecules does not know.
    """
    wishes = {name: value for name, value in (task or {}).items() if value is not None}
    if prior is None and not wishes and preset != "scratch" and is_taught(PRIOR):
        prior = PRIOR
    if preset is None:
        preset = "prior" if prior is not None and not wishes and is_taught(prior) else "scratch"
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; {nearest(preset, PRESETS)}")
    document = shipped(PRESETS[preset])
    for name, value in wishes.items():
        if not value:
            raise InputError(f"--{name} is empty; leave it out, or give it a value")
        document.override(("task", name), value, f"--{name}")
    if prior is not None:
        place = located(prior)
        named = str(place.absolute()) if place.exists() else prior
        document.override(("prior",), {"run": named}, "--prior")
        document.data.pop("policy", None)
    elif preset != "scratch":
        raise InputError(f"preset {preset!r} needs --prior; `designer prior train` makes one")
    kind = objective
    if is_file(objective):
        file, name = objective.rsplit(":", 1)
        kind = f"{located(file).absolute()}:{name}"
    aim(document, kind, "OBJECTIVE")
    return document, ":" in objective


def aim(document: Document, kind: str, place: str) -> None:
    """Put an objective in the place of the document's first one; others, as filters, remain."""
    others = document.table(("objective",), [])[1:]
    document.override(("objective",), [{"kind": kind}, *others], place)


def is_taught(prior: str) -> bool:
    """Return whether the name or directory is that of a taught prior."""
    from cli.prior import ABOUT, find

    try:
        return (find(located(prior)) / ABOUT).is_file()
    except InputError:
        return False


def init(kind: str, out: Path | None) -> None:
    """Write a shipped campaign file to start from."""
    known = campaigns()
    if kind not in known:
        raise InputError(f"no campaign {kind!r} to start from; {nearest(kind, known)}")
    target = out or Path(f"{kind}.toml")
    if target.exists():
        raise InputError(f"{target}: is there already; name another with --out")
    target.write_bytes((FOLDER / f"{kind}.toml").read_bytes())
    print(f"wrote {target}; run it with: designer run {target}")
