"""`designer bench growth`: chains grown a second by the policy, by its network alone, and blindly.

1. The policy grows chains as a campaign samples them (`designer.rollout`), at several batch sizes.
   Its network alone takes as many steps at the same batch, of given observations, and draws
   nothing; both take turns, and the share is what is left of the network's speed. On the CPU with
   one thread, as campaigns run unless `machine.threads` says otherwise, and with one a core.
2. Blind growth takes any legal move: compiled on the CPU, on all cores; on a GPU in operations on
   tensors, with the share of what its memory could do if each step read and wrote the state once.

Policy and environment are those that `designer fold` begins with; `--set` changes them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from statistics import median
from typing import Any

import torch

from cli.bench_folding import Problem, problems
from cli.build import build
from cli.folding import campaign_of
from cli.options import Options
from cli.session import apply
from designer.rollout import rollout
from tasks.folding.blind import TRAPPED, blind
from tasks.folding.environment import Chain

BATCHES, LARGE = (512, 1024, 4096), (32_768, 131_072)  # on a CPU, on a GPU
CHAINS = 4096  # grown in a round by the policy, at least
BLIND, CROWD = 200_000, 1 << 20  # chains of a round, on a CPU and on a GPU
ROUNDS = 5
_COPIED = 1 << 30  # bytes


@dataclass(frozen=True)
class Rate:
    """Seconds of some rounds, and how many chains each of them grew."""

    chains: int
    clock: float  # the median
    busy: float  # the median of this process's processor seconds

    @property
    def per_second(self) -> float:
        """Chains a second by the clock."""
        return self.chains / self.clock


def bench_growth(options: Options, only: Sequence[str]) -> None:
    """Print the speeds for each sequence."""
    found = [growth(problem, options) for problem in problems(only or ("2D-48",))]
    print(json.dumps(found) if options.as_json else "\n".join(map(_told, found)))


def growth(problem: Problem, options: Options) -> dict[str, Any]:
    """Return the speeds for one sequence."""
    document = campaign_of(problem.sequence, problem.lattice, "hp", None, options)
    apply(document, options)
    parts = build(document)
    env, device = parts.task.environment, parts.device
    policy: Any = parts.policy.to(device)
    found: dict[str, Any] = {
        "name": problem.name,
        "residues": len(problem.sequence),
        "device": str(device),
        "cores": os.cpu_count(),
        "hidden": getattr(policy, "hidden", None),
        "policy": [],
    }
    on_cpu, before = device.type == "cpu", torch.get_num_threads()
    for threads in sorted({1, os.cpu_count() or 1}) if on_cpu else [before]:
        torch.set_num_threads(threads)
        for batch in BATCHES if on_cpu else LARGE:
            found["policy"].append({"threads": threads} | compared(env, policy, batch, device))
    torch.set_num_threads(before)
    if isinstance(env, Chain):
        found["blind"] = compiled(env) if device.type == "cpu" else wandering(env, device)
    return found


def compared(env: Any, policy: Any, batch: int, device: torch.device) -> dict[str, float]:
    """Return the speeds of the policy and of its network alone, in chains a second."""
    rounds = max(1, CHAINS // batch)
    given = (env, policy, rounds, batch, device)
    network, grown = by_turns(batch * rounds, partial(alone, *given), partial(sampled, *given))
    return {
        "batch": batch,
        "per_second": grown.per_second,
        "network_per_second": network.per_second,
        "share": network.clock / grown.clock,
        "cpu_share": network.busy / grown.busy,
    }


def by_turns(chains: int, *calls: Callable[[int], None]) -> list[Rate]:
    """Return the rate of each call, which grows so many chains; the first round is not counted."""
    spent: list[list[tuple[float, float]]] = [[] for _ in calls]
    for seed in range(-1, ROUNDS):
        for told, call in zip(spent, calls, strict=True):
            clock, busy = time.perf_counter(), time.process_time()
            call(seed + 1)
            if seed >= 0:
                told.append((time.perf_counter() - clock, time.process_time() - busy))
    return [Rate(chains, median(c for c, _ in told), median(b for _, b in told)) for told in spent]


@torch.no_grad()
def alone(env: Any, policy: Any, rounds: int, batch: int, device: torch.device, _: int) -> None:
    """Let the network look at so many batches of chains, of numbers that stay the same."""
    seen = torch.rand(batch, env.obs_size, device=device)
    for _ in range(rounds):
        memory = policy.start(batch, device)
        for _ in range(env.max_steps):
            choices, memory = policy.step(seen, memory)
        float(choices.logits[0, 0])  # waits for a GPU


def sampled(
    env: Any, policy: Any, rounds: int, batch: int, device: torch.device, seed: int
) -> None:
    """Let the policy grow so many batches of chains."""
    generator = torch.Generator(device).manual_seed(seed)
    for _ in range(rounds):
        grown = rollout(env, policy, batch, generator, device=device)
        float(grown.log_prob[0, 0])  # waits for a GPU


def compiled(env: Chain) -> dict[str, Any]:
    """Return how many chains a second grow blindly on all cores, and how many are trapped."""
    weights: list[Any] = []
    cores = os.cpu_count() or 1
    (rate,) = by_turns(
        BLIND, lambda seed: weights.append(blind(env, BLIND, seed, cores).log_weight)
    )
    trapped = weights[0] <= TRAPPED
    return {
        "per_second": rate.per_second,
        "per_core_second": rate.chains / rate.busy,
        "trapped": float(trapped.mean()),
    }


@torch.no_grad()
def wandering(env: Chain, device: torch.device, count: int = CROWD) -> dict[str, Any]:
    """Return the same of chains that grow by operations on tensors, and the share of the time
    that the device would need to read and write each state once.
    """
    generator, ends = torch.Generator(device), []

    def walk(seed: int) -> None:
        generator.manual_seed(seed)
        state = env.reset(count, device)
        for _ in range(env.max_steps):
            mask = env.mask(state)
            chance = torch.rand(mask.shape, generator=generator, device=device)
            state = env.step(state, (chance * mask).argmax(1))
        ends.append(float(state.stuck.float().mean()))  # waits for a GPU

    (rate,) = by_turns(count, walk)
    moved = traffic(env) * count / bandwidth(device)
    return {
        "per_second": rate.per_second,
        "trapped": median(ends),
        "memory_share": moved / rate.clock,
    }


def traffic(env: Chain) -> float:
    """Return how many bytes a chain's states have, each read once and written once."""
    state, total = env.reset(16, torch.device("cpu")), 0
    for _ in range(env.max_steps):
        after = env.step(state, env.mask(state).to(torch.uint8).argmax(1))
        total += _bytes(state) + _bytes(after)
        state = after
    return total / 16


