"""`designer prior train --task folding`: teach one policy the folds of many random chains."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cli.prior import WEIGHTS, about, tensors, weights
from cli.prior_command import Prepared, heart
from designer.errors import InputError
from designer.likelihood import Lessons, Teacher
from designer.policy import RecurrentPolicy
from designer.rollout import rollout
from tasks.folding.energy import matrix_named
from tasks.folding.environment import Chain
from tasks.folding.lattices import lattice_named
from tasks.folding.recheck import recheck
from tasks.folding.sequence import SHORTEST
from tasks.folding.taught import Chains, both_ways, folded, grown, random_chains

LONGEST = 200  # residues of a chain that teaches
_UNSEEN = 1 << 32  # added to the seed of chains that judge a prior: never those that taught it
_JUDGED = 50  # chains that judge a prior


@dataclass(frozen=True)
class FoldPlan:
    """What `designer prior train --task folding` was told."""

    lattice: str = "square"
    chains: int = 1000
    shortest: int = 20
    longest: int = 60
    proposals: int = 500_000  # of the search for each chain
    keep: int = 8  # folds of a chain that are taught
    window: int = 16  # residues seen ahead
    hidden: int = 128
    layers: int = 1
    embedding: int = 0
    held_out: float = 0.05  # share of the chains
    lessons: Lessons = field(default_factory=Lessons)

    def __post_init__(self) -> None:
        _ = lattice_named(self.lattice)
        if not SHORTEST <= self.shortest <= self.longest <= LONGEST:
            raise InputError(
                f"chains of {self.shortest} to {self.longest} residues, expected {SHORTEST} to "
                f"{LONGEST}, the shortest first"
            )
        if self.chains < 4 or self.proposals < 1 or self.keep < 1:
            raise InputError("expected at least 4 chains, 1 proposal and 1 fold of each")
        if not 0 < self.held_out < 1:
            raise InputError(f"held_out is {self.held_out}, expected a share between 0 and 1")

    def prepare(self, device: torch.device, say: Callable[[str], None]) -> Prepared:
        """Fold the chains by search, build the network, put some chains aside."""
        rng = np.random.default_rng(self.lessons.seed)
        names = random_chains(self.chains, self.shortest, self.longest, rng)
        aside = max(1, round(self.held_out * len(names)))
        beat, taught, held = heart(say), [], []
        for number, name in enumerate(names):
            folds = folded(name, self.lattice, self.proposals, self.keep, rng)
            beat(f"folded {number + 1:,} of {len(names):,} chains")
            if not folds:
                continue
            if number < aside:
                held.append(grown(folds, self.window))
                continue
            both = both_ways(folds)
            half = len(both) // 2
            taught += [grown(both[:half], self.window), grown(both[half:], self.window)]
        corpus, judged = Chains(taught), Chains(held)
        env = Chain(names[0], self.lattice, window=self.window)
        sizes: dict[str, Any] = {"hidden": self.hidden, "layers": self.layers}
        sizes["embedding"] = self.embedding
        net = RecurrentPolicy(env.obs_size, env.num_actions, **sizes, seed=self.lessons.seed)
        facts = {
            "task": {"kind": "folding", "lattice": self.lattice, "window": self.window},
            "policy": {"kind": "recurrent", **sizes},
            "lessons": asdict(self.lessons),
            "data": {
                "name": f"{self.chains} random chains of {self.shortest} to {self.longest}",
                "sha256": sha256("\n".join(names).encode()).hexdigest(),
                "proposals": self.proposals, "keep": self.keep,
                "taught": len(corpus), "held": len(judged),
            },
        }  # fmt: skip
        say(
            f"{len(corpus):,} folds to teach, {len(judged):,} held out, "
            f"{sum(p.numel() for p in net.parameters()):,} parameters"
        )
        seen = [number_of(name) for name in names]
        teacher = Teacher(net, corpus, judged, self.lessons)
        return Prepared(net, teacher, facts, torch.tensor(seen), "fold")


def number_of(sequence: str) -> int:
    """Return the number by which a prior knows a chain that taught it."""
    return int.from_bytes(sha256(sequence.encode()).digest()[:7], "big")


def unseen(folder: Path, count: int, shortest: int, longest: int, seed: int) -> list[str]:
    """Return random chains, none of which taught the prior."""
    rng = np.random.default_rng(_UNSEEN + seed)
    seen, found = set(tensors(folder)["seen"].tolist()), list[str]()
    while len(found) < count:
        drawn = random_chains(count - len(found), shortest, longest, rng)
        found += [name for name in drawn if number_of(name) not in seen]
    return found


def network(folder: Path) -> RecurrentPolicy:
    """Return the prior's policy."""
    facts = about(folder)
    sizes = {name: value for name, value in facts["policy"].items() if name != "kind"}
    env = Chain("HPPH", facts["task"]["lattice"], window=facts["task"]["window"])
    net = RecurrentPolicy(env.obs_size, env.num_actions, **sizes, seed=0)
    net.load_state_dict(weights(folder))
    return net


