"""Structural alerts and limits, on molecules known to have or not to have them."""

from __future__ import annotations

import pytest
from drugs import drugs, values

from designer.errors import InputError
from designer.testing import check_oracle
from oracles.filters import CATALOGUES, Alerts, Filters
from tasks.molecules.design import parse

QUINONE, ACID_CHLORIDE, AZO = "O=C1C=CC(=O)C=C1", "CC(=O)Cl", "c1ccc(cc1)N=Nc1ccccc1"
IBUPROFEN = "CC(C)Cc1ccc(cc1)C(C)C(=O)O"


@pytest.mark.parametrize(
    ("smiles", "catalogues", "expected"),
    [
        (QUINONE, ("pains",), ["quinone_A(370)"]),
        (AZO, ("pains", "brenk"), ["azo_A(324)", "diazo_group"]),
        (ACID_CHLORIDE, ("brenk",), ["acid_halide"]),
        (ACID_CHLORIDE, ("pains",), []),
        (IBUPROFEN, ("pains", "brenk"), []),
    ],
)
def test_known_alerts(smiles: str, catalogues: tuple[str, ...], expected: list[str]) -> None:
    assert Alerts(catalogues).found(parse(smiles).mol) == expected
    assert values(Alerts(catalogues), [parse(smiles)]) == [len(expected)]


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_every_catalogue_is_there(catalogue: str) -> None:
    found = [Alerts((catalogue,)).found(parse(s).mol) for s in (QUINONE, ACID_CHLORIDE, AZO)]
    assert any(found) or catalogue in ("pains_b", "pains_c")  # rarer groups


def test_own_patterns_count() -> None:
    assert values(Alerts((), ("[F]", "C(=O)O")), [parse(IBUPROFEN)]) == [1.0]


@pytest.mark.parametrize(
    ("settings", "smiles", "reason"),
    [
        ({}, IBUPROFEN, None),
        ({"mw": (250.0, 500.0)}, IBUPROFEN, "mw"),
        ({"logp": (-1.0, 2.0)}, IBUPROFEN, "logp"),
        ({"rings": (2, 5)}, IBUPROFEN, "rings"),
        ({"rotatable_bonds": (0, 3)}, IBUPROFEN, "rotatable_bonds"),
        ({"sa": 1.1}, IBUPROFEN, "sa"),
        ({"required": ("[NX3]",)}, IBUPROFEN, "required"),
        ({"forbidden": ("C(=O)[OH]",)}, IBUPROFEN, "C(=O)[OH]"),
        ({"mw": ()}, QUINONE, "quinone_A(370)"),
        ({}, QUINONE, "mw"),
        ({}, "C1CCCCCCCCCCC1", "ring_sizes"),
    ],
)
def test_limits(settings: dict[str, object], smiles: str, reason: str | None) -> None:
    filters = Filters(**settings)
    assert filters.failed(parse(smiles).mol) == reason
    assert values(filters, [parse(smiles)]) == [float(reason is None)]


def test_they_keep_the_contract() -> None:
    check_oracle(Alerts(), drugs()[:4])
    check_oracle(Filters(), drugs()[:4])


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="brenk"):
        Alerts(("brenc",))
    with pytest.raises(InputError, match="SMARTS"):
        Filters(required=("C(",))
    with pytest.raises(InputError, match=r"mw is \[5, 3\]"):
        Filters(mw=(5, 3))
    with pytest.raises(InputError, match="at least one"):
        Alerts(())
