"""Scoring the rows of one call: each key once, constants fitted, every evaluation paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.symbolic.fit.fitting import fit
from tasks.symbolic.fit.outer import Points, Settings
from tasks.symbolic.language.expression import Expression, ExpressionBatch, expression
from tasks.symbolic.language.strips import Ints, Strips
from tasks.symbolic.language.trees import read
from tasks.symbolic.search.crowd import EXACT, Crowd, nobody

if TYPE_CHECKING:
    from tasks.symbolic.search.evolution import Evolution


class Scoring:
    """Knows which keys a call has seen."""

    def __init__(self, made: Evolution, data: Points, count: int) -> None:
        self.made, self.data, self.library = made, data, made.environment.library
        self.kept = count if made.rejudged else 0  # evaluations that are left in the purse
        self.seen = np.zeros(0, dtype=np.int64)

    @property
    def spent(self) -> bool:
        """Whether nothing more can be paid for."""
        purse = self.made.purse
        return purse is not None and purse.left is not None and purse.left <= self.kept

    def judged(self, rows: Strips) -> Crowd:
        """Return the lawful rows that are new to this call, with their constants fitted."""
        env = self.made.environment
        if not len(rows):
            return nobody(env.max_length)
        width = int(rows.lengths.max())
        trees = read(torch.from_numpy(rows.tokens[:, :width]), self.library)
        keys, legal = trees.hashes[0, 0].numpy(), env.lawful(trees).numpy()
        _, first = np.unique(keys, return_index=True)
        once = np.zeros(len(keys), dtype=bool)
        once[first] = True
        new = np.flatnonzero(legal & once & ~np.isin(keys, self.seen))
        purse = self.made.purse
        if purse is not None:
            new = new if purse.left is None else new[: max(purse.left - self.kept, 0)]
            purse.spend(len(new))
        if not len(new):
            return nobody(env.max_length)
        self.seen = np.concatenate([self.seen, keys[new]])
        return self._fitted(rows.take(new), keys[new])

    def designs(self, crowd: Crowd) -> list[Expression]:
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
        settings = Settings(made.scale, made.offset)
        again = fit(tokens, self.library, self.data, settings).nmse.numpy()
        out: list[Expression] = []
        numbers = crowd.rows.constants(self.library)
        for i, design in enumerate(batch):
            if constants[i] and again[i] > crowd.nmse[i] * 1.01 + EXACT:
                own = numbers[i][: constants[i]].tolist()
                design = expression(design.tokens, self.library, own)
            out.append(design)
        return out

    def _fitted(self, rows: Strips, keys: Ints) -> Crowd:
        made = self.made
        width = int(rows.lengths.max())
        tokens = torch.from_numpy(rows.tokens[:, :width])
        initial = rows.constants(self.library)
        settings = Settings(made.scale, made.offset, 1, 6)
        begin = torch.from_numpy(initial) if initial.shape[1] else None
        fits = fit(tokens, self.library, self.data, settings, initial=begin)
        nmse = fits.nmse.numpy()
        outer = torch.stack([fits.scale, fits.offset], dim=1).numpy()
        held = rows.holding(fits.constants.numpy(), self.library)
        return Crowd(held, outer, nmse, keys).take(np.isfinite(nmse))
