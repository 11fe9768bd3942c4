import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.testing import check_environment, walk
from tasks.molecules.design import parse
from tasks.molecules.legality import legal_rows
from tasks.molecules.smiles import Smiles
from tasks.molecules.spelling import renumbered, text_of
from tasks.molecules.tokens import tokenize

SAMPLE = (Path(__file__).parent / "zinc1000.smi").read_text().split()
PLAIN = ("N", "O", "S", "F", "[nH]", "[C@H]", "[C@@H]", "[N+]", "[O-]", "[n+]", "s", "/", "\\")


def _reads(text: str) -> bool:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text) is not None


@pytest.mark.parametrize(
    "env",
    [Smiles(), Smiles(24, 8, vocabulary=PLAIN), Smiles(60, 61, 12, PLAIN)],
    ids=["default", "tight", "large"],
)
def test_contract(env: Smiles) -> None:
    check_environment(env, batch_size=12)


@pytest.mark.parametrize("vocabulary", [Smiles().vocabulary, PLAIN], ids=["default", "plain"])
def test_every_finished_walk_is_a_molecule(vocabulary: tuple[str, ...]) -> None:
    env = Smiles(max_length=60, max_atoms=30, vocabulary=vocabulary)
    texts = [text_of(env, row) for row in walk(env, 400, seed=1)[0].tolist()]
    given_up = sum(text is None for text in texts)
    assert given_up <= 4  # measured: 1 in 30,720
    finished = [text for text in texts if text is not None]
    assert [text for text in finished if not _reads(text)] == []
    assert sum("c1" in text or "c2" in text for text in finished) > 20


def test_drug_like_molecules_are_admitted() -> None:
    env = Smiles()
    designs = [parse(smiles) for smiles in SAMPLE]
    for rng in (None, np.random.default_rng(0)):
        rows = env.encode(designs, rng)
        assert None not in rows
        again = env.decode([row for row in rows if row is not None])
        assert [d and d.key for d in again] == [d.key for d in designs]
    known = {word: index for index, word in enumerate(env.vocabulary)}
    literal = [[*(known[w] for w in renumbered(tokenize(s))), env.end] for s in SAMPLE]
    assert sum(legal_rows(env, literal)) >= 990  # as they stand in the file; measured: 997


def _accepted(env: Smiles, words: tuple[str, ...], length: int) -> set[str]:
    """Return all finished strings of these tokens that the mask allows, by enumeration."""
    keep = torch.zeros(env.num_actions, dtype=torch.bool)
    keep[[env.vocabulary.index(word) for word in words]] = True
    state, texts, found = env.reset(1, torch.device("cpu")), [""], set[str]()
    for step in range(length + 1):
        mask = env.mask(state)
        found |= {t for t, ends in zip(texts, mask[:, env.end].tolist(), strict=True) if ends}
        assert not mask[:, -1].any()
        if step == length:
            break
        rows, actions = (mask & keep).nonzero(as_tuple=True)
        fields = {f.name: getattr(state, f.name)[rows] for f in dataclasses.fields(state)}
        state = env.step(type(state)(**fields), actions)
        pairs = zip(rows.tolist(), actions.tolist(), strict=True)
        texts = [texts[i] + env.vocabulary[j] for i, j in pairs]
    return found


def _readable(words: tuple[str, ...], length: int) -> set[str]:
    """Return all strings of these tokens that RDKit reads, in the spelling the mask keeps to.

    That is: ring numbers open in order and without a bond symbol, none closes by a triple bond,
    and a branch is never the last.
    """
    found = set()
    for size in range(1, length + 1):
        for tokens in itertools.product(words, repeat=size):
            text = "".join(tokens)
            balanced = tokens.count("1") % 2 == tokens.count("2") % 2 == 0
            ordered = "2" not in text or ("1" in text and text.index("1") < text.index("2"))
            marked = text.split("1")[0][-1:] == "=" or "#1" in text
            ends = text[0] in "()=#12" or text[-1] in "()=#" or "))" in text
            if balanced and ordered and not marked and not ends and _reads(text):
                found.add(text)
    return found


@pytest.mark.parametrize(
    ("words", "length"),
    [
        (("c", "n", "o", "1"), 8),  # 380 strings: five- and six-rings with a Kekule form
        (("C", "=", "#", "(", ")", "1"), 6),
        (("c", "n", "1", "2"), 8),
        (("C", "N", "=", "(", ")"), 7),
    ],
    ids=["aromatic", "bonds", "fused", "chains"],
)
def test_the_mask_is_neither_too_tight_nor_too_loose(words: tuple[str, ...], length: int) -> None:
    env = Smiles(vocabulary=("N",))
    accepted = _accepted(env, words, length)
    assert accepted == _readable(words, length)
    if words == ("c", "n", "o", "1"):
        assert len(accepted) == 380


@pytest.mark.parametrize("end", ["c1cccc1", "c1ccccn1C", "c1ccc2ccccc2c1CC", "c1cc[nH]cc1"])
def test_end_waits_for_a_kekule_form(end: str) -> None:
    env = Smiles()
    known = {word: index for index, word in enumerate(env.vocabulary)}
    row = [*(known[word] for word in tokenize(end)), env.end]
    assert legal_rows(env, [row]) == [_reads(end)]


def test_ring_numbers_are_renumbered_and_bonds_move_to_the_closing() -> None:
    assert "".join(renumbered(tokenize("C=7CCC%10CC7CC%10"))) == "C1CCC2CC=1CC2"
    assert "".join(renumbered(tokenize("C/1CC1"))) == "C1CC\\1"


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="max_atoms 99"):
        Smiles(max_atoms=99)
    with pytest.raises(InputError, match="24 tokens"):
        Smiles(max_length=5)
