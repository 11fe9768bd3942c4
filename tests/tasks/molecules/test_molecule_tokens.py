from pathlib import Path

import pytest

from designer.errors import InputError
from tasks.molecules.tokens import (
    DEFAULT_VOCABULARY,
    ESSENTIAL,
    atom_of,
    check_vocabulary,
    kind_of,
    tokenize,
    vocabulary,
)

SAMPLE = (Path(__file__).parent / "zinc1000.smi").read_text().split()


def test_tokens_cover_brackets_stereo_charges_and_large_ring_numbers() -> None:
    text = "C[C@@H](Cl)c1c[nH]c(Br)c1/C=C\\%12[N+](=O)[O-]%12"
    spaced = "C [C@@H] ( Cl ) c 1 c [nH] c ( Br ) c 1 / C = C \\ %12 [N+] ( = O ) [O-] %12"
    expected = spaced.split()
    assert tokenize(text) == expected
    assert all("".join(tokenize(smiles)) == smiles for smiles in SAMPLE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CC.O", "character 3 is '.'"),
        ("CC name", "character 3 is a blank"),
        ("CC[NH", "character 3: bracket"),
        ("C*C", "character 2 is '*'"),
        ("C%1", "character 2 is '%'"),
        ("", "empty SMILES"),
        ("C" * 5000, "5000 characters"),
        ("C" * 600, "600 atoms"),
        ("C1CC1" * 150, "150 rings"),
    ],
)
def test_refusals_name_the_place(text: str, found: str) -> None:
    with pytest.raises(InputError, match=found.replace("*", r"\*").replace(".", r"\.")):
        tokenize(text)


@pytest.mark.parametrize(
    ("token", "free", "rests", "pi"),
    [
        ("C", 4, (0, 1, 2, 3, 4), ""),
        ("S", 6, (0, 1, 2, 4, 6), ""),  # an S with three bond orders would get a hydrogen
        ("P", 5, (0, 1, 2, 3, 5), ""),
        ("[N+]", 4, (4,), ""),
        ("[O-]", 1, (1,), ""),
        ("[C@@H]", 3, (3,), ""),
        ("[NH2+]", 2, (2,), ""),
        ("c", 4, (0, 1, 2, 3, 4), "pi"),
        ("n", 3, (0, 1, 2, 3), "n"),
        ("[nH]", 2, (1, 2), "lone"),
        ("[n+]", 4, (3, 4), "pi"),
        ("[nH+]", 3, (2, 3), "pi"),
        ("[n-]", 2, (1, 2), "lone"),
        ("[o+]", 3, (2, 3), "pi"),
    ],
)
def test_atoms_know_their_valences(token: str, free: int, rests: tuple[int, ...], pi: str) -> None:
    atom = atom_of(token)
    assert atom is not None
    assert (atom.free, atom.pi) == (free, pi)
    assert tuple(k for k, rest in enumerate(atom.rests) if rest) == rests


def test_a_vocabulary_is_counted_and_completed() -> None:
    words = vocabulary(["CCO", "CC.O", "CCBr"], minimum=1)
    assert words[:2] == ("C", "O") and "Br" in words
    assert set(ESSENTIAL) <= set(words)
    assert "Br" not in vocabulary(["CCO", "CCBr"], minimum=2)
    assert all(kind_of(word) for word in DEFAULT_VOCABULARY)
    with pytest.raises(InputError, match=r"\[U\]"):
        check_vocabulary(["C", "[U]"])


def test_the_default_vocabulary_covers_drug_like_molecules() -> None:
    assert set(vocabulary(SAMPLE)) <= set(check_vocabulary(DEFAULT_VOCABULARY))
