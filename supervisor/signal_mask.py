"""Signal mask: the signals that a thread leaves to the main thread, where Python handles them.

Where gevent has patched threads, each is a greenlet of the main thread, and has its mask.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable


def leave_to_main_thread(numbers: Iterable[int]) -> None:
    """Block these signals in this thread from now on, unless it is the main thread."""
    if threading.get_native_id() != os.getpid():  # on Linux the main thread has its process's number, in a fork, too
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
