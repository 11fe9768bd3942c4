import numpy as np
import pytest
import torch
from rdkit import Chem
from scipy.stats import norm, rankdata

from designer.testing import check_proposer
from tasks.molecules.design import parse
from tasks.molecules.expectation import Expectation, warped
from tasks.molecules.likeness import SMALLEST, Seen, similar
from tasks.molecules.proposer import Genetic
from tasks.molecules.task import starters
from tasks.molecules.traits import fingerprints

KNOWN = [parse(smiles) for smiles, _ in starters()[:30]]
NEW = [parse(smiles) for smiles, _ in starters()[30:50]]


def test_it_is_a_gaussian_process() -> None:
    rewards = np.linspace(0.0, 1.0, 30) ** 2
    model = Expectation()
    model.learn(KNOWN, rewards.tolist())
    mean, deviation = model.predict([design.mol for design in NEW])
    assert model.fitted == 30
    seen = Seen.of([design.mol for design in (*KNOWN, *NEW)])
    alike = [similar(bits, bits) for bits in seen.bits]
    kernel = model.kernel.across(alike, seen.traits, seen.traits).numpy()
    noise = float(model.kernel.noise.exp()) + SMALLEST
    inverse = np.linalg.inv(kernel[:30, :30] + noise * np.eye(30))
    scaled = _scaled(_scaled(rewards) + norm.ppf((rankdata(rewards) - 0.5) / 30))
    np.testing.assert_allclose(mean, kernel[30:, :30] @ inverse @ scaled, atol=1e-5)
    spread = kernel[0, 0] - np.einsum("ij,jk,ik->i", kernel[30:, :30], inverse, kernel[30:, :30])
    np.testing.assert_allclose(deviation**2, spread, atol=1e-5)


def test_what_is_nearly_equal_is_told_apart_by_rank() -> None:
    rewards = np.array([0.0, 0.0, 0.1, 0.3, 0.7, 0.701, 0.702, 0.702])
    found = warped(torch.from_numpy(rewards)).numpy()
    expected = _scaled(rewards) + norm.ppf((rankdata(rewards) - 0.5) / 8)
    np.testing.assert_allclose(found, _scaled(expected), atol=1e-8)
    assert (np.sign(np.diff(found)) == np.sign(np.diff(rewards))).all()
    assert found[6] - found[4] > 20 * (_scaled(rewards)[6] - _scaled(rewards)[4])
    assert not warped(torch.full((5,), 0.3, dtype=torch.float64)).any()


def _scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def test_the_best_and_the_latest_are_kept_and_come_back() -> None:
    model, mols = Expectation(best=5, latest=4, others=0), [design.mol for design in NEW]
    rewards = [1.0] * 5 + [0.0] * 20 + [0.5] * 5
    for start in (0, 10, 20):
        model.learn(KNOWN[start : start + 10], rewards[start : start + 10])
        model.predict(mols)  # similarities are kept from one time to the next
    assert model.texts == [d.text for d in (*KNOWN[:5], *KNOWN[26:])]
    again = Expectation()
    again.restore(model.state())
    for ours, theirs in zip(model.predict(mols), again.predict(mols), strict=True):
        assert (ours == theirs).all()


def test_others_are_a_fair_sample_of_all() -> None:
    """Whether one of the rest is kept depends on its text, not on when it was judged."""
    whole, parts = (Expectation(best=2, latest=3, others=6) for _ in range(2))
    rewards = [1.0, 0.9] + [0.0] * 28
    whole.learn(KNOWN, rewards)
    for start in range(0, 30, 5):
        parts.learn(KNOWN[start : start + 5], rewards[start : start + 5])
    assert parts.texts == whole.texts and len(whole.texts) == 11
    assert {d.text for d in (*KNOWN[:2], *KNOWN[-3:])} < set(whole.texts)


def test_it_chooses_better_children() -> None:
    """Likeness to a molecule it has never seen rises faster than without a choice."""
    wanted = fingerprints([parse("CC(C)Cc1ccc(cc1)C(C)C(N)=O").mol])[0]

    def score(designs: list) -> list[float]:
        bits = fingerprints([design.mol for design in designs])
        both = bits @ wanted
        return (both / (bits.sum(1) + wanted.sum() - both)).tolist()

    known = [parse(smiles) for smiles, _ in starters()]
    known.sort(key=lambda design: -score([design])[0])
    means = []
    for surplus, depth in ((1, 1), (6, 1), (6, 3)):
        proposer = Genetic(surplus=surplus, depth=depth)
        proposer.hear(known, score(known))
        litters = [proposer(known, 20, np.random.default_rng(seed)) for seed in range(3)]
        assert all(len({child.key for child in children}) == 20 for children in litters)
        means.append(np.mean([score(children) for children in litters]))
    assert 1.2 * means[0] < means[1] < means[2]


def test_contract() -> None:
    proposer = Genetic(surplus=3, depth=2)
    proposer.hear(KNOWN, [0.1] * 15 + [0.9] * 15)
    check_proposer(proposer, KNOWN)


def test_what_tells_nothing_apart_chooses_nothing() -> None:
    """While all earned the same, children are of strangers alone, or of the known without any."""
    strangers = [parse(f"O=C(NCC{end})C1CC1") for end in "CFON"]
    proposer = Genetic(surplus=4, depth=2, strangers=0.2, policy=object())
    proposer.foreign.held = strangers
    assert proposer.expectation.blind
    proposer.hear(KNOWN, [0.0] * 30)
    ring = Chem.MolFromSmarts("C1CC1")
    assert proposer.expectation.blind and not any(d.mol.HasSubstructMatch(ring) for d in KNOWN)
    children = proposer(KNOWN, 40, np.random.default_rng(0))
    assert len(children) > 10 and np.mean([d.complexity for d in children]) < 14
    assert sum(child.mol.HasSubstructMatch(ring) for child in children) > len(children) / 2
    proposer.hear(children, [0.0] * (len(children) - 1) + [0.1])
    assert not proposer.expectation.blind
    alone = Genetic(surplus=4)
    alone.hear(KNOWN, [0.0] * 30)
    assert len(alone(KNOWN, 20, np.random.default_rng(0))) == 20


@pytest.mark.parametrize("depth", [1, 2])
def test_what_was_judged_is_not_proposed_again(depth: int) -> None:
    """Nor when the model has forgotten it, or a checkpoint lies between."""
    proposer, again = Genetic(surplus=2, depth=depth), Genetic(surplus=2, depth=depth)
    proposer.expectation.best, proposer.expectation.latest = 3, 3
    proposer.expectation.others = 0
    proposer.hear(KNOWN, [0.5] * 30)
    first = proposer(KNOWN, 30, np.random.default_rng(0))
    proposer.hear(first, [0.1] * len(first))
    assert len(proposer.expectation.texts) == 6
    again.restore(proposer.state())
    for each in (proposer, again):
        children = each(KNOWN, 30, np.random.default_rng(0))
        assert children and not {child.key for child in children} & {done.key for done in first}
