"""An actor whose module starts threads while it is imported, as numpy and tracing libraries do."""

from __future__ import annotations

import signal
import threading
import time

from actors import Actor, handles
from tests.support.hangers import Sleep
from tests.support.taking_time import sleep_forever


def sleep_with_all_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sleep_forever()


for target in (sleep_forever, sleep_with_all_signals):
    threading.Thread(target=target, daemon=True).start()


class Threaded(Actor):
    @handles
    def sleep(self, msg: Sleep) -> None:
        time.sleep(msg.seconds)
