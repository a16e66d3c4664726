"""Signal mask: a tree's threads leave signals to the main thread, whose own mask stays as it is."""

from __future__ import annotations

import signal
import threading

from supervisor import signal_mask

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


def test_restored():
    """Also what other code has changed inside."""
    before = mask()
    with signal_mask.restored():
        signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
        assert before != mask()
    assert before == mask()
