from pathlib import Path

import numpy as np
import torch

from designer.policy import RecurrentPolicy
from designer.rollout import retrace
from tasks.molecules import tracking
from tasks.molecules.design import parse
from tasks.molecules.freely import Unmasked
from tasks.molecules.sampler import Network, _drawn, _raced, _table, sample, texts
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
            network = Network.of(policy, env)
            ours = network.start(5)
            last = torch.randint(env.num_actions, (4, 5))
            for t in range(4):
                dense = torch.rand(5, tracking.DENSE)
                token = torch.nn.functional.one_hot(last[t], env.num_actions).float()
                told, memory = policy.step(torch.cat([token, dense], 1), memory)
                logits = network.step(dense, last[t], ours)
                torch.testing.assert_close(ours, torch.stack(memory))
                torch.testing.assert_close(logits, told.logits[:, : env.end + 1])


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


def test_both_ways_to_draw_follow_the_logits() -> None:
    """That of the CPU, and the one for where the policy is elsewhere."""
    logits, count = torch.tensor([1.0, -2.0, 0.5, -30.0, 0.0]), 40_000
    shares = logits.double().softmax(0)
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        compiled = torch.from_numpy(_drawn(logits.repeat(count, 1), generator))
        for drawn in (compiled, _raced(logits.repeat(count, 1), generator)):
            counted = torch.bincount(drawn, minlength=5).double() / count
            assert bool(((counted - shares).abs() < 5 * (shares / count).sqrt() + 1e-9).all())


def test_lanes_share_the_molecules_and_draw_apart() -> None:
    """Each lane's molecules are its own whatever the threads do; more lanes than rows are cut."""
    env = Unmasked()
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=3)
    rows = sample(env, policy, 101, batch_size=20, seed=4, lanes=3)
    again = sample(env, policy, 101, batch_size=20, seed=4, lanes=3)
    assert len(rows) == 101 and (rows == again).all()
    assert bool((rows[:, -1] == env.end).all())
    thirds = np.array_split(rows, 3)
    assert len({third[:10].tobytes() for third in thirds}) == 3
    assert len(sample(env, policy, 2, batch_size=20, lanes=64)) == 2


def test_texts_are_those_of_the_rows() -> None:
    env = Smiles()
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, seed=0)
    rows = sample(env, policy, 200, batch_size=32)
    spelled = [text_of(env, row.tolist()) or "" for row in rows]
    assert texts(env, rows) == spelled
