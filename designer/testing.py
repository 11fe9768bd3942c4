"""The contract kit: checks that a plug-in keeps its promises. For our tests and for yours.

Each check raises AssertionError with what was found, in which row and at which step, and says
what the contract asks for. See `designer.protocols` for the contracts themselves.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designer.proposing import memory_of, remind
from designer.protocols import Design, Environment, Measured, Oracle, Policy, Proposer
from designer.rollout import retrace, rollout
from designer.walk import restart, spelling, start_of, together


def walk(
    env: Environment[Any, Any], batch_size: int, seed: int = 0, device: str = "cpu"
) -> tuple[Tensor, list[Any]]:
    """Return [B, T] actions of a uniformly random legal walk, and the T + 1 states it visits."""
    generator = torch.Generator().manual_seed(seed)
    state = env.reset(batch_size, torch.device(device), generator)
    states: list[Any] = [state]
    taken: list[Tensor] = []
    for _ in range(env.max_steps):
        weights = env.mask(state).float()
        action = torch.multinomial(weights.cpu(), 1, generator=generator).squeeze(1)
        action = action.to(device)
        state = env.step(state, action, *_numbers(env, batch_size, len(taken), device))
        states.append(state)
        taken.append(action)
    return torch.stack(taken, dim=1), states


def check_environment(env: Environment[Any, Any], batch_size: int = 32, seed: int = 0) -> None:
    """Walk the environment at random and check every promise of the `Environment` protocol."""
    actions, states = walk(env, batch_size, seed)
    done = torch.zeros(batch_size, dtype=torch.bool)
    for t, state in enumerate(states):
        _check_shapes(env, state, batch_size, t)
        now = env.done(state)
        assert bool((now | ~done).all()), f"step {t}: a finished row became unfinished"
        done = now
        if t < len(states) - 1:
            _check_step(env, state, actions[:, t], t, _numbers(env, batch_size, t))
    assert bool(done.all()), f"row {int((~done).nonzero()[0])} is unfinished at max_steps"
    _check_rows_alone(env, actions, states)
    _check_designs(env, actions, _given(env, actions, states))


@torch.no_grad()
def check_policy(policy: Policy, env: Environment[Any, Any], batch_size: int = 8) -> None:
    """Check that `step` and `unroll` agree (1e-5), and that rows do not influence each other."""
    from designer.rollout import evaluate

    generator = torch.Generator().manual_seed(0)
    drawn = rollout(env, policy, batch_size, generator)
    thought = evaluate(policy, drawn)
    for name in ("log_prob", "entropy", "value"):
        gap = float((getattr(drawn, name) - getattr(thought, name)).abs().max())
        assert gap < 1e-5, f"step and unroll differ by {gap:.2e} in {name}; they must agree"
    if drawn.values is None:  # the density of a real number may be above 1
        assert bool((drawn.log_prob <= 1e-6).all()), "a log-probability is above 0"
    alone = evaluate(policy, drawn.rows(slice(0, 1)))
    gap = float((alone.log_prob - thought.log_prob[:1]).abs().max())
    assert gap < 1e-5, f"row 0 alone differs by {gap:.2e} from row 0 in its batch"


def check_oracle(oracle: Oracle[Any], designs: Sequence[Any]) -> None:
    """Check shapes, dtypes, and that permuting or splitting the batch changes nothing."""
    assert isinstance(oracle.name, str) and oracle.name, "an oracle needs a name"
    assert isinstance(oracle.cheap, bool), "`cheap` is True or False"
    whole = columns_of(oracle, oracle(designs), len(designs))
    order = np.random.default_rng(0).permutation(len(designs))
    shuffled = columns_of(oracle, oracle([designs[i] for i in order]), len(designs))
    middle = len(designs) // 2
    parts = [p for p in (designs[:middle], designs[middle:]) if len(p)]
    split = [columns_of(oracle, oracle(part), len(part)) for part in parts]
    for name, values in whole.items():
        joined = np.concatenate([part[name] for part in split]) if split else values[:0]
        for other, how in ((shuffled[name][np.argsort(order)], "permuting"), (joined, "splitting")):
            same = np.allclose(values, other, rtol=1e-9, atol=1e-12, equal_nan=True)
            assert same, f"{oracle.name}: {how} the batch changed column {name!r}"


def check_proposer(proposer: Proposer[Any], parents: Sequence[Any], count: int = 16) -> None:
    """Check that a proposer returns at most `count` designs, and the same for the same seed.

    One that remembers must do so from the state to which it was brought back.
    """
    held = memory_of(proposer)
    first = proposer(parents, count, np.random.default_rng(0))
    remind(proposer, held)
    again = proposer(parents, count, np.random.default_rng(0))
    assert len(first) <= count, f"{len(first)} proposals where at most {count} were asked for"
    assert all(isinstance(d, Design) for d in first), "a proposal is not a Design"
    assert [d.key for d in first] == [d.key for d in again], "the same seed gave other proposals"
    alone = proposer([], count, np.random.default_rng(0))
    assert len(alone) <= count, "no parents must give no children, or what it begins from itself"


def columns_of(oracle: Oracle[Any], result: Any, count: int) -> dict[str, np.ndarray]:
    """Return an oracle's result as columns [N] float64, whatever form it came in."""
    columns = result.columns if isinstance(result, Measured) else {oracle.name: result}
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    for name, values in arrays.items():
        assert values.shape == (count,), f"column {name!r} is {values.shape}, expected ({count},)"
    return arrays