def _bytes(state: Any) -> int:
    return sum(getattr(state, field.name).nbytes for field in fields(state))


def bandwidth(device: torch.device) -> float:
    """Return the bytes a second that the device reads and writes while it copies."""
    source = torch.zeros(_COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def copy(_: int) -> None:
        target.copy_(source)
        int(target[0])  # waits for a GPU

    (rate,) = by_turns(1, copy)
    return 2 * _COPIED / rate.clock


def _told(found: dict[str, Any]) -> str:
    lines = [
        f"{found['name']}, {found['residues']} residues; {found['device']}, {found['cores']} cores;"
        f" network of {found['hidden']}",
        "chains a second; `network` and `share`: what the network alone allows",
    ]
    rows = [["threads", "batch", "policy", "network", "share", "cpu share"]]
    named = ("threads", "batch", "per_second", "network_per_second")
    for row in found["policy"]:
        cells = [f"{row[name]:.0f}" for name in named]
        rows.append([*cells, f"{row['share']:.0%}", f"{row['cpu_share']:.0%}"])
    lines += ["".join(cell.rjust(11) for cell in row) for row in rows]
    if "blind" in found:
        told = found["blind"]
        lines.append(f"blindly: {told['per_second']:.0f}, {told['trapped']:.1%} trapped")
        if "per_core_second" in told:
            lines[-1] += f"; {told['per_core_second']:.0f} a processor second"
        if "memory_share" in told:
            lines[-1] += f"; {told['memory_share']:.1%} of what its memory allows"
    return "\n".join(lines)
