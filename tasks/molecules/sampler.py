"""Sampling SMILES from a taught policy without the mask, as fast as its network allows.

The policy is the one that `rollout` asks over `tasks.molecules.freely.Unmasked`, and the
molecules follow the same distribution: the observation is followed by compiled code, the row of
the input weights that belongs to the last token is looked up rather than multiplied, and a row
that ends begins the next molecule, so no step is spent on finished rows. When none is left to
begin, finished rows are dropped every few steps.

Network and draw run where the policy is, the observations on the processor. On a GPU the rows are
walked in several lanes, each with a thread and a stream of its own: while one lane's observations
are followed, the network has the others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designer.policy import RecurrentPolicy
from tasks.molecules.smiles import Smiles, tables

DROP_EVERY = 4  # steps
LANES = 8  # at most, on a GPU


@dataclass(frozen=True)
class Layer:
    """One recurrent layer, its weights transposed."""

    table: Tensor | None  # [A, 3H] what the last token adds, biases included; first layer only
    into: Tensor  # [F, 3H]
    bias: Tensor  # [3H]
    over: Tensor  # [H, 3H]
    own: Tensor  # [3H]

    def step(self, features: Tensor, memory: Tensor, last: Tensor | None) -> Tensor:
        """Return [B, H] the memory after a step: the equations of `torch.nn.GRU`."""
        H = memory.shape[1]
        if self.table is None or last is None:
            given = torch.addmm(self.bias, features, self.into)
        else:
            given = self.table.index_select(0, last).addmm_(features, self.into)
        held = torch.addmm(self.own, memory, self.over)
        gates = given[:, : 2 * H].add_(held[:, : 2 * H]).sigmoid_()
        reset, update = gates[:, :H], gates[:, H:]
        new = given[:, 2 * H :].addcmul_(reset, held[:, 2 * H :]).tanh_()
        return new.lerp(memory, update)


@dataclass(frozen=True)
class Network:
    """The policy's network, laid out for one step after another."""

    layers: Sequence[Layer]
    head: Tensor  # [H, A]
    bias: Tensor  # [A]

    @classmethod
    def of(cls, policy: RecurrentPolicy, env: Smiles) -> Network:
        """Return that of a policy; an embedding, being linear, is put into the first weights."""
        layers, actions = [], env.num_actions
        for place, (into, over, bias, own) in enumerate(policy.gru.all_weights):
            weights, added = into.t().contiguous(), bias + 0.0
            if place == 0 and isinstance(policy.embed, torch.nn.Linear):
                added = bias + into @ policy.embed.bias
                weights = (into @ policy.embed.weight).t().contiguous()
            table = weights[:actions] + added if place == 0 else None
            rest = weights[actions:].contiguous() if place == 0 else weights
            layers.append(Layer(table, rest, added, over.t().contiguous(), own))
        A = env.end + 1
        return cls(layers, policy.head.weight[:A].t().contiguous(), policy.head.bias[:A])

    def start(self, batch_size: int) -> Tensor:
        """Return [L, B, H] the memory before the first step."""
        return self.head.new_zeros(len(self.layers), batch_size, len(self.head))

    def step(self, features: Tensor, last: Tensor, memory: Tensor) -> Tensor:
        """Return logits [B, A]; `features` [B, F] and `last` tokens [B]; the memory is updated."""
        for place, layer in enumerate(self.layers):
            features = layer.step(features, memory[place], last if place == 0 else None)
            memory[place] = features
        return torch.addmm(self.bias, features, self.head)


