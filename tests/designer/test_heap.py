import subprocess
import sys
from pathlib import Path
from platform import libc_ver

import pytest

PAGES = Path("/proc/self/statm")
FREED = """
import numpy as np
from designer.heap import keep_apart
from tasks.molecules.expectation import Expectation

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

apart = {how}
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


pytestmark = pytest.mark.skipif(
    not PAGES.exists() or libc_ver()[0] != "glibc", reason="needs /proc and glibc"
)


@pytest.mark.parametrize("how", ["keep_apart()", "isinstance(Expectation(), Expectation)"])
def test_freed_arrays_go_back(how: str) -> None:
    """Also where small objects were made between them and stay, and where the molecule model is
    at work. In a process without a past.
    """
    command = [sys.executable, "-c", FREED.replace("{how}", how)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    apart, freed = map(int, done.stdout.split())
    assert apart and freed > 180


def test_folding_keeps_its_pages() -> None:
    """A network that reads thousands of chains a step makes arrays of this size at each."""
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40  # MiB of new pages of 80 that were asked for
