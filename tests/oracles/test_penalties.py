"""Penalties: raw sizes, or what exceeds a limit."""

import pytest
from drugs import Plain, drugs, values

from designer.errors import InputError
from designer.testing import check_oracle
from oracles import PENALTIES
from oracles.penalties import Complexity, HeavyAtoms, SyntheticAccessibility, TokenLength
from oracles.registry import resolve_oracle
from oracles.sa import sa_score
from tasks.molecules.design import parse

OURS = ("complexity", "token_length", "heavy_atoms", "sa")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("above", [0.0, 3.5])
def test_keeps_the_contract(name: str, above: float) -> None:
    penalty = resolve_oracle(name, registry=PENALTIES)(above=above)
    assert penalty.name == name and penalty.cheap
    check_oracle(penalty, drugs())
    assert min(values(penalty, drugs())) >= 0.0


def test_raw_values() -> None:
    molecules = [parse("CC(=O)Oc1ccccc1C(=O)O"), parse("C[C@H](N)C(=O)O")]
    assert values(Complexity(), molecules) == values(HeavyAtoms(), molecules) == [13, 6]
    expected = [sa_score(m.mol) for m in molecules]
    assert values(SyntheticAccessibility(), molecules) == expected


def test_tokens_of_each_kind_of_design() -> None:
    class Written(Plain):
        tokens = (4, 2, 7)

    # C, [C@H], (, N, ), C, (, =, O, ), O
    assert values(TokenLength(), [parse("C[C@H](N)C(=O)O")]) == [11]
    assert values(TokenLength(), [parse("ClCBr")]) == [3]
    assert values(TokenLength(), [Written("x + 1"), Plain("RRULL")]) == [3, 5]


def test_only_what_exceeds_the_limit() -> None:
    chains = [parse("C" * n) for n in (3, 5, 8)]
    assert values(HeavyAtoms(above=5), chains) == [0, 0, 3]
    assert values(Complexity(above=4.5), chains) == [0, 0.5, 3.5]
    assert values(TokenLength(above=3), chains) == [0, 2, 5]


def test_complexity_is_for_every_design_and_atoms_for_molecules() -> None:
    assert values(Complexity(), [Plain("x + 1")]) == [5]
    for penalty in (HeavyAtoms(), SyntheticAccessibility()):
        with pytest.raises(InputError, match="judges molecules"):
            penalty([Plain("x + 1")])
