"""What is freed leaves the process, whatever lives on around it."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
import psutil
from unite.embedder.heap import keep_large_apart

if sys.argv[1] == "apart":
    keep_large_apart()
for _ in range(3):
    np.ones(30 << 17)  # 30 MiB: by default such are part of the heap from now on
holes = [np.ones(1 << 13) for _ in range(1000)]  # what imports left free is taken
before = psutil.Process().memory_info().rss
kept, large = [], []
for _ in range(50):
    large.append(np.ones(2 << 17))
    kept.append(np.ones(1 << 13))
del large
print((psutil.Process().memory_info().rss - before) >> 20)
"""


def grown(how: str, **environment: str) -> int:
    """MiB that 100 MiB leave behind in a fresh process."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={**clean, **environment}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_large_buffers_leave_nothing_behind() -> None:
    assert grown("apart") < 10
    assert grown("as it is") > 50  # else there would be nothing to do


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_what_the_user_sets_is_left_alone() -> None:
    assert grown("apart", MALLOC_MMAP_THRESHOLD_="33554432") > 50
