"""Who earned the reward, where several agents place parts of one design (COMA).

Foerster et al. 2018. The agents act in turn; each is compared with what the others' choices
would have been worth had it chosen as its policy does on average. Agents are the environment's
own (`Trajectory.agent`), or parts of so many steps: sub-chains, fragments, sub-expressions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from designer.errors import InputError
from designer.protocols import Trajectory


class ActionCritic(nn.Module):
    """A centralised critic: what every action would be worth to every agent, at every step.

    It reads the whole design so far (a GRU over the observations) and who is to choose.
    """

    def __init__(
        self, obs_size: int, num_actions: int, agents: int, hidden: int = 64, seed: int = 0
    ) -> None:
        super().__init__()
        self.agents = agents
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.gru = nn.GRU(obs_size + agents, hidden, batch_first=True)
            self.head = nn.Linear(hidden, num_actions)
        nn.init.zeros_(self.head.weight)  # nothing is expected before anything was seen
        nn.init.zeros_(self.head.bias)

    def forward(self, observations: Tensor, agent: Tensor) -> Tensor:
        """Return [B, T, A] from observations [B, T, F] and agents [B, T]."""
        dtype = self.head.weight.dtype
        who = nn.functional.one_hot(agent.clamp(0, self.agents - 1), self.agents).to(dtype)
        features, _ = self.gru(torch.cat([observations.to(dtype), who], dim=-1))
        values: Tensor = self.head(features)
        return values


def agents_of(trajectory: Trajectory, agents: int, agent_steps: int) -> Tensor:
    """Return [B, T] who makes each choice, below `agents`.

    The environment's own agents, or else one for each `agent_steps` steps; the last one takes
    what is left. Raises InputError where there is neither.
    """
    if trajectory.agent is not None:
        return trajectory.agent.clamp(0, agents - 1)
    if agent_steps < 1:
        raise InputError(
            "learner: this task has no agents of its own; set agent_steps, the steps that each "
            "part of a design takes, or take baseline = 'leave_one_out'"
        )
    actions = trajectory.actions
    step = torch.arange(actions.shape[1], device=actions.device)
    return (step // agent_steps).clamp(max=agents - 1).expand_as(actions)


def part_steps(agents: int, max_steps: int) -> int:
    """Return the steps of each part where designs of at most `max_steps` have `agents` parts."""
    return max(1, math.ceil(max_steps / agents))


def counterfactual_value(values: Tensor, log_probs: Tensor, masks: Tensor) -> Tensor:
    """Return [B, T] sum over actions of pi(a) Q(a): what the agent's own choice is held against.

    `values`, `log_probs`, `masks` [B, T, A]. It does not depend on the action that was taken, so
    as a baseline its term has mean 0, whatever Q is.
    """
    return (torch.where(masks, log_probs.exp(), 0.0) * torch.where(masks, values, 0.0)).sum(-1)


def counterfactual_advantage(
    returns: Tensor, taken: Tensor, expected: Tensor, lam: float = 1.0
) -> Tensor:
    """Return [B, T] lam G + (1 - lam) Q(a) - sum over actions of pi Q.

    lam = 1 holds the return against the counterfactual baseline, **unbiased for any critic**;
    lam = 0 is COMA's own form (equation 4), of less variance and biased as far as Q is wrong.
    """
    return lam * returns + (1.0 - lam) * taken - expected


def part_credit(advantage: Tensor, agent: Tensor, agents: int) -> Tensor:
    """Return [B, agents] what each agent's choices added, summed over its steps."""
    who = nn.functional.one_hot(agent, agents).to(advantage.dtype)
    return (advantage.unsqueeze(-1) * who).sum(1)
