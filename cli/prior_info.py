"""`designer prior info`: what a prior is, and what its samples are worth."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from cli.machine import Machine
from cli.prior import WEIGHTS, about, find, tensors, weights
from designer.policy import RecurrentPolicy
from tasks.molecules import corpus
from tasks.molecules.smiles import Smiles


def info(place: Path, count: int, machine: Machine, seed: int, *, as_json: bool) -> None:
    """Print what a prior is, and figures of `count` samples with and without the mask."""
    folder = find(place)
    torch.set_num_threads(machine.threads)
    if about(folder)["task"].get("kind") == "folding":
        from cli.prior_folding import info as of_folds

        return of_folds(folder, min(count, 1000), seed, as_json=as_json)
    figures = measure(folder, count, machine.resolve(), seed)
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
    from tasks.molecules.freely import Unmasked

    facts, held = about(folder), tensors(folder)
    task = {k: v for k, v in facts["task"].items() if k not in ("kind", "representation")}
    masked, unmasked = Smiles(**task), Unmasked(**task)
    sizes = {k: v for k, v in facts["policy"].items() if k != "kind"}
    policy = RecurrentPolicy(masked.obs_size, masked.num_actions, **sizes)
    policy.load_state_dict(weights(folder))
    policy.to(device)
    seen = set(held["seen"].tolist())
    found = {
        name: _sampled(env, policy, count, device, seed, seen)
        for name, env in (("masked", masked), ("unmasked", unmasked))
    }
    return {
        "parameters": sum(p.numel() for p in policy.parameters()),
        "bytes": (folder / WEIGHTS).stat().st_size,
        "data": facts["data"], "step": facts["step"], "held_out": facts["held_out"],
        "samples": count, "seed": seed, **found,
    }  # fmt: skip


def _sampled(
    env: Smiles,
    policy: RecurrentPolicy,
    count: int,
    device: torch.device,
    seed: int,
    seen: set[int],
) -> dict[str, float]:
    from designer.rollout import rollout

    generator = torch.Generator().manual_seed(seed)
    keys: list[str] = []
    started = time.perf_counter()
    for done in range(0, count, 1000):
        drawn = rollout(env, policy, min(1000, count - done), generator, device=device)
        keys += [one.key for one in env.decode(drawn.actions.tolist()) if one is not None]
    seconds = time.perf_counter() - started
    different = set(keys)
    new = sum(corpus.key_of(key) not in seen for key in different)
    return {
        "valid": len(keys) / count,
        "unique": len(different) / max(len(keys), 1),
        "novel": new / max(len(different), 1),
        "per_second": count / seconds,
    }
