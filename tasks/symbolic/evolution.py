"""Search in the loop: generations of expressions bred, judged and selected in arrays.

Every call is a search of its own, from the best designs so far or from scratch (a restart); all
that is remembered between calls is how often nothing closed a context exactly. Genetic operators
as in NGGP (Mundhenk et al. 2021), and children made to measure (`tasks.symbolic.semantic`). What
it scores is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from designer.protocols import Floats, Purse
from tasks.symbolic import variation as v
from tasks.symbolic.bank import Bank, stock
from tasks.symbolic.environment import Expressions
from tasks.symbolic.expression import Expression, ExpressionBatch, expression
from tasks.symbolic.fitting import fit
from tasks.symbolic.judging import held_numbers, points_of
from tasks.symbolic.meeting import Ways, contexts, met
from tasks.symbolic.outer import Points, Settings
from tasks.symbolic.pairs import sketched
from tasks.symbolic.semantic import Aim, made_to_measure
from tasks.symbolic.strips import Ints, Strips, stacked, strips
from tasks.symbolic.sums import Sums
from tasks.symbolic.table import Table
from tasks.symbolic.trees import read
from tasks.symbolic.units import unit_tables

EXACT = 1e-20  # an nmse this small is the rounding of the law itself
_TINY = 1e-26  # keeps logarithms finite
_JOINED = 24  # data points on which two blocks are joined
_MISSES = 400  # contexts that nothing closes before they are tried half as often
_THIRDS = 40  # of the smallest blocks, tried as the third of a sum for the target itself
_BESIDE = 3000  # and from so many otherwise
_SELDOM = 4  # generations between tries at the most


@dataclass(frozen=True)
class Crowd:
    """Scored expressions: N rows, no two with one key."""

    rows: Strips
    outer: Floats  # [N, 2] scale and offset
    nmse: Floats  # [N]
    keys: Ints  # [N]

    def __len__(self) -> int:
        return len(self.nmse)

    def take(self, which: Ints | NDArray[np.bool_]) -> Crowd:
        """Return some of them."""
        return Crowd(self.rows.take(which), self.outer[which], self.nmse[which], self.keys[which])

    def plus(self, more: Crowd) -> Crowd:
        """Return both, each key once."""
        both = Crowd(
            stacked([self.rows, more.rows]),
            np.concatenate([self.outer, more.outer]),
            np.concatenate([self.nmse, more.nmse]),
            np.concatenate([self.keys, more.keys]),
        )
        _, first = np.unique(both.keys, return_index=True)
        return both.take(np.sort(first))


@dataclass(frozen=True)
class Evolution:
    """Breeds `population` expressions for `generations`; returns the best of all it saw.

    The shares of the operators need not add up to 1. With `purse` its evaluations are paid for.
    """

    environment: Expressions
    table: Table
    scale: bool = False  # closed-form factor and constant around an expression
    offset: bool = False
    population: int = 1000
    generations: int = 15
    restarts: float = 0.5  # share of calls that begin from scratch
    measure: float = 0.15  # children made to measure
    crossover: float = 0.35
    subtree: float = 0.15  # a block replaces a subtree
    point: float = 0.1  # one token becomes another of its arity
    hoist: float = 0.05  # a subtree takes the place of one that holds it
    insertion: float = 0.1  # a new operator on top of a subtree
    tournament: int = 4
    blocks: int = 10_000  # small expressions that are ready to be built in
    points: int = 64  # at most so many data points are looked at to choose a block
    rows: int = 256  # and so many to score an expression, drawn anew for every call
    pairs: int = 50_000  # small expressions of which two may close a context exactly; 0: none
    contexts: int = 8  # contexts tried so in a generation
    sums: bool = True  # whether sums of blocks with coefficients may, where constants are written
    ratios: bool = True  # whether quotients of polynomials may
    settle: int = 4000  # expressions tried for a simpler form once the law is exact
    device: str = "cpu"
    purse: Purse | None = None
    rejudged: bool = True  # what is returned is paid for again; a call leaves that much
    guesses: tuple[Expression, ...] = ()  # formulas to start from, handed over at every call
    missed: dict[str, int] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __call__(
        self, parents: Sequence[Expression], count: int, rng: np.random.Generator, /
    ) -> list[Expression]:
        """Return at most `count` of the best expressions found."""
        found = _Call(self, parents, rng, count).best(count - len(self.guesses))
        return [*self.guesses, *found]

    def state(self) -> dict[str, Any]:
        """Return what is remembered between calls."""
        return dict(self.missed)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to exactly what `state` returned."""
        self.missed.clear()
        self.missed.update({name: int(count) for name, count in state.items()})

    @property
    def every(self) -> int:
        """How many generations lie between two tries to close contexts exactly.

        On noisy data nothing is exact: what misses again and again is tried less often.
        """
        return min(_SELDOM, 1 + self.missed.get("contexts", 0) // _MISSES)

    @cached_property
    def alphabet(self) -> v.Alphabet:
        """The library as arrays."""
        return v.alphabet(self.environment.library, self.constants)

    @property
    def constants(self) -> bool:
        """Whether constants are written freely, and fitted."""
        return self.environment.library.constant and self.environment.max_constants > 0

    @cached_property
    def aim(self) -> Aim:
        """The blocks, and what they are matched against."""
        x, y = self.table.x, self.table.y
        if len(y) > self.points:
            rows = np.random.default_rng(0).choice(len(y), size=self.points, replace=False)
            x, y = x[rows], y[rows]
        units, library = self.environment.units, self.environment.library
        table = None if units is None else unit_tables(units, library, torch.device("cpu"))
        return Aim(self.bank_of(x), x, y, table)

    @property
    def _open(self) -> Expressions:
        """The environment without its form, which parts of an expression need not have."""
        return replace(self.environment, form=None)

    def bank_of(self, x: Floats) -> Bank:
        """Return the blocks on some points."""
        return stock(self._open, x, self.blocks)

    @cached_property
    def ways(self) -> Ways | None:
        """What may close a context exactly: the blocks, and how they are joined."""
        if not self.contexts or not (self.pairs or self.ratios):
            return None
        if not self.pairs:
            return Ways(None, None, self.ratios, self.written, self.scale)
        few = min(_JOINED, len(self.aim.y))
        points = np.arange(few) * len(self.aim.y) // few
        bank = stock(self._open, self.aim.x[points], self.pairs, tried=4 * self.pairs)
        waves = {"sin", "cos"} <= set(self.environment.library.operator_ids)
        summed = Sums(bank, points, waves) if self.sums and self.constants else None
        pairs = sketched(bank, points, True)
        return Ways(pairs, summed, self.ratios, self.written, self.scale)

    @property
    def written(self) -> bool:
        """Whether an expression may hold numbers at all."""
        return self.constants or self.environment.coefficients > 0

    @cached_property
    def data(self) -> Points:
        """The table on the device."""
        return points_of(self.table, groups=True).to(self.device)

    def drawn(self, rng: np.random.Generator) -> Points:
        """Return the rows that a call looks at: all, or `rows` of them."""
        count = len(self.table.y)
        if count <= self.rows or self.table.groups is not None:
            return self.data
        rows = np.sort(rng.choice(count, size=self.rows, replace=False))
        part = self.table.rows(rows)
        return self.data if np.ptp(part.y) == 0 else points_of(part).to(self.device)


class _Call:
    """One search."""

    def __init__(
        self, made: Evolution, parents: Sequence[Expression], rng: np.random.Generator, count: int
    ) -> None:
        self.made, self.rng, self.env = made, rng, made.environment
        self.kept = count if made.rejudged else 0  # evaluations that are left in the purse
        self.a, self.aim, self.library = made.alphabet, made.aim, made.environment.library
        self.data = made.drawn(rng)
        self.price = float(rng.choice([0.02, 0.05, 0.1, 0.2, 0.4]))  # of a token, in log error
        self.seen = np.zeros(0, dtype=np.int64)
        self.hall = self._nobody()
        self._search(self._seeded(parents))

    def best(self, count: int) -> list[Expression]:
        """Return the best of each length, then the best by price, as designs."""
        order = np.argsort(self._fitness(self.hall), kind="stable")
        chosen = self.hall.take(order)
        lengths = chosen.rows.lengths
        first = [np.flatnonzero(lengths == n)[0] for n in np.unique(lengths)]
        rest = np.setdiff1d(np.arange(len(order)), first)
        picked = np.concatenate([np.array(first, dtype=np.int64), rest])[:count].astype(np.int64)
        return self._designs(chosen.take(np.sort(picked)))

    def _search(self, crowd: Crowd) -> None:
        made = self.made
        self._remember(crowd)
        for generation in range(made.generations):
            if len(crowd) < 2 or self._spent() or self._exact():
                break
            children = self._judged(self._children(crowd))
            self._remember(children)
            if self._exact():
                break
            if generation % made.every == 0:
                children = children.plus(self._judged(self._met(crowd, generation == 0)))
                self._remember(children)
            crowd = self._selected(crowd.plus(children))
        if self._exact():
            self._settle()

    def _settle(self) -> None:
        """Look for a simpler form of a law that is exact already."""
        tried = 0
        while tried < self.made.settle and not self._spent():
            exact = self.hall.take(self.hall.nmse <= EXACT)
            exact = exact.take(np.argsort(exact.rows.lengths, kind="stable")[:50])
            parents = exact.take(self.rng.integers(len(exact), size=self.made.population))
            made = [
                v.hoist(parents.rows, self.a, self.rng),
                v.point(parents.rows, self.a, self.rng),
                v.subtree(parents.rows, self.aim.bank, self.a, self.rng),
                self._measured(parents),
            ]
            rows = v.gathered(made)
            shortest = int(exact.rows.lengths.min())
            self._remember(self._judged(rows.take(rows.lengths < shortest)))
            tried += len(rows)

    def _seeded(self, parents: Sequence[Expression]) -> Crowd:
        made, width = self.made, self.env.max_length
        constant = self.library.constant_id if made.constants else None
        rows = v.seedlings(self.aim.bank, self.a, made.population, width, constant, self.rng)
        if self.env.form is not None:
            rows = strips(self._formed(made.population), width)
        units = self.env.units
        if units is not None and units.target is not None and self.aim.bank.units is not None:
            goal, half = np.array(units.target), made.population // 2
            more = v.balanced(self.aim.bank, self.a, half, width, goal, self.rng)
            rows = stacked([more, rows])
        if parents and self.rng.random() >= made.restarts:
            known = [list(row) for row in self.env.encode(parents) if row is not None]
            rows = stacked([strips(known, width), rows.take(np.arange(len(rows) // 2))])
        return self._judged(stacked([self._guessed(), rows]))

    def _formed(self, count: int) -> list[list[int]]:
        """Return random rows of the environment's form."""
        assert self.env.form is not None
        rows = self.env.form.written(self.library, count, self.rng)
        return [row for row in rows if len(row) <= self.env.max_length]

    def _guessed(self) -> Strips:
        """Return the guesses that the environment would write, with their numbers."""
        encoded = zip(self.made.guesses, self.env.encode(self.made.guesses), strict=True)
        known = [(guess, list(row)) for guess, row in encoded if row is not None]
        rows = strips([row for _, row in known], self.env.max_length)
        if not known:
            return rows
        return rows.holding(held_numbers([guess for guess, _ in known]).numpy(), self.library)

    def _children(self, crowd: Crowd) -> Strips:
        made, a, rng, bank = self.made, self.a, self.rng, self.aim.bank
        shares = np.array(
            [made.crossover, made.subtree, made.point, made.hoist, made.insertion, made.measure]
        )
        counts = rng.multinomial(made.population, shares / shares.sum())
        chosen = [crowd.take(self._drawn(crowd, n)) for n in counts]
        rows = [part.rows for part in chosen]
        mates = crowd.rows.take(self._drawn(crowd, counts[0]))
        return v.gathered(
            [
                v.crossover(rows[0], mates, a, rng),
                v.subtree(rows[1], bank, a, rng),
                v.point(rows[2], a, rng),
                v.hoist(rows[3], a, rng),
                v.insertion(rows[4], bank, a, rng),
                self._measured(chosen[5]),
            ]
        )

    def _met(self, crowd: Crowd, first: bool) -> Strips:
        """Return what closes contexts exactly: short chains, and places in parents."""
        made, a, rng = self.made, self.a, self.rng
        if made.ways is None:
            return self._nobody().rows
        half, width = made.contexts // 2, self.env.max_length
        chains, places = contexts(self.aim.bank, a, half, width, rng, plain=first)
        parents = crowd.take(self._drawn(crowd, made.contexts - half))
        rows = stacked([chains, parents.rows])
        at = np.concatenate([places, v.somewhere(parents.rows, rng)])
        usual = np.tile([1.0, 0.0], (len(chains), 1))
        outer = np.concatenate([usual, parents.outer])
        # a third block: one at random, small ones more often
        beside = np.exp(rng.random(1) * np.log(_BESIDE)).astype(np.int64) - 1
        found = met(rows, at, outer, self.aim, made.ways, a, beside)
        if first and not made.missed and not len(found):  # the bare place, once, with many
            found = met(
                rows.take(np.arange(1)),
                at[:1],
                outer[:1],
                self.aim,
                made.ways,
                a,
                np.arange(_THIRDS),
            )
        if not len(found):
            made.missed["contexts"] = made.missed.get("contexts", 0) + len(rows)
        return found

    def _measured(self, parents: Crowd) -> v.Made:
        modes = ["plain", "scale", "affine"] if self.made.constants else ["plain"]
        mode = str(self.rng.choice(modes))
        return made_to_measure(parents.rows, parents.outer, self.aim, self.a, mode, self.rng)

    def _drawn(self, crowd: Crowd, count: int) -> Ints:
        """Return the winners of tournaments."""
        entries = self.rng.integers(len(crowd), size=(count, self.made.tournament))
        fitness = self._fitness(crowd)
        winners: Ints = entries[np.arange(count), fitness[entries].argmin(1)]
        return winners

    def _fitness(self, crowd: Crowd) -> Floats:
        """Return [N] the logarithm of the error and the price of the tokens; less is better."""
        return 0.5 * np.log(crowd.nmse + _TINY) + self.price * crowd.rows.lengths

    def _selected(self, crowd: Crowd) -> Crowd:
        """Return the survivors: winners of tournaments without replacement, the best for sure."""
        if len(crowd) <= self.made.population:
            return crowd
        fitness = self._fitness(crowd)
        noise = self.rng.gumbel(size=len(fitness))
        order = np.argsort(fitness, kind="stable")
        kept = order[: self.made.population // 10]
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        # a soft cut: survival falls with the rank, but is never decided by it alone
        soft = noise - 6.0 * rank / len(order)
        soft[kept] = np.inf
        survivors = np.argsort(-soft, kind="stable")[: self.made.population]
        return crowd.take(np.sort(survivors))

    def _judged(self, rows: Strips) -> Crowd:
        """Return the lawful rows that are new to this call, with their constants fitted."""
        if not len(rows):
            return self._nobody()
        width = int(rows.lengths.max())
        tokens = torch.from_numpy(rows.tokens[:, :width])
        trees = read(tokens, self.library)
        keys, legal = trees.hashes[0, 0].numpy(), self.env.lawful(trees).numpy()
        _, first = np.unique(keys, return_index=True)
        once = np.zeros(len(keys), dtype=bool)
        once[first] = True
        new = np.flatnonzero(legal & once & ~np.isin(keys, self.seen))
        purse = self.made.purse
        if purse is not None:
            new = new if purse.left is None else new[: max(purse.left - self.kept, 0)]
            purse.spend(len(new))
        if not len(new):
            return self._nobody()
        self.seen = np.concatenate([self.seen, keys[new]])
        return self._fitted(rows.take(new), keys[new])

    def _fitted(self, rows: Strips, keys: Ints) -> Crowd:
        made, device = self.made, self.made.device
        width = int(rows.lengths.max())
        tokens = torch.from_numpy(rows.tokens[:, :width]).to(device)
        initial = rows.constants(self.library)
        settings = Settings(made.scale, made.offset, 1, 6)
        begin = torch.from_numpy(initial).to(device) if initial.shape[1] else None
        fits = fit(tokens, self.library, self.data, settings, initial=begin)
        nmse = fits.nmse.cpu().numpy()
        outer = torch.stack([fits.scale, fits.offset], dim=1).cpu().numpy()
        held = rows.holding(fits.constants.cpu().numpy(), self.library)
        fine = np.isfinite(nmse)
        return Crowd(held, outer, nmse, keys).take(fine)

    def _remember(self, crowd: Crowd) -> None:
        both = self.hall.plus(crowd)
        order = np.argsort(self._fitness(both), kind="stable")
        lengths = both.rows.lengths[order]
        _, first = np.unique(lengths, return_index=True)
        kept = np.union1d(order[: self.made.population], order[first])
        self.hall = both.take(kept)

    def _exact(self) -> bool:
        return bool(len(self.hall)) and float(self.hall.nmse.min()) <= EXACT

    def _spent(self) -> bool:
        purse = self.made.purse
        return purse is not None and purse.left is not None and purse.left <= self.kept

    def _nobody(self) -> Crowd:
        width = self.env.max_length
        none = np.zeros(0, dtype=np.int64)
        rows = Strips(np.zeros((0, width), dtype=np.int64), np.zeros((0, width)))
        return Crowd(rows, np.zeros((0, 2)), np.zeros(0), none)

    def _designs(self, crowd: Crowd) -> list[Expression]:
        """Return expressions whose constants are free, where fitting anew finds as good ones.

        Else they hold their numbers, and say so in their key: what a key scores never depends on
        how it was found.
        """
        made = self.made
        tokens = torch.from_numpy(crowd.rows.tokens)
        batch: Sequence[Any] = ExpressionBatch(tokens, self.library)
        constants = (crowd.rows.tokens == self.library.constant_id).sum(1)
        if not len(batch) or not constants.any() or made.table.groups is not None:
            return list(batch)  # numbers that differ by label are never held
        again = fit(
            tokens.to(made.device), self.library, self.data, Settings(made.scale, made.offset)
        ).nmse.cpu().numpy()  # fmt: skip
        out: list[Expression] = []
        numbers = crowd.rows.constants(self.library)
        for i, design in enumerate(batch):
            if constants[i] and again[i] > crowd.nmse[i] * 1.01 + EXACT:
                own = numbers[i][: constants[i]].tolist()
                design = expression(design.tokens, self.library, own)
            out.append(design)
        return out
