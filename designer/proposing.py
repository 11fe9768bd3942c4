"""What a campaign tells its proposer and keeps of it, where the proposer wants any of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from designer.protocols import Purse, Scored


def engaged(proposer: Any, purse: Purse, policy: Any) -> Any:
    """Return the proposer as it serves a campaign, with nothing proposed yet.

    If it judges by itself it pays from the purse; if it draws from a policy, it is that one.
    """
    offered = {"purse": purse, "policy": policy}
    given: dict[str, Any] = {name: it for name, it in offered.items() if hasattr(proposer, name)}
    return replace(proposer, **given) if given else proposer


def inform(proposer: Any, scored: Scored) -> None:
    """Tell a proposer that listens what was judged: new designs and what they earned."""
    if not hasattr(proposer, "hear"):
        return
    rows = np.flatnonzero(scored.fresh & np.isfinite(scored.merit)).tolist()
    proposer.hear([scored.designs[row] for row in rows], scored.reward[rows].tolist())


def pay(proposer: Any, scored: Scored, sampled: int, least: float) -> None:
    """Pay a proposer that chooses among others 1 for each new proposal of more than `least`
    reward, which would have been a parent, and 0 for the rest; the first `sampled` are not its."""
    if hasattr(proposer, "pay"):
        better = scored.fresh & np.isfinite(scored.merit) & (scored.reward > least)
        proposer.pay(better[sampled:].astype(float).tolist())


def metrics_of(proposer: Any) -> dict[str, float]:
    """Return what a proposer has to tell of a step; {} where it is one that has not."""
    told: dict[str, float] = proposer.metrics() if hasattr(proposer, "metrics") else {}
    return told


def memory_of(proposer: Any) -> dict[str, Any]:
    """Return what a proposer remembers, as plain data; {} where it is one that does not."""
    held: dict[str, Any] = proposer.state() if hasattr(proposer, "state") else {}
    return held


def remind(proposer: Any, state: Mapping[str, Any]) -> None:
    """Bring a proposer back to what it remembered."""
    if hasattr(proposer, "restore"):
        proposer.restore(state)
