"""Who earned it: the credit of each part of the designs found, where parts are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from designer.campaign import Campaign
from designer.memory import Found
from designer.rollout import retrace
from designer.walk import spelling, together


def by_part(campaign: Campaign, found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return design and credit of each part, in reward; [] where no critic tells parts apart.

    The credit is what a part's choices were worth beyond the policy's average choice there, as
    the critic of actions sees it. Designs that the environment cannot build again are left out.
    """
    learner: Any = campaign.learner
    encode = getattr(campaign.task.environment, "encode", None)
    needed = getattr(getattr(learner, "baseline", None), "needs_actions", False)
    if not needed or encode is None or not found:
        return []
    spelled = encode([campaign.task.parse(one.design) for one in found], None)
    pairs = [(f, spelling(row)) for f, row in zip(found, spelled, strict=True) if row is not None]
    if not pairs:
        return []
    actions, given = together([row for _, row in pairs])
    trajectory = retrace(campaign.task.environment, actions, device=campaign.device, **given)
    reward = torch.tensor([one.reward for one, _ in pairs], device=campaign.device)
    table = learner.part_credit(trajectory, reward).tolist()
    return [
        {"design": one.design, "parts": row} for (one, _), row in zip(pairs, table, strict=True)
    ]


def credit_lines(credit: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines a person reads."""
    if not credit:
        return []
    rows = [
        "  ".join([*(f"{part:+.4f}" for part in one["parts"]), str(one["design"])])
        for one in credit
    ]
    count = len(credit[0]["parts"])
    heads = "  ".join(f"part {i + 1}".rjust(7) for i in range(count))
    return ["", "credit of each part, against the policy's average choice there:", heads, *rows]