def _check_shapes(env: Environment[Any, Any], state: Any, batch_size: int, t: int) -> None:
    observation, mask, done = env.observe(state), env.mask(state), env.done(state)
    expected = (batch_size, env.obs_size)
    assert observation.shape == expected, f"observe gave {tuple(observation.shape)}, not {expected}"
    assert observation.dtype == torch.float32, f"observe gave {observation.dtype}, not float32"
    assert bool(torch.isfinite(observation).all()), f"step {t}: an observation is not finite"
    expected = (batch_size, env.num_actions)
    assert mask.shape == expected, f"mask gave {tuple(mask.shape)}, not {expected}"
    assert mask.dtype == torch.bool and done.dtype == torch.bool, "mask and done are bool"
    assert done.shape == (batch_size,), f"done gave {tuple(done.shape)}, not ({batch_size},)"
    legal = mask.sum(-1)
    assert bool((legal > 0).all()), f"step {t}, row {int(legal.argmin())}: no legal action"
    absorbed = bool((legal[done] == 1).all())
    assert absorbed, f"step {t}: a finished row must have exactly one legal action"


def _numbers(
    env: Environment[Any, Any], batch_size: int, t: int, device: str = "cpu"
) -> tuple[Tensor, ...]:
    """Return the values [B, K] that go with step t of `walk`; none where none are taken."""
    count = getattr(env, "num_values", 0)
    if not count:
        return ()
    drawn = torch.randn(batch_size, count, generator=torch.Generator().manual_seed(1000 + t))
    return (drawn.to(device),)


def _given(env: Environment[Any, Any], actions: Tensor, states: list[Any]) -> dict[str, list[Any]]:
    """Return what goes with the actions of `walk`, as `decode` takes it."""
    count, length = actions.shape
    steps = [_numbers(env, count, t) for t in range(length)]
    given = {}
    if steps and steps[0]:
        given["values"] = torch.stack([values for (values,) in steps], dim=1).tolist()
    start = start_of(env, states[0])
    if start is not None:
        given["start"] = start.tolist()
    return given


def _check_step(
    env: Environment[Any, Any], state: Any, action: Tensor, t: int, numbers: tuple[Tensor, ...]
) -> None:
    before = {k: v.clone() for k, v in _tensors(state).items()}
    once, twice = env.step(state, action, *numbers), env.step(state, action, *numbers)
    for name, value in _tensors(state).items():
        assert torch.equal(value, before[name]), f"step {t}: step() wrote into state.{name}"
    for name, value in _tensors(once).items():
        assert torch.equal(value, _tensors(twice)[name]), f"step {t}: step() is not pure in {name}"
    done = env.done(state)
    if bool(done.any()):
        same = torch.equal(env.mask(once)[done], env.mask(state)[done])
        assert same and bool(env.done(once)[done].all()), f"step {t}: a finished row moved on"


def _check_rows_alone(env: Environment[Any, Any], actions: Tensor, states: list[Any]) -> None:
    start = start_of(env, states[0])
    state = restart(env, 1, actions.device, None if start is None else start[:1])
    for t in range(actions.shape[1]):
        for name in ("mask", "observe"):
            alone, together = getattr(env, name)(state)[0], getattr(env, name)(states[t])[0]
            same = torch.allclose(alone.float(), together.float(), atol=1e-6)
            assert same, f"step {t}: row 0 alone has another {name} than in its batch"
        numbers = (values[:1] for values in _numbers(env, len(actions), t))
        state = env.step(state, actions[:1, t], *numbers)


def _check_designs(
    env: Environment[Any, Any], actions: Tensor, given: dict[str, list[Any]]
) -> None:
    rows = actions.tolist()
    designs = env.decode(rows, **given)
    assert len(designs) == len(rows), f"decode gave {len(designs)} designs for {len(rows)} rows"
    found = [d for d in designs if d is not None]
    for design in found:
        assert isinstance(design, Design), f"{design!r} lacks key, text or complexity"
        assert math.isfinite(design.complexity), f"complexity of {design.text} is not finite"
    encode = getattr(env, "encode", None)
    if encode is None or not found:
        return
    for rng in (None, np.random.default_rng(0)):
        again = encode(found, rng)
        assert len(again) == len(found), "encode must return one row a design"
        kept = [(d, row) for d, row in zip(found, again, strict=True) if row is not None]
        assert len(kept) == len(found), "encode must accept every design that decode made"
        spelled, beside = together([spelling(row) for _, row in kept])
        replayed = retrace(env, spelled, **beside)
        decoded = env.decode(replayed.actions.tolist(), **beside)
        for (design, _), other in zip(kept, decoded, strict=True):
            assert other is not None and other.key == design.key, (
                f"encode then decode turned {design.key} into {other and other.key}"
            )


def _tensors(state: Any) -> dict[str, Tensor]:
    fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    return {name: value for name, value in fields.items() if isinstance(value, Tensor)}
