"""Signal mask: a tree's threads leave signals to the main thread, whose own mask stays as it is."""

from __future__ import annotations

import signal
import threading

import pytest

from supervisor import signal_mask
from supervisor.process.spawn import worker_process

NUMBERS = frozenset({signal.SIGTERM, signal.SIGHUP})


def mask():
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_thread_of_its_own():
    """It blocks them."""
    masks = []

    def run():
        signal_mask.leave_to_main_thread(NUMBERS)
        masks.append(mask())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert masks[0] >= NUMBERS


def test_the_main_thread():
    """As for a greenlet of gevent's, which runs there."""
    before = mask()
    signal_mask.leave_to_main_thread(NUMBERS)
    assert before == mask()


def test_a_start_leaves_the_mask_of_its_thread_as_it_was():
    """Also what multiprocessing's helper has changed inside, and where the start fails."""
    before = mask()
    with pytest.raises(OSError, match="no processes left"), worker_process._blocked_signals():
        assert before != mask()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
        raise OSError("no processes left")
    assert before == mask()
