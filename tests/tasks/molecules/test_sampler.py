from pathlib import Path

import numpy as np
import torch

from designer.policy import RecurrentPolicy
from designer.rollout import retrace
from tasks.molecules import tracking
from tasks.molecules.design import parse
from tasks.molecules.freely import Unmasked
from tasks.molecules.sampler import _layers, _recur, _table, sample, texts
from tasks.molecules.smiles import Smiles
from tasks.molecules.spelling import text_of

SMILES = (Path(__file__).parent / "zinc1000.smi").read_text().split()


def test_features_are_the_environments() -> None:
    """Every observation of 150 molecules, one step after the other, bit by bit."""
    env = Smiles(100, 50)
    designs = [parse(text) for text in SMILES[:150]]
    rows = [row for row in env.encode(designs, np.random.default_rng(0)) if row is not None]
    seen = retrace(env, rows).observations.numpy()
    assert len(rows) > 140
    marks, atoms = np.zeros((1, 10), dtype=np.int64), np.zeros((1, 5, 50), dtype=np.int64)
    ring, out = np.zeros((1, 9), dtype=np.int64), np.zeros((1, tracking.DENSE), dtype=np.float32)
    table = _table(env)
    for row, expected in zip(rows, seen, strict=True):
        tracking.begin(marks, atoms, ring, 0, 0, env.end)
        for t, action in enumerate(row):
            tracking.look(marks, atoms, ring, table, 0, env.max_length, out)
            assert expected[t, : env.num_actions].argmax() == marks[0, tracking.LAST]
            np.testing.assert_allclose(out[0], expected[t, env.num_actions :], atol=1e-6)
            if action < env.end:
                tracking.write(marks, atoms, ring, table, 0, action)


def test_the_network_is_the_policys() -> None:
    env = Smiles()
    for settings in ({"layers": 2}, {"embedding": 12}):
        policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=16, seed=1, **settings)
        with torch.no_grad():
            memory = policy.start(5, torch.device("cpu"))
            ours = [held.clone() for held in memory]
            last = torch.randint(env.num_actions, (4, 5))
            for t in range(4):
                dense = torch.rand(5, tracking.DENSE)
                token = torch.nn.functional.one_hot(last[t], env.num_actions).float()
                _, memory = policy.step(torch.cat([token, dense], 1), memory)
                features = dense
                for i, layer in enumerate(_layers(policy, env.num_actions)):
                    features = _recur(layer, features, ours[i], last[t] if i == 0 else None)
                    ours[i] = features
                torch.testing.assert_close(torch.stack(ours), torch.stack(memory))


def test_samples_follow_the_policy() -> None:
    """The mean log-probability of what is drawn is minus the entropy; shares of first tokens."""
    from designer.rollout import evaluate

    env = Unmasked()
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=3)
    with torch.no_grad():
        policy.head.weight.mul_(60)
        policy.head.bias[env.end] = 3.0  # so that hardly any row reaches the full length
    rows = sample(env, policy, 3000, batch_size=64, seed=1)
    again = sample(env, policy, 3000, batch_size=64, seed=1)
    assert (rows == again).all() and len(rows) == 3000
    ended = [[*row[: list(row).index(env.end)].tolist(), env.end] for row in rows]
    assert max(map(len, ended)) < 100
    walked = evaluate(policy, retrace(env, ended))
    surprise = -(walked.log_prob.sum(1) + walked.entropy.sum(1)).detach()
    assert abs(float(surprise.mean())) < 4 * float(surprise.std()) / len(rows) ** 0.5
    first = torch.tensor([row[0] for row in ended])
    probability = torch.softmax(policy.unroll(walked.observations[:1, :1]).logits[0, 0, :-1], -1)
    counted = torch.bincount(first, minlength=env.end + 1) / len(first)
    spread = (probability * (1 - probability) / len(first)).sqrt()
    assert bool(((counted - probability).abs() < 5 * spread + 1e-3).all())


def test_texts_are_those_of_the_rows() -> None:
    env = Smiles()
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    rows = sample(env, policy, 200, batch_size=32)
    spelled = [text_of(env, row.tolist()) or "" for row in rows]
    assert texts(env, rows) == spelled
