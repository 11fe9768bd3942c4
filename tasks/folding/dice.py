"""Compiled random numbers and the parts that every compiled move needs.

Needs numba; loaded when a search begins. Points, residues and bits are uint64 throughout, since
numba makes a float of an unsigned and a signed number together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Array = NDArray[Any]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32, _LOW = (np.uint64(n) for n in (27, 30, 31, 32, 0xFFFFFFFF))


# No reference counts: with them, arrays in tuples cost five times the work itself. So what is
# compiled with these must not make arrays.
_SETTINGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}


def compiled(function: F) -> F:
    """Return the function compiled, for other compiled ones to call."""
    return cast(F, njit(**_SETTINGS)(function))


def inlined(function: F) -> F:
    """Return the function compiled into its callers: for what is called at every step."""
    return cast(F, njit(inline="always", **_SETTINGS)(function))


def stored(function: F) -> F:
    """Return the function compiled, for Python to call; the code is kept beside its file.

    A change of another file that it calls is not noticed: see `tasks.folding.kernels.climb`.
    """
    return cast(F, njit(cache=True, nogil=True)(function))


@inlined
def mixed(state: Any) -> Any:
    """Return 64 random bits from a counter that goes up by `GOLDEN`: SplitMix64.

    G. Steele, D. Lea, C. Flood, OOPSLA 2014. No draw waits for the one before it.
    """
    z = (state ^ (state >> _30)) * _MIX1
    z = (z ^ (z >> _27)) * _MIX2
    return z ^ (z >> _31)


@inlined
def below(bits: Any, count: Any) -> Any:
    """Return a number from 0 to `count` - 1 made of the lower 32 bits."""
    return ((bits & _LOW) * count) >> _32
