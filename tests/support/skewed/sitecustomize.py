"""Shifts the monotonic clock of every Python process that has this folder on its path, as on another machine.

ACTORS_TEST_SKEW is by how many seconds.
"""

import os
import time

_SKEW = int(os.environ.get("ACTORS_TEST_SKEW", "0"))
_monotonic, _monotonic_ns = time.monotonic, time.monotonic_ns

if _SKEW:
    time.monotonic = lambda: _monotonic() + _SKEW
    time.monotonic_ns = lambda: _monotonic_ns() + _SKEW * 1_000_000_000
