"""Activity on DRD2, GSK3-beta and JNK3 as the PMO benchmark predicts it.

The models (Olivecrona et al. 2017 for DRD2, Li et al. 2018 for the kinases) come with the
package `molscore` as pickles of an old scikit-learn. Here only their arrays are read (see
`oracles.inert`); the support vector machine and the two forests are evaluated in numpy, DRD2
with libsvm's own iterative coupling of probabilities, whose last digits the benchmark shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError, nearest
from designer.protocols import Floats, Measured
from oracles import inert
from oracles.fingerprints import fingerprint, matrix
from oracles.rows import molecules

TARGETS = ("drd2", "gsk3b", "jnk3")
SIZE = 2048  # features


@dataclass(frozen=True)
class Activity:
    """The predicted probability that a molecule is active on `target`, 0 to 1."""

    target: str
    name: str = ""

    cheap = False

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise InputError(f"unknown target {self.target!r}; {nearest(self.target, TARGETS)}")
        object.__setattr__(self, "name", self.name or self.target)
        _file(self.target)

    @property
    def files(self) -> tuple[Path, ...]:
        """What the values depend on."""
        return (_file(self.target),)

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return one column [N], 0 to 1."""
        mols = molecules(self.name, designs)
        model = _model(_file(self.target), self.target)
        return Measured({self.name: model(mols) if mols else np.zeros(0)})


@dataclass(frozen=True)
class Machine:
    """A support vector machine with a Gaussian kernel and Platt's probabilities."""

    vectors: Floats  # [V, F]
    weights: Floats  # [V]
    intercept: float
    gamma: float
    slope: float  # Platt's A
    offset: float  # Platt's B

    def __call__(self, mols: Sequence[Any]) -> Floats:
        """Return [N] the probability of the second class."""
        x = _counts(mols)
        near = (x**2).sum(1)[:, None] + (self.vectors**2).sum(1) - 2.0 * x @ self.vectors.T
        # features are counts, so `near` is exact; a product of matrices here would round a
        # molecule's value otherwise in another batch, and a resumed run would differ
        decision = (np.exp(-self.gamma * near) * self.weights).sum(1) + self.intercept
        first = 1.0 / (1.0 + np.exp(self.slope * decision + self.offset))
        return np.array([coupled(float(p)) for p in first.clip(1e-7, 1.0 - 1e-7)])


@dataclass(frozen=True)
class Forest:
    """Decision trees in one list of nodes, on features that are 0 or 1."""

    roots: NDArray[np.int64]  # [trees]
    left: NDArray[np.int64]  # [nodes], itself in a leaf
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    share: Floats  # [nodes] of the second class

    def __call__(self, mols: Sequence[Any]) -> Floats:
        """Return [N] the mean share of the second class in the leaves that are reached."""
        x = matrix("ecfp4_bits", mols, SIZE)
        rows = np.arange(len(x))[:, None]
        node = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        while True:
            lower = x[rows, self.feature[node]] <= self.threshold[node]
            after = np.where(lower, self.left[node], self.right[node])
            if (after == node).all():
                return np.asarray(self.share[node].mean(1), dtype=np.float64)
            node = after


def coupled(first: float) -> float:
    """Return libsvm's probability of the second of two classes from the pairwise one of the first.

    Wu, Lin & Weng 2004, method 2, as libsvm iterates it: it stops at an error of 0.005 / 2, so
    the result differs from 1 - first.
    """
    r, s = first, 1.0 - first
    q = ((s * s, -s * r), (-r * s, r * r))
    p = [0.5, 0.5]
    for _ in range(100):
        qp = [q[t][0] * p[0] + q[t][1] * p[1] for t in (0, 1)]
        total = p[0] * qp[0] + p[1] * qp[1]
        if max(abs(value - total) for value in qp) < 0.0025:
            break
        for t in (0, 1):
            step = (total - qp[t]) / q[t][t]
            p[t] += step
            total = (total + step * (step * q[t][t] + 2.0 * qp[t])) / (1.0 + step) ** 2
            qp = [(qp[j] + step * q[t][j]) / (1.0 + step) for j in (0, 1)]
            p = [value / (1.0 + step) for value in p]
    return p[1]


def drd2(name: str = "drd2") -> Activity:
    """Predicted activity on the dopamine receptor D2, 0 to 1; needs `pip install molscore`."""
    return Activity("drd2", name)


def gsk3b(name: str = "gsk3b") -> Activity:
    """Predicted activity on GSK3-beta, 0 to 1; needs `pip install molscore`."""
    return Activity("gsk3b", name)


def jnk3(name: str = "jnk3") -> Activity:
    """Predicted activity on JNK3, 0 to 1; needs `pip install molscore`."""
    return Activity("jnk3", name)


def _file(target: str) -> Path:
    """Return the model's file in the installed molscore, which is found but never imported."""
    remedy = "pip install --no-deps molscore==1.9.5"
    spec = find_spec("molscore")
    if spec is None or not spec.submodule_search_locations:
        text = f"{target} needs the model that comes with the package molscore"
        raise InputError(f"{text}; install it with: {remedy}")
    place = Path(next(iter(spec.submodule_search_locations)))
    found = place / "data" / "models" / "molopt" / f"{target}_current.pkl"
    if not found.is_file():
        raise InputError(f"{found}: no such file in the installed molscore; try: {remedy}")
    return found


@lru_cache(maxsize=3)
def _model(path: Path, target: str) -> Any:
    held = inert.read(path)
    try:
        return _machine(held.state) if target == "drd2" else _forest(held.state)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: not the model of {target} ({type(error).__name__}: {error}); "
            "try: pip install --no-deps molscore==1.9.5"
        ) from None


def _machine(state: dict[str, Any]) -> Machine:
    def flat(name: str) -> Floats:
        return np.asarray(inert.array(state[name]), dtype=np.float64).ravel()

    vectors = np.asarray(inert.array(state["support_vectors_"]), dtype=np.float64)
    return Machine(
        vectors, flat("_dual_coef_"), float(flat("_intercept_")[0]), float(state["_gamma"]),
        float(flat("_probA")[0]), float(flat("_probB")[0]),
    )  # fmt: skip


def _forest(state: dict[str, Any]) -> Forest:
    trees = [tree.state["tree_"].state for tree in state["estimators_"]]
    nodes = [inert.array(tree["nodes"]) for tree in trees]
    values = [inert.array(tree["values"])[:, 0, :] for tree in trees]
    roots = np.cumsum([0, *(len(part) for part in nodes)])[:-1]
    pairs = list(zip(nodes, roots, strict=True))

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([part[name] for part in nodes])

    def child(name: str) -> NDArray[np.int64]:
        ways = [(part[name].astype(np.int64), start) for part, start in pairs]
        return np.concatenate(
            [np.where(way < 0, np.arange(len(way)), way) + start for way, start in ways]
        )

    counts = np.concatenate(values)
    share = counts[:, 1] / counts.sum(1)
    left, right = child("left_child"), child("right_child")
    feature = np.maximum(column("feature").astype(np.int64), 0)
    threshold = column("threshold").astype(np.float64)
    return Forest(roots.astype(np.int64), left, right, feature, threshold, share)


def _counts(mols: Sequence[Any]) -> Floats:
    """Return [N, 2048] counts of radius-3 feature environments, folded by remainder."""
    make, out = fingerprint("fcfp6"), np.zeros((len(mols), SIZE))
    for row, mol in enumerate(mols):
        for index, count in make(mol).GetNonzeroElements().items():
            out[row, index % SIZE] += count
    return out
