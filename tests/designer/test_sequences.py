"""Sequences: counted, walked, spelled and read back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import Shaped, listed

from designer.errors import InputError
from designer.protocols import Task
from designer.sequences import Edits, Sequences, TokenDesign, draw, show
from designer.testing import check_environment, check_proposer

ENVIRONMENTS = {
    "one letter": Sequences("a", max_length=1),
    "letters": Sequences("abcd", max_length=6),
    "from three on": Sequences("abc", max_length=5, min_length=3),
    "fixed length": Sequences("abc", max_length=4, min_length=4),
    "words": Sequences(["salt", "sea", "s"], max_length=5, separator=" "),
    "no doubles": Sequences("abc", 6, 2, forbidden=[("a", "a"), ("b", "b"), ("c", "a")]),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_contract_is_kept(name: str) -> None:
    check_environment(ENVIRONMENTS[name], batch_size=64)


def test_the_toy_with_a_potential_keeps_the_contract() -> None:
    check_environment(Shaped(Sequences("ab", max_length=4)))


@pytest.mark.parametrize(
    "letters,low,high", [("a", 1, 4), ("ab", 1, 5), ("abc", 2, 4), ("abc", 3, 3)]
)
def test_there_are_as_many_designs_as_words(letters: str, low: int, high: int) -> None:
    env = Sequences(letters, max_length=high, min_length=low)
    rows = listed(env)
    assert len(rows) == sum(len(letters) ** length for length in range(low, high + 1))
    designs = env.decode(rows)
    assert len({d.key for d in designs if d is not None}) == len(rows)


def test_words_without_a_doubled_letter_follow_the_fibonacci_numbers() -> None:
    # words over {a, b} of length n without "bb" number F(n + 2): 2, 3, 5, 8, 13
    for length, count in enumerate([2, 3, 5, 8, 13], start=1):
        env = Sequences("ab", length, length, forbidden=[("b", "b")])
        rows = listed(env)
        assert len(rows) == count
        assert not any(d is None or "bb" in d.text for d in env.decode(rows))


def test_every_design_is_spelled_and_read_back() -> None:
    for env in ENVIRONMENTS.values():
        designs = [d for d in env.decode(listed(env)) if d is not None]
        rows = env.encode(designs)
        assert env.decode([row for row in rows if row is not None]) == designs
        assert [env.parse(d.text).key for d in designs] == [d.key for d in designs]


def test_rows_that_are_no_design_decode_to_none() -> None:
    env = Sequences("abc", max_length=4, min_length=2)
    assert env.decode([[0, 1], [0, 3], [3], [], [0, 1, 3, 3], [0, 1, 2, 0]]) == [
        None,  # neither ended nor full
        None,  # too short
        None,
        None,
        TokenDesign(("a", "b"), "ab"),
        TokenDesign(("a", "b", "c", "a"), "abca"),
    ]


def test_what_cannot_be_built_encodes_to_none() -> None:
    env = Sequences("abc", max_length=3, min_length=2, forbidden=[("a", "b")])
    texts = [("a",), ("a", "c", "c", "a"), ("a", "x"), ("a", "b"), ("a", "c"), ("b", "c", "a")]
    rows = env.encode([TokenDesign(t, "".join(t)) for t in texts])
    assert rows == [None, None, None, None, [0, 2, 3], [1, 2, 0]]


def test_text_is_cut_into_the_longest_tokens() -> None:
    env = Sequences(["C", "Cl", "l"], max_length=4)
    assert env.parse("CClC").tokens == ("C", "Cl", "C")


@pytest.mark.parametrize(
    "text,words",
    [("abz", "token 3 is 'z'"), ("a", "1 tokens"), ("abcabc", "6 tokens"), ("", "0 tokens")],
)
def test_text_that_is_no_design_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Sequences("abc", max_length=4, min_length=2).parse(text)


@pytest.mark.parametrize(
    "settings,words",
    [
        ({"vocabulary": "", "max_length": 3}, "vocabulary"),
        ({"vocabulary": "aba", "max_length": 3}, "distinct"),
        ({"vocabulary": ["a", ""], "max_length": 3}, "non-empty"),
        ({"vocabulary": "ab", "max_length": 0}, "min_length"),
        ({"vocabulary": "ab", "max_length": 3, "min_length": 4}, "min_length 4"),
        ({"vocabulary": "ab", "max_length": 3, "forbidden": [("a", "c")]}, "'c', not a token"),
        (
            {"vocabulary": "ab", "max_length": 3, "min_length": 2,
             "forbidden": [("a", "a"), ("a", "b")]},
            "nothing may follow 'a'",
        ),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Sequences(**settings)  # type: ignore[arg-type]


def test_a_letter_without_successors_may_end_a_row() -> None:
    env = Sequences("ab", max_length=3, forbidden=[("a", "a"), ("a", "b")])
    check_environment(env)
    assert {d.text for d in env.decode(listed(env)) if d} == {"a", "b", "ba", "bb", "bba", "bbb"}


def test_observation_is_the_last_action_and_how_much_is_written() -> None:
    env = Sequences("abc", max_length=4)
    state = env.reset(2, torch.device("cpu"))
    assert env.observe(state).tolist() == [[0, 0, 0, 1, 0]] * 2
    state = env.step(state, torch.tensor([2, 0]))
    state = env.step(state, torch.tensor([1, 3]))
    assert env.observe(state).tolist() == [[0, 1, 0, 0, 0.5], [0, 0, 0, 1, 0.25]]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_edits_keep_the_contract(name: str) -> None:
    env = ENVIRONMENTS[name]
    parents = [d for d in env.decode(listed(env)[:20]) if d is not None]
    check_proposer(Edits(env), parents)
    children = Edits(env)(parents, 200, np.random.default_rng(1))
    assert None not in env.encode(children)


def test_edits_bring_something_new() -> None:
    env = Sequences("abcdefgh", max_length=8, min_length=4)
    parents = [env.parse("abcdefgh"), env.parse("hgfedcba")]
    children = Edits(env)(parents, 100, np.random.default_rng(0))
    assert len({c.key for c in children} - {p.key for p in parents}) > 50


def test_a_task_of_ones_own_is_a_few_lines() -> None:
    env = Sequences("ACDEFGHIKLMNPQRSTVWY", max_length=12, min_length=4)
    task = Task("peptides", env, parse=env.parse, show=show, draw=draw, proposer=Edits(env))
    design = task.parse("MKVLA")
    assert task.show(design).startswith("MKVLA") and design.complexity == 5
    assert task.draw([design]).count("<text") == 1
    assert "a&lt;b" in draw([TokenDesign(("a", "<", "b"), "a<b")])