def sample(
    env: Smiles,
    policy: RecurrentPolicy,
    count: int,
    batch_size: int = 256,
    seed: int = 0,
    lanes: int | None = None,
) -> NDArray[np.int16]:
    """Return [count, T] tokens of each molecule, END from its end on; T as long as needed.

    `batch_size` rows are walked at once, in `lanes` parts: one on the CPU, as many as there are
    cores on a GPU, if not told. The same on every machine of one kind: each lane draws by itself.
    """
    if lanes is None:
        lanes = 1 if policy.head.weight.is_cpu else min(LANES, os.cpu_count() or 1)
    lanes = max(1, min(lanes, batch_size, count))
    rows = np.full((count, env.max_length + 1), env.end, dtype=np.int16)
    parts = np.array_split(rows, lanes)  # views
    walk = partial(_walk, env, policy, -(-batch_size // lanes))
    if lanes == 1:
        walk(rows, seed)
    else:
        seeds = np.random.SeedSequence(seed).generate_state(lanes).tolist()
        with ThreadPoolExecutor(lanes) as pool:
            list(pool.map(walk, parts, seeds))
    longest = int((rows != env.end).sum(1).max(initial=0)) + 1
    return rows[:, :longest]


@torch.no_grad()  # which holds for one thread
def _walk(
    env: Smiles, policy: RecurrentPolicy, batch_size: int, rows: NDArray[np.int16], seed: int
) -> None:
    """Fill rows [M, T] with the tokens of M molecules, `batch_size` of them at once."""
    from tasks.molecules import tracking

    device, count = policy.head.weight.device, len(rows)
    B, N = min(batch_size, count), env.max_atoms
    table, pinned = _table(env), device.type == "cuda"
    marks = np.zeros((B, 10), dtype=np.int64)
    atoms = np.zeros((B, 5, N), dtype=np.int64)
    ring = np.zeros((B, tracking.RINGS), dtype=np.int64)
    dense = torch.zeros(B, tracking.DENSE, pin_memory=pinned)
    last = torch.zeros(B, dtype=torch.long, pin_memory=pinned)
    told = dense.numpy(), last.numpy()
    tracking.begin_all(marks, atoms, ring, table, env.max_length, *told)
    generator, begun, step = torch.Generator(device).manual_seed(seed), B, 0
    with _stream(device):
        network = Network.of(policy, env)
        memory = network.start(B)
        while len(marks):
            tokens = last.to(device)
            memory.masked_fill_((tokens == env.end)[None, :, None], 0.0)  # these begin
            logits = network.step(dense.to(device), tokens, memory)
            drawn = _drawn(logits, generator)
            begun = tracking.follow(
                drawn, marks, atoms, ring, table, env.max_length, count, begun, rows, *told
            )
            step += 1
            if begun == count and step % DROP_EVERY == 0:
                kept = np.flatnonzero(marks[:, tracking.NAME] != tracking.NEVER)
                if len(kept) < len(marks):
                    marks, atoms, ring = marks[kept], atoms[kept], ring[kept]
                    index = torch.as_tensor(kept)
                    dense, last = dense[index], last[index]
                    told = dense.numpy(), last.numpy()
                    memory = memory[:, index.to(device)]


def _drawn(logits: Tensor, generator: torch.Generator) -> NDArray[np.int64]:
    """Return [B] tokens drawn by logits [B, A], which are overwritten, on the processor."""
    from tasks.molecules import tracking

    if logits.is_cpu:  # compiled code reads one random number a row
        uniforms = torch.rand(len(logits), generator=generator, dtype=torch.float64)
        return tracking.drawn(logits.numpy(), uniforms.numpy())
    return _raced(logits, generator).cpu().numpy()


def _raced(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Return [B] tokens drawn by logits [B, A], which are overwritten, where these are.

    The first of exponential clocks that run at the tokens' rates: the Gumbel trick.
    """
    times = torch.empty_like(logits).exponential_(generator=generator)
    return logits.sub_(times.log_()).argmax(1)


def _stream(device: torch.device) -> AbstractContextManager[Any]:
    """Return what gives this thread a stream of its own on a GPU."""
    if device.type != "cuda":
        return nullcontext()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)


def texts(env: Smiles, rows: NDArray[np.int16]) -> list[str]:
    """Return the SMILES of each row: the bytes of all tokens are put together at once."""
    words = [*(word.encode() for word in env.vocabulary), b"\n"]
    width = max(len(word) for word in words)
    letters = np.frombuffer(b"".join(word.ljust(width) for word in words), dtype=np.uint8)
    first_end = np.cumsum(rows == env.end, axis=1) <= 1  # the tokens, and one END each
    flat = letters.reshape(-1, width)[rows[first_end]].ravel()
    ended: str = flat[flat != ord(" ")].tobytes().decode()
    missing = (rows != env.end).all(axis=1).any()  # a row that fills its whole width
    assert not missing, "every row ends"
    return ended.split("\n")[:-1]


def _table(env: Smiles) -> NDArray[np.int64]:
    """Return [8, V] what each token is, as `tasks.molecules.tracking` reads it."""
    own = tables(env, torch.device("cpu"))
    columns: Sequence[Tensor] = (
        own.kind, own.free, own.aromatic, own.order, own.directed, own.digit, own.need, own.n_like,
    )  # fmt: skip
    return torch.stack([column.long() for column in columns]).numpy()
