"""Paid oracles of the kill drill: they take a little time and write every call down."""

from __future__ import annotations

import os
import time
from hashlib import blake2b

LOG = "DESIGNER_DRILL_LOG"  # the file that every call is written to


def slow(text: str) -> float:
    """Return a number in 0..1 that depends on the text alone."""
    with open(os.environ[LOG], "a", encoding="utf-8") as log:
        log.write(text + "\n")
    time.sleep(0.004)
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big") / 2**32


def features(texts: list[str]) -> list[list[float]]:
    """Return what the surrogate model sees of each text: its length and a few letters [N, 4]."""
    return [[float(len(text)), *(float(text.count(letter)) for letter in "CRx")] for text in texts]
