"""SRBench method contract: `est`, `model(est, X)`, and the settings of its evaluation."""

from __future__ import annotations

from typing import Any

from tasks.symbolic import SymbolicRegressor

est = SymbolicRegressor(max_evaluations=500_000, max_time=3000.0, random_state=0)
hyper_params: list[dict[str, Any]] = [{}]
eval_kwargs: dict[str, Any] = {"scale_x": False, "scale_y": False}


def model(est: SymbolicRegressor, X: Any = None) -> str:
    """Return the equation as text that sympy reads, in the column names of X."""
    text = str(est.sympy())
    if X is None or not hasattr(X, "columns"):
        return text
    from sympy import Symbol

    names = {
        Symbol(own): Symbol(str(name)) for own, name in zip(est.names_, X.columns, strict=True)
    }
    return str(est.sympy().xreplace(names))


def complexity(est: SymbolicRegressor) -> int:
    """Return the number of tokens, numbers around the whole counted."""
    return int(est.equation_.complexity)
