"""The molecule task: an environment, its reader, viewer, proposer and known examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from inspect import signature
from pathlib import Path
from typing import Any

from designer.errors import InputError, nearest
from designer.protocols import Task
from tasks.molecules.design import Molecule, parse
from tasks.molecules.files import files as exports
from tasks.molecules.kinds import DEFAULT_KINDS
from tasks.molecules.tokens import DEFAULT_VOCABULARY
from tasks.molecules.view import draw, show

REPRESENTATIONS = ("graph", "fragments", "smiles")
_OWN = {  # settings that one representation alone heeds
    "graph": ("kinds", "ring_sizes", "max_rings"),
    "fragments": ("fragments", "max_fragments"),
    "smiles": ("vocabulary", "max_length"),
}
Built = tuple[Any, dict[str, Any]]  # an environment, and the settings of a proposer for it
_ANY_RINGS: dict[str, Any] = {"ring_sizes": (3, 4, 5, 6, 7), "max_rings": 8, "flat": False}


def task(
    representation: str = "graph",
    max_atoms: int = 30,
    min_atoms: int = 8,
    kinds: Sequence[str] = DEFAULT_KINDS,
    ring_sizes: Sequence[int] = (5, 6),
    max_rings: int = 5,
    plausible: bool = True,
    vocabulary: Sequence[str] = DEFAULT_VOCABULARY,
    max_length: int = 100,
    scaffold: str = "",
    start: Path | None = None,
    fragments: Path | None = None,
    max_fragments: int = 300,
    surplus: int = 1,
    depth: int = 1,
    strangers: float = 0.0,
    patience: int = 0,
) -> Task:
    """Return the molecule task.

    `representation` is "graph" (atom by atom; always valid, learns from nothing), "fragments"
    (whole fragments; the same), or "smiles" (token by token; suits a trained prior). `max_atoms`
    and `min_atoms` count heavy atoms; what follows up to `plausible` is for graphs (see
    `MolecularGraph`; `plausible` also holds for the proposer), `vocabulary` and `max_length`
    (tokens) are for SMILES. `scaffold` is a SMILES with attachment points, 'c1ccc([*:1])cc1',
    which every molecule keeps; several fragments are linked (see `tasks.molecules.scaffold`).
    `start` is a file of SMILES to begin from. `fragments` is a file of molecules, of which the
    `max_fragments` most frequent BRICS fragments are built with; without it, a built-in list.
    Of `surplus` children bred for each proposal, in `depth` generations, a model of what was
    judged chooses, and a share `strangers` of them has a father that the policy made and nobody
    judged; after `patience` judged molecules without a gain a new family is bred (see
    `tasks.molecules.proposer.Genetic`).
    Raises InputError for settings that cannot be.
    """
    given = {
        "kinds": kinds, "ring_sizes": ring_sizes, "max_rings": max_rings, "fragments": fragments,
        "max_fragments": max_fragments, "vocabulary": vocabulary, "max_length": max_length,
    }  # fmt: skip
    _check_belong(representation, given)
    if scaffold and representation == "smiles":
        raise InputError(
            'SMILES are written from nothing; a scaffold needs representation = "graph"'
        )
    sizes = (max_atoms, min_atoms)
    if representation == "graph":
        built = _graph(sizes, kinds, ring_sizes, max_rings, plausible, scaffold)
    elif representation == "fragments":
        built = _fragments(sizes, fragments, max_fragments, scaffold)
    else:
        built = _smiles(sizes, max_length, vocabulary)
    from tasks.molecules.proposer import Genetic

    environment, limits = built
    breeding = {"surplus": surplus, "depth": depth, "strangers": strangers, "patience": patience}
    limits |= {"max_atoms": max_atoms, "min_atoms": min_atoms, **breeding}
    if scaffold:
        limits |= _as_scaffold(scaffold, limits)
    return Task(
        name="molecules",
        environment=environment,
        parse=parse,
        show=show,
        draw=draw,
        proposer=Genetic(**limits, plausible=plausible, source=environment),
        bucket=bucket,
        bucket_name="scaffold",
        exports=exports,
        examples=examples(),
        start=() if start is None else known(start, getattr(environment, "keeps", None)),
    )


def _check_belong(representation: str, given: Mapping[str, Any]) -> None:
    """Refuse an unknown representation, and settings that only another one heeds."""
    if representation not in REPRESENTATIONS:
        raise InputError(
            f"unknown representation {representation!r}; {nearest(representation, REPRESENTATIONS)}"
        )
    defaults = {name: known.default for name, known in signature(task).parameters.items()}
    for owner, names in _OWN.items():
        for name in names if owner != representation else ():
            value, default = given[name], defaults[name]
            if (list(value) != list(default)) if isinstance(default, tuple) else value != default:
                raise InputError(
                    f'{name} is for representation = "{owner}", and this one is '
                    f'"{representation}"; leave it out, or change the representation'
                )


def _graph(
    sizes: tuple[int, int], kinds: Sequence[str], ring_sizes: Sequence[int], max_rings: int,
    plausible: bool, scaffold: str,
) -> Built:  # fmt: skip
    from tasks.molecules.graph import MolecularGraph

    environment = MolecularGraph(*sizes, kinds, ring_sizes, max_rings, plausible, scaffold=scaffold)
    flat = not any(mark in scaffold for mark in "@/\\")
    rings = {"ring_sizes": ring_sizes, "max_rings": max_rings}
    return environment, {**rings, "flat": flat, "environment": environment}


def _fragments(sizes: tuple[int, int], file: Path | None, most: int, scaffold: str) -> Built:
    from tasks.molecules.fragments import Fragments
    from tasks.molecules.pieces import library

    environment = Fragments(*sizes, library(file, most), scaffold=scaffold)
    return environment, {**_ANY_RINGS, "environment": environment, "bridged": True}


def _smiles(sizes: tuple[int, int], max_length: int, vocabulary: Sequence[str]) -> Built:
    from tasks.molecules.smiles import Smiles

    return Smiles(max_length, *sizes, vocabulary), {**_ANY_RINGS, "greed": 0.002}


def _as_scaffold(text: str, held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the proposer's limits widened by what the scaffold itself has."""
    from rdkit import Chem

    from tasks.molecules.proposer import bridged, unwanted_in
    from tasks.molecules.scaffold import read

    core = read(text)
    whole = Chem.Mol(core.mol)
    Chem.SanitizeMol(whole)
    return {
        "ring_sizes": (*held["ring_sizes"], *(len(ring) for ring in core.rings)),
        "max_rings": max(held["max_rings"], len(core.rings)),
        "bridged": held.get("bridged", False) or bridged(core.rings),
        "allowed": unwanted_in(whole),
    }


