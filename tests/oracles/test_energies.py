"""The energy oracle and the radius of gyration, against plain recounts and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from designer.errors import InputError
from designer.testing import check_oracle, columns_of, walk
from oracles import ORACLES, PENALTIES
from oracles.energies import Energy, RadiusOfGyration
from tasks.folding.bounds import bound
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.environment import Chain
from tasks.folding.lattices import LATTICES
from tasks.folding.recheck import recheck

SEQUENCE = "HPHPPHHPHPPHPHHPPHPH"
PROTEIN = "GIVEQCCTSICSLYQLENYCN"


def folds(sequence: str = SEQUENCE) -> list[Fold]:
    """Return folds of all lattices, mixed."""
    found: list[Fold] = []
    for name in LATTICES:
        env = Chain(sequence, name)
        found += [fold for fold in env.decode(walk(env, 8)[0].tolist()) if fold]
    order = np.random.default_rng(0).permutation(len(found))
    return [found[i] for i in order]


@pytest.mark.parametrize("matrix", ["hp", "mj", "mj-reduced"])
def test_energies_of_mixed_folds(matrix: str) -> None:
    designs = folds(PROTEIN) + (folds() if matrix == "hp" else [])
    oracle, known = Energy(matrix), matrix_named(matrix)
    check_oracle(oracle, designs)
    columns = columns_of(oracle, oracle(designs), len(designs))
    np.testing.assert_allclose(columns["energy"], [recheck(f, known) for f in designs], atol=1e-9)
    least = [bound(f.sequence, f.lattice, known) for f in designs]
    np.testing.assert_allclose(columns["fraction"] * least, columns["energy"], atol=1e-9)
    assert (columns["fraction"] <= 1).all() and columns["fraction"].max() > 0


def test_a_chain_that_cannot_attract_has_fraction_0() -> None:
    measured = Energy()([Fold("PPPP", "square", "RUL")])
    assert measured.columns["energy"].tolist() == [0] == measured.columns["fraction"].tolist()


def test_a_fraction_of_1_is_a_met_bound() -> None:
    measured = Energy()([Fold("HPPH", "square", "RUL"), Fold("HPPH", "square", "RRR")])
    assert measured.columns["fraction"].tolist() == [1.0, 0.0]


def test_the_users_own_matrix(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("AB\n-2 1\n1 -0.5\n")
    oracle = Energy(str(file))
    designs = [Fold("ABBA", "square", "RUL"), Fold("AABB", "square", "RUL")]
    assert oracle(designs).columns["energy"].tolist() == [-2.0, 1.0]
    check_oracle(oracle, designs)


def test_bad_settings_are_told_when_the_oracle_is_made() -> None:
    with pytest.raises(InputError, match="unknown contact energy 'mk'; did you mean 'mj'"):
        Energy("mk")
    with pytest.raises(InputError, match="HP string"):
        Energy("mj")([Fold("HPPH", "square", "RUL")])


def test_other_designs_are_refused() -> None:
    for oracle in (Energy(), RadiusOfGyration()):
        with pytest.raises(InputError, match="row 0 is str"):
            oracle(["RRUL"])  # type: ignore[list-item]


@pytest.mark.parametrize("name", LATTICES)
def test_the_radius_of_a_straight_chain(name: str) -> None:
    """n points one bond apart: the root of (n^2 - 1) / 12."""
    letter = LATTICES[name].letters[0]
    measured = RadiusOfGyration()([Fold("H" * 11, name, letter * 10)])
    np.testing.assert_allclose(measured, [10**0.5], rtol=1e-12)


def test_the_radius_can_look_at_hydrophobic_residues_only() -> None:
    designs = [
        Fold("HPPH", "square", "RUL"),
        Fold("HPPH", "square", "RRR"),
        Fold("PPP", "cubic", "RU"),
    ]
    radius = RadiusOfGyration(hydrophobic=True)(designs)
    np.testing.assert_allclose(radius, [0.5, 1.5, 0.0])
    check_oracle(RadiusOfGyration(), folds())
    check_oracle(RadiusOfGyration(hydrophobic=True), folds())


def test_they_are_registered() -> None:
    assert ORACLES["energy"] == "oracles.energies:Energy"
    assert PENALTIES["radius_of_gyration"] == "oracles.energies:RadiusOfGyration"
