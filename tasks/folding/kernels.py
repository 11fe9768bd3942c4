"""Compiled search: Metropolis walks of a ladder of chains, with replica exchange.

The moves are those of `tasks.folding.compiled_moves`. Replica exchange: C. Thachuk, A. Shmygelska,
H. Hoos, BMC Bioinformatics 8:342 (2007).

Needs numba; loaded by `tasks.folding.ladder` when a search begins.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tasks.folding import closing, compiled_moves, dice, leaning, regrowth
from tasks.folding.compiled_moves import Ground, pull, rebridge, settle, shift, undo
from tasks.folding.dice import GOLDEN, Array, compiled, inlined, mixed, stored
from tasks.folding.regrowth import regrow

BEST, KEPT, COMPUTED, PROPOSED, PARITY, DONE = range(6)  # places in a ladder's `books`
_ZERO, _ONE, _11 = (np.uint64(n) for n in (0, 1, 11))
_34, _10BITS = np.uint64(34), np.uint64(0x3FF)
_UNIT = 2.0**-53


class Rungs(NamedTuple):
    """R chains at as many temperatures; the arrays change in place."""

    chains: Array  # [R, L + 2] uint64, see `tasks.folding.compiled_moves`
    grids: Array  # [R, S] uint16
    energies: Array  # [R] int64
    betas: Array  # [R] 1 / kT in whole-number energies, falling
    chances: Array  # [R, n] of the n smallest steps up
    order: Array  # [R] which chain is at each temperature
    random: Array  # [2] uint64: one stream for moves, one for what is left to chance
    books: Array  # [6] int64, as named above
    kept: Array  # [M, L + 2] the best folds met
    fresh: Array  # [L + 2] scratch
    tally: Array  # [Z + 2] scratch
    lean: (
        Array  # [2, L + 2, ANGLES^2] what stretches grown anew prefer, see `tasks.folding.leaning`
    )


class Until(NamedTuple):
    """How a ladder climbs, and when it stops."""

    regrown: Any  # of the proposals that grow a stretch anew, of 1024
    bridged: Any  # of those and of rebridgings, of 1024
    target: int  # an energy
    computed: int  # energies, all in all


@inlined
def taken(added: int, beta: float, chances: Array, bits: Any) -> bool:
    """Return whether Metropolis takes a step up; `chances` [n] those of the smallest ones."""
    chance = chances[added] if added < len(chances) else math.exp(-added * beta)
    return float(bits >> _11) * _UNIT < chance


@compiled
def keep(chain: Array, kept: Array, books: Array, mask: Any, better: bool) -> None:
    """Write a chain down among the best, if it is not there; `better` forgets the others."""
    if better:
        books[KEPT] = 0
    for row in range(books[KEPT]):
        same = True
        for k in range(2, len(chain) - 1):
            if ((chain[k] - chain[1]) & mask) != ((kept[row, k] - kept[row, 1]) & mask):
                same = False
                break
        if same:
            return
    if books[KEPT] < len(kept):
        for k in range(len(chain)):
            kept[books[KEPT], k] = chain[k]
        books[KEPT] += 1


@compiled
def sweep(ground: Ground, rungs: Rungs, place: int, steps: int, until: Until) -> None:
    """Make `steps` Metropolis steps of the chain at one temperature."""
    who, books, fresh = rungs.order[place], rungs.books, rungs.fresh
    chain, grid, energy = rungs.chains[who], rungs.grids[who], rungs.energies[who]
    beta, chances = rungs.betas[place], rungs.chances[place]
    moving, luck = rungs.random[0], rungs.random[1]
    left, best = until.computed - books[COMPUTED], books[BEST]
    began = left
    for _ in range(steps):
        if left <= 0:
            books[DONE] = 1
            break
        moving += GOLDEN
        bits = mixed(moving)
        kind = (bits >> _34) & _10BITS
        if kind < until.regrown:
            added, complete = regrow(
                ground, chain, grid, bits, beta, rungs.lean, fresh, rungs.tally
            )
            left -= complete
        else:
            if kind >= until.bridged:
                first, way, moved = pull(ground, chain, grid, bits, fresh)
            else:
                first, way, moved = rebridge(ground, chain, grid, bits, fresh)
            if moved == _ZERO:
                continue
            left -= 1
            added = shift(ground, chain, grid, first, way, moved, fresh)
            if added > 0:
                luck += GOLDEN
                if not taken(added, beta, chances, mixed(luck)):
                    undo(ground, chain, grid, first, way, moved, fresh)
                    continue
            settle(ground, chain, first, way, moved, fresh)
        energy += added
        if energy < best:
            best = energy
            books[BEST] = energy
            keep(chain, rungs.kept, books, ground.mask, True)
            if energy <= until.target:
                books[DONE] = 1
                break
    books[COMPUTED] += began - left
    books[PROPOSED] += steps
    rungs.energies[who] = energy
    rungs.random[0], rungs.random[1] = moving, luck


@compiled
def exchange(rungs: Rungs) -> None:
    """Let every second pair of neighbours on the ladder exchange places, or not."""
    order, betas, energies = rungs.order, rungs.betas, rungs.energies
    for place in range(rungs.books[PARITY], len(order) - 1, 2):
        upper, lower = order[place], order[place + 1]
        gap = (betas[place] - betas[place + 1]) * (energies[upper] - energies[lower])
        rungs.random[1] += GOLDEN
        if gap >= 0 or float(mixed(rungs.random[1]) >> _11) * _UNIT < math.exp(gap):
            order[place], order[place + 1] = lower, upper
    rungs.books[PARITY] = 1 - rungs.books[PARITY]


@compiled
def _climb(ground: Ground, rungs: Rungs, rounds: int, steps: int, until: Until) -> None:
    books, kept = rungs.books, rungs.kept
    for _ in range(rounds):
        for place in range(len(rungs.order)):
            sweep(ground, rungs, place, steps, until)
            if books[DONE]:
                return
            who = rungs.order[place]
            if rungs.energies[who] == books[BEST] and books[KEPT] < len(kept):
                keep(rungs.chains[who], kept, books, ground.mask, False)
        exchange(rungs)


def _stamped(stamp: int) -> Any:
    def climb(ground: Ground, rungs: Rungs, rounds: int, steps: int, until: Until) -> None:
        """Let a ladder walk and exchange temperatures, until it may no more."""
        if stamp:  # numba's kept code is that of this file and of this number
            _climb(ground, rungs, rounds, steps, until)

    return stored(climb)


def _sources() -> int:
    """Return a number that changes with the other files whose code `climb` holds."""
    modules = (dice, compiled_moves, regrowth, closing, leaning)
    texts = [Path(str(module.__file__)).read_bytes() for module in modules]
    return int.from_bytes(blake2b(b"".join(texts), digest_size=6).digest(), "big") | 1


climb = _stamped(_sources())