def known(path: Path, keeps: Callable[[Any], bool] | None = None) -> tuple[Molecule, ...]:
    """Return the distinct molecules of a file: SMILES first on each line, or a CSV's column.

    Raises InputError with the line of the first that is none, or that lacks the scaffold.
    """
    from tasks.molecules.corpus import lines

    if not path.is_file():
        raise InputError(f"{path}: no such file; expected one SMILES a line")
    found: dict[str, Molecule] = {}
    for line, text in lines(path):
        try:
            design = parse(text)
        except InputError as problem:
            raise InputError(f"{path}:{line}: {problem}") from None
        if keeps is not None and not keeps(design.mol):
            raise InputError(f"{path}:{line}: {text} does not have the scaffold; leave it out")
        found.setdefault(design.key, design)
    if not found:
        raise InputError(f"{path}: is empty; expected one SMILES a line")
    return tuple(found.values())


def bucket(design: Molecule) -> str:
    """Return the Bemis-Murcko scaffold as SMILES, "acyclic" for a molecule without rings."""
    return design.scaffold or "acyclic"


def starters() -> list[tuple[str, str]]:
    """Return (SMILES, name) of the known drugs and natural products shipped with designer."""
    lines = files("data").joinpath("starter.smi").read_text(encoding="utf-8").splitlines()
    return [(smiles, name) for smiles, _, name in (line.partition(" ") for line in lines)]


@lru_cache(maxsize=1)
def examples() -> tuple[Molecule, ...]:
    """Return eight known drugs for an oracle's first call; parsed when used."""
    return tuple(Molecule(smiles) for smiles, _ in starters()[:160:20])
