"""Maximum likelihood on an enumerable task: observations, counts, exact optimum, resume."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from designer.corpus import Corpus
from designer.errors import InputError
from designer.likelihood import Lessons, Look, Teacher, _surprise
from designer.policy import RecurrentPolicy
from tasks.molecules.smiles import Smiles

ENV = Smiles(max_length=24, max_atoms=10)
WORDS = {word: i for i, word in enumerate(ENV.vocabulary)}
TEXTS = ["CCO", "c1ccccc1", "CC(C)N", "C#N", "Cc1ccccc1", "OCCO", "C1CC1", "CCCCCCC"]


def row(text: str) -> np.ndarray:
    return np.array([*(WORDS[letter] for letter in text), ENV.end])


ROWS = [row(text) for text in TEXTS]


def policy(seed: int = 0) -> RecurrentPolicy:
    return RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=16, seed=seed)


def test_the_corpus_shows_what_the_environment_shows() -> None:
    corpus = Corpus(ENV, ROWS, block=5)
    seen = []
    for known in corpus.epoch(3, (0, 1)):
        for i, length in enumerate(known.active.sum(1).tolist()):
            state = ENV.reset(1, torch.device("cpu"))
            for t in range(length):
                assert torch.equal(ENV.observe(state)[0], known.observations[i, t])
                state = ENV.step(state, known.actions[i, t : t + 1])
            assert ENV.done(state).all()
            seen.append(known.actions[i, :length].tolist())
    assert sorted(seen) == sorted(r.tolist() for r in ROWS)


def test_every_row_comes_once_an_epoch_and_orders_differ() -> None:
    corpus = Corpus(ENV, ROWS * 20, block=64)
    orders = []
    for seed in ((0, 0), (0, 1), (0, 0)):
        batches = list(corpus.epoch(16, seed))
        assert len(batches) == corpus.batches(16)
        pairs = [pair for k in batches for pair in zip(k.actions, k.active, strict=True)]
        found = [tuple(row[on].tolist()) for row, on in pairs]
        assert sorted(found) == sorted(tuple(r.tolist()) for r in ROWS * 20)
        orders.append(found)
    assert orders[0] == orders[2] != orders[1]
    rest = list(corpus.epoch(16, (0, 0), skip=5))
    assert torch.equal(rest[0].actions, list(corpus.epoch(16, (0, 0)))[5].actions)


def test_rows_are_batched_by_length() -> None:
    corpus = Corpus(ENV, ROWS * 40, block=320)
    wasted = [float((~known.active).float().mean()) for known in corpus.epoch(32, (0, 0))]
    assert np.mean(wasted) < 0.2


def test_the_loss_is_counted_by_hand() -> None:
    net = policy()
    with torch.no_grad():  # all preferences equal: every action costs log A
        for name, weight in net.named_parameters():
            if name.startswith("head"):
                weight.zero_()
    teacher = Teacher(net, Corpus(ENV, ROWS), Corpus(ENV, ROWS), Lessons())
    per_action, per_design = teacher.judged()
    assert per_action == pytest.approx(math.log(ENV.num_actions), rel=1e-6)
    actions = sum(len(r) for r in ROWS) / len(ROWS)
    assert per_design == pytest.approx(actions * math.log(ENV.num_actions), rel=1e-6)


def test_a_corpus_tells_what_was_legal() -> None:
    rows = [*ROWS, row("CC)O"), row("c1ccccc1C")]  # one closes a branch that was never opened
    for known in Corpus(ENV, rows, masked=True).epoch(4, (0, 1)):
        assert known.legal is not None
        for i, length in enumerate(known.active.sum(1).tolist()):
            state, followed = ENV.reset(1, torch.device("cpu")), True
            for t in range(length):
                legal, action = ENV.mask(state)[0], known.actions[i, t]
                followed = followed and bool(legal[action])
                expected = legal if followed else torch.ones_like(legal)
                assert torch.equal(known.legal[i, t], expected)
                state = ENV.step(state, action[None])
    assert next(iter(Corpus(ENV, rows).epoch(4, None))).legal is None


def test_the_semantic_loss_is_counted_by_hand() -> None:
    known = next(iter(Corpus(ENV, ROWS, masked=True).epoch(8, None)))
    net = policy()
    probability = torch.softmax(net.unroll(known.observations).logits, -1)
    assert known.legal is not None
    legal = (probability * known.legal).sum(-1)
    taken = probability.gather(2, known.actions.unsqueeze(2)).squeeze(2)
    expected = (-taken.log() - 3 * legal.log()) * known.active
    torch.testing.assert_close(_surprise(net, known, 3.0), expected)
    torch.testing.assert_close(_surprise(net, known), -taken.log() * known.active)


def test_what_is_illegal_is_unlearned() -> None:
    shares = []
    for legality in (0.0, 20.0):
        net, corpus = policy(), Corpus(ENV, ROWS, masked=True)
        lessons = Lessons(epochs=60, batch_size=8, lr=0.02, legality=legality)
        Teacher(net, corpus, corpus, lessons).run()
        known = next(iter(corpus.epoch(8, None)))
        assert known.legal is not None
        with torch.no_grad():
            outside = torch.softmax(net.unroll(known.observations).logits, -1) * ~known.legal
        shares.append(float(outside.sum(-1)[known.active].mean()))
    assert shares[1] < 0.5 * shares[0]


def test_it_reaches_the_entropy_of_the_data() -> None:
    """Eight rows, equally often: no model can do better than log 8 nats a design."""
    net = RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=64, seed=0)
    lessons = Lessons(epochs=400, batch_size=8, lr=0.02, check_every=80, patience=100)
    teacher = Teacher(net, Corpus(ENV, ROWS), Corpus(ENV, ROWS), lessons)
    looks: list[Look] = []
    assert teacher.run(looks.append)
    assert looks[-1].step == teacher.steps == 400
    assert math.log(8) - 1e-4 <= looks[-1].per_design < math.log(8) + 0.1
    assert teacher.best == min(look.held_out for look in looks)


def test_a_stopped_training_goes_on_exactly() -> None:
    lessons = Lessons(epochs=3, batch_size=8, check_every=7)
    whole, torn = (
        Teacher(policy(), Corpus(ENV, ROWS * 4, block=16), Corpus(ENV, ROWS), lessons)
        for _ in range(2)
    )
    assert whole.run()
    assert not torn.run(stop=lambda: torn.step == 5)
    state = torn.state()
    again = Teacher(policy(9), Corpus(ENV, ROWS * 4, block=16), Corpus(ENV, ROWS), lessons)
    again.restore(state)
    assert again.run() and again.step == whole.step
    for one, other in zip(whole.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(one, other)
    assert again.best == whole.best


def test_no_improvement_ends_it() -> None:
    lessons = Lessons(epochs=1000, batch_size=8, lr=1e-12, check_every=1, patience=3)
    teacher = Teacher(policy(), Corpus(ENV, ROWS), Corpus(ENV, ROWS), lessons)
    assert teacher.run() and teacher.step < 20


def test_what_cannot_be_taught() -> None:
    with pytest.raises(InputError, match="nothing"):
        Teacher(policy(), Corpus(ENV, []), Corpus(ENV, ROWS), Lessons())
    with pytest.raises(InputError, match="legality"):
        Lessons(legality=-1.0)
    with pytest.raises(InputError, match="masked"):
        Teacher(policy(), Corpus(ENV, ROWS), Corpus(ENV, ROWS), Lessons(legality=1.0)).run()
    for name, value in product(("epochs", "batch_size", "patience"), (0, -1)):
        with pytest.raises(InputError, match=name):
            Lessons(**{name: value})


def test_a_gradient_that_is_not_finite_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus(ENV, ROWS)
    taught = Teacher(policy(), corpus, corpus, Lessons(epochs=2, batch_size=4))
    taught.run()
    before = {k: v.clone() for k, v in taught.policy.state_dict().items()}
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda parameters, limit: torch.tensor(math.nan)
    )
    taught._teach(next(iter(corpus.epoch(8, None))))
    assert all(torch.equal(v, before[k]) for k, v in taught.policy.state_dict().items())
