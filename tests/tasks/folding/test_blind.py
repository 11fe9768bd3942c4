"""Chains grown blindly: as the mask lets them, with the weights of what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from designer.errors import InputError
from tasks.folding.blind import Blind, blind
from tasks.folding.design import Fold, spelled
from tasks.folding.energy import matrix_named
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.growth import Grow
from tasks.folding.lattices import LATTICES
from tasks.folding.recheck import recheck

CPU = torch.device("cpu")
SEQUENCE = "HPHPPHHPHPPHPHHPPHPH"
PROTEIN = "GIVEQCCTSICSLYQLENYCN"


def folds(env: Chain, grown: Blind) -> list[Fold]:
    walked = env.order.walked(grown.letters.astype(np.int64))
    return [Fold(env.sequence, env.lattice, text) for text in spelled(walked, env.place)]


@pytest.mark.parametrize("prune", [None, -3.0])
@pytest.mark.parametrize("grow", ["start", "end", "middle"])
@pytest.mark.parametrize("name", LATTICES)
def test_a_chain_counts_as_many_walks_as_the_mask_gave_it_choices(
    name: str, grow: Grow, prune: float | None
) -> None:
    env = Chain(SEQUENCE, name, grow=grow, prune=prune)
    grown = blind(env, 300, seed=1)
    whole = grown.log_weight > -1e29
    assert whole.any()
    rows = env.encode(np.array(folds(env, grown))[whole].tolist())
    assert None not in rows  # each is a self-avoiding walk that this environment can spell
    state = env.reset(int(whole.sum()), CPU)
    choices = torch.zeros(int(whole.sum()), dtype=torch.float64)
    for action in torch.tensor(rows).T:
        mask = env.mask(state)
        assert mask.gather(1, action[:, None]).all()
        choices += mask.sum(1).double().log()
        state = env.step(state, action)
    np.testing.assert_allclose(grown.log_weight[whole], choices.numpy(), rtol=1e-12)


@pytest.mark.parametrize("matrix", ["hp", "mj"])
@pytest.mark.parametrize("name", LATTICES)
def test_the_energy_is_that_of_the_fold(name: str, matrix: str) -> None:
    env = Chain(PROTEIN, name, matrix)
    grown = blind(env, 50)
    whole = np.flatnonzero(grown.log_weight > -1e29)
    made = folds(env, grown)
    again = [recheck(made[row], matrix_named(matrix)) for row in whole]
    np.testing.assert_allclose(grown.energy[whole], again, atol=1e-9)


@pytest.mark.parametrize("lookahead", [True, False])
def test_the_weights_add_up_to_the_number_of_walks(lookahead: bool) -> None:
    """Self-avoiding walks of 15 steps on the square lattice, up to symmetry: 802,075."""
    env = Chain("HP" * 8, lookahead=lookahead)
    grown = blind(env, 200_000, seed=3, threads=2)
    weights = np.exp(grown.log_weight)
    assert abs(weights.mean() - 802_075) < 5 * weights.std() / np.sqrt(len(weights))
    assert (grown.log_weight < -1e29).any()


def test_a_short_chain_comes_to_each_of_its_ground_states() -> None:
    found = ground_states("HPHPPHHPHH", "square")
    grown = blind(Chain("HPHPPHHPHH"), 20_000)
    whole = grown.log_weight > -1e29
    assert grown.energy[whole].min() == found.energy
    best = np.flatnonzero(whole & (grown.energy == found.energy))
    made = folds(Chain("HPHPPHHPHH"), grown)
    assert len({made[row].key for row in best}) == found.degeneracy


def test_the_same_on_any_number_of_threads() -> None:
    env = Chain(SEQUENCE, "cubic")
    one, three = blind(env, 1500, seed=2), blind(env, 1500, seed=2, threads=3)
    for name in ("letters", "energy", "log_weight"):
        assert np.array_equal(getattr(one, name), getattr(three, name))
    assert not np.array_equal(one.letters, blind(env, 1500, seed=4).letters)


def test_lines_are_not_known_here() -> None:
    with pytest.raises(InputError, match=r"compact is 0\.5"):
        blind(Chain(SEQUENCE, compact=0.5), 10)


def test_a_chain_that_no_grid_holds_is_refused() -> None:
    with pytest.raises(InputError, match="600 residues on the cubic lattice need a grid"):
        blind(Chain("HP" * 300, "cubic"), 10)
    assert blind(Chain("HP" * 300), 10).letters.shape == (10, 599)
