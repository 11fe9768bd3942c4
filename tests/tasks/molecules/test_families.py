import numpy as np
import pytest

from designer.errors import InputError
from tasks.molecules.design import Molecule, parse
from tasks.molecules.families import FOUNDERS, GAIN, TOP, Families
from tasks.molecules.task import starters

KNOWN = [parse(smiles) for smiles, _ in starters()[:40]]
TAILS = ("O", "N", "F", "Cl")
STRANGERS = [parse("C" * length + tail) for length in range(2, 52) for tail in TAILS]


def judged(families: Families, designs: list[Molecule], reward: float) -> None:
    families.asked = [design.key for design in designs]
    families.hear(designs, [reward] * len(designs))


def test_it_begins_anew_where_nothing_is_gained_and_comes_back() -> None:
    families = Families(patience=30)
    judged(families, KNOWN[:20], 0.5)
    assert not families.apart and families.parents(KNOWN) == KNOWN
    judged(families, KNOWN[20:], 0.5 * (1 + GAIN / 2))  # too little a gain
    assert not families.apart and families.waited == 20
    judged(families, KNOWN[:10], 0.1)
    assert families.apart
    begun: list[Molecule] = []
    while made := families.newcomers(STRANGERS, 30):
        assert families.apart
        judged(families, made, 0.001 * len(begun) + 0.01)
        begun += made
    assert FOUNDERS <= len(begun) < FOUNDERS + 30 and begun == STRANGERS[: len(begun)]
    assert {p.key for p in families.parents(KNOWN)} == {d.key for d in begun}
    assert families.parents(KNOWN)[0].key in {d.key for d in begun[-30:]}
    families.hear(KNOWN[:5], [0.9] * 5)  # the policy's own, not asked for: no members
    assert len(families.own) == len(begun)
    judged(families, KNOWN[:30], 0.0)
    assert not families.apart
    together = families.parents(KNOWN)
    assert together[::2] == KNOWN[:20] and set(together[1::2]) < set(begun)
    judged(families, KNOWN[:30], 0.0)
    assert families.apart and not families.own
    assert families.best == sorted(families.best) and len(families.best) == TOP
    assert families.best[:5] == [-0.9] * 5


def test_gains_keep_a_family() -> None:
    families = Families(patience=25)
    for turn in range(30):
        judged(families, KNOWN[:10], 0.1 + 0.01 * turn)
        assert not families.apart


def test_a_checkpoint_in_the_middle_changes_nothing() -> None:
    rng, families = np.random.default_rng(0), Families(patience=20)
    again = Families(patience=20)
    for turn in range(40):
        designs = families.newcomers(STRANGERS, 8) or KNOWN[:8]
        judged(families, designs, float(rng.random()) * 0.9**turn)
        again.restore(families.state())
        assert again == families and again.state() == families.state()
        assert again.parents(KNOWN) == families.parents(KNOWN)


def test_where_strangers_run_out_the_known_are_bred_from() -> None:
    families = Families(patience=5, apart=True)
    assert families.newcomers([], 8) == [] and families.parents(KNOWN) == KNOWN


def test_families_need_strangers() -> None:
    from tasks.molecules.proposer import Genetic

    with pytest.raises(InputError, match="patience"):
        Genetic(patience=100)
