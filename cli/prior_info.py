"""`designer prior info`: what a prior is, and what its samples are worth."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cli.machine import Machine
from cli.prior import WEIGHTS, about, find, network, tensors
from designer.policy import RecurrentPolicy
from tasks.molecules import corpus
from tasks.molecules.design import Molecule
from tasks.molecules.smiles import Smiles


def info(place: Path, count: int, machine: Machine, seed: int, *, as_json: bool) -> None:
    """Print what a prior is, and figures of `count` samples with and without the mask."""
    folder = find(place)
    torch.set_num_threads(machine.threads)
    if about(folder)["task"].get("kind") == "folding":
        from cli.prior_folding import info as of_folds

        return of_folds(folder, min(count, 1000), seed, as_json=as_json)
    device = machine.resolve()
    print(f"sampling {count:,} molecules with the mask, and as many without", file=sys.stderr)
    figures = measure(folder, count, device, seed)
    if as_json:
        print(json.dumps(figures))
        return
    size, data = figures["bytes"] / 1e6, figures["data"]
    print(f"{folder}: {figures['parameters']:,} parameters, {size:.1f} MB")
    print(f"  taught {data['taught']:,} molecules of {data['name']} (SHA-256 {data['sha256']})")
    print(f"  {figures['held_out']:.4f} nats a token held out, step {figures['step']:,}")
    for name in ("masked", "unmasked"):
        row = figures[name]
        shares = [f"{row[key]:.2%} {key}" for key in ("valid", "unique", "novel")]
        print(f"  {name}, {count:,} samples: {', '.join(shares)}; {row['per_second']:.0f} a second")


def measure(folder: Path, count: int, device: torch.device, seed: int) -> dict[str, Any]:
    """Return the figures that `info` prints: `valid` of the samples, `unique` of the valid,
    `novel` (not taught) of the unique ones."""
    facts, held = about(folder), tensors(folder)
    masked, policy = network(folder)
    policy.to(device)
    seen = set(held["seen"].tolist())
    found = {
        "masked": _judged(_walked(masked, policy, device), count, seed, seen),
        "unmasked": _judged(_freely(masked, policy), count, seed, seen),
    }
    return {
        "parameters": sum(p.numel() for p in policy.parameters()),
        "bytes": (folder / WEIGHTS).stat().st_size,
        "data": facts["data"], "step": facts["step"], "held_out": facts["held_out"],
        "samples": count, "seed": seed, **found,
    }  # fmt: skip


Draw = Callable[[int, int], list[Molecule | None]]  # how many, seed


def _walked(env: Smiles, policy: RecurrentPolicy, device: torch.device) -> Draw:
    """Return what samples as campaigns do: under the mask, step by step."""
    from designer.rollout import rollout

    def draw(count: int, seed: int) -> list[Molecule | None]:
        generator = torch.Generator().manual_seed(seed)
        drawn: list[Molecule | None] = []
        while len(drawn) < count:
            size = min(1000, count - len(drawn))
            rows = rollout(env, policy, size, generator, device=device)
            drawn += env.decode(rows.actions.tolist())
        return drawn

    return draw


def _freely(env: Smiles, policy: RecurrentPolicy) -> Draw:
    """Return what samples without the mask."""
    from tasks.molecules.sampler import sample

    def draw(count: int, seed: int) -> list[Molecule | None]:
        return env.decode(sample(env, policy, count, seed=seed).tolist())

    return draw


def _judged(draw: Draw, count: int, seed: int, seen: set[int]) -> dict[str, float]:
    started = time.perf_counter()
    keys = [one.key for one in draw(count, seed) if one is not None]
    seconds = time.perf_counter() - started
    different = set(keys)
    new = sum(corpus.key_of(key) not in seen for key in different)
    return {
        "valid": len(keys) / count,
        "unique": len(different) / max(len(keys), 1),
        "novel": new / max(len(different), 1),
        "per_second": count / seconds,
    }
