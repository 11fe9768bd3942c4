"""The family of sets against matchings counted one by one."""

import itertools

import numpy as np
import torch

from tasks.molecules import kekule
from tasks.molecules.kekule import PLACES


def _served(edges: list[tuple[int, int]], atoms: int) -> set[frozenset[int]]:
    """Return every set of atoms that some matching covers exactly."""
    found = set()
    for size in range(len(edges) + 1):
        for chosen in itertools.combinations(edges, size):
            ends = [end for edge in chosen for end in edge]
            if len(set(ends)) == len(ends):
                found.add(frozenset(ends))
    return found | ({frozenset()} if atoms else set())


def _sets(family: torch.Tensor) -> set[frozenset[int]]:
    return {
        frozenset(k for k in range(PLACES) if code >> k & 1)
        for code in family[0].nonzero().flatten().tolist()
    }


def test_families_are_the_sets_that_matchings_cover() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        atoms = int(rng.integers(2, PLACES))
        pairs = list(itertools.combinations(range(atoms), 2))
        edges = [pair for pair in pairs if rng.random() < 0.4][:9]
        family = kekule.empty(1, torch.device("cpu"))
        for i, j in edges:
            family = kekule.join(family, torch.tensor([i]), torch.tensor([j]))
        served = _served(edges, atoms)
        assert _sets(family) == served
        done = kekule.finish(family, torch.tensor([0]))
        assert _sets(done) == {s - {0} for s in served if 0 in s}
        apart = kekule.settle(family, torch.tensor([0]), torch.tensor([PLACES]))
        assert _sets(apart) == {s for s in served if 0 not in s}
        for place in (1, PLACES):
            table = kekule.pairs(family, torch.tensor([place]))[0]
            for u, k, v in itertools.product((0, 1), range(PLACES + 1), (0, 1)):
                expected = any(((place in s), (k in s)) == (bool(u), bool(v)) for s in served)
                assert bool(table[u, k, v]) == expected


def test_no_place_changes_nothing() -> None:
    family = torch.rand(5, 1 << PLACES, generator=torch.Generator().manual_seed(0)) < 0.3
    none, some = torch.full((5,), PLACES), torch.arange(5)
    assert torch.equal(kekule.join(family, none, some), family)
    assert torch.equal(kekule.finish(family, none), family)
    assert torch.equal(kekule.settle(family, none), family)
