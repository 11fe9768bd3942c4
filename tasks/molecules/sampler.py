"""Sampling SMILES from a taught policy without the mask, as fast as its network allows.

The policy is the one that `rollout` asks over `tasks.molecules.freely.Unmasked`, and the
molecules follow the same distribution: the observation is followed by compiled code, the row of
the input weights that belongs to the last token is looked up rather than multiplied, and a row
that ends begins the next molecule, so no step is spent on finished rows. When none is left to
begin, finished rows are dropped every few steps. On the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designer.policy import RecurrentPolicy
from tasks.molecules.smiles import Smiles, tables

DROP_EVERY = 4  # steps


@dataclass(frozen=True)
class _Layer:
    """One recurrent layer, its weights transposed."""

    table: Tensor | None  # [A, 3H] what the last token adds, biases included; first layer only
    into: Tensor  # [F, 3H]
    bias: Tensor  # [3H]
    over: Tensor  # [H, 3H]
    own: Tensor  # [3H]


@torch.no_grad()
def sample(
    env: Smiles, policy: RecurrentPolicy, count: int, batch_size: int = 256, seed: int = 0
) -> NDArray[np.int16]:
    """Return [count, T] tokens of each molecule, END from its end on; T as long as needed."""
    from tasks.molecules import tracking

    B, N, A = min(batch_size, count), env.max_atoms, env.end + 1
    table = _table(env)
    marks = np.zeros((B, 10), dtype=np.int64)
    atoms = np.zeros((B, 5, N), dtype=np.int64)
    ring = np.zeros((B, tracking.RINGS), dtype=np.int64)
    dense, last = torch.zeros(B, tracking.DENSE), torch.full((B,), env.end)
    for b in range(B):
        tracking.begin(marks, atoms, ring, b, b, env.end)
        tracking.look(marks, atoms, ring, table, b, env.max_length, dense.numpy())
    rows = np.full((count, env.max_length + 1), env.end, dtype=np.int16)
    layers, generator = _layers(policy, env.num_actions), torch.Generator().manual_seed(seed)
    memory = torch.zeros(len(layers), B, policy.hidden)
    head, bias = policy.head.weight[:A].t().contiguous(), policy.head.bias[:A]
    begun, step = B, 0
    while len(marks):
        features: Tensor = dense
        for place, layer in enumerate(layers):
            features = _recur(layer, features, memory[place], last if place == 0 else None)
            memory[place] = features
        logits = torch.addmm(bias, features, head)
        uniforms = torch.rand(len(marks), generator=generator, dtype=torch.float64)
        begun = tracking.advance(
            logits.numpy(), uniforms.numpy(), marks, atoms, ring, table, env.max_length, count,
            begun, memory.numpy(), rows, dense.numpy(), last.numpy(),
        )  # fmt: skip
        step += 1
        if begun == count and step % DROP_EVERY == 0:
            kept = np.flatnonzero(marks[:, tracking.NAME] != tracking.NEVER)
            if len(kept) < len(marks):
                marks, atoms, ring = marks[kept], atoms[kept], ring[kept]
                index = torch.as_tensor(kept)
                dense, last, memory = dense[index], last[index], memory[:, index]
    longest = int((rows != env.end).sum(1).max(initial=0)) + 1
    return rows[:, :longest]


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


def _recur(layer: _Layer, features: Tensor, memory: Tensor, last: Tensor | None) -> Tensor:
    """Return [B, H] the memory after a step: the equations of `torch.nn.GRU`."""
    H = memory.shape[1]
    if layer.table is None or last is None:
        given = torch.addmm(layer.bias, features, layer.into)
    else:
        given = layer.table.index_select(0, last).addmm_(features, layer.into)
    held = torch.addmm(layer.own, memory, layer.over)
    gates = given[:, : 2 * H].add_(held[:, : 2 * H]).sigmoid_()
    reset, update = gates[:, :H], gates[:, H:]
    new = given[:, 2 * H :].addcmul_(reset, held[:, 2 * H :]).tanh_()
    return new.lerp(memory, update)


def _layers(policy: RecurrentPolicy, actions: int) -> list[_Layer]:
    """Return the layers; an embedding, being linear, is put into the first one's weights."""
    layers = []
    for place, (into, over, bias, own) in enumerate(policy.gru.all_weights):
        weights, added = into.t().contiguous(), bias + 0.0
        if place == 0 and isinstance(policy.embed, torch.nn.Linear):
            added = bias + into @ policy.embed.bias
            weights = (into @ policy.embed.weight).t().contiguous()
        table = weights[:actions] + added if place == 0 else None
        rest = weights[actions:].contiguous() if place == 0 else weights
        layers.append(_Layer(table, rest, added, over.t().contiguous(), own))
    return layers


def _table(env: Smiles) -> NDArray[np.int64]:
    """Return [8, V] what each token is, as `tasks.molecules.tracking` reads it."""
    own = tables(env, torch.device("cpu"))
    columns: Sequence[Tensor] = (
        own.kind, own.free, own.aromatic, own.order, own.directed, own.digit, own.need, own.n_like,
    )  # fmt: skip
    return torch.stack([column.long() for column in columns]).numpy()
