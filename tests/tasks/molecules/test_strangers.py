from pathlib import Path

import numpy as np
import pytest

from cli.main import invoke
from designer.errors import InputError
from designer.policy import RecurrentPolicy
from designer.testing import check_proposer
from tasks.molecules.design import Molecule, parse
from tasks.molecules.graph import MolecularGraph
from tasks.molecules.proposer import Genetic
from tasks.molecules.strangers import Strangers

ENV = MolecularGraph(max_atoms=12, min_atoms=4)
POLICY = RecurrentPolicy(ENV.obs_size, ENV.num_actions, hidden=16, seed=0)
ALKANES = [parse("C" * length) for length in range(4, 12)]
SOURCE = {"source": ENV, "policy": POLICY, "stock": 60}


def test_they_are_drawn_once_and_come_back() -> None:
    rng, strangers = np.random.default_rng(0), Strangers()
    drawn = strangers.drawn(ENV, POLICY, 60, rng)
    assert 10 < len(drawn) <= 60 and len({design.key for design in drawn}) == len(drawn)
    before = rng.bit_generator.state
    assert strangers.drawn(ENV, POLICY, 60, rng) is drawn and rng.bit_generator.state == before
    again = Strangers()
    again.restore(strangers.state())
    assert again.held == drawn
    other = Strangers().drawn(ENV, POLICY, 60, np.random.default_rng(1))
    assert other != drawn


def test_they_bring_what_the_parents_lack() -> None:
    """Of carbon chains crossover makes carbon chains; what else there is comes from edits."""

    def mixed(share: float) -> float:
        proposer = Genetic(crossover=1.0, max_atoms=12, strangers=share, **SOURCE)  # type: ignore[arg-type]
        children = proposer(ALKANES, 80, np.random.default_rng(0))
        assert len(children) > 30
        return float(np.mean([_elements(child) != {6} for child in children]))

    assert mixed(0.9) > 0.2 + mixed(0.0)


def _elements(design: Molecule) -> set[int]:
    return {atom.GetAtomicNum() for atom in design.mol.GetAtoms()}


def test_a_resumed_proposer_makes_the_same_children() -> None:
    proposer, again = (Genetic(surplus=2, strangers=0.5, patience=9, **SOURCE) for _ in range(2))  # type: ignore[arg-type]
    proposer(ALKANES, 5, np.random.default_rng(0))
    proposer.hear(ALKANES, [0.1 * place for place in range(8)])
    again.restore(proposer.state())
    first, second = (each(ALKANES, 20, np.random.default_rng(1)) for each in (proposer, again))
    assert first == second and len(first) > 5


def test_contract() -> None:
    check_proposer(Genetic(strangers=0.3, **SOURCE), ALKANES)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="stock"):
        Genetic(stock=0)
    with pytest.raises(InputError, match="strangers"):
        Genetic(strangers=1.1)


def test_a_resumed_run_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the model, generations, strangers and a family that begins in the second half."""
    sets = ("campaign.batch_size=8", "campaign.proposals=6", "campaign.generations=4",
            "campaign.replay=4", "task.surplus=2", "task.strangers=0.4", "task.patience=40",
            "policy.hidden=16", "task.max_atoms=14")  # fmt: skip
    common = ["--quiet", "--representation", "graph", *(f"--set={each}" for each in sets)]
    for name, steps in (("whole", 7), ("parts", 4)):
        arguments = ["molecule", "qed", *common, "--out", str(tmp_path / name)]
        assert invoke([*arguments, f"--set=campaign.steps={steps}"]) == 0
    assert invoke(["resume", str(tmp_path / "parts"), "--quiet", "--set=campaign.steps=7"]) == 0
    capsys.readouterr()
    whole, parts = ((tmp_path / name / "best.csv").read_text() for name in ("whole", "parts"))
    assert whole == parts and whole.count("\n") > 50
