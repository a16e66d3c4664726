"""An actor that ruins what it shares with the daemon."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
from multiprocessing import resource_tracker
from pathlib import Path

from actors import Actor, Message, handles
from tests.support.inside import box_of, channel_of
from tests.support.taking_time import sleep_forever


class Ruin(Message[None]):
    how: str


class Overwrite(Message[None]):
    value: int


class Pid(Message[int]):
    pass


class Heavy(Message[None]):
    load: bytes


class SendHalf(Message[int]):
    """Send a heavy message to that actor, of which the system takes a part, and catch what that raises."""

    to: str


class Vandal(Actor):
    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()

    @handles
    def overwrite(self, msg: Overwrite) -> None:
        box = box_of(self)
        for at in range(len(box.cells)):
            box.cells[at] = msg.value
        os._exit(3)

    @handles
    def heavy(self, msg: Heavy) -> None:
        pass

    @handles
    def send_half(self, msg: SendHalf) -> int:
        duplex, calls = channel_of(self).duplex, itertools.count(1)
        send = duplex.send

        def fail_once(data: bytes | bytearray | memoryview) -> int:
            if next(calls) == 2:
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            return send(data)

        duplex.send = fail_once
        with contextlib.suppress(OSError):
            self.context.actor(msg.to).tell_nowait(Heavy(bytes(50_000)))
        return os.getpid()

    @handles
    def ruin(self, msg: Ruin) -> None:
        fds = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
        fds.remove(resource_tracker.getfd())  # what it does not understand it prints, at length
        for fd in fds:
            with contextlib.suppress(OSError):
                VANDALISM[msg.how](fd)
        if msg.how == "scribble":
            box = box_of(self)
            for at in range(len(box.cells)):
                box.cells[at] = 2**64 - 1
        if msg.how in ("scribble", "truncate"):
            os.kill(os.getpid(), signal.SIGKILL)
        sleep_forever()


def write(fd: int) -> None:
    os.set_blocking(fd, False)
    try:
        os.write(fd, b"\xff" * 4096)
    except OSError:
        os.write(fd, b"\1" * 8)  # what a counter takes


VANDALISM = {
    "close": os.close,
    "write": write,
    "truncate": lambda fd: os.ftruncate(fd, 0),
    "scribble": lambda fd: os.lseek(fd, 2**40, os.SEEK_SET),
}
