"""Known designs as a policy sees them: rows of actions, walked once and kept small.

A network must learn from the observations that the environment will show it. They are computed
by the environment itself, for a block of rows at once, when a block is first needed, and kept as
one byte a number: few different values occur in each column, so nothing is lost. Columns that
only repeat the last action one-hot are found out and not kept at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from designer.protocols import Environment

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Known:
    """A minibatch of rows of similar length."""

    observations: Tensor  # [B, T, F] float32
    actions: Tensor  # [B, T] int64, padded with 0
    active: Tensor  # [B, T] bool
    legal: Tensor | None = None  # [B, T, A] bool, where the corpus is asked for it


class Corpus:
    """Rows of actions that finish their designs, in blocks of `block` rows drawn at random.

    Legality is not checked: rows the mask would refuse are walked like the others. With `masked`
    a minibatch tells which actions were legal; from an illegal action on, all count as legal.
    """

    def __init__(
        self,
        env: Environment[Any, Any],
        rows: Sequence[NDArray[np.integer[Any]]],
        *,
        block: int = 4096,
        seed: int = 0,
        device: torch.device | str = "cpu",
        masked: bool = False,
    ) -> None:
        self.env, self.rows, self.device = env, rows, torch.device(device)
        self.masked = masked
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)
        order = np.random.default_rng(seed).permutation(len(rows))
        self.blocks = [order[i : i + block] for i in range(0, len(rows), block)]
        self._kept: dict[int, _Block] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> int:
        """Return how many minibatches an epoch has."""
        return sum(-(-len(block) // size) for block in self.blocks)

    def epoch(self, size: int, seed: Sequence[int] | None, skip: int = 0) -> Iterator[Known]:
        """Yield every row once, in minibatches of `size` rows of about the same length.

        The order depends on `seed` alone (None: always the same), and the first `skip`
        minibatches are left out, so an interrupted epoch is continued exactly.
        """
        rng = None if seed is None else np.random.default_rng(seed)
        count = len(self.blocks)
        for place in range(count) if rng is None else rng.permutation(count).tolist():
            block = self.blocks[place]
            jitter = 0.0 if rng is None else rng.uniform(-2.0, 2.0, len(block))
            ranked = np.argsort(self.lengths[block] + jitter, kind="stable")
            parts = [ranked[i : i + size] for i in range(0, len(ranked), size)]
            if rng is not None:
                rng.shuffle(parts)
            if skip >= len(parts):
                skip -= len(parts)
                continue
            held = self._block(place)
            for part in parts[skip:]:
                yield held.batch(part, self.device)
            skip = 0

    def _block(self, place: int) -> _Block:
        if place not in self._kept:
            rows = [self.rows[i] for i in self.blocks[place]]
            self._kept[place] = _walked(self.env, rows, self.device, self.masked)
        return self._kept[place]


@dataclass(frozen=True)
class _Block:
    actions: NDArray[np.int16]  # [B, T]
    lengths: NDArray[np.int64]  # [B]
    codes: Bytes  # [B, T, G] places in `values`; or float32 where a column has too many
    values: NDArray[np.float32]  # [G, 256]
    first: NDArray[np.float32] | None  # [A] observed before any action, where A columns repeat it
    size: int  # A
    legal: Bytes | None  # [B, T, A / 8], eight actions a byte

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> Known:
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        actions = torch.from_numpy(self.actions[rows, :longest]).to(device).long()
        active = (
            torch.arange(longest, device=device) < torch.from_numpy(lengths).to(device)[:, None]
        )
        codes = torch.from_numpy(self.codes[rows, :longest]).to(device)
        shown = codes
        if codes.dtype == torch.uint8:
            table = torch.from_numpy(self.values).to(device)
            shown = table[torch.arange(len(table), device=device), codes.long()]
        if self.first is not None:
            before = one_hot(actions[:, :-1], self.size).float()
            start = torch.from_numpy(self.first).to(device).expand(len(rows), 1, -1)
            shown = torch.cat([torch.cat([start, before], 1), shown], 2)
        return Known(shown, actions * active, active, self._legal(rows, longest, device))

    def _legal(self, rows: NDArray[np.int64], longest: int, device: torch.device) -> Tensor | None:
        if self.legal is None:
            return None
        bits = np.unpackbits(self.legal[rows, :longest], axis=-1, count=self.size)
        return torch.from_numpy(bits).to(device).bool()


@torch.no_grad()
def _walked(
    env: Environment[Any, Any],
    rows: Sequence[NDArray[np.integer[Any]]],
    device: torch.device,
    masked: bool,
) -> _Block:
    """Return a block as its environment shows it."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    actions = np.zeros((len(rows), int(lengths.max())), dtype=np.int16)
    for place, row in enumerate(rows):
        actions[place, : len(row)] = row
        actions[place, len(row) :] = row[-1]  # the last action ends the row; ends absorb
    taken = torch.from_numpy(actions).to(device).long()
    state, seen, bits = env.reset(len(rows), device), [], []
    followed = torch.ones(len(rows), dtype=torch.bool, device=device)
    for t in range(taken.shape[1]):
        seen.append(env.observe(state))
        if masked:
            legal = env.mask(state)
            followed = followed & legal.gather(1, taken[:, t : t + 1]).squeeze(1)
            bits.append(np.packbits((legal | ~followed[:, None]).cpu().numpy(), axis=-1))
        state = env.step(state, taken[:, t])
    observed = torch.stack(seen, 1)
    size, first = env.num_actions, None
    before = one_hot(taken[:, :-1], size).float()
    if torch.equal(observed[:, 1:, :size], before) and _constant(observed[:, 0, :size]):
        first = observed[0, 0, :size].cpu().numpy()
        observed = observed[:, :, size:]
    codes, values = _coded(observed.cpu().numpy())
    return _Block(
        actions, lengths, codes, values, first, size, np.stack(bits, 1) if masked else None
    )


def _constant(rows: Tensor) -> bool:
    return torch.equal(rows, rows[:1].expand_as(rows))


def _coded(observed: NDArray[np.float32]) -> tuple[Any, NDArray[np.float32]]:
    """Return codes [B, T, G] and what they stand for [G, 256]; the numbers where that fails."""
    columns = observed.shape[2]
    values = np.zeros((columns, 256), dtype=np.float32)
    codes = np.zeros(observed.shape, dtype=np.uint8)
    for g in range(columns):
        column = np.ascontiguousarray(observed[:, :, g])
        different = np.unique(column)
        if len(different) > 256:
            return observed, values
        values[g, : len(different)] = different
        codes[:, :, g] = np.searchsorted(different, column)
    return codes, values
