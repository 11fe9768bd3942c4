"""`designer bench amortised`: what a taught policy adds to the search on chains it never saw.

Each chain is searched three times, with as many energies computed: by replica exchange from a
straight chain, and by the same on the best of a population that was grown blindly, or by the
policy. Its chains count as energies too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cli.options import Options
from cli.presets import shipped
from cli.prior import about, find
from cli.prior_folding import network, unseen
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.environment import Chain
from tasks.folding.exchange import ReplicaExchange, ready
from tasks.folding.lattices import lattice_named
from tasks.folding.recheck import recheck
from tasks.folding.task import begun

SHORTEST, LONGEST = 30, 60  # residues
PAIRS = (("policy", "alone"), ("blind", "alone"), ("policy", "blind"))
_ASKED = 4  # folds a call returns


def bench_amortised(options: Options, prior: str, chains: int, energies: int) -> None:
    """Search each of so many unseen chains with so many energies, and print who was lower."""
    folder, seed = find(Path(prior)), options.seed or 0
    task, net = about(folder)["task"], network(folder)
    size = int(shipped("fold").table(("task", "grown")))
    torch.set_num_threads(1)  # as campaigns run
    ready()
    rows = []
    for number, name in enumerate(unseen(folder, chains, SHORTEST, LONGEST, seed)):
        env = Chain(name, task["lattice"], window=task["window"])
        row: dict[str, Any] = {"residues": len(name), "sequence": name}
        for which, policy in (("alone", None), ("blind", None), ("policy", net)):
            grown = None if which == "alone" else begun(env, size)
            search = ReplicaExchange(ladders=1, threads=1, grown=grown, policy=policy)
            before = time.process_time()
            row[which] = lowest(search, env, energies, seed + number)
            row[f"{which}_s"] = round(time.process_time() - before, 3)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    found = summary(rows) | {"energies": energies, "seed": seed}
    print(json.dumps(found) if options.as_json else _shown(found))


@dataclass
class Purse:
    """Energies that may still be computed."""

    left: int

    def spend(self, evaluations: int) -> None:
        """Take them out."""
        self.left -= evaluations


def lowest(search: ReplicaExchange, env: Chain, energies: int, seed: int) -> float:
    """Return the lowest energy found by so many energies, scored again from the letters."""
    straight = lattice_named(env.lattice).letters[0] * (len(env.sequence) - 1)
    start, rng = Fold(env.sequence, env.lattice, straight), np.random.default_rng(seed)
    purse, before, best = Purse(energies), -1, 0.0
    paid = replace(search, purse=purse)
    while purse.left != before:
        before = purse.left
        folds = paid([start], _ASKED, rng)
        best = min([best, *(recheck(fold, matrix_named("hp")) for fold in folds)])
    return best


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return means of the lowest energies, and how often one was below the other."""
    names = ("alone", "blind", "policy")
    found: dict[str, Any] = {"chains": len(rows)}
    found |= {name: round(float(np.mean([row[name] for row in rows])), 3) for name in names}
    found |= {f"{name}_s": round(sum(row[f"{name}_s"] for row in rows), 1) for name in names}
    for ours, theirs in PAIRS:
        gaps = np.array([row[ours] - row[theirs] for row in rows])
        signs = {"lower": gaps < 0, "equal": gaps == 0, "higher": gaps > 0}
        found[f"{ours} against {theirs}"] = {k: int(v.sum()) for k, v in signs.items()}
    return found


def _shown(found: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in found.items())
