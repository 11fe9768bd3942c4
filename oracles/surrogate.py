"""A scikit-learn model as an oracle: what it predicts of a design's features.

Models are saved and loaded with skops, never with pickle: a skops file lists the types it is
made of, and only types of this module's list, of skops' own and those named as `trusted` are
built. Save one with `save(model, "model.skops")`; train it on `fingerprints.matrix(...)`, which
makes the very features that the oracle uses.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError, OracleError
from designer.plugins import is_file, needs_consent, resolve, told
from designer.protocols import Measured
from oracles.fingerprints import FOLDED, SIZE, check, matrix
from oracles.rows import answer, molecules

# Parts of scikit-learn's own estimators which skops asks about because they are compiled or
# private. They hold numbers; none of them runs anything of the file's choosing.
SKLEARN_PARTS = (
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.CompoundKernel",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.PairwiseKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)


@dataclass(frozen=True)
class Surrogate:
    """Predictions of the model in `path`; of a classifier, the probability of class 1.

    `features` is a fingerprint with a matrix form (`ecfp4`, `ecfp4_bits`, ...; molecules, `size`
    columns), or `file.py:name` / `module:name` of a function from `list[str]` to numbers [N, F].
    A model with several outputs needs one of `endpoints` for each. Raises InputError for a file
    that is not a skops model, holds untrusted types, or expects another number of features.
    """

    path: Path
    features: str = "ecfp4"
    size: int = SIZE
    name: str = "surrogate"
    endpoints: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    model: Any = field(init=False, repr=False, compare=False)

    cheap = False

    def __post_init__(self) -> None:
        if ":" not in self.features:
            check(self.features, FOLDED)
        model = load(self.path, self.trusted)
        wanted = getattr(model, "n_features_in_", None)
        if ":" not in self.features and wanted not in (None, self.size):
            text = f"{self.path} was trained on {wanted} features, but size is {self.size}"
            raise InputError(f"{text}; train on oracles.fingerprints.matrix or set size")
        object.__setattr__(self, "model", model)

    @property
    def files(self) -> tuple[Path, ...]:
        """What the values depend on."""
        code = self.features.rsplit(":", 1)[0]
        return (self.path, Path(code)) if is_file(self.features) else (self.path,)

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return the model's outputs [N]; a design with a feature that is not finite is NaN."""
        features = self._matrix(designs)
        usable = np.isfinite(features).all(axis=1) if len(designs) else np.zeros(0, dtype=bool)
        said = np.full((len(designs), max(1, len(self.endpoints))), np.nan)
        if usable.any():
            said[usable] = self._predicted(features[usable])
        names = self.endpoints or (self.name,)
        table = dict(zip(names, said.T, strict=True))
        measured = answer(table, len(designs), str(self.path), self.name, names)
        unusable = dict.fromkeys(np.flatnonzero(~usable).tolist(), "a feature is not finite")
        return Measured(measured.columns, errors={**measured.errors, **unusable})

    def _matrix(self, designs: Sequence[Any]) -> NDArray[Any]:
        if ":" not in self.features:
            return matrix(self.features, molecules(self.name, designs), self.size)
        if not designs:
            return np.zeros((0, 1))
        said = resolve(self.features, {}, allow_plugins=True)([design.text for design in designs])
        try:
            features = np.asarray(said, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise OracleError(f"{self.features} returned no numbers: {told(error)}") from None
        if features.ndim != 2 or len(features) != len(designs):
            found = f"an array of shape {features.shape}, expected ({len(designs)}, features)"
            raise OracleError(f"{self.features} returned {found}")
        return features

    def _predicted(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the outputs [N, endpoints] for features [N, F]."""
        known = getattr(self.model, "n_features_in_", features.shape[1])
        if features.shape[1] != known:
            text = f"{self.features} makes {features.shape[1]} features a design"
            raise OracleError(f"{text}; {self.path} was trained on {known}")
        with warnings.catch_warnings():  # of models that were trained on a table with a header
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            said = predictions(self.model, features.astype(np.float64))
        if said.shape[1] != max(1, len(self.endpoints)):
            text = f"{self.path} predicts {said.shape[1]} values a design; name each in endpoints"
            raise OracleError(f"{text} (now: {', '.join(self.endpoints) or 'none'})")
        return said

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies in other processes load the file themselves."""
        settings = (self.path, self.features, self.size, self.name, self.endpoints, self.trusted)
        return Surrogate, settings


def predictions(model: Any, features: NDArray[Any]) -> NDArray[np.float64]:
    """Return what a model says [N, outputs]: a classifier the probability of class 1, else values.

    Raises InputError for a classifier of more than two classes, or without probabilities.
    """
    if not hasattr(model, "classes_"):
        return np.asarray(model.predict(features), dtype=np.float64).reshape(len(features), -1)
    if not hasattr(model, "predict_proba"):
        raise InputError(f"{type(model).__name__} gives no probabilities (predict_proba)")
    said, classes = model.predict_proba(features), model.classes_
    several = isinstance(said, list)
    pairs = zip(said, classes, strict=True) if several else [(said, classes)]
    return np.stack([_of_class_1(table, list(kinds)) for table, kinds in pairs], axis=1)


def _of_class_1(table: NDArray[np.float64], classes: list[Any]) -> NDArray[np.float64]:
    if len(classes) != 2:
        found = f"{len(classes)} classes ({', '.join(map(str, classes))[:60]})"
        raise InputError(f"the classifier knows {found}, expected 2: the probability of class 1")
    return table[:, 1]


def surrogate(
    path: Path,
    features: str = "ecfp4",
    size: int = SIZE,
    name: str = "surrogate",
    endpoints: tuple[str, ...] = (),
    trusted: tuple[str, ...] = (),
) -> Surrogate:
    """A scikit-learn model saved by skops, on molecular fingerprints."""
    if ":" in features:
        remedy = 'use kind = "custom_surrogate" for features of your own code'
        raise InputError(f"features {features!r} is not a fingerprint; {remedy}")
    return Surrogate(path, features, size, name, endpoints, trusted)


@needs_consent
def custom_surrogate(
    path: Path,
    code: Path,
    function: str,
    name: str = "surrogate",
    endpoints: tuple[str, ...] = (),
    trusted: tuple[str, ...] = (),
) -> Surrogate:
    """A scikit-learn model saved by skops, on features that a function in a Python file makes."""
    return Surrogate(path, f"{code}:{function}", SIZE, name, endpoints, trusted)


def save(model: Any, path: Path | str) -> None:
    """Write a fitted scikit-learn estimator as a skops file, which `Surrogate` loads."""
    import skops.io

    skops.io.dump(model, path)


def load(path: Path | str, trusted: Sequence[str] = ()) -> Any:
    """Return the estimator in a skops file, made of trusted types alone.

    `trusted` may name further classes of scikit-learn, and nothing else. Raises InputError.
    """
    import skops.io

    foreign = [name for name in trusted if not re.fullmatch(r"sklearn(\.\w+)*\._?[A-Z]\w*", name)]
    if foreign:
        text = f"trusted names {', '.join(foreign)}, which is not a class of scikit-learn"
        raise InputError(f"{text}; wrap such a model in a Python function (path.py:name)")
    allowed = {*SKLEARN_PARTS, *trusted}
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - allowed)
        if unknown:
            text = f"{path} holds types that are not trusted: {', '.join(unknown)}"
            remedy = "classes of scikit-learn may be listed in trusted = [...]"
            raise InputError(f"{text}; {remedy}, others wrapped in a Python function")
        model = skops.io.load(path, trusted=sorted(allowed))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected a model saved by skops") from error
    except Exception as error:  # whatever a file that is no model makes the reader raise
        text = f"{path} is not a model that skops reads ({told(error)})"
        raise InputError(f"{text}; save it with skops.io.dump, not with pickle") from error
    if not (hasattr(model, "predict") or hasattr(model, "predict_proba")):
        raise InputError(f"{path} holds a {type(model).__name__}, expected a fitted estimator")
    return model
