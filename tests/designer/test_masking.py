"""The numerical traps of masked distributions, each reproduced and then avoided."""

from __future__ import annotations

import math

import pytest
import torch
from toys import TOLERANCE

from designer import masking

KINDS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def example(dtype: torch.dtype, rows: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits [B, 7] of wide spread, and masks with one to seven legal actions."""
    generator = torch.Generator().manual_seed(0)
    logits = 30 * torch.randn(rows, 7, generator=generator, dtype=dtype)
    mask = torch.rand(rows, 7, generator=generator) < 0.5
    mask[torch.arange(rows), torch.randint(7, (rows,), generator=generator)] = True
    return logits, mask


@KINDS
def test_log_probabilities_are_those_of_the_legal_actions_alone(dtype: torch.dtype) -> None:
    logits, mask = example(dtype)
    log_probs = masking.log_probabilities(logits, mask)
    for row in range(len(logits)):
        alone = torch.log_softmax(logits[row][mask[row]], dim=0)
        assert torch.allclose(log_probs[row][mask[row]], alone, atol=TOLERANCE[dtype] * 10)
    assert bool((log_probs[~mask] == torch.finfo(dtype).min).all())
    assert bool((log_probs.exp()[~mask] == 0).all())


@KINDS
@pytest.mark.parametrize("size", [1.0, 1e4, 1e30])
def test_gradients_are_finite_for_any_finite_logits(dtype: torch.dtype, size: float) -> None:
    logits, mask = example(dtype)
    logits = (logits * size).requires_grad_()
    log_probs = masking.log_probabilities(logits, mask)
    taken = log_probs.argmax(-1)
    loss = masking.chosen(log_probs, taken).sum() + masking.entropy(log_probs, mask).sum()
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert logits.grad is not None and bool(torch.isfinite(logits.grad).all())
    assert bool((logits.grad[~mask] == 0).all()), "an illegal action's preference was taught"


def test_minus_infinity_is_the_trap_that_the_floor_avoids() -> None:
    logits, mask = example(torch.float64)
    naive = logits.clone().requires_grad_()
    log_probs = torch.log_softmax(naive.masked_fill(~mask, -torch.inf), dim=-1)
    entropy = -torch.where(mask, log_probs.exp() * log_probs, 0.0).sum()
    assert math.isfinite(float(entropy.detach()))  # the value looks right ...
    entropy.backward()
    assert naive.grad is not None and bool(torch.isnan(naive.grad).any())  # ... the gradient is not


@KINDS
@pytest.mark.parametrize("temperature", [0.01, 0.5, 2.0])
def test_temperature_divides_before_the_floor_is_set(
    dtype: torch.dtype, temperature: float
) -> None:
    logits, mask = example(dtype)
    log_probs = masking.log_probabilities(logits, mask, temperature)
    assert bool(torch.isfinite(log_probs).all())
    expected = masking.log_probabilities(logits / temperature, mask)
    assert torch.equal(log_probs, expected)


@KINDS
def test_entropy_lies_between_nothing_and_the_log_of_the_choices(dtype: torch.dtype) -> None:
    logits, mask = example(dtype)
    entropy = masking.entropy(masking.log_probabilities(logits, mask), mask)
    most = mask.sum(-1).to(dtype).log()
    assert bool((entropy >= 0).all()) and bool((entropy <= most + TOLERANCE[dtype]).all())
    flat = masking.entropy(masking.log_probabilities(torch.zeros_like(logits), mask), mask)
    assert torch.allclose(flat, most, atol=TOLERANCE[dtype])
    single = mask.sum(-1) == 1
    assert bool(single.any()) and bool((entropy[single] == 0).all())


@KINDS
def test_no_illegal_action_is_ever_drawn(dtype: torch.dtype) -> None:
    logits, mask = example(dtype)
    log_probs = masking.log_probabilities(logits, mask)
    below_one = float(torch.nextafter(torch.ones((), dtype=dtype), torch.zeros((), dtype=dtype)))
    for value in (0.0, 1e-30, 1e-8, 0.25, 0.5, 0.999999, below_one):
        uniform = torch.full((len(logits),), value, dtype=dtype)
        drawn = masking.sample(log_probs, uniform)
        assert bool(mask.gather(1, drawn.unsqueeze(1)).all()), value
        assert torch.equal(masking.draw(logits, mask, uniform)[0], drawn)


def test_a_million_draws_are_legal_and_match_their_probabilities() -> None:
    logits = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, 0.7])
    mask = torch.tensor([True, True, False, True, True, False])
    rows = 1_000_000
    generator = torch.Generator().manual_seed(7)
    uniform = torch.rand(rows, generator=generator)
    expected = masking.log_probabilities(logits, mask).exp()
    drawn = masking.sample(expected.log().clamp_min(-1e30).expand(rows, 6), uniform)
    counts = torch.bincount(drawn, minlength=6).double()
    assert float(counts[~mask].sum()) == 0
    legal = expected[mask].double() * rows
    chi_square = float(((counts[mask] - legal).square() / legal).sum())
    assert chi_square < 16.3, "p < 0.001 with three degrees of freedom"


@KINDS
def test_draw_says_the_same_as_its_parts(dtype: torch.dtype) -> None:
    logits, mask = example(dtype)
    uniform = torch.rand(len(logits), generator=torch.Generator().manual_seed(1), dtype=dtype)
    for temperature in (0.5, 1.0, 3.0):
        log_probs = masking.log_probabilities(logits, mask, temperature)
        action, log_prob, entropy = masking.draw(logits, mask, uniform, temperature)
        assert torch.equal(action, masking.sample(log_probs, uniform))
        assert torch.allclose(log_prob, masking.chosen(log_probs, action), atol=TOLERANCE[dtype])
        assert torch.allclose(entropy, masking.entropy(log_probs, mask), atol=TOLERANCE[dtype])


def test_the_form_used_off_the_cpu_draws_the_same() -> None:
    logits, mask = example(torch.float32, rows=5000)
    mass = masking.log_probabilities(logits / 10, mask).exp()
    uniform = torch.rand(len(logits), generator=torch.Generator().manual_seed(2))
    cumulative = mass.cumsum(-1)
    threshold = masking.threshold(cumulative, uniform)
    assert torch.equal(
        masking.first_beyond(mass, cumulative, threshold), masking.sample(mass.log(), uniform)
    )


def test_a_falling_cumulative_sum_still_gives_a_legal_action() -> None:
    mass = torch.tensor([[0.25, 0.0, 0.5, 0.0, 0.25, 0.0]])
    cumulative = torch.tensor([[0.25, 0.2501, 0.75, 0.7499, 0.9999, 1.0]])  # as a parallel sum may
    for value in (0.0, 0.25, 0.2500001, 0.74995, 0.99995):
        drawn = int(masking.first_beyond(mass, cumulative, torch.tensor([[value]])))
        assert drawn in (0, 2, 4), value
