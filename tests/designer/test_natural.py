"""The natural gradient's scores: all rows at once are the rows one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toys import gap

from designer.enumeration import world
from designer.natural import row_scores
from designer.policy import RecurrentPolicy
from designer.rollout import rollout
from tasks.offlattice.task import task

EXACT = 1e-12


class Unmapped:
    """A policy that only has `unroll`."""

    def __init__(self, policy: Any) -> None:
        self.unroll = policy.unroll


@pytest.mark.parametrize("layers", [1, 2])
def test_scores_of_all_rows_at_once_are_those_of_each(layers: int) -> None:
    toy = world(layers=layers)
    parameters = list(toy.policy.parameters())
    found = row_scores(toy.policy, toy.fixed, parameters)
    assert gap(found, row_scores(Unmapped(toy.policy), toy.fixed, parameters)) < EXACT
    assert gap(found, torch.stack([toy.gradient(value) for value in toy.log_prob])) < EXACT
    assert float(found.abs().max()) > 0.1


def test_scores_of_real_numbers_and_of_some_parameters() -> None:
    env: Any = task("ABBAB", "3d-angle").environment
    policy = RecurrentPolicy(env.obs_size, 1, 5, embedding=3, seed=0, num_values=2).double()
    drawn = rollout(env, policy, 6, torch.Generator().manual_seed(0))
    some = [p for name, p in policy.named_parameters() if not name.startswith("value_head")]
    found = row_scores(policy, drawn, some)
    assert gap(found, row_scores(Unmapped(policy), drawn, some)) < EXACT
    assert found.shape == (6, sum(p.numel() for p in some))


def test_the_plain_recurrence_is_the_fused_one() -> None:
    toy = world(layers=2)
    seen = toy.trajectory.observations
    with torch.no_grad():
        plain, fused = toy.policy.unroll_plainly(seen), toy.policy.unroll(seen)
    assert gap(plain.logits, fused.logits) < EXACT and gap(plain.value, fused.value) < EXACT
