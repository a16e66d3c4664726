"""Fork: a copy of the actor's process, made by `os.fork` in its code, is not the actor.

A copy has neither channel nor black box: it cannot answer for its parent, nor write into what the parent writes. It
may do its own work, start a program or exit. One whose handler returns or raises exits.

Runs in the copy, in the thread that has forked.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable

from actors.ipc.blackbox import BlackBox
from actors.ipc.channel import Channel
from actors.process.diagnostics import DUMP_SIGNAL
from actors.process.tracebacks import ActorFailed


class Copies:
    """Takes from every copy of this process what belongs to the actor.

    Attributes:
        is_copy: whether this process is a copy.
        then: called in a copy, at last.
    """

    def __init__(self, channel: Channel, box: BlackBox) -> None:
        self.is_copy = False
        self.then: Callable[[], object] | None = None
        self._channel = channel
        self._box = box

    def begin(self) -> None:
        """This process is a copy from now on; `os.register_at_fork` calls it."""
        if self.is_copy:
            return
        self.is_copy = True
        faulthandler.disable()  # it writes into the box
        faulthandler.unregister(DUMP_SIGNAL)
        self._channel.abandon()
        self._box.close()  # from now on every use of its cells raises ValueError
        if self.then is not None:
            self.then()

    def leave(self, error: BaseException | None = None) -> None:
        """Exit if this process is a copy; an exception of its handler goes to stderr."""
        if not self.is_copy:
            return
        if error is None:
            os._exit(0)
        if not isinstance(error, SystemExit):
            sys.excepthook(type(error), error, error.__traceback__)
        os._exit(ActorFailed("in a copy", error).exit_code)
