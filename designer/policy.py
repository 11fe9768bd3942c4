"""Networks that prefer actions. Recurrent first: a design is read as it is written."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from designer import gaussian
from designer.errors import InputError
from designer.protocols import Choices

POLICIES = {"recurrent": "designer.policy:RecurrentPolicy"}

Memory = tuple[Tensor, ...]  # one [B, H] a layer


class RecurrentPolicy(nn.Module):
    """A GRU with one head for the preferences and one for the value; obeys `Policy`.

    `embedding` > 0 puts a linear layer of that size before the GRU, which pays where the
    observation is wide. The heads start near zero, so the first policy is near uniform over the
    legal actions. `seed` fixes the first weights without touching torch's global generator;
    None draws them from it. With `num_values` = K above 0 a third head gives locations and
    log-deviations of K real numbers a choice, near 0 and `deviation` at first. Observations are
    cast to the dtype of the weights, so `.double()` makes everything float64. Raises InputError
    for sizes that cannot be.
    """

    def __init__(
        self,
        obs_size: int,
        num_actions: int,
        hidden: int = 128,
        layers: int = 1,
        embedding: int = 0,
        seed: int | None = None,
        num_values: int = 0,
        deviation: float = 1.0,
    ) -> None:
        super().__init__()
        _check_sizes(obs_size=obs_size, num_actions=num_actions, hidden=hidden, layers=layers)
        if embedding < 0:
            raise InputError(f"policy: embedding is {embedding}, expected 0 (none) or more")
        self.obs_size, self.num_actions = obs_size, num_actions
        self.hidden, self.layers, self.embedding = hidden, layers, embedding
        self.num_values, self.deviation = num_values, _positive(deviation)
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            self.embed = nn.Linear(obs_size, embedding) if embedding > 0 else nn.Identity()
            self.gru = nn.GRU(embedding or obs_size, hidden, layers, batch_first=True)
            self.head = nn.Linear(hidden, num_actions)
            self.value_head = nn.Linear(hidden, 1)
            self.number_head = nn.Linear(hidden, 2 * num_values) if num_values else None
        self._initialise(seed)

    def settings(self) -> dict[str, Any]:
        """Return the keyword arguments that build a network of this shape."""
        names = ("obs_size", "num_actions", "hidden", "layers", "embedding")
        shape = {name: getattr(self, name) for name in names}
        more = {"num_values": self.num_values, "deviation": self.deviation}
        return shape | more if self.num_values else shape

    def start(self, batch_size: int, device: torch.device) -> Memory:
        """Return zeros, [B, H] a layer."""
        zero = torch.zeros(batch_size, self.hidden, device=device, dtype=self.head.weight.dtype)
        return (zero,) * self.layers

    def step(self, observation: Tensor, memory: Memory, /) -> tuple[Choices, Memory]:
        """Return the choices ([B, A], [B]) and the memory after one observation [B, F]."""
        features = self.embed(observation.to(self.head.weight.dtype))
        after = []
        for weights, hidden in zip(self.gru.all_weights, memory, strict=True):
            features = torch.gru_cell(features, hidden, *weights)
            after.append(features)
        return self._choices(features), tuple(after)

    def unroll(self, observations: Tensor, /) -> Choices:
        """Return the choices ([B, T, A], [B, T]) for [B, T, F] observations; differentiable."""
        features, _ = self.gru(self.embed(observations.to(self.head.weight.dtype)))
        return self._choices(features)

    def unroll_plainly(self, observations: Tensor, /) -> Choices:
        """Return the same as `unroll`, in single operations.

        `torch.func` can map these over rows; the fused recurrence of `unroll` it cannot.
        """
        features = self.embed(observations.to(self.head.weight.dtype))
        for weights in self.gru.all_weights:
            features = _recurrence(features, *weights)
        return self._choices(features)

    def _choices(self, features: Tensor) -> Choices:
        logits, value = self.head(features), self.value_head(features).squeeze(-1)
        if self.number_head is None:
            return Choices(logits, value)
        location, raw = self.number_head(features).chunk(2, dim=-1)
        logarithm = raw + math.log(self.deviation)
        scale = logarithm.clamp(gaussian.LOWEST, gaussian.HIGHEST).exp()
        return Choices(logits, value, location, scale)

    @torch.no_grad()
    def _initialise(self, seed: int | None) -> None:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if name.startswith(("head", "value_head", "number_head")):
                spread = 0.01 if weight.dim() == 2 else 0.0
                weight.normal_(0.0, 1.0, generator=generator).mul_(spread)
            else:
                bound = 1 / math.sqrt(self.hidden if "gru" in name else self.obs_size)
                weight.uniform_(-bound, bound, generator=generator)


def _recurrence(
    inputs: Tensor, weight: Tensor, weight_back: Tensor, bias: Tensor, bias_back: Tensor
) -> Tensor:
    """Return one GRU layer's features [B, T, H] (Cho et al. 2014, in torch's order of gates)."""
    given = torch.nn.functional.linear(inputs, weight, bias)
    hidden = torch.zeros_like(given[:, 0, : weight_back.shape[1]])
    kept = []
    for now in given.unbind(1):
        back = torch.nn.functional.linear(hidden, weight_back, bias_back)
        (reset, update, new), (r, z, n) = now.chunk(3, -1), back.chunk(3, -1)
        update = torch.sigmoid(update + z)
        new = torch.tanh(new + torch.sigmoid(reset + r) * n)
        hidden = (1.0 - update) * new + update * hidden
        kept.append(hidden)
    return torch.stack(kept, dim=1)


def _positive(deviation: float) -> float:
    if not 1e-3 <= deviation <= 20.0:
        raise InputError(f"policy: deviation is {deviation}, expected 0.001 to 20")
    return deviation


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"policy: {name} is {size}, expected at least 1")
