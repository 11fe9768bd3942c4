"""Orders of construction: how a known molecule is built in the graph environment.

These are the environment's rules again, for one molecule at a time: `keeps_rules` for those that
do not depend on the order, and the sizes of rings, which do, in `walk`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.molecules.graph import FIRST_ADD, STOP, UP, MolecularGraph
from tasks.molecules.kinds import KINDS, may_bond
from tasks.molecules.scaffold import Scaffold

Bonds = Sequence[dict[int, int]]  # for each atom its neighbours, with the order of the bond


def keeps_rules(
    env: MolecularGraph, kinds: Sequence[str], bonds: Bonds, core: Scaffold | None = None
) -> bool:
    """Return whether a molecule keeps the rules that do not depend on the order.

    The atoms of a scaffold, which come first, are not judged.
    """
    first = 0 if core is None else core.size
    heavy = first + sum(KINDS[kind].weight for kind in kinds[first:])
    rings = sum(len(near) for near in bonds) // 2 - len(kinds) + 1
    most = env.max_rings if core is None else max(env.max_rings, len(core.rings))
    if not env.min_atoms <= heavy <= env.max_atoms or rings > most:
        return False
    if core is None and "C" not in kinds:
        return False
    return all(_atom_fits(env, atom, kinds, bonds) for atom in range(first, len(kinds)))


def walk(
    env: MolecularGraph,
    kinds: Sequence[str],
    bonds: Bonds,
    rng: np.random.Generator | None,
    core: Scaffold | None = None,
) -> list[int] | None:
    """Return the actions of a depth-first construction, None where a ring is closed too early.

    Without `rng` it begins at the first carbon and takes neighbours in order. The atoms of a
    scaffold come first and are there already, but for the fragments that are joined.
    """
    add = {key: FIRST_ADD + i for i, key in enumerate(env.additions)}
    grown = _Grown(env, kinds, bonds)
    row: list[int] = []
    if core is None:
        carbons = [i for i, kind in enumerate(kinds) if kind == "C"]
        root = carbons[0 if rng is None else int(rng.integers(len(carbons)))]
        pending = [(root, 1, -1)]  # atom, order of the bond to its parent, parent
    else:
        grown.begin(core)
        pending = [step for site in core.sites for step in grown.onward(site, rng)]
    while pending:
        atom, order, parent = pending.pop()
        if atom in grown.near:
            continue
        while grown.path and grown.path[-1] != parent:
            grown.path.pop()
            row.append(UP)
        if core is not None and atom < core.size:
            if atom not in core.joints:  # a site: its bond would be one inside the scaffold
                return None
            which = core.joints.index(atom)
            row.append(env.first_join + which)
            grown.join(core, which + 1, atom, parent)
            continue
        row.append(add[kinds[atom], order])
        closed = grown.place(atom, parent)
        if closed is None:
            return None
        row += closed
        pending += grown.onward(atom, rng)
    return [*row, STOP]


@dataclass
class _Grown:
    """A molecule as far as it is built."""

    env: MolecularGraph
    kinds: Sequence[str]
    bonds: Bonds
    near: dict[int, set[int]] = field(default_factory=dict)  # neighbours that are there
    path: list[int] = field(default_factory=list)
    rings: list[set[int]] = field(default_factory=list)
    heavy: int = 0

    def begin(self, core: Scaffold) -> None:
        """Put the first fragment of a scaffold there; the others wait, but count."""
        self.path, self.heavy = list(core.sites), core.size
        self._there(core, 0)

    def join(self, core: Scaffold, which: int, atom: int, parent: int) -> None:
        """Put a further fragment there, bound by its atom to the parent."""
        self._there(core, which)
        self._bond(atom, parent)

    def _there(self, core: Scaffold, which: int) -> None:
        for atom, near in enumerate(core.bonds()):
            if core.owner[atom] == which:
                self.near[atom] = set(near)
        self.rings += [set(ring) for ring in core.rings if core.owner[ring[0]] == which]

    def onward(self, atom: int, rng: np.random.Generator | None) -> list[tuple[int, int, int]]:
        """Return the neighbours of an atom that are not there yet: atom, order, parent."""
        found = [(o, bond, atom) for o, bond in self.bonds[atom].items() if o not in self.near]
        if rng is not None:
            rng.shuffle(found)
        return found

    def place(self, atom: int, parent: int) -> list[int] | None:
        """Add an atom and close its rings; return the RING actions, None where one is illegal."""
        kind = KINDS[self.kinds[atom]]
        spare = kind.valence - 1 if kind.oxygens else 0
        if self.heavy + kind.weight + spare > self.env.max_atoms:
            return None
        ends = [other for other in self.bonds[atom] if other in self.near and other != parent]
        self.near[atom] = set()
        self.heavy += kind.weight
        if parent >= 0:
            self._bond(atom, parent)
        if parent < 0 or kind.valence > self.bonds[atom][parent]:
            self.path.append(atom)
        if any(end not in self.path for end in ends):
            return None
        depths = sorted(self.path.index(end) for end in ends)
        row = []
        for depth in reversed(depths):
            if not self._close(atom, depth):
                return None
            back, order = len(self.path) - 1 - depth, self.bonds[atom][self.path[depth]]
            row.append(self.env.first_ring + 2 * (back - 2) + order - 1)
        return row

    def _close(self, atom: int, depth: int) -> bool:
        """Close the ring to the atom at a depth of the path; False where no mask allows it."""
        between = self.path[depth:]
        if self.bonds[atom][self.path[depth]] > 2:
            return False
        if self.env.plausible and any(3 in self.bonds[other].values() for other in between):
            return False
        ours, theirs = self._distances(atom), self._distances(self.path[depth])
        length = ours[self.path[depth]]
        ring = {x for x, far in ours.items() if far + theirs[x] == length}
        if length + 1 not in self.env.ring_sizes:
            return False
        shared = any(len(ring & other) > 2 for other in self.rings)
        if not self.env.bridged and (shared or len(ring) != length + 1):
            return False
        self.rings.append(ring)
        self._bond(atom, self.path[depth])
        return True

    def _bond(self, first: int, second: int) -> None:
        self.near[first].add(second)
        self.near[second].add(first)

    def _distances(self, start: int) -> dict[int, int]:
        found, edge = {start: 0}, [start]
        while edge:
            edge = [y for x in edge for y in self.near[x] if y not in found
                    and found.setdefault(y, found[x] + 1)]  # fmt: skip
        return found


def _atom_fits(env: MolecularGraph, atom: int, kinds: Sequence[str], bonds: Bonds) -> bool:
    """Return whether an atom's bonds are ones the environment makes."""
    kind, near = KINDS[kinds[atom]], bonds[atom]
    total = sum(near.values())
    if total > kind.valence or (kind.oxygens and total < kind.valence):
        return False
    known = set(env.additions)
    for other, order in near.items():
        if not may_bond(kinds[atom], kinds[other], order, env.plausible):
            return False
        if (kinds[atom], order) not in known:
            return False
    if not env.plausible:
        return True
    hetero = [other for other in near if kinds[other] != "C"]
    chain = kinds[atom] != "C" and len(hetero) > 1
    return not chain and sum(order > 1 for order in near.values()) <= 1
