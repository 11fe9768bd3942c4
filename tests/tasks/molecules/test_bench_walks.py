"""The bench of random walks, on few of them."""

from __future__ import annotations

import pytest

from cli.bench_walks import BATCH, SCAFFOLDS, walks


@pytest.mark.parametrize("representation", ["graph", "fragments", "smiles"])
def test_every_walk_ends_in_a_molecule_or_gives_up(representation: str) -> None:
    found = walks(representation, batches=1)
    assert found["walks"] == BATCH == found["molecules"] + found["gave_up"]


@pytest.mark.parametrize("scaffold", SCAFFOLDS)
def test_every_walk_keeps_its_scaffold(scaffold: str) -> None:
    found = walks("graph", batches=1, scaffold=scaffold)
    assert found["walks"] == BATCH == found["molecules"] == found["kept"]
