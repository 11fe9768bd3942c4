"""Large arrays in pages of their own, so that freed ones go back to the system.

glibc keeps arrays that come and go among small objects that stay: a long search of molecules held
several times what it used. It costs time, since the system clears each new page: a network that
reads thousands of rows a step takes three times as long. So it is for what needs it only.
"""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # names of mallopt(3)
LARGE, SPARE = 1 << 20, 1 << 24  # bytes: what gets pages of its own, what may lie free at the end


def keep_apart() -> bool:
    """Give large arrays of this process pages of their own from now on; return whether the C
    library can.
    """
    try:
        option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    return bool(option(MMAP_THRESHOLD, LARGE)) and bool(option(TRIM_THRESHOLD, SPARE))
