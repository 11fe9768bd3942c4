"""Arrays out of pickles without running them, and the classifiers made of such arrays."""

from __future__ import annotations

import os
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from drugs import drugs
from sklearn.svm import SVC

from designer.errors import InputError
from oracles import classifiers, inert
from oracles.classifiers import Activity, Forest, Machine, coupled
from oracles.fingerprints import matrix

PUBLISHED = {
    "drd2": (0.001546536534, 0.001428768953, 0.005981810681, 0.03099590383, 0.02009887579),
    "gsk3b": (0.03, 0.02, 0.16, 0.54, 0.0),
    "jnk3": (0.01, 0.02, 0.01, 0.31, 0.0),
}


@pytest.mark.skipif(find_spec("molscore") is None, reason="molscore (extra [pmo]) is absent")
@pytest.mark.parametrize("target", PUBLISHED)
def test_published_values(target: str) -> None:
    found = Activity(target)(drugs()[:5]).columns[target]
    assert found.tolist() == pytest.approx(PUBLISHED[target], rel=1e-8, abs=1e-12)


def test_without_the_models_the_message_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classifiers, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps molscore"):
        Activity("jnk3")
    with pytest.raises(InputError, match="gsk3b"):
        Activity("gsk3")


class Attack:
    """Unpickling it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_runs(tmp_path: Path, protocol: int) -> None:
    target, file = tmp_path / "made", tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps({"x": [1, 2.5, None], "bad": Attack(target)}, protocol))
    held = inert.read(file)
    assert held["x"] == [1, 2.5, None]
    assert held["bad"].name.endswith("mkdir") and held["bad"].arguments == (str(target),)
    assert not target.exists()
    with pytest.raises(InputError, match="array of numbers"):
        inert.array(held["bad"])


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        np.array([True, False]),
        np.array([(1, 2.5)], dtype=[("a", "<i8"), ("b", "<f8")]),
        np.zeros((0, 4)),
    ],
)
def test_arrays(tmp_path: Path, values: np.ndarray) -> None:
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps({"array": values}, 3))
    found = inert.array(inert.read(file)["array"])
    assert found.dtype == values.dtype and np.array_equal(found, values)


@pytest.mark.parametrize("content", [b"", b"abc", b"\x80\x03", b"\x80\x03K\x01", b"\x80\x03t."])
def test_what_is_no_pickle(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.pkl"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pkl"):
        inert.read(file)


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps(np.array([{}, 1], dtype=object), 3))
    with pytest.raises(InputError, match="array of numbers"):
        inert.array(inert.read(file))


def test_a_changed_size_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps(np.arange(300.0), 3).replace(b"M,\x01", b"M-\x01"))
    with pytest.raises(InputError, match="array of numbers"):
        inert.array(inert.read(file))


def test_the_machine_agrees_with_libsvm() -> None:
    mols = [drug.mol for drug in drugs()]
    x = classifiers._counts(mols)
    y = np.arange(len(mols)) % 2
    rng = np.random.default_rng(0)
    model = SVC(gamma=2**-6, C=4.0).fit(np.vstack([x, x + rng.normal(size=x.shape) / 50]), [*y, *y])
    machine = Machine(
        model.support_vectors_, model.dual_coef_.ravel(), float(model.intercept_[0]), 2**-6,
        slope=-2.0, offset=0.5,
    )  # fmt: skip
    first = 1 / (1 + np.exp(-2.0 * model.decision_function(x) + 0.5))
    assert machine(mols).tolist() == pytest.approx([coupled(p) for p in first], rel=1e-9)


def test_the_machine_judges_a_molecule_alike_alone_and_among_others() -> None:
    """To the last bit, or a resumed run would differ; its features are counts."""
    mols, rng = [drug.mol for drug in drugs()], np.random.default_rng(0)
    vectors = rng.poisson(0.05, (500, classifiers.SIZE)).astype(np.float64)
    machine = Machine(vectors, rng.normal(size=500), 0.0, 2**-9, slope=-0.1, offset=0.1)
    whole = machine(mols).tolist()
    for size in (1, 7):
        parts = [machine(mols[at : at + size]) for at in range(0, len(mols), size)]
        assert np.concatenate(parts).tolist() == whole


@pytest.mark.parametrize("first", [0.02, 0.3, 0.5, 0.77, 0.999])
def test_coupling_is_near_the_pairwise_probability(first: float) -> None:
    assert coupled(first) == pytest.approx(1 - first, abs=0.003)


def test_a_forest_by_hand() -> None:
    mols = [drug.mol for drug in drugs()]
    x = matrix("ecfp4_bits", mols)
    bit = int(np.flatnonzero((x.mean(0) > 0.2) & (x.mean(0) < 0.8))[0])
    # one tree of three nodes, one that is a single leaf
    forest = Forest(
        roots=np.array([0, 3]), left=np.array([1, 1, 2, 3]), right=np.array([2, 1, 2, 3]),
        feature=np.array([bit, 0, 0, 0]), threshold=np.array([0.5, -2, -2, -2]),
        share=np.array([0.5, 0.1, 0.9, 0.3]),
    )  # fmt: skip
    assert forest(mols).tolist() == pytest.approx(np.where(x[:, bit] > 0, 0.6, 0.2).tolist())
