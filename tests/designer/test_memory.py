"""Elites, archive and diversity filter against brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_meter import Word

from designer.memory import Archive, Elites, Found

rewards = st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 5)), max_size=40)


@given(rewards, st.integers(1, 6))
def test_elites_are_the_best_distinct_first_come(items: list[tuple[str, int]], size: int) -> None:
    score = {key: float(reward) for key, reward in reversed(items)}  # one reward a design
    elites = Elites(size)
    for key, _ in items:
        elites.add(Word(key), [1], score[key])
    kept = elites.best(size)
    assert [e.reward for e in kept] == sorted(score.values(), reverse=True)[:size]
    assert len({e.design.key for e in kept}) == len(kept)


@given(rewards, st.integers(1, 6))
def test_of_equals_the_last_come_may_be_kept(items: list[tuple[str, int]], size: int) -> None:
    score = {key: float(reward) for key, reward in reversed(items)}
    elites, come = Elites(size, newest=True), list[str]()
    for key, _ in items:
        assert elites.wants(score[key]) or not elites.add(Word(key), [1], score[key])
        if elites.add(Word(key), [1], score[key]):
            come = [*(k for k in come if k != key), key]  # one that fell out may come again
    kept = [(e.reward, e.design.key) for e in elites.best(size)]
    assert [r for r, _ in kept] == sorted(score.values(), reverse=True)[:size]
    expected = sorted(come, key=lambda k: (-score[k], -come.index(k)))[: len(kept)]
    assert [key for _, key in kept] == expected
    again = Elites(size, newest=True)
    again.restore(elites.state(), lambda text, actions: Word(text))
    assert [e.key for e in again.best(size)] == expected


def test_rank_weighted_draw_has_the_stated_law() -> None:
    elites = Elites(4, focus=0.25)
    for i, key in enumerate("abcd"):
        elites.add(Word(key), [i], -float(i))
    rng = np.random.default_rng(0)
    counts = np.zeros(4)
    for _ in range(20_000):
        counts["abcd".index(elites.draw(1, rng)[0].design.key)] += 1
    law = 1 / (0.25 * 4 + np.arange(4))
    np.testing.assert_allclose(counts / counts.sum(), law / law.sum(), atol=0.012)


def test_elites_come_back_from_plain_data() -> None:
    elites = Elites(3)
    elites.add(Word("a"), [1, 2], 0.1)
    elites.add(Word("b"), None, 0.3)
    other = Elites(3)
    other.restore(elites.state(), lambda text, actions: Word(text))
    assert other.state() == elites.state() and other.best(3) == elites.best(3)


def test_a_restored_memory_knows_designs_by_the_key_they_were_judged_by() -> None:
    elites, other = Elites(3), Elites(3)
    elites.add(Word("2*x"), [1], 0.5)
    other.restore(elites.state(), lambda text, actions: Word("c*x"))  # its number is lost
    for memory in (elites, other):
        assert not memory.add(Word("2*x"), [1], 0.9)
        assert memory.add(Word("c*x"), [1], 0.4)


def found(key: str, reward: float, size: int, step: int = 0) -> Found:
    return Found(key, reward, {}, size, step, 0, key, reward)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=30, unique_by=lambda t: t[0])
)
def test_front_is_the_pareto_front(items: list[tuple[int, int]]) -> None:
    archive = Archive(3)
    for i, (reward, size) in enumerate(items):
        if archive.wants(reward, size, float(reward)):
            archive.add(found(f"d{i}", float(reward), size))
    expected = [
        (size, reward)
        for reward, size in items
        if not any((r >= reward and s < size) or (r > reward and s <= size) for r, s in items)
    ]
    assert [(f.complexity, int(f.reward)) for f in archive.front] == sorted(expected)
    best = sorted((reward for reward, _ in items), reverse=True)[:3]
    assert [int(f.reward) for f in archive.best] == best
    again = Archive(3)
    again.restore(archive.state())
    assert again.state() == archive.state() and again.front == archive.front
