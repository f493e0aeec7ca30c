"""Large buffers outside the heap, so that a long stream takes no more memory than a short one."""

from __future__ import annotations

import ctypes
import os
import sys

LARGE = 1 << 20
"""Bytes from which on a buffer is mapped by itself and given back as soon as it is freed."""
KEPT = 16 << 20
"""Bytes free at the end of the heap that are kept: given back each time, they cost a tenth."""

_THRESHOLD, _TRIM = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
_ENVIRONMENT = "MALLOC_MMAP_THRESHOLD_"


def keep_large_apart() -> None:
    """Fix from which size on glibc maps buffers by themselves, for the whole process.

    By default that size grows with what is freed, up to 32 MiB. Batches differ in shape, and small
    results that live on between their freed buffers then keep the heap from shrinking:
    benchmarks/embed.md has the figures. What the user sets in the environment is left alone, and so
    are other C libraries.
    """
    if not sys.platform.startswith("linux") or _ENVIRONMENT in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_THRESHOLD, LARGE)
        mallopt(_TRIM, KEPT)  # no longer grows by itself once the other is fixed
