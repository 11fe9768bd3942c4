import pytest

from cli import bench_molecules
from cli.main import invoke
from designer.policy import RecurrentPolicy
from oracles.descriptors import qed
from tasks.molecules.design import parse
from tasks.molecules.freely import Unmasked


def test_both_loops_write_the_same_molecules(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sampling` raises where they do not."""
    monkeypatch.setattr(bench_molecules, "MOLECULES", 48)
    monkeypatch.setattr(bench_molecules, "ROUNDS", 1)
    env = Unmasked()
    policy = RecurrentPolicy(env.obs_size, env.num_actions, hidden=8, layers=2, seed=0)
    told = bench_molecules.sampling(env, policy, 16)
    assert told["ratio"] > 0 and told["per_second"] > 0


def test_the_timed_oracle_is_qed() -> None:
    designs = [parse(text) for text in ("CCO", "c1ccccc1C(=O)O")]
    told, wanted = bench_molecules.Timed()(designs), qed()(designs)
    assert (told.columns["qed"] == wanted.columns["qed"]).all()
    assert (told.columns["seconds"] > 0).all()


def test_a_prior_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["bench", "molecules", "--prior", "nowhere"]) == 3
    assert "no prior of that name is shipped" in capsys.readouterr().err


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["bench", "molecules", "--device", "cuda:63"]) == 3
    assert "device 'cuda:63' is not there" in capsys.readouterr().err