def info(folder: Path, count: int, seed: int, *, as_json: bool) -> None:
    """Print what a prior of folds is, and the energies of samples on chains it never saw."""
    figures = measure(folder, count, seed)
    if as_json:
        print(json.dumps(figures))
        return
    data = figures["data"]
    print(f"{folder}: {figures['parameters']:,} parameters, {figures['bytes'] / 1e6:.1f} MB")
    print(f"  taught {data['taught']:,} folds of {data['name']} residues, {data['proposals']:,}")
    print(f"  proposals each; {figures['held_out']:.4f} nats a move held out")
    for name in ("prior", "untaught"):
        row = figures[name]
        print(
            f"  {name}, {_JUDGED} unseen chains, {count:,} folds each: best energy "
            f"{row['best']:.2f}, mean {row['mean']:.2f}, {row['whole']:.1%} not trapped"
        )
    print(f"  lower best than untaught on {figures['lower']} chains, higher on {figures['higher']}")


def measure(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Return the figures that `info` prints, means over chains that are not those taught."""
    facts = about(folder)
    task, net = facts["task"], network(folder)
    untaught = RecurrentPolicy(**net.settings(), seed=0)
    found: dict[str, list[tuple[float, float, float]]] = {"prior": [], "untaught": []}
    for number, name in enumerate(unseen(folder, _JUDGED, 30, 60, seed)):
        env = Chain(name, task["lattice"], window=task["window"])
        for which, judged in (("prior", net), ("untaught", untaught)):
            found[which].append(_sampled(env, judged, count, seed + number))
    means = {
        which: dict(zip(("best", "mean", "whole"), np.mean(rows, axis=0).tolist(), strict=True))
        for which, rows in found.items()
    }
    pairs = [(a[0], b[0]) for a, b in zip(found["prior"], found["untaught"], strict=True)]
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "bytes": (folder / WEIGHTS).stat().st_size, "data": facts["data"],
        "held_out": facts["held_out"], "folds": count, "seed": seed, **means,
        "lower": sum(a < b for a, b in pairs), "higher": sum(a > b for a, b in pairs),
    }  # fmt: skip


def _sampled(env: Chain, net: RecurrentPolicy, count: int, seed: int) -> tuple[float, float, float]:
    """Return the best and the mean energy of samples, and the share that was not trapped."""
    drawn = rollout(env, net, count, torch.Generator().manual_seed(seed))
    folds = [fold for fold in env.decode(drawn.actions.tolist()) if fold is not None]
    energies = [-float(len(fold.contacts)) for fold in folds] or [0.0]
    best = min(energies)
    if folds and recheck(folds[int(np.argmin(energies))], matrix_named("hp")) != best:
        raise RuntimeError("an energy was counted wrongly")
    return best, float(np.mean(energies)), len(folds) / count
