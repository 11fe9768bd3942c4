"""Proofs by enumeration, against the plain branch and bound, which shares no code with them."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.folding import certain
from tasks.folding.certain import nothing_below
from tasks.folding.design import Fold
from tasks.folding.exact import ground_states
from tasks.folding.lattices import LATTICES
from tasks.folding.task import task
from tasks.folding.taught import random_chains

LENGTHS = {"square": 13, "triangular": 9, "cubic": 9, "fcc": 7}


@pytest.mark.parametrize("name", LATTICES)
def test_it_proves_what_is_so_and_nothing_else(name: str) -> None:
    rng = np.random.default_rng(3)
    for sequence in [*random_chains(12, 5, LENGTHS[name], rng), "H" * LENGTHS[name], "HHH"]:
        energy = ground_states(sequence, name, keep=1).energy
        assert nothing_below(sequence, name, "hp", energy)
        assert nothing_below(sequence, name, "hp", energy - 1)
        assert not nothing_below(sequence, name, "hp", energy + 1), "there is a lower one"


@pytest.mark.parametrize("matrix", ["mj", "mj-reduced"])
@pytest.mark.parametrize("name", LATTICES)
def test_it_proves_energies_of_any_matrix(name: str, matrix: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(4):
        sequence = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), LENGTHS[name] - 2))
        energy = ground_states(sequence, name, matrix, keep=1).energy
        assert nothing_below(sequence, name, matrix, round(energy, 6))
        assert not nothing_below(sequence, name, matrix, round(energy + 0.01, 6))


def test_it_does_not_know_what_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certain, "NODES", 100)
    nothing_below.cache_clear()  # another test may have proved this chain's energy
    assert not nothing_below("HPHPPHHPHPPHPHHPPHPH", "square", "hp", -9.0)
    assert not nothing_below("H" * 200, "square", "hp", -1000.0)
    nothing_below.cache_clear()


def test_a_fold_is_proven_optimal_where_the_bound_is_not_met() -> None:
    sequence = "PHPHHPHPHPPH"
    made = task(sequence)
    energy = ground_states(sequence).energy
    assert made.optimal is not None and energy > made.context["bound"]
    assert made.optimal({"energy": energy}) and not made.optimal({"energy": energy + 1})
    fold = ground_states(sequence).folds[0]
    assert "optimal, proved by enumeration" in made.show(fold)
    assert "bound" in made.show(Fold(sequence, "square", "R" * 11))
    aimed = task(sequence, target_energy=energy)
    assert aimed.optimal is not None and not aimed.optimal({"energy": energy}), "not asked for"
