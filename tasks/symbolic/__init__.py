"""Equations: prefix token sequences, evaluated in batches, with fitted constants."""

from __future__ import annotations

from typing import Any

__all__ = ["SymbolicRegressor"]


def __getattr__(name: str) -> Any:
    """Load the estimator, and scikit-learn with it, when it is asked for."""
    if name == "SymbolicRegressor":
        from tasks.symbolic.estimator import SymbolicRegressor

        return SymbolicRegressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
