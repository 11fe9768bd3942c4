"""Saved scikit-learn models: the oracle says what they predict; foreign types are refused."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drugs import Plain, drugs, values
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR, LinearSVC

from cli.main import invoke
from designer.errors import InputError, OracleError
from designer.testing import check_oracle
from oracles.fingerprints import matrix
from oracles.surrogate import Surrogate, custom_surrogate, load, save, surrogate

SIZE = 128
DESIGNS = drugs()
X = matrix("ecfp4", [design.mol for design in DESIGNS], SIZE).astype(np.float64)
Y = np.array([design.complexity for design in DESIGNS], dtype=np.float64)
LARGE = np.greater(Y, np.median(Y))


def saved(folder: Path, model: Any, y: Any = Y, x: Any = X) -> Path:
    path = folder / "model.skops"
    save(model.fit(x, y), path)
    return path


REGRESSORS = [
    RandomForestRegressor(10, random_state=0),
    HistGradientBoostingRegressor(min_samples_leaf=2, max_iter=5),
    Ridge(),
    make_pipeline(StandardScaler(), SVR()),
    GaussianProcessRegressor(),
    KNeighborsRegressor(3),
    MLPRegressor(hidden_layer_sizes=(4,), max_iter=5000, random_state=0, tol=1e-2),
]


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda model: type(model).__name__)
def test_regressors(tmp_path: Path, model: Any) -> None:
    path = saved(tmp_path, model)
    oracle = surrogate(path, size=SIZE)
    check_oracle(oracle, DESIGNS)
    assert values(oracle, DESIGNS) == pytest.approx(model.predict(X).tolist(), rel=1e-9)
    assert oracle([]).columns["surrogate"].shape == (0,)


def test_a_model_that_set_names_is_found_where_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, Ridge())
    (tmp_path / "in.smi").write_text("CCO\n")
    monkeypatch.chdir(tmp_path)
    settings = ["--set", "objective.0.path=model.skops", "--set", f"objective.0.size={SIZE}"]
    assert invoke(["score", "surrogate", "in.smi", *settings]) == 0
    assert capsys.readouterr().out.endswith("\tCCO\n")


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(10, random_state=0),
        LogisticRegression(),
        GradientBoostingClassifier(n_estimators=3),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("labels", [LARGE.astype(int), np.where(LARGE, "large", "a small one")])
def test_classifier_gives_the_probability_of_class_1(
    tmp_path: Path, model: Any, labels: Any
) -> None:
    path = saved(tmp_path, model, labels)
    found = values(surrogate(path, size=SIZE), DESIGNS)
    assert found == pytest.approx(model.predict_proba(X)[:, 1].tolist(), abs=1e-12)
    assert np.mean(np.array(found)[LARGE]) > np.mean(np.array(found)[~LARGE])


def test_several_endpoints(tmp_path: Path) -> None:
    path = saved(tmp_path, Ridge(), np.stack([Y, -Y], axis=1))
    oracle = surrogate(path, size=SIZE, endpoints=("size", "smallness"))
    measured = oracle(DESIGNS)
    assert list(measured.columns) == ["size", "smallness"]
    assert measured.columns["size"] == pytest.approx(-measured.columns["smallness"])
    with pytest.raises(OracleError, match=r"predicts 2 values a design; name each in endpoints"):
        surrogate(path, size=SIZE)(DESIGNS)


def test_several_classifiers_in_one(tmp_path: Path) -> None:
    labels = np.stack([LARGE, ~LARGE], axis=1).astype(int)
    path = saved(tmp_path, RandomForestClassifier(10, random_state=0), labels)
    columns = surrogate(path, size=SIZE, endpoints=("a", "b"))(DESIGNS).columns
    assert columns["a"] + columns["b"] == pytest.approx(np.ones(len(DESIGNS)))


FEATURES = """
def shape(designs):
    return [[len(text), text.count("x")] for text in designs]

def gaps(designs):
    return [[len(text), float("nan") if "x" in text else 1.0] for text in designs]

def flat(designs):
    return [len(text) for text in designs]

def words(designs):
    return [[text] for text in designs]

def wide(designs):
    return [[1.0, 2.0, 3.0] for text in designs]
