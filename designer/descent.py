"""The optimiser over everything that is learned, each part at its own step size.

The policy is the slow part; its value head (where `critic_lr` is set), the critic of actions and
the learned log Z may be faster. Konda and Tsitsiklis 2000: actor and critic both converge where
the critic's steps outlast the actor's, that is where their ratio goes to 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from designer.errors import InputError
from designer.learning import LearnerSettings


@dataclass(frozen=True)
class Group:
    """Parameters that share a step size: lr / (1 + steps)^power."""

    names: Sequence[str]
    parameters: Sequence[nn.Parameter]
    lr: float
    power: float = 0.0


class Descent:
    """Steps down a loss. `steps` were taken, `skipped` not, for want of a finite gradient."""

    def __init__(
        self, policy: nn.Module, extras: Mapping[str, nn.Module], settings: LearnerSettings
    ) -> None:
        self.groups = groups(policy, extras, settings)
        self.max_norm = settings.max_grad_norm
        kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.SGD
        tables = [{"params": list(group.parameters), "lr": group.lr} for group in self.groups]
        self.optimiser: torch.optim.Optimizer = kind(tables, lr=settings.lr)
        self.steps = self.skipped = 0

    @property
    def actor(self) -> list[nn.Parameter]:
        """The policy's own parameters, without a value head that learns apart."""
        return list(self.groups[0].parameters)

    def take(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Step along the gradients that lie ready; return the policy's gradient norm, and 1
        where a gradient was not finite.

        Without any weight, and with a gradient that is not finite, nothing moves at all.
        """
        self._set_rates()
        norm, broken, moved = advance(self.optimiser, self.max_norm, weight)
        self.steps += int(moved)
        self.skipped += int(broken)
        return norm, broken

    def state_dict(self) -> dict[str, Tensor]:
        """Return the optimiser's tensors by the parameters' names, and the counters."""
        counters = torch.tensor([self.steps, self.skipped])
        return moments(self.optimiser, self._named()) | {"counters": counters}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go back to exactly what `state_dict` returned."""
        restore_moments(self.optimiser, self._named(), state)
        self.steps, self.skipped = (int(count) for count in state["counters"])

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return [pair for g in self.groups for pair in zip(g.names, g.parameters, strict=True)]

    def _set_rates(self) -> None:
        for group, table in zip(self.groups, self.optimiser.param_groups, strict=True):
            table["lr"] = rate(group.lr, group.power, self.steps)


def advance(
    optimiser: torch.optim.Optimizer, max_norm: float, weight: Tensor
) -> tuple[Tensor, Tensor, bool]:
    """Step along the gradients that lie ready, those of each group shortened to `max_norm`.

    Return the first group's norm, 1 where a gradient was not finite, and whether a step was
    taken. Without any weight, and with a gradient that is not finite, nothing moves at all: not
    even by the momentum of earlier steps.
    """
    norms = [nn.utils.clip_grad_norm_(g["params"], max_norm) for g in optimiser.param_groups]
    finite, some = torch.stack([torch.isfinite(n) for n in norms]).all(), weight.sum() > 0
    moved = bool(finite & some)
    if moved:
        optimiser.step()
    return torch.where(finite, norms[0], 0.0).detach(), (~finite).to(norms[0].dtype), moved


def moments(
    optimiser: torch.optim.Optimizer, named: Iterable[tuple[str, nn.Parameter]]
) -> dict[str, Tensor]:
    """Return what the optimiser remembers of named parameters, by `optimiser.NAME.KEY`."""
    return {
        f"optimiser.{name}.{key}": value
        for name, parameter in named
        for key, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_moments(
    optimiser: torch.optim.Optimizer,
    named: Iterable[tuple[str, nn.Parameter]],
    state: Mapping[str, Tensor],
) -> None:
    """Let the optimiser remember what `moments` returned, and nothing else."""
    optimiser.state.clear()
    for name, parameter in named:
        kept = under(state, f"optimiser.{name}.")
        if kept:  # torch keeps the count of steps, a number, on the CPU
            optimiser.state[parameter] = {
                key: value.clone() if value.dim() == 0 else value.clone().to(parameter.device)
                for key, value in kept.items()
            }


def rate(first: float, power: float, step: int) -> float:
    """Return first / (1 + step)^power: for power in (1/2, 1] the sum diverges, that of the
    squares does not (Robbins and Monro 1951)."""
    return first / float((1.0 + step) ** power)


def groups(policy: nn.Module, extras: Mapping[str, nn.Module], s: LearnerSettings) -> list[Group]:
    """Return the policy's group first. Raises InputError where a value head is wanted apart and
    there is none."""
    named = dict(policy.named_parameters())
    head = [name for name in named if name.startswith("value_head")]
    apart = head if learns_apart(s) else []
    if learns_apart(s) and not head:
        raise InputError(
            f"learner: critic_lr needs a policy with a `value_head`, and {type(policy).__name__} "
            "has none; leave critic_lr out"
        )
    slow = [name for name in named if name not in apart]
    fast = s.critic_lr if s.critic_lr is not None else s.lr
    out = [Group(slow, [named[name] for name in slow], s.lr, s.lr_power)]
    if apart:
        out.append(Group(apart, [named[n] for n in apart], fast, s.critic_lr_power))
    for part, module in extras.items():
        theirs = {f"{part}.{name}": p for name, p in module.named_parameters()}
        lr = s.log_z_lr if part == "partition" else fast
        out.append(Group(list(theirs), list(theirs.values()), lr, s.critic_lr_power))
    return out


def learns_apart(s: LearnerSettings) -> bool:
    """Return whether the value head learns by itself, on features that only the actor moves."""
    return s.critic_lr is not None and s.baseline == "critic"


def under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the entries below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
