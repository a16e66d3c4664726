"""An actor whose module starts threads while it is imported, as numpy and tracing libraries do."""

from __future__ import annotations

import signal
import threading
import time

from actors import Actor, handles
from tests.support.hangers import Sleep


def sleep_with_all_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    time.sleep(3600)


for target in (lambda: time.sleep(3600), sleep_with_all_signals):
    threading.Thread(target=target, daemon=True).start()


class Threaded(Actor):
    @handles
    def sleep(self, msg: Sleep) -> None:
        time.sleep(msg.seconds)
