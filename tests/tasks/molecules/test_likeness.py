import numpy as np
import torch

from tasks.molecules.design import parse
from tasks.molecules.likeness import Kernel, Seen, grown, similar
from tasks.molecules.task import starters
from tasks.molecules.traits import ELEMENTS, PROPERTIES

SEEN = Seen.of([parse(smiles).mol for smiles, _ in starters()[:60]])


def _alike() -> list[torch.Tensor]:
    return [similar(bits, bits) for bits in SEEN.bits]


def test_covariances_are_a_sum_of_kernels() -> None:
    kernel = Kernel()
    ours = kernel.across(_alike(), SEEN.traits, SEEN.traits)
    scaled = SEEN.traits / kernel.spread / kernel.lengths.exp()
    far = (scaled[:, None] - scaled[None]).square().sum(-1)
    expected = sum(kernel.weights.exp()[:-1, None, None] * torch.stack(_alike()))
    expected = expected + kernel.weights.exp()[-1] * torch.exp(-0.5 * far)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.diagonal(), kernel.variance().expand(60))
    assert torch.linalg.eigvalsh(kernel.within(_alike(), SEEN.traits)).min() > 0


def _likelihood(kernel: Kernel, values: torch.Tensor) -> float:
    gram = kernel.within(_alike(), SEEN.traits)
    zero = torch.zeros(len(values), dtype=torch.float64)
    return float(torch.distributions.MultivariateNormal(zero, gram).log_prob(values))


def test_it_learns_which_trait_tells() -> None:
    """Where a single trait makes the values, its length becomes the shortest of all."""
    place = len(ELEMENTS) + PROPERTIES.index("tpsa")
    values = torch.sin(2 * (SEEN.traits[:, place] / SEEN.traits[:, place].std()))
    values = (values - values.mean()) / values.std(correction=0)
    kernel = Kernel()
    kernel.fit(SEEN, values, 0)  # takes the spread of the traits
    before = _likelihood(kernel, values)
    kernel.fit(SEEN, values, 60)
    assert _likelihood(kernel, values) > before + 20
    assert int(kernel.lengths.argmin()) == place
    again = Kernel()
    again.restore(kernel.state())
    assert _likelihood(again, values) == _likelihood(kernel, values)


def test_similarities_grow_as_molecules_come_and_go() -> None:
    bits, keep = SEEN.bits[0], np.arange(60) % 3 > 0
    kept = bits[torch.from_numpy(keep)]
    assert (grown(similar(bits[:40], bits[:40]), bits, keep) == similar(kept, kept)).all()


def test_what_cannot_be_fitted_changes_nothing() -> None:
    kernel, values = Kernel(), torch.linspace(-1.7, 1.7, 60, dtype=torch.float64)
    kernel.fit(SEEN, values, 3)
    before = kernel.state()
    kernel.fit(SEEN, values * float("inf"), 3)  # its gradient makes the next covariances NaN
    assert kernel.state() == before
    assert not kernel.weights.requires_grad
