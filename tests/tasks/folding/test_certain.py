"""Proofs by enumeration, against the plain branch and bound, which shares no code with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.folding import certain
from tasks.folding.certain import as_low, nothing_below
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


@pytest.mark.parametrize("matrix", ["hp", "mj-reduced"])
@pytest.mark.parametrize("name", LATTICES)
def test_it_counts_ground_states_as_the_plain_search_does(name: str, matrix: str) -> None:
    rng = np.random.default_rng(5)
    letters = list("HP" if matrix == "hp" else "ACDEFGHIKLMNPQRSTVWY")
    for _ in range(6):
        sequence = "H" + "".join(rng.choice(letters, LENGTHS[name] - 3)) + "P"
        ground = ground_states(sequence, name, matrix, keep=1)
        assert as_low(sequence, name, matrix, round(ground.energy, 6)) == ground.degeneracy


def test_what_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = tmp_path / "fine.txt"
    fine.write_text("HP\n-0.3333 0\n0 0\n")
    assert as_low("HPPHHP", "square", str(fine), -0.3333) is None, "rounded"
    assert as_low("H" * 100 + "P", "square", "hp", -50.0) is None, "too long"
    monkeypatch.setattr(certain, "COUNTED", 100)
    assert as_low("HPHPPHHPHPPHPHHPPHPP", "square", "hp", -9.0) is None, "takes too long"


def test_the_picture_of_an_optimal_fold_says_how_many_are() -> None:
    made = task("PHPHHPHPHPPH")
    ground = ground_states("PHPHHPHPHPPH")
    said = made.show(ground.folds[0])
    assert f"{ground.degeneracy} folds have this energy, counted by enumeration" in said
    assert "enumeration" not in made.show(Fold("PHPHHPHPHPPH", "square", "R" * 11))
    assert "\n1 fold has this" in task("HPPH").show(Fold("HPPH", "square", "RUL"))


@pytest.mark.parametrize("name", LATTICES)
def test_a_fold_and_its_reverse_count_once_where_the_sequence_is_the_same(name: str) -> None:
    for sequence in ("HPPHPPH", "HHHHHHH", "PHPPHP"):
        ground = ground_states(sequence, name, keep=10_000)
        keys = {fold.key for fold in ground.folds}
        assert as_low(sequence, name, "hp", ground.energy) == len(keys)
    assert as_low("HPHPPHHPHPPHPHHPPHPH", "square", "hp", -9.0) == 1


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
