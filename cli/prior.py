"""The `[prior]` table: the policy of an earlier run, to start from and to stay near to."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from designer import checkpoint
from designer.errors import InputError


@dataclass(frozen=True)
class Prior:
    """The policy that an earlier run learned; the `[policy]` tables of both must agree."""

    run: Path  # the earlier run's directory
    start: bool = True  # whether this run's policy begins as a copy of it

    @property
    def file(self) -> Path:
        """The checkpoint that is read."""
        return self.run / checkpoint.NAME

    def load(self, policy: torch.nn.Module) -> Any:
        """Return a frozen copy of `policy` with the earlier run's weights; see `start`."""
        state = checkpoint.load(self.run) if self.run.is_dir() else None
        if state is None:
            raise InputError(f"run {str(self.run)!r} has no checkpoint; name a run's directory")
        weights = {
            name.removeprefix("policy."): value
            for name, value in state["learner"].items()
            if name.startswith("policy.")
        }
        prior = copy.deepcopy(policy)
        try:
            prior.load_state_dict(weights)
        except RuntimeError as problem:
            what = str(problem).splitlines()[-1].strip()
            raise InputError(
                f"run {str(self.run)!r} has another kind of policy ({what}); take the same task "
                "and the same [policy] table"
            ) from None
        if self.start:
            policy.load_state_dict(weights)
        return prior.requires_grad_(False)
