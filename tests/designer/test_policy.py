"""The recurrent policy: step and unroll agree, the start is flat, settings rebuild it."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

from designer.errors import InputError
from designer.policy import POLICIES, RecurrentPolicy
from designer.rollout import rollout
from designer.sequences import Sequences
from designer.testing import check_policy

ENV = Sequences("abcdef", max_length=12, min_length=3)
SHAPES = [{"layers": 1}, {"layers": 3}, {"embedding": 5}, {"layers": 2, "embedding": 40}]


def make(**settings: int) -> RecurrentPolicy:
    return RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=24, seed=1, **settings)


@pytest.mark.parametrize("settings", SHAPES)
def test_the_contract_is_kept(settings: dict[str, int]) -> None:
    check_policy(make(**settings), ENV)


@pytest.mark.parametrize("settings", SHAPES)
@pytest.mark.parametrize("dtype,limit", [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_step_and_unroll_agree(settings: dict[str, int], dtype: torch.dtype, limit: float) -> None:
    policy = make(**settings).to(dtype)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(4)
    seen = torch.randn(7, 30, ENV.obs_size, generator=torch.Generator().manual_seed(0))
    together = policy.unroll(seen)
    memory = policy.start(7, torch.device("cpu"))
    for t in range(30):
        choices, memory = policy.step(seen[:, t], memory)
        assert choices.logits.dtype == dtype
        assert float((choices.logits - together.logits[:, t]).abs().max().detach()) < limit
        assert float((choices.value - together.value[:, t]).abs().max().detach()) < limit


def test_the_first_policy_is_nearly_uniform_over_legal_actions() -> None:
    drawn = rollout(ENV, make(), 300, torch.Generator().manual_seed(0))
    uniform = -drawn.masks.sum(-1).float().log() * drawn.active
    assert float((drawn.log_prob - uniform).abs().max()) < 0.1
    assert float(drawn.value.abs().max()) < 0.1


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, second = make(), make()
    assert torch.equal(torch.rand(3), expected)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    other = RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=24, seed=2)
    assert not torch.equal(other.head.weight, first.head.weight)


@pytest.mark.parametrize("settings", SHAPES)
def test_settings_rebuild_the_network(settings: dict[str, int]) -> None:
    policy = make(**settings)
    twin = RecurrentPolicy(**policy.settings())
    twin.load_state_dict(policy.state_dict())
    seen = torch.randn(2, 5, ENV.obs_size)
    assert torch.equal(twin.unroll(seen).logits, policy.unroll(seen).logits)


def test_every_registered_policy_can_be_built() -> None:
    for place in POLICIES.values():
        module, _, name = place.partition(":")
        check_policy(getattr(import_module(module), name)(ENV.obs_size, ENV.num_actions), ENV)


@pytest.mark.parametrize("name", ["obs_size", "num_actions", "hidden", "layers"])
def test_sizes_below_one_are_refused(name: str) -> None:
    sizes = {"obs_size": 3, "num_actions": 2, "hidden": 4, "layers": 1} | {name: 0}
    with pytest.raises(InputError, match=f"{name} is 0"):
        RecurrentPolicy(**sizes)
