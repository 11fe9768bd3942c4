"""Growing with enrichment: a population of chains, thinned and doubled after every residue.

A chain that grew by choices of probability q_1, q_2, ... counts 1 / (q_1 q_2 ...) walks, so the
weighted mean of anything is unbiased, whatever draws the choices: blind chance (Rosenbluth and
Rosenbluth 1955) or a policy. After each residue the population is drawn anew, chain i with
probability p_i; its weight is divided by B p_i, which keeps every mean what it was. With `kT`
chains are drawn in proportion to weight e^(-E / kT), PERM's ensemble (P. Grassberger, Phys. Rev.
E 56, 3682, 1997); without it every energy gets an equal share, and the weights count the folds of
each energy (T. Prellberg and J. Krawczyk, Phys. Rev. Lett. 92, 120602, 2004).
"""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer import masking
from designer.protocols import Floats, Policy, Purse
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named, strongest
from tasks.folding.environment import Chain
from tasks.folding.growth import Growth

_BINS = 200  # of energies, where these are no whole numbers
_TINY = -1e30  # the logarithm of a weight of nothing


@dataclass(frozen=True)
class Grown:
    """B chains at the end of their growth."""

    actions: Tensor  # [B, T] int64
    energy: Tensor  # [B] float32
    log_weight: Tensor  # [B] float64, of how many walks it stands for; -1e30 where it was trapped


@torch.no_grad()
def enriched(
    env: Chain,
    count: int,
    generator: torch.Generator,
    policy: Policy | None = None,
    kT: float | None = None,
    trust: float = 0.0,
) -> Grown:
    """Return `count` chains grown together; mean(weight * f) estimates the sum of f over all folds
    that the mask lets through. `kT` is in units of the energy. With `trust` above 0 a weight
    counts the walks times pi^trust: what the policy pi finds likely is kept, not evened out.
    """
    state = env.reset(count, torch.device("cpu"))
    weight = torch.zeros(count, dtype=torch.float64)
    actions = torch.zeros(count, 0, dtype=torch.int64)
    memory = policy.start(count, torch.device("cpu")) if policy is not None else None
    for t in range(env.max_steps):
        mask = env.mask(state)
        logits = torch.zeros(mask.shape)
        if policy is not None:
            choices, memory = policy.step(env.observe(state), memory)
            logits = choices.logits
        uniform = torch.rand(count, generator=generator)
        action, log_prob, _ = masking.draw(logits, mask, uniform)
        state = env.step(state, action)
        weight = torch.where(state.stuck, _TINY, weight - (1 - trust) * log_prob.double())
        actions = torch.cat([actions, action[:, None]], dim=1)
        if not bool((weight > _TINY / 2).any()):
            break
        if t < env.max_steps - 1:
            chosen, weight = _drawn(weight, _wanted(weight, state.energy, kT), generator)
            state, memory, actions = _rows(state, chosen), _kept(memory, chosen), actions[chosen]
    return Grown(actions, state.energy, weight)


def _wanted(weight: Tensor, energy: Tensor, kT: float | None) -> Tensor:
    """Return [B] the logarithm, up to a constant, of how often each chain is wanted."""
    if kT is not None:
        return weight - energy.double() / kT
    spread = float(energy.max() - energy.min())
    exact = bool((energy == energy.round()).all())
    bins = energy if exact else (energy * (_BINS / max(spread, 1e-9))).round()
    level = torch.unique(bins, return_inverse=True)[1]
    alive = torch.where(weight > _TINY / 2, (weight - weight.max()).exp(), 0.0)
    total = torch.zeros(int(level.max()) + 1, dtype=torch.float64).index_add(0, level, alive)
    return torch.where(alive > 0, alive.log() - total[level].log(), _TINY)