"""
TEXTS = [Plain(text) for text in ("x + 1", "RRU", "x*x", "1", "sin(x)")]


@pytest.fixture
def custom(tmp_path: Path) -> tuple[Path, Path]:
    code = tmp_path / "features.py"
    code.write_text(FEATURES)
    x = [[len(d.text), d.text.count("x")] for d in TEXTS]
    return saved(tmp_path, Ridge(), [1.0, 2.0, 3.0, 4.0, 5.0], x), code


def test_features_of_the_users_own(custom: tuple[Path, Path]) -> None:
    model, code = custom
    oracle = custom_surrogate(model, code, "shape", name="mine")
    check_oracle(oracle, TEXTS)
    expected = load(model).predict([[len(d.text), d.text.count("x")] for d in TEXTS])
    assert values(oracle, TEXTS) == pytest.approx(expected.tolist())
    assert oracle.files == (model, code) and oracle([]).columns["mine"].shape == (0,)


def test_features_that_are_missing(custom: tuple[Path, Path]) -> None:
    measured = custom_surrogate(*custom, "gaps")(TEXTS)
    assert np.isnan(measured.columns["surrogate"]).tolist() == [True, False, True, False, True]
    assert measured.errors[0] == "a feature is not finite" and sorted(measured.errors) == [0, 2, 4]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("flat", r"returned an array of shape \(5,\), expected \(5, features\)"),
        ("words", "returned no numbers"),
        ("wide", "makes 3 features a design; .*model.skops was trained on 2"),
    ],
)
def test_features_that_are_wrong(custom: tuple[Path, Path], function: str, expected: str) -> None:
    with pytest.raises(OracleError, match=expected):
        custom_surrogate(*custom, function)(TEXTS)


class Homemade(BaseEstimator):  # type: ignore[misc]
    """A type that is not scikit-learn's."""

    def fit(self, x: Any, y: Any) -> Any:
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, x: Any) -> Any:
        raise AssertionError("this must never run")


def test_foreign_types_are_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path, Homemade())
    with pytest.raises(InputError, match=r"types that are not trusted: .*Homemade"):
        surrogate(path, size=SIZE)
    with pytest.raises(InputError, match="which is not a class of scikit-learn"):
        surrogate(path, size=SIZE, trusted=(f"{__name__}.Homemade",))


@pytest.mark.parametrize("name", ["os.system", "numpy.save", "sklearn.utils.gen_batches"])
def test_trust_goes_to_classes_of_sklearn_alone(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, Ridge())
    with pytest.raises(InputError, match="not a class of scikit-learn"):
        surrogate(path, size=SIZE, trusted=(name,))
    assert surrogate(path, size=SIZE, trusted=("sklearn.svm._classes.SVR",)).name == "surrogate"


def test_function_hidden_in_a_pipeline_is_refused(tmp_path: Path) -> None:
    import os

    path = saved(tmp_path, make_pipeline(FunctionTransformer(), Ridge()))
    bad = make_pipeline(FunctionTransformer(), Ridge()).fit(X, Y)
    bad.steps[0][1].func = os.system
    save(bad, path)
    with pytest.raises(InputError, match=r"not trusted: (os|posix).system"):
        load(path)


def test_pickle_is_never_opened(tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return touched.touch, ()

    for name in ("model.pkl", "model.skops"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Payload()))
        with pytest.raises(InputError, match=r"not a model that skops reads .*not with pickle"):
            load(path)
    assert not touched.exists()


@pytest.mark.parametrize("model", [LinearSVC(), RandomForestClassifier(3, random_state=0)])
def test_classifier_without_a_probability_of_class_1(tmp_path: Path, model: Any) -> None:
    labels = np.arange(len(Y)) % 3 if isinstance(model, RandomForestClassifier) else LARGE
    path = saved(tmp_path, model, labels)
    with pytest.raises(InputError, match=r"gives no probabilities|knows 3 classes \(0, 1, 2\)"):
        surrogate(path, size=SIZE)(DESIGNS)


def test_bad_settings(tmp_path: Path) -> None:
    path = saved(tmp_path, Ridge())
    with pytest.raises(InputError, match=f"trained on {SIZE} features, but size is 2048"):
        surrogate(path)
    with pytest.raises(InputError, match="did you mean 'ecfp4_bits'"):
        surrogate(path, "ecfp4_bit")
    with pytest.raises(InputError, match="custom_surrogate"):
        surrogate(path, "features.py:shape")
    with pytest.raises(InputError, match="No such file"):
        surrogate(tmp_path / "none.skops")
    with pytest.raises(InputError, match="judges molecules"):
        surrogate(path, size=SIZE)([Plain("x + 1")])
    save(StandardScaler().fit(X), tmp_path / "scaler.skops")
    with pytest.raises(InputError, match="holds a StandardScaler, expected a fitted estimator"):
        load(tmp_path / "scaler.skops")


def test_copy_for_another_process_is_the_same(tmp_path: Path) -> None:
    oracle = surrogate(saved(tmp_path, Ridge()), size=SIZE, name="mine")
    make, settings = oracle.__reduce__()
    assert make is Surrogate and make(*settings) == oracle
