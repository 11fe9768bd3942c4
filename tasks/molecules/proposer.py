"""Genetic search on molecules: crossover and mutation of the best found so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError
from tasks.molecules import edits
from tasks.molecules.design import Molecule, from_mol, with_mol
from tasks.molecules.expectation import Expectation, Pool
from tasks.molecules.families import Families
from tasks.molecules.strangers import Strangers

# What a chemist would not keep: peroxides, halogens on heteroatoms, chains of three heteroatoms
# outside aromatic rings, cumulated double bonds, triple bonds in rings, acetals and aminals
# (benzodioxoles are fine), enols, three-membered rings fused to aromatic ones.
UNWANTED = (
    "[OX2,SX2][OX2,SX2]", "[#7,#8,#16][F,Cl,Br,I]", "[N,O;!a]~[N,O;!a]~[N,O;!a;!$([O-])]",
    "[#6,#7;!+]=[#6,#7;!+]=[#6,#7,#8,#16]", "*#*@*", "[#16X2]=*", "[SX4;H]", "[SX3;H]",
    "[CX4;!$([CH2]1Oc2ccccc2O1)]([N,O,S,Cl,Br])[N,O,S,Cl,Br]", "[CX3]([OX2,SX2;H])=[C,N;!a]",
    "[a;r3]",
)  # fmt: skip

MOTHERS = 4  # unjudged ones, for each child that is proposed


@dataclass(frozen=True)
class Genetic:
    """A proposer: children of parents drawn by rank, cut and joined, then edited.

    A parent of rank r (best is 0) of n is drawn with weight 1 / (`greed` n + r). A child comes
    from crossover with probability `crossover`, and is edited once, or with probability
    `second_edit` twice. Children have `min_atoms` to `max_atoms` heavy atoms and rings of
    `ring_sizes`, which share at most one bond unless `bridged`; `plausible` drops bonds that
    drugs do not have, `flat` drops stereo marks. With an `environment`, children that it cannot
    build are dropped, so that every child can be imitated; with a scaffold, those without it.
    `allowed` are patterns of `UNWANTED` that are not judged: those of the scaffold itself.

    With `surplus` above 1, so many children are bred for each one proposed, and a model of what
    the campaign judged so far chooses among them (`tasks.molecules.expectation`). They come in
    `depth` generations: the mothers of the next are what promises most so far, unjudged.

    With probability `strangers` the father is none of the parents, but one of `stock` molecules
    that the `policy` of the campaign samples from `source` (`tasks.molecules.strangers`). Where
    `patience` molecules were judged without a gain, a new family begins of them (`.families`).
    """

    max_atoms: int = 30
    min_atoms: int = 3
    crossover: float = 0.5
    second_edit: float = 0.3
    greed: float = 0.1
    ring_sizes: Sequence[int] = (3, 5, 6)
    max_rings: int = 6
    bridged: bool = False
    plausible: bool = True
    flat: bool = True
    environment: Any = None
    allowed: Sequence[str] = ()
    surplus: int = 1
    depth: int = 1
    strangers: float = 0.0
    stock: int = 1000
    source: Any = None
    policy: Any = None
    patience: int = 0
    expectation: Expectation = field(default_factory=Expectation, init=False)
    foreign: Strangers = field(default_factory=Strangers, init=False)
    families: Families = field(default_factory=Families, init=False)

    def __post_init__(self) -> None:
        self.families.patience = self.patience
        object.__setattr__(self, "ring_sizes", tuple(self.ring_sizes))
        object.__setattr__(self, "allowed", tuple(self.allowed))
        for name in ("crossover", "second_edit", "strangers"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} = {value}: expected a probability from 0 to 1")
        if self.surplus < 1:
            raise InputError(f"surplus = {self.surplus}: expected 1 or more")
        if not 1 <= self.depth <= max(1, self.surplus):
            raise InputError(f"depth = {self.depth}: expected 1 to surplus = {self.surplus}")
        if self.patience < 0 or (self.patience and not self.strangers):
            raise InputError(f"patience = {self.patience}: expected 0, or more where strangers > 0")
        if self.stock < 1:
            raise InputError(f"stock = {self.stock}: expected 1 or more")
        if self.greed <= 0:
            raise InputError(f"greed = {self.greed}: expected a number above 0, for example 0.1")

    def __call__(
        self, parents: Sequence[Molecule], count: int, rng: np.random.Generator, /
    ) -> list[Molecule]:
        """Return at most `count` distinct children, none of them a parent."""
        from rdkit import rdBase

        strangers = self._strangers(rng) if len(parents) else []
        made = self.families.newcomers(strangers, count)
        if not made:
            parents = self.families.parents(parents)
            chosen = self._chosen(parents, strangers, count, rng)
            known = {parent.key for parent in parents}
            with rdBase.BlockLogs():
                again = [from_mol(child.mol) for child in chosen]
            read = [child for child in again if child is not None]
            children = {child.key: child for child in read if child.key not in known}
            made = self._buildable(list(children.values()))
        self.families.asked = [child.key for child in made]
        return made

    def hear(self, designs: Sequence[Molecule], rewards: Sequence[float]) -> None:
        """Take in what the campaign judged."""
        if self.surplus > 1:
            self.expectation.learn(designs, rewards)
        self.families.hear(designs, rewards)

    def state(self) -> dict[str, Any]:
        """Return what was heard and the strangers, as plain data."""
        return {name: getattr(self, name).state() for name in self._remembered()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        for name in self._remembered():
            getattr(self, name).restore(state[name])

    def _remembered(self) -> list[str]:
        used = {"expectation": self.surplus > 1, "foreign": self.strangers > 0}
        return [name for name, held in (used | {"families": self.patience > 0}).items() if held]

    def _chosen(
        self,
        parents: Sequence[Molecule],
        strangers: Sequence[Molecule],
        count: int,
        rng: np.random.Generator,
    ) -> list[Molecule]:
        """Return at most `count` children, where a model chooses those that promise most.

        While all that is known earned the same, nothing promises more than anything else, and the
        model would choose what is strangest: then children of strangers look most like molecules.
        """
        pool, mothers = Pool(), parents
        if self.surplus > 1 and strangers and self.expectation.blind:
            mixed = [strangers[place] for place in rng.permutation(len(strangers))]
            return list(self._bred((mixed, mixed, ()), count, {}, rng).values())
        if self.surplus == 1 or self.expectation.blind:
            return list(self._bred((parents, parents, strangers), count, {}, rng).values())
        share = -(-self.surplus * count // self.depth)
        for _ in range(self.depth):
            bred = self._bred((mothers, parents, strangers), share, pool.children, rng)
            pool.add(bred, self.expectation)
            mothers = pool.best(MOTHERS * count) or parents
        return pool.choose(count, rng)

    def _bred(
        self,
        kin: tuple[Sequence[Molecule], Sequence[Molecule], Sequence[Molecule]],
        count: int,
        pooled: Mapping[str, Molecule],
        rng: np.random.Generator,
    ) -> dict[str, Molecule]:
        """Return by text at most `count` distinct children of mothers, fathers and strangers.

        None was judged before or is among those `pooled`.
        """
        from rdkit import Chem, rdBase

        mothers, fathers, strangers = kin
        if not fathers:
            return {}
        bounds = [self._by_rank(len(side)) for side in (mothers, fathers)]
        children: dict[str, Molecule] = {}
        taken = ({father.key for father in fathers}, self.expectation.seen, pooled)
        with rdBase.BlockLogs():
            for _ in range(8 * count):
                if len(children) == count:
                    break
                drawn = zip(bounds, rng.random(2), strict=True)
                pair = [int(np.searchsorted(side, at, side="right")) for side, at in drawn]
                father = fathers[pair[1]]
                if strangers and rng.random() < self.strangers:
                    father = strangers[int(rng.integers(len(strangers)))]
                child = self._child(mothers[pair[0]], father, rng)
                if child is None:
                    continue
                text = str(Chem.MolToSmiles(child))
                if not any(text in held for held in (*taken, children)):
                    children[text] = with_mol(text, child)
        return children

    def _by_rank(self, count: int) -> NDArray[np.float64]:
        """Return [count - 1] bounds in 0 ... 1 between ranks, for drawing one."""
        weights = 1 / (self.greed * count + np.arange(count))
        return np.asarray((weights / weights.sum()).cumsum()[:-1])

    def _strangers(self, rng: np.random.Generator) -> list[Molecule]:
        if not self.strangers or self.policy is None:
            return []
        return self.foreign.drawn(self.source, self.policy, self.stock, rng)

    def _buildable(self, children: list[Molecule]) -> list[Molecule]:
        encode = getattr(self.environment, "encode", None)
        if encode is None:
            return children
        rows = encode(children)
        return [child for child, row in zip(children, rows, strict=True) if row is not None]

    def _child(self, mother: Molecule, father: Molecule, rng: np.random.Generator) -> Any:
        from rdkit import Chem

        mol = _opened(mother)
        if rng.random() < self.crossover:
            mol = edits.cross(mol, _opened(father), rng)
            if mol is None or rng.random() < 0.5:
                return None if mol is None else self._finished(mol)
        for _ in range(1 + (rng.random() < self.second_edit)):
            Chem.FastFindRings(mol)
            mol.UpdatePropertyCache(strict=False)
            if not edits.edit(mol, rng):
                return None
        return self._finished(mol)

    def _finished(self, mol: Any) -> Any:
        """Return the sanitised RDKit molecule, None where RDKit or these settings reject it."""
        from rdkit import Chem

        if not self.min_atoms <= mol.GetNumAtoms() <= self.max_atoms:
            return None
        done = mol.GetMol()
        if Chem.SanitizeMol(done, catchErrors=True) != 0 or len(Chem.GetMolFrags(done)) > 1:
            return None
        rings = done.GetRingInfo().AtomRings()
        if len(rings) > self.max_rings or any(len(r) not in self.ring_sizes for r in rings):
            return None
        if not self.bridged and bridged(rings):
            return None
        atoms = map(done.GetAtomWithIdx, range(done.GetNumAtoms()))  # twice as fast as GetAtoms
        if any(atom.GetNumRadicalElectrons() for atom in atoms):
            return None
        keeps = getattr(self.environment, "keeps", None)
        if keeps is not None and not keeps(done):
            return None
        if self.plausible and any(
            done.HasSubstructMatch(query)
            for smarts, query in _unwanted().items()
            if smarts not in self.allowed
        ):
            return None
        if self.flat:
            Chem.RemoveStereochemistry(done)
        return done


def _opened(design: Molecule) -> Any:
    """Return an editable copy of a design's molecule; it is prepared once and stays with it."""
    from rdkit import Chem

    kept = design.__dict__.get("opened")
    if kept is None:
        kept = design.__dict__["opened"] = edits.editable(design.mol)
    return Chem.RWMol(kept)


def bridged(rings: Sequence[tuple[int, ...]]) -> bool:
    """Return whether two rings share more than one bond."""
    sets = [set(ring) for ring in rings]
    return any(len(a & b) > 2 for i, a in enumerate(sets) for b in sets[:i])


def unwanted_in(mol: Any) -> tuple[str, ...]:
    """Return the patterns of `UNWANTED` that a sanitised RDKit molecule has."""
    return tuple(smarts for smarts, query in _unwanted().items() if mol.HasSubstructMatch(query))


@lru_cache(maxsize=1)
def _unwanted() -> dict[str, Any]:
    from rdkit import Chem

    return {smarts: Chem.MolFromSmarts(smarts) for smarts in UNWANTED}
