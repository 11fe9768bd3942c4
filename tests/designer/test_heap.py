import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path("/proc/self/statm")
FREED = """
import numpy as np
from designer.heap import keep_apart

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

apart = keep_apart()
np.ones(8 << 20)  # would raise a threshold that moves
stay, arrays = [], []
for _ in range(100):
    arrays.append(np.ones(1 << 18))  # 2 MiB
    stay.append(bytearray(50_000))
full = resident()
arrays.clear()
print(int(apart), full - resident() >> 20)
"""

KEPT = """
import resource
import torch
from cli.build import build
from cli.folding import campaign_of
from cli.options import Options

build(campaign_of("HPHPPHHPHPPHPHHPPHPH", "square", "hp", None, Options()))
grown = lambda: torch.empty(1 << 20).fill_(1.0).sum()  # 4 MiB
for _ in range(3):
    grown()  # the C library has learned by then that they come and go
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    grown()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * 4096 >> 20)
"""


@pytest.mark.skipif(not PAGES.exists(), reason="needs /proc")
def test_freed_arrays_go_back() -> None:
    """Also where small objects were made between them and stay. In a process without a past."""
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    apart, freed = map(int, done.stdout.split())
    if not apart:
        pytest.skip("not glibc")
    assert freed > 180


@pytest.mark.skipif(not PAGES.exists(), reason="needs Linux")
def test_folding_keeps_its_pages() -> None:
    """A network that reads thousands of chains a step makes arrays of this size at each."""
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40  # MiB of new pages of 80 that were asked for
