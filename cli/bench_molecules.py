"""`designer bench molecules`: sampling, scoring and memory, each as a ratio within one run.

1. Sampling without the mask from a prior, against a plain step-by-step PyTorch loop of a GRU of
   the same size and batch. The loop draws a token for every row until all have ended; it then
   goes on with the tokens of the molecules that were sampled before it, so both write the same
   molecules. Also against the network alone, without drawing and observations, and with the mask.
2. Scoring with QED on all cores: the share of the wall time that is QED's own.
3. Peak memory of a short run of the molecule campaign with the prior.

On a GPU (`--device cuda`) the first is measured there, at larger batches and for more molecules.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cli.machine import Machine
from cli.options import Options
from cli.prior import find, network
from designer.errors import InputError
from designer.policy import RecurrentPolicy
from designer.protocols import Measured
from tasks.molecules.sampler import Network, sample, texts
from tasks.molecules.smiles import Smiles

BATCHES, LARGE = (64, 256, 1024), (4096, 32768)  # on a CPU, on a GPU
MOLECULES, MASKED, SCORED, ROUNDS = 2048, 256, 1500, 3
FULL = 8  # batches of molecules, at least: a GPU is as fast as it is full
CALLS = 300  # of the short run


@dataclass
class Timed:
    """QED, and the seconds that each molecule took where it was judged; parsing not included.

    `busy` are processor seconds of its process since its last call, a molecule's part of them.
    """

    name: str = "timed"
    cheap = False
    since: float = 0.0

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return the columns `qed`, `seconds`, `own` (of the processor) and `busy` [N]."""
        from rdkit.Chem import QED

        found = {name: np.zeros(len(designs)) for name in ("qed", "seconds", "own", "busy")}
        for i, design in enumerate(designs):
            mol, started = design.mol, (time.perf_counter(), time.process_time())
            found["qed"][i] = QED.qed(mol)  # type: ignore[no-untyped-call]
            found["seconds"][i], found["own"][i] = _since(started)
        now = time.process_time()
        found["busy"][:], self.since = (now - self.since) / max(1, len(designs)), now
        return Measured(found)


def bench_molecules(prior: str | None, options: Options) -> None:
    """Print the figures; `prior` is a directory or a shipped prior's name."""
    device = Machine(device=options.device or "auto").resolve()  # refused before minutes are spent
    folder = find(Path(prior or "zinc250k"))
    env, policy = network(folder)
    cores = options.workers or os.cpu_count() or 1
    torch.set_num_threads(cores)
    found: dict[str, Any] = {"prior": str(folder), "cores": cores, "sampling": []}
    found["memory_mb"] = memory(folder)  # first: it is the largest child so far
    policy.to(device)
    found["device"] = str(device)
    for batch in BATCHES if device.type == "cpu" else LARGE:
        found["sampling"].append(sampling(env, policy, batch))
    found["masked"] = masked(env, policy)
    torch.set_num_threads(1)
    found["scoring"] = scoring(env, policy, cores)
    print(json.dumps(found) if options.as_json else _told(found))


def sampling(env: Smiles, policy: RecurrentPolicy, batch: int) -> dict[str, float]:
    """Return molecules a second of both loops, texts included, and their ratios.

    They and the network alone take turns `ROUNDS` times; `ratio` is of medians of the clock,
    `cpu_ratio` of the processor's time, shares are the network's.
    """
    sample(env, policy, batch, batch)  # compiles
    clocks: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": [], "alone": []}
    loop = Plain(env, policy)
    count = MOLECULES if policy.head.weight.is_cpu else max(MOLECULES, FULL * batch)
    for seed in range(ROUNDS):
        started = time.perf_counter(), time.process_time()
        rows = sample(env, policy, count, batch, seed)
        ours = texts(env, rows)
        clocks["ours"].append(_since(started))
        started = time.perf_counter(), time.process_time()
        alone(env, policy, batch, int((rows != env.end).sum()) + count)
        clocks["alone"].append(_since(started))
        started = time.perf_counter(), time.process_time()
        theirs = [text for i in range(0, len(rows), batch) for text in loop(rows[i : i + batch])]
        clocks["plain"].append(_since(started))
        if ours != theirs:
            raise InputError("the two loops wrote different molecules; please report it")
    wall = {name: median(clock for clock, _ in told) for name, told in clocks.items()}
    cpu = {name: median(clock for _, clock in told) for name, told in clocks.items()}
    return {
        "batch": batch,
        "per_second": count / wall["ours"],
        "plain_per_second": count / wall["plain"],
        "ratio": wall["plain"] / wall["ours"],
        "cpu_ratio": cpu["plain"] / cpu["ours"],
        "network_per_second": count / wall["alone"],
        "network_share": wall["alone"] / wall["ours"],
        "network_cpu_share": cpu["alone"] / cpu["ours"],
    }


