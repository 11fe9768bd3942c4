"""The folding task: one sequence on one lattice, tied together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from designer.errors import InputError
from designer.protocols import Proposer, Task
from tasks.folding.batched import BatchedExchange
from tasks.folding.bounds import bound
from tasks.folding.certain import LONGEST, nothing_below
from tasks.folding.design import Fold, parse_fold
from tasks.folding.drawing import draw
from tasks.folding.energy import Matrix, Named, matrix_named
from tasks.folding.enriched import Enrichment
from tasks.folding.enriched import density as counted
from tasks.folding.environment import Chain
from tasks.folding.exchange import ReplicaExchange, ready
from tasks.folding.exports import files
from tasks.folding.growth import Grow
from tasks.folding.lattices import lattice_named
from tasks.folding.sequence import parse_sequence
from tasks.folding.threading import Threaded
from tasks.folding.view import show

_TRUST = 1.0  # in the policy that grows the chains on which ladders begin, see `enriched`
_AS_LONG = 128  # residues; longer chains make fewer proposals a call, in about the same time
_BLOCK = 4  # residues; `contact_class` looks at contacts between blocks of this length


def task(
    sequence: str,
    lattice: str = "square",
    matrix: Named | Path = "hp",
    symmetric: bool = True,
    lookahead: bool = True,
    window: int = 8,
    grow: Grow = "start",
    prune: float | None = None,
    compact: float = 0.0,
    cores: int | None = None,
    search: Literal["replica_exchange", "batched", "enrichment"] = "replica_exchange",
    search_steps: int = 0,
    search_threads: int = 0,
    grown: int = 0,
    target_energy: float | None = None,
    density: int = 0,
) -> Task:
    """Return the task of folding a sequence.

    `sequence` is an HP string, a protein in the 20-letter code, or letters of the matrix's own
    alphabet; `lattice` square, triangular, cubic or fcc; `matrix` the contact energy that guides
    growth and search: hp, mj, mj-reduced, or a file. `symmetric` lets each fold be grown in one of
    its symmetric forms only, `lookahead` keeps the walker out of points without an exit, `window`
    is how many residues it sees ahead, `grow` where the chain begins: start, end or middle. Walks
    that can no longer reach an energy of `prune` give up, and HP chains whose core lies too wide
    for a share `compact` of the bound on the energy are not grown. With `cores`, each walk is led
    through a compact core drawn for it, of those with at most so many bonds less than the most
    compact one (see `Threaded`). `search` is what the proposer does, and `search_steps` how long:
    proposals a ladder in each call (0: 16,000,000, fewer beyond 128 and up to 40 residues), steps
    of a walk (0: 200) or chains grown together (0: 1,000); `search_threads` 0 is one a core. Where
    the campaign has a budget, replica exchange begins from the best of `grown` chains that the
    policy grows together. The run ends at a fold of `target_energy`, or without one at a fold that
    is proven optimal. With `density`, it also writes density.csv: how many folds have each energy,
    estimated from so many populations of 1,000 chains. Raises InputError for a bad sequence,
    lattice or matrix.
    """
    place, name = lattice_named(lattice), str(matrix)
    energies = matrix_named(name)
    chain = parse_sequence(sequence, energies.alphabet)
    least = bound(chain, lattice, energies) + 0.0  # no minus before a zero
    goal = least if target_energy is None else max(least, target_energy)
    _check_limits(compact, cores, energies)
    if window < 0:
        raise InputError(f"window is {window}, expected a number of residues, 0 for none")
    if density < 0:
        raise InputError(f"density is {density}, expected a number of populations, 0 for none")
    if grown < 0:
        raise InputError(f"grown is {grown}, expected a number of chains, 0 for none")
    if cores is not None and (grown or search == "enrichment"):
        given = f"grown = {grown}" if grown else 'search = "enrichment"'
        raise InputError(
            f"{given} grows chains freely, and cores = {cores} leads them; leave one out"
        )
    certain = partial(nothing_below, chain, lattice, name)
    proof = Proof(least, certain if target_energy is None else None)
    env = Chain(chain, lattice, name, symmetric, lookahead, window, grow, prune, compact)
    straight = Fold(chain, lattice, place.letters[0] * (len(chain) - 1))
    return Task(
        name="folding",
        environment=env if cores is None else Threaded(env, cores),
        parse=partial(parse_fold, sequence=chain, lattice=lattice),
        show=partial(show, matrix=name, proven=proof.by_enumeration),
        draw=partial(draw, matrix=name, proven=proof.by_enumeration),
        exports=partial(_files, matrix=name, proven=proof.by_enumeration, env=env, density=density),
        proposer=_proposer(
            search, env, straight, search_steps, search_threads, goal, grown, cores is None
        ),
        bucket=contact_class,
        optimal=proof,
        goal=None if target_energy is None else Proof(target_energy),
        examples=[straight],
        context={"sequence": chain, "lattice": lattice, "matrix": name, "bound": least},
    )


def _check_limits(compact: float, cores: int | None, matrix: Matrix) -> None:
    if not 0 <= compact <= 1:
        raise InputError(f"compact is {compact}, expected a share of the bound, 0 to 1")
    if cores is not None and cores < 0:
        raise InputError(f"cores is {cores}, expected a number of bonds, 0 or more")
    if matrix.name != "hp" and (compact or cores is not None):
        given = f"compact = {compact}" if compact else f"cores = {cores}"
        raise InputError(f'{given} is for matrix = "hp"; leave it out')
    if compact and cores is not None:
        raise InputError(f"cores = {cores} says more than compact = {compact}; leave compact out")


def _proposer(
    search: str, env: Chain, start: Fold, steps: int, threads: int, goal: float, grown: int,
    free: bool,
) -> Proposer[Fold]:  # fmt: skip
    """Return the search; `free`: the policy grows chains in `env` as it is."""
    if search == "enrichment":
        return Enrichment(env, steps or 1000)
    if search == "batched":
        return BatchedExchange(env.matrix, steps or 200, env=env if free else None)
    ready()
    length = len(start.sequence)
    few = 1_000_000 if length <= LONGEST else 16_000_000  # the proof can come after the first call
    steps = steps or few * _AS_LONG // max(_AS_LONG, length)
    first = begun(env, grown) if grown else None
    return ReplicaExchange(
        env.matrix, steps, target=goal, threads=threads, start=start, grown=first
    )


def begun(env: Chain, size: int) -> Enrichment:
    """Return what grows the chains on whose best the ladders begin."""
    return Enrichment(env, size, trust=_TRUST)


def _files(
    folds: Sequence[Fold],
    found: Sequence[Any],
    matrix: str,
    proven: Callable[[float], bool],
    env: Chain,
    density: int,
) -> Mapping[str, str]:
    """Return the exports, and the density of states where it was asked for."""
    written = dict(files(folds, matrix, proven))
    if density:
        written["density.csv"] = counted(env, density).as_csv()
    return written


@dataclass(frozen=True)
class Proof:
    """Tells from raw scores whether a fold is proven optimal: its energy meets the bound, or it
    is certain that no fold has less.
    """

    bound: float
    certain: Callable[[float], bool] | None = None

    def __call__(self, scores: Mapping[str, float], /) -> bool:
        """Return True where there is an energy and it is the lowest that any fold can have."""
        if "energy" not in scores:
            return False
        energy = scores["energy"]
        return energy <= self.bound + 1e-9 or self.by_enumeration(energy)

    def by_enumeration(self, energy: float) -> bool:
        """Return whether no fold has less energy, as a search of all of them says."""
        if self.certain is None or energy >= 0:
            return False
        return self.certain(round(energy, 6))


def contact_class(fold: Fold) -> str:
    """Return the fold's coarse class: which blocks of the chain touch which others."""
    blocks = {(i // _BLOCK, j // _BLOCK) for i, j in fold.contacts.tolist()}
    return " ".join(f"{a}-{b}" for a, b in sorted(blocks))
