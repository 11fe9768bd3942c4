"""What is learned beside the policy: the critic of actions, and the log Z of trajectory balance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from designer.counterfactual import ActionCritic
from designer.errors import InputError
from designer.learning import LearnerSettings


class Partition(nn.Module):
    """A number, log Z; 0 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def forward(self) -> Tensor:
        """Return log Z."""
        return self.value


def extras(s: LearnerSettings, policy: Any) -> nn.ModuleDict:
    """Return what the settings need; mostly nothing.

    Raises InputError where the policy does not tell the sizes that a critic of actions needs.
    """
    out = nn.ModuleDict()
    if "trajectory_balance" in (s.loss, s.imitation):
        out["partition"] = Partition()
    if s.baseline == "counterfactual":
        out["critic"] = _critic(s, policy)
    return out


def _critic(s: LearnerSettings, policy: Any) -> ActionCritic:
    obs_size, num_actions = (getattr(policy, n, None) for n in ("obs_size", "num_actions"))
    if not isinstance(obs_size, int) or not isinstance(num_actions, int):
        raise InputError(
            "learner: the critic of actions needs policy.obs_size and policy.num_actions, and "
            f"{type(policy).__name__} lacks them; add them, or take another baseline"
        )
    return ActionCritic(obs_size, num_actions, s.agents, seed=s.seed)
