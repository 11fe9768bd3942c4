"""What a call of the evolution tries: seeds, children of a crowd, and what closes a context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.symbolic.judging import held_numbers
from tasks.symbolic.language.expression import Expression
from tasks.symbolic.language.strips import Strips, stacked, strips
from tasks.symbolic.search import variation as v
from tasks.symbolic.search.crowd import Crowd, nobody, winners
from tasks.symbolic.search.laws import closed
from tasks.symbolic.search.meeting import contexts, met
from tasks.symbolic.search.semantic import made_to_measure

if TYPE_CHECKING:
    from tasks.symbolic.search.evolution import Evolution

_THIRDS = 40  # of the smallest blocks, tried as the third of a sum for the target itself
_BESIDE = 3000  # and from so many otherwise


class Offspring:
    """Rows to be judged; `price` is that of a token, in log error."""

    def __init__(self, made: Evolution, price: float, rng: np.random.Generator) -> None:
        self.made, self.price, self.rng = made, price, rng
        self.a, self.aim, self.env = made.alphabet, made.aim, made.environment
        self.library = self.env.library

    def seeds(self, parents: Sequence[Expression]) -> Strips:
        """Return what a call begins with: blocks, some of the target's unit, perhaps parents."""
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
        return stacked([self._guessed(), rows])

    def children(self, crowd: Crowd) -> Strips:
        """Return a generation, each operator's share of it."""
        made, a, rng, bank = self.made, self.a, self.rng, self.aim.bank
        shares = np.array(
            [made.crossover, made.subtree, made.point, made.hoist, made.insertion, made.measure]
        )
        counts = rng.multinomial(made.population, shares / shares.sum())
        chosen = [self._drawn(crowd, n) for n in counts]
        rows = [part.rows for part in chosen]
        mates = self._drawn(crowd, counts[0]).rows
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

    def simpler(self, exact: Crowd) -> Strips:
        """Return variations of a law that is exact already, of which some may be shorter."""
        exact = exact.take(np.argsort(exact.rows.lengths, kind="stable")[:50])
        parents = exact.take(self.rng.integers(len(exact), size=self.made.population))
        made = [
            v.hoist(parents.rows, self.a, self.rng),
            v.point(parents.rows, self.a, self.rng),
            v.subtree(parents.rows, self.aim.bank, self.a, self.rng),
            self._measured(parents),
        ]
        return v.gathered(made)

    def met(self, crowd: Crowd, first: bool) -> Strips:
        """Return what closes contexts exactly: short chains, and places in parents."""
        made, a, rng, aim, ways = self.made, self.a, self.rng, self.aim, self.made.ways
        if ways is None:
            return nobody(self.env.max_length).rows
        half, width = made.contexts // 2, self.env.max_length
        chains, places = contexts(aim.bank, a, half, width, rng, plain=first)
        parents = self._drawn(crowd, made.contexts - half)
        rows = stacked([chains, parents.rows])
        at = np.concatenate([places, v.somewhere(parents.rows, rng)])
        outer = np.concatenate([np.tile([1.0, 0.0], (len(chains), 1)), parents.outer])
        # a third block: one at random, small ones more often
        beside = np.exp(rng.random(1) * np.log(_BESIDE)).astype(np.int64) - 1
        found = met(rows, at, outer, aim, ways, a, beside)
        if first and not made.missed and not len(found):  # the bare place, once, with many
            bare = rows.take(np.arange(1))
            found = met(bare, at[:1], outer[:1], aim, ways, a, np.arange(_THIRDS))
        if first and not len(found) and "products" not in made.missed:  # once in a search
            made.missed["products"] = 1
            powers = made.powers
            if powers is not None:
                found = closed(powers, aim, a, width, made.constants, made.scale)
        if not len(found):
            made.missed["contexts"] = made.missed.get("contexts", 0) + len(rows)
        return found

    def _drawn(self, crowd: Crowd, count: int) -> Crowd:
        return crowd.take(winners(crowd, self.price, count, self.made.tournament, self.rng))

    def _measured(self, parents: Crowd) -> v.Made:
        modes = ["plain", "scale", "affine"] if self.made.constants else ["plain"]
        mode = str(self.rng.choice(modes))
        return made_to_measure(parents.rows, parents.outer, self.aim, self.a, mode, self.rng)

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
