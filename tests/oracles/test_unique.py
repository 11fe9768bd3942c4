"""Whether a fold is the only ground state: exact for short chains, by folding for others."""

from __future__ import annotations

import numpy as np
import pytest

from designer.errors import InputError
from designer.sequences import TokenDesign
from designer.testing import check_oracle
from oracles import ORACLES
from oracles.unique import FoldedGap, UniqueFold
from tasks.folding.exact import ground_states

TARGET = "RURDRUUULDLULDD"


def designs(*texts: str) -> list[TokenDesign]:
    return [TokenDesign(tuple(text), text) for text in texts]


def some(count: int, length: int = 16) -> list[TokenDesign]:
    rng = np.random.default_rng(0)
    return designs(*("".join(rng.choice(["H", "P"], size=length)) for _ in range(count)))


def test_gaps_are_those_of_enumeration() -> None:
    oracle, found = UniqueFold("RULURRDRU"), some(30, 10)
    columns = oracle(found).columns
    for row, design in enumerate(found):
        ground = ground_states(design.text, keep=1 << 16)
        keys = {fold.key for fold in ground.folds}
        from tasks.folding.design import Fold

        own = Fold(design.text, "square", "RULURRDRU").key in keys
        assert (columns["gap"][row] > 0) == (own and ground.degeneracy == 1)
        assert (columns["gap"][row] >= 0) == own


def test_the_contract() -> None:
    check_oracle(UniqueFold(TARGET), some(8))
    check_oracle(FoldedGap(TARGET, "square", steps=20_000, looks=4), some(4))
    assert ORACLES["unique_fold"] == "oracles.unique:UniqueFold"
    assert ORACLES["folded_gap"] == "oracles.unique:FoldedGap"


def test_folding_by_search_sees_what_enumeration_sees() -> None:
    found = some(12)
    exact = UniqueFold(TARGET)(found).columns["gap"]
    searched = FoldedGap(TARGET, "square", steps=300_000)(found).columns["gap"]
    assert (searched >= exact).all(), "a search cannot find what is not there"
    assert (searched == exact).all()


def test_what_cannot_be_judged_is_told() -> None:
    with pytest.raises(InputError, match="take folded_gap instead"):
        UniqueFold(TARGET, lattice="cubic")
    with pytest.raises(InputError, match="this is hp, square, 19"):
        UniqueFold("R" * 18)
    with pytest.raises(InputError, match="row 0 has 3 residues, the target 16"):
        UniqueFold(TARGET)(designs("HHH"))
    for looks, steps in ((0, 10), (20, 10)):
        with pytest.raises(InputError, match=f"looks {looks}, steps 10: expected"):
            FoldedGap(TARGET, "square", steps=steps, looks=looks)
    with pytest.raises(InputError, match="has the same contacts as"):
        UniqueFold("R" * 9)(some(1, 10))
