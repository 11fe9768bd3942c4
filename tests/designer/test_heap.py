import gc
from pathlib import Path

import numpy as np
import pytest

from designer.heap import keep_apart

PAGES = Path("/proc/self/statm")


def _resident() -> int:
    return int(PAGES.read_text().split()[1]) * 4096


def test_freed_arrays_go_back() -> None:
    """Also where small objects were made between them and stay."""
    if not keep_apart():
        pytest.skip("not glibc")
    np.ones(8 << 20)  # would raise a threshold that moves
    stay, arrays = [], []
    for _ in range(100):
        arrays.append(np.ones(1 << 18))  # 2 MiB
        stay.append(bytearray(50_000))
    full = _resident()
    arrays.clear()
    gc.collect()
    assert full - _resident() > 180 << 20 and len(stay) == 100
