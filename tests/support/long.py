"""The long forms of tests: a short one runs with the suite, the long one with ACTORS_LONG=1 (`make chaos`)."""

from __future__ import annotations

import os
from typing import Final

LONG: Final = os.environ.get("ACTORS_LONG") == "1"


def often(short: int, long: int) -> int:
    """How often something is repeated."""
    return long if LONG else short
