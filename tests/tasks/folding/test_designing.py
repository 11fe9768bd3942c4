"""Inverse folding: every fold of short chains, whose ground state is whose, and the search."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.sequences import TokenDesign
from designer.testing import check_environment, check_proposer
from tasks import TASKS
from tasks.folding.design import Fold
from tasks.folding.designing import Mutations, designing
from tasks.folding.exact import ground_states
from tasks.folding.maps import designed_by_all, fold_with, judged, maps_of
from tasks.folding.residues import Residues, Written
from tasks.folding.wishes import Wish

# sequences with one ground state, structures that own at least one, the most a structure owns:
# from a full enumeration by other code
KNOWN = {10: (6, 4, 3), 11: (62, 14, 8), 12: (87, 25, 12)}


@pytest.mark.parametrize("length", KNOWN)
def test_designing_sequences_and_structures_are_as_counted_elsewhere(length: int) -> None:
    found = designed_by_all(length)
    owned = [len(sequences) for sequences in found.values()]
    assert (sum(owned), len(owned), max(owned)) == KNOWN[length]


@pytest.mark.parametrize(("length", "folds", "words"), [(12, 15037, 1113), (16, 802075, 31940)])
def test_every_fold_is_there_once(length: int, folds: int, words: int) -> None:
    """Self-avoiding walks on the square lattice: OEIS A001411 / 8, straight ones apart."""
    maps = maps_of(length)
    assert maps.folds == folds and len(maps.words) == words


def test_judgement_agrees_with_enumeration_by_other_code() -> None:
    maps, rng = maps_of(11), np.random.default_rng(0)
    for _ in range(40):
        sequence = "".join(rng.choice(["H", "P"], size=11))
        ground = ground_states(sequence, keep=1 << 16)
        fold = ground.folds[int(rng.integers(len(ground.folds)))]
        (one,) = judged(maps, maps.word(fold), [sequence])
        assert one.energy == ground.energy
        assert (one.gap > 0) == (ground.degeneracy == 1)
        if one.gap == 0:
            assert one.ways == one.level == ground.degeneracy - 1


def test_maps_and_folds_lead_to_each_other() -> None:
    maps = maps_of(10)
    for word in maps.words[:: len(maps.words) // 20]:
        fold = fold_with(maps, word)
        assert maps.word(fold) == word and len(fold.letters) == 9
    straight = Fold("H" * 10, "square", "R" * 9)
    assert maps.word(straight) == 0 and maps.twins(maps.word(straight)) > 100
    with pytest.raises(InputError, match="no fold of 10 residues has the contact map"):
        fold_with(maps, (1 << 20) - 1)


def test_too_long_chains_are_told() -> None:
    with pytest.raises(InputError, match="19 residues: every fold can be looked at for 3 to 18"):
        maps_of(19)


def test_the_task_keeps_every_contract() -> None:
    made = designing("RULURRDR")
    check_environment(made.environment, batch_size=8)
    assert isinstance(made.proposer, Mutations)
    check_proposer(made.proposer, made.proposer.first(40, np.random.default_rng(0)))
    assert TASKS["fold_design"] == "tasks.folding.designing:designing"
    reached = designing("RULURRDR", stop_at_gap=1).goal
    assert reached is not None and reached({"gap": 1.0})
    assert not reached({"gap": 0.0}) and not reached({})
    with pytest.raises(InputError, match="meets itself: residues 1 and 5"):
        designing("RULDRRRR")


def test_wishes_are_kept() -> None:
    wish = Wish("HP", 9, "H*P", "H=3..4")
    mutations = Mutations("RULURRDR", "square", wish, few=8)
    first = mutations.first(30, np.random.default_rng(0))
    later = mutations(first, 40, np.random.default_rng(1))
    assert len(first) == 30 and len(later) > 5
    for design in [*first, *later]:
        assert 3 <= design.text.count("H") <= 4 and design.text[0] + design.text[-1] == "HP"
    assert not {d.text for d in later} & {d.text for d in first}
    allowed = ["".join(s) for s in product("HP", repeat=9) if wish("".join(s))]
    assert {d.text for d in [*first, *later]} <= set(allowed)


WISHES = (
    ("HP", 7, "", ""),
    ("HP", 7, "H*P", "H=0.4..0.6"),
    ("HP", 7, "?P??H??", "H=4"),
    ("HP", 7, "", "H=0.3..1.0,P=3..5"),
    ("ABC", 5, "", "A=1..2,B=0,C=0.2..1.0"),
    ("ABC", 6, "A*B", "A=1..2,B=2..3,C=1..2"),
)


@pytest.mark.parametrize(("alphabet", "length", "pattern", "composition"), WISHES)
def test_the_mask_lets_exactly_the_wished_sequences_through(
    alphabet: str, length: int, pattern: str, composition: str
) -> None:
    wish = Wish(alphabet, length, pattern, composition)
    env = Residues("RURULL"[: length - 1], "square", wish)
    state, taken = env.reset(1, torch.device("cpu")), torch.zeros(1, 0, dtype=torch.int64)
    for _ in range(length):
        rows, action = env.mask(state).nonzero(as_tuple=True)
        held = Written(state.placed[rows], state.last[rows], state.counts[rows])
        state, taken = env.step(held, action), torch.cat([taken[rows], action[:, None]], dim=1)
    found = [design.text for design in env.decode(taken.tolist()) if design is not None]
    every = ("".join(letters) for letters in product(alphabet, repeat=length))
    assert sorted(found) == [text for text in every if wish(text)] and found


def test_the_environment_of_wishes_keeps_every_contract() -> None:
    env = Residues("RURULL", "square", Wish("HP", 7, "H*P", "H=0.4..0.6"))
    check_environment(env, batch_size=16)
    state = env.reset(3, torch.device("cpu"))
    for step, action in enumerate([0, 1, 0]):
        one = torch.full((3,), action)
        assert (env.step(state, one).counts.sum(1) == step + 1).all()
        last = None if step == 0 else torch.eye(2)[state.last]
        seen = env.observe_relaxed(step, last, 3, torch.device("cpu"))
        assert torch.equal(seen, env.observe(state))
        state = env.step(state, one)


def test_a_tight_wish_is_met_by_the_first_sequences_and_their_children() -> None:
    wish = Wish("HP", 16, "P*", "H=8")
    mutations = Mutations("RURDRUUULDLULDD", "square", wish, few=8)
    first = mutations.first(20, np.random.default_rng(0))
    later = mutations(first, 20, np.random.default_rng(1))
    assert len(first) == 20 and len(later) == 20
    assert all(wish(design.text) for design in [*first, *later])


def test_a_wish_that_leaves_one_sequence_costs_few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    mutations = Mutations("RURDRUUULDLULDD", "square", Wish("HP", 16, "H" * 16))
    drawn, suiting = [], Mutations._suiting
    monkeypatch.setattr(
        Mutations, "_suiting", lambda self, rng: drawn.append(1) or suiting(self, rng)
    )
    (only,) = mutations.first(24, np.random.default_rng(0))
    assert only.text == "H" * 16 and len(drawn) < 300


BAD_WISHES = {
    ("HH", ""): "pattern 'HH' has 2 places and 0 \\*, expected 9",
    ("H**", ""): "pattern 'H\\*\\*' has 1 places and 2 \\*",
    ("HX.......", ""): "pattern 'HX.......': letter 'X' at position 2, expected one of HP",
    ("", "H=10..12"): "composition: 'H=10..12' leaves no number of residues between 10 and 9",
    ("", "Q=1"): "composition: 'Q=1', expected a letter of HP and its bounds",
    ("", "H=0.45..0.5"): "leaves no number of residues between 5 and 4 of 9",
    ("", "H=3,P=2,h=5"): "composition 'H=3,P=2,h=5' bounds H twice",
    ("HH*", "H=1"): "at most 1 residues H, but the pattern has 2",
    ("", "H=1..2,P=1..2"): "asks for 2 to 4 residues, but the chain has 9",
    ("HHHHHHH*", "P=3..9"): "composition 'P=3..9' and pattern 'HHHHHHH\\*' contradict each other",
}


@pytest.mark.parametrize(("pattern", "composition"), BAD_WISHES)
def test_wishes_that_nothing_meets_are_told(pattern: str, composition: str) -> None:
    with pytest.raises(InputError, match=BAD_WISHES[pattern, composition]):
        designing("RULURRDR", pattern=pattern, composition=composition)


def test_a_design_is_shown_with_how_the_target_lies_among_all_folds() -> None:
    made = designing("RURDRUUULDLULDD")
    for text, said in {
        "HHHHHPHHPHHHHPHH": "\nthe only ground state: 68 other folds have 1 more, none less",
        "HHHPHPPPPPPHPPHH": "\nNOT the only ground state: 24 other folds have the same energy",
        "HHHHHHHHHHHHHHPP": "\nNOT a ground state: ",
    }.items():
        shown = made.show(made.parse(text))
        assert said in shown and "counted" not in shown
    straight = designing("RRRRR")
    assert "others have its contacts" in straight.show(straight.parse("HPHPHH"))
    cubic = designing("RUL", "cubic")
    assert "ground state" not in cubic.show(cubic.parse("HPPH"))


def test_a_search_by_mutations_finds_a_designing_sequence() -> None:
    """All 25 structures of 12 residues that a sequence designs, within 300 judgements each."""
    maps, rng = maps_of(12), np.random.default_rng(3)
    for place in designed_by_all(12):
        word = maps.words[place]
        target = fold_with(maps, word)
        mutations = Mutations(target.letters, "square", Wish("HP", 12))
        known: dict[str, float] = {}
        parents: list[TokenDesign] = mutations.first(1, rng)
        while len(known) < 300 and max(known.values(), default=-1) <= 0:
            new = [d.text for d in mutations(parents, 16, rng) if d.text not in known]
            for text, one in zip(new, judged(maps, word, new), strict=True):
                known[text] = one.gap - 0.1 * np.log(max(one.ways, 1))
            best = sorted(known, key=lambda text: -known[text])[:40]
            parents = [TokenDesign(tuple(text), text) for text in best]
        assert max(known.values()) > 0