@torch.no_grad()
def alone(env: Smiles, policy: RecurrentPolicy, batch: int, tokens: int) -> None:
    """Run the network for so many tokens and nothing else: the least time that sampling takes."""
    network, device = Network.of(policy, env), policy.head.weight.device
    memory, last = network.start(batch), torch.arange(batch, device=device) % env.end
    features = torch.rand(batch, network.layers[0].into.shape[0], device=device)
    for _ in range(-(-tokens // batch)):
        logits = network.step(features, last, memory)
    float(logits[0, 0])  # waits for a GPU


class Plain:
    """A step-by-step loop as one would write it: embed, `torch.gru_cell`, softmax, draw."""

    def __init__(self, env: Smiles, policy: RecurrentPolicy) -> None:
        width, sizes = env.obs_size, (policy.hidden, policy.layers)
        self.env, self.actions = env, env.end + 1
        self.embedding = torch.nn.Embedding(self.actions, width)
        self.cells = [
            torch.nn.GRUCell(width if i == 0 else sizes[0], sizes[0]) for i in range(sizes[1])
        ]
        self.head = torch.nn.Linear(sizes[0], self.actions)
        self.device = policy.head.weight.device
        for module in (self.embedding, *self.cells, self.head):
            module.to(self.device)

    @torch.no_grad()
    def __call__(self, wanted: NDArray[np.int16]) -> list[str]:
        """Return the texts of one batch; each step's token is replaced by the wanted one."""
        tokens = torch.as_tensor(wanted.astype(np.int64), device=self.device)
        B = len(tokens)
        memory = [torch.zeros(B, cell.hidden_size, device=self.device) for cell in self.cells]
        last = torch.full((B,), self.env.end, device=self.device)
        ended = torch.zeros(B, dtype=torch.bool, device=self.device)
        written = []
        for t in range(tokens.shape[1]):
            features = self.embedding(last)
            for i, cell in enumerate(self.cells):
                features = memory[i] = cell(features, memory[i])
            shares = torch.softmax(self.head(features), dim=-1)
            drawn = torch.multinomial(shares, 1).squeeze(1)
            last = torch.where(drawn >= 0, tokens[:, t], drawn)
            written.append(last)
            ended |= last == self.env.end
            if bool(ended.all()):
                break
        words, end = self.env.vocabulary, self.env.end
        out = []
        for row in torch.stack(written, dim=1).tolist():
            out.append("".join(words[token] for token in row[: row.index(end)]))
        return out


def masked(env: Smiles, policy: RecurrentPolicy) -> dict[str, float]:
    """Return molecules a second with the mask, as a campaign samples them."""
    from designer.rollout import rollout

    device = policy.head.weight.device
    batch = MASKED if device.type == "cpu" else LARGE[0]
    started = time.perf_counter()
    made = rollout(env, policy, batch, torch.Generator().manual_seed(0), device=device)
    made.actions.cpu()  # waits for a GPU
    return {"batch": batch, "per_second": batch / (time.perf_counter() - started)}


def scoring(env: Smiles, policy: RecurrentPolicy, cores: int) -> dict[str, float]:
    """Return the shares of the scoring's time that QED itself took.

    `own_share` is of the wall time, times cores; `cpu_share` of all processor seconds, those of
    this process included.
    """
    from oracles.pool import Parallel

    rows = sample(env, policy, 2 * SCORED, 256)
    designs = [design for design in env.decode(rows.tolist()) if design is not None][:SCORED]
    with Parallel(Timed(), cores) as pool:
        pool(designs[: 64 * cores])  # starts the workers
        started = time.perf_counter(), time.process_time()
        told = pool(designs)
        wall, ours = _since(started)
    total = {name: float(values.sum()) for name, values in told.columns.items()}
    return {
        "molecules": len(designs),
        "per_second": len(designs) / wall,
        "own_ms": 1000 * total["seconds"] / len(designs),
        "own_share": total["seconds"] / (cores * wall),
        "cpu_share": total["own"] / (total["busy"] + ours),
    }


def memory(folder: Path) -> float:
    """Return the peak resident memory in MB of a run of `CALLS` calls in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        arguments = ["molecule", "qed", "--prior", str(folder), "--budget", str(CALLS), "--quiet"]
        code = f"from cli.main import main; main({[*arguments, '--out', f'{place}/run']!r})"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise InputError(f"the short run ended with code {done.returncode}: {done.stderr[-300:]}")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _since(started: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - started[0], time.process_time() - started[1]


def _told(found: dict[str, Any]) -> str:
    lines = [f"{found['prior']}, {found['device']}, {found['cores']} cores"]
    lines += ["sampling, molecules a second; `network` and `share`: what the network alone allows"]
    rows = [
        ["batch", "no mask", "plain loop", "ratio", "cpu ratio", "network", "share", "cpu share"]
    ]
    for row in found["sampling"]:
        cells = [f"{row['per_second']:.0f}", f"{row['plain_per_second']:.0f}"]
        cells += [f"{row['ratio']:.2f}", f"{row['cpu_ratio']:.2f}"]
        cells += [f"{row['network_per_second']:.0f}", f"{row['network_share']:.0%}"]
        rows.append([str(row["batch"]), *cells, f"{row['network_cpu_share']:.0%}"])
    lines += ["".join(cell.rjust(12) for cell in row) for row in rows]
    held, score = found["masked"], found["scoring"]
    lines += [f"with the mask, batch {held['batch']}: {held['per_second']:.0f} a second"]
    lines += [
        f"scoring {score['molecules']} molecules: {score['per_second']:.0f} a second, QED "
        f"{score['own_ms']:.2f} ms each, {score['own_share']:.1%} of the cores' time is its own, "
        f"{score['cpu_share']:.1%} of the processor seconds"
    ]
    lines += [f"peak memory of {CALLS} calls: {found['memory_mb']:.0f} MB"]
    return "\n".join(lines)
