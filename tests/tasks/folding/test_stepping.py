"""Compiled steps of growing chains against the same in operations on tensors."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tasks.folding.environment import Chain
from tasks.folding.growth import Grow
from tasks.folding.lattices import LATTICES
from tasks.folding.stepping import Compiled
from tasks.folding.tensors import Tensors

CPU = torch.device("cpu")
SEQUENCES = {"hp": "HPHPPHHPHPPHPHHPPHPH", "mj": "GIVEQCCTSICSLYQLENYCN"}
LIMITS: list[dict[str, Any]] = [
    {},
    {"symmetric": False, "lookahead": False},
    {"prune": -2.0},
    {"compact": 0.3, "prune": -1.0},
]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("grow", ["start", "end", "middle"])
@pytest.mark.parametrize("matrix", SEQUENCES)
@pytest.mark.parametrize("name", LATTICES)
def test_both_forms_take_the_same_steps(
    name: str, matrix: str, grow: Grow, limits: dict[str, Any]
) -> None:
    if matrix != "hp" and "compact" in limits:
        pytest.skip("lines are limited for HP chains only")
    env = Chain(SEQUENCES[matrix], name, matrix, grow=grow, **limits)
    compiled, tensors = Compiled(env), Tensors(env)
    generator = torch.Generator().manual_seed(0)
    state = env.reset(32, CPU)
    for _ in range(env.max_steps):
        room, alive = env.room(state), ~state.stuck
        mask = tensors.mask(state, room)
        assert torch.equal(compiled.mask(state, room), mask)
        seen, wanted = compiled.observe(state)[alive], tensors.observe(state)[alive]
        if matrix == "hp":  # bit by bit, so a run is the same in either form
            assert torch.equal(seen, wanted)
        torch.testing.assert_close(seen, wanted, rtol=1e-5, atol=1e-6)
        action = (torch.rand(mask.shape, generator=generator) * mask).argmax(1)
        grown, wanted_fields = compiled.step(state, action), tensors.step(state, action)
        alive = ~grown["stuck"]
        assert grown.keys() == wanted_fields.keys()
        for field, value in grown.items():
            rows = alive if field == "near" else slice(None)  # of those that gave up, nobody asks
            torch.testing.assert_close(value[rows], wanted_fields[field][rows])
        state = env.step(state, action)
    assert torch.equal(env.mask(state), tensors.mask(state, env.room(state)))


def test_a_step_leaves_the_earlier_state_as_it_was() -> None:
    env = Chain(SEQUENCES["hp"], grow="middle")
    state = env.reset(4, CPU)
    for _ in range(3):
        before = {f.name: getattr(state, f.name).clone() for f in dataclasses.fields(state)}
        after = env.step(state, env.mask(state).int().argmax(1))
        assert all(torch.equal(getattr(state, name), old) for name, old in before.items())
        state = after


def test_rows_that_do_not_lie_side_by_side_are_stepped_too() -> None:
    env = Chain(SEQUENCES["hp"])
    state = env.reset(8, CPU)
    for _ in range(4):
        state = env.step(state, env.mask(state).int().argmax(1))
    spaced = dataclasses.replace(
        state, **{f.name: getattr(state, f.name)[::2] for f in dataclasses.fields(state)}
    )
    assert torch.equal(env.observe(spaced), env.observe(state)[::2])
    assert torch.equal(env.mask(spaced), env.mask(state)[::2])