def _drawn(weight: Tensor, wanted: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return which chains go on [B], drawn evenly spaced, and their weights [B]."""
    count = len(weight)
    share = torch.softmax(wanted, 0)
    ticks = (torch.arange(count) + torch.rand(1, generator=generator)).double() / count
    chosen = torch.searchsorted(share.cumsum(0), ticks).clamp(max=count - 1)
    return chosen, (weight - (count * share).log())[chosen]


def _rows(state: Growth, chosen: Tensor) -> Growth:
    return Growth(**{f.name: getattr(state, f.name)[chosen] for f in fields(state)})


def _kept(memory: Any, chosen: Tensor) -> Any:
    if isinstance(memory, tuple):
        return tuple(_kept(part, chosen) for part in memory)
    return None if memory is None else memory[chosen]


def _here(policy: Any) -> Any:
    """Return the policy, or its copy on the CPU where it lives elsewhere."""
    where = {p.device.type for p in policy.parameters()} if policy is not None else set()
    return policy if where <= {"cpu"} else copy.deepcopy(policy).cpu()


@dataclass(frozen=True)
class Density:
    """How many folds have each energy, symmetric images counted once: an estimate."""

    energy: Floats  # [E] rising
    count: Floats  # [E]
    error: Floats  # [E] standard error of the count, over the populations
    grown: int  # chains

    def as_csv(self) -> str:
        """Return energy, count, its standard error and the count's natural logarithm."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["energy", "folds", "standard_error", "log_folds"])
        rows = zip(self.energy, self.count, self.error, np.log(self.count), strict=True)
        writer.writerows([[f"{value:.6g}" for value in row] for row in rows])
        return text.getvalue()


def density(env: Chain, populations: int = 20, size: int = 1000, seed: int = 0) -> Density:
    """Return the density of states, from so many populations of so many chains.

    Unbiased; the lowest energies of long chains are reached late or never, and then missing.
    """
    generator = torch.Generator().manual_seed(seed)
    whole = replace(env, symmetric=True, prune=None)
    runs: list[dict[float, float]] = []
    for _ in range(populations):
        grown = enriched(whole, size, generator)
        levels = np.round(grown.energy.numpy().astype(np.float64), 4)
        weights = grown.log_weight.exp().numpy() / size
        found = np.unique(levels[weights > 0])
        runs.append({float(e): float(weights[levels == e].sum()) for e in found})
    energies = sorted({energy for run in runs for energy in run})
    table = np.array([[run.get(energy, 0.0) for energy in energies] for run in runs])
    error = table.std(axis=0, ddof=1) / np.sqrt(populations)
    return Density(np.array(energies), table.mean(axis=0), error, populations * size)


@dataclass(frozen=True)
class Enrichment:
    """Proposes the best folds of an enriched population, grown by the campaign's own policy.

    `size` chains grow together in each call; `temperature` is kT in units of the strongest
    attraction, `trust` is that of `enriched`. Every chain's energy is paid from `purse`; a
    population that it cannot pay is not grown. Without a `policy` chains grow blindly; a campaign
    puts its own here.
    """

    env: Chain
    size: int = 1000
    temperature: float = 0.3
    trust: float = 0.0
    policy: Any = None
    purse: Purse | None = None

    def __call__(
        self, parents: Sequence[Fold], count: int, rng: np.random.Generator, /
    ) -> list[Fold]:
        """Return at most `count` distinct folds, the lowest first, none of them a parent."""
        left = None if self.purse is None else self.purse.left
        if not parents or count < 1 or (left is not None and left < self.size):
            return []
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        kT = self.temperature * strongest(matrix_named(self.env.matrix).pairs(self.env.sequence))
        grown = enriched(self.env, self.size, generator, _here(self.policy), kT, self.trust)
        if self.purse is not None:
            self.purse.spend(self.size)
        order = np.argsort(grown.energy.numpy(), kind="stable").tolist()
        found = {parent.key for parent in parents}
        folds: list[Fold] = []
        for fold in self.env.decode([grown.actions[row].tolist() for row in order]):
            if fold is not None and fold.key not in found and len(folds) < count:
                found.add(fold.key)
                folds.append(fold)
        return folds
