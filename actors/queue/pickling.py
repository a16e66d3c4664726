"""Pickling: how what is not a message is pickled: arguments, and the items of a queue.

Runs in any process.
"""

from __future__ import annotations

import io
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final

PROTOCOL: Final = 5
"""Of every pickle: the default of CPython 3.14, named so that 3.11 to 3.13 do the same. It decides in which form a
value arrives: a numpy array that was read-only stays so under 5, and is writable under 4, the older default."""


def pickled(value: Any) -> bytes:
    """The pickle of a value as multiprocessing makes it, so that its own objects may travel, too."""
    buffer = io.BytesIO()
    ForkingPickler(buffer, PROTOCOL).dump(value)
    return buffer.getvalue()  # the buffer's own bytes, not a copy
