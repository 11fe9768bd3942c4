"""Compiled: which two of many numbers add up to, or differ by, a wanted one. Needs numba."""

from __future__ import annotations

from tasks.symbolic.language.reading import Array, compiled


@compiled
def sums(sorted_: Array, wanted: float, tolerance: float, out: Array) -> int:
    """Fill out [most, 2] with places i <= j whose numbers add up to `wanted`; return how many."""
    found, j = 0, len(sorted_) - 1
    for i in range(len(sorted_)):
        while j >= i and sorted_[i] + sorted_[j] > wanted + tolerance:
            j -= 1
        if j < i:
            break
        k = j
        while k >= i and sorted_[i] + sorted_[k] >= wanted - tolerance:
            if found == len(out):
                return found
            out[found, 0], out[found, 1] = i, k
            found, k = found + 1, k - 1
    return found


@compiled
def differences(sorted_: Array, wanted: float, tolerance: float, out: Array) -> int:
    """Fill out [most, 2] with places i, j of which number i less number j is `wanted`."""
    found, j = 0, 0
    for i in range(len(sorted_)):
        while j < len(sorted_) and sorted_[i] - sorted_[j] > wanted + tolerance:
            j += 1
        k = j
        while k < len(sorted_) and sorted_[i] - sorted_[k] >= wanted - tolerance:
            if found == len(out):
                return found
            out[found, 0], out[found, 1] = i, k
            found, k = found + 1, k + 1
    return found
